//! `coracle prune`: shows what nothing needs any more, asks, and removes it.
//!
//! What is looked at: images of every profile, in the engine and on the nodes of clusters that are
//! ours; names and clusters that a killed run left; the build cache of images that go; files under
//! the cache folder that were not used for a while. A stopped cluster cannot be asked what it
//! uses, so its nodes are left alone.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{self, Global};
use super::{Answer, ask};
use crate::cluster::{self, Provider, State, lock};
use crate::deploy::usage;
use crate::error::{Failure, chain};
use crate::image::engine::{self, Engine};
use crate::image::sweep::survey::{self, Item, Survey};
use crate::image::sweep::{self, engine::Removed};
use crate::profile::{self, resolve};
use crate::session::Session;
use crate::ui::{self, humane, words};

/// How long a verb that works on a profile is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    Image(Item),
    /// A cluster whose creation was cut short.
    Cluster(String),
    File(std::path::PathBuf),
}

/// What is known of the clusters that are ours.
#[derive(Debug, Default)]
struct Clusters {
    /// Of those that run.
    nodes: Vec<String>,
    /// The nodes of which it is not known what the cluster uses of them.
    unsure: BTreeSet<String>,
    used: BTreeSet<String>,
    unfinished: Vec<String>,
}

pub(crate) async fn prune(session: &Session, global: &Global, flags: &args::Prune) -> Result<Answer, Failure> {
    tokio::select! {
        answer = run(session, global, flags) => answer,
        () = session.cancel.cancelled() => Err(Failure::interrupted("what was removed until now is gone")),
    }
}

async fn run(session: &Session, global: &Global, flags: &args::Prune) -> Result<Answer, Failure> {
    let engine = engine::connect(session).await?;
    // Nobody builds or loads while it is decided what goes.
    let locks = if global.dry_run { Vec::new() } else { lock_all(session).await? };
    let clusters = ask_clusters(session, &engine).await?;
    let survey = survey::survey(&engine, &clusters.nodes).await?;
    for (node, error) in &survey.silent {
        session.events.warn(words::not_looked_at(node, &chain(error)));
    }
    let things = things(session, &survey, &clusters, flags.all);
    let total = things.iter().map(|(_, bytes)| bytes).sum::<u64>();
    if things.is_empty() {
        session.events.info(words::nothing_to_prune(flags.all));
        return Ok(Answer { text: String::new(), json: json!({"removed": [], "bytes": 0}) });
    }
    let table = table(&things);
    if global.dry_run {
        session.events.info(words::would_come_back(total));
        return Ok(Answer { text: table, json: json!({"remove": listed(&things), "bytes": total}) });
    }
    // Where nobody can be asked, a long table would only hide what to do.
    let shown = if session.surroundings.can_ask { table.as_str() } else { "" };
    ask::confirm(session, global, &words::prune_question(shown, things.len(), total)).await?;
    let removed = remove(session, &engine, &things).await?;
    drop(locks);
    let total = removed.iter().map(|(_, bytes)| bytes).sum::<u64>();
    session.events.info(words::came_back(total));
    Ok(Answer { text: self::table(&removed), json: json!({"removed": listed(&removed), "bytes": total}) })
}

/// Takes the lock of every profile that was ever brought up from here.
async fn lock_all(session: &Session) -> Result<Vec<lock::Lock>, Failure> {
    let mut locks = Vec::new();
    // Without the folder nobody ever took one.
    let files = std::fs::read_dir(session.surroundings.state.join("locks")).into_iter().flatten().flatten();
    let names: BTreeSet<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    for name in names.iter().filter_map(|name| name.strip_suffix(".lock")).filter(|name| name.starts_with("instance-"))
    {
        locks.push(lock::take(session, name, "prune", PATIENCE).await?);
    }
    Ok(locks)
}

async fn ask_clusters(session: &Session, engine: &Engine) -> Result<Clusters, Failure> {
    let mut clusters = Clusters::default();
    for listed in cluster::list(session, engine).await? {
        match listed.state.as_str() {
            "running" => {
                let nodes = cluster::node_names(engine, &listed.name).await?;
                match used(session, engine, &listed.name).await {
                    Ok(used) => clusters.used.extend(used),
                    Err(failure) => {
                        session.events.warn(words::not_looked_at(&listed.name, &failure.report.to_string()));
                        clusters.unsure.extend(nodes.iter().cloned());
                    }
                }
                clusters.nodes.extend(nodes);
            }
            "half-made" => clusters.unfinished.push(listed.name),
            _ => session.events.info(words::left_alone(&listed.name)),
        }
    }
    Ok(clusters)
}

/// Returns the images that the cluster's objects name.
async fn used(session: &Session, engine: &Engine, name: &str) -> Result<BTreeSet<String>, Failure> {
    let client = cluster::client(session, engine, &named(session, name)?).await?;
    Ok(usage::images(&client).await?)
}

/// Returns what a profile says of a cluster, where there is no profile.
fn named(session: &Session, name: &str) -> Result<profile::Cluster, Failure> {
    let cluster = resolve::without_services(&session.surroundings)?.cluster;
    Ok(profile::Cluster { name: name.to_owned(), ..cluster })
}

fn things(session: &Session, survey: &Survey, clusters: &Clusters, all: bool) -> Vec<(Thing, u64)> {
    let sure = |item: &Item| !matches!(item, Item::Node { node, .. } if clusters.unsure.contains(node));
    let images = survey.going(&clusters.used, all).into_iter().filter(|(item, _)| sure(item));
    let images = images.map(|(item, bytes)| (Thing::Image(item), bytes));
    let unfinished = clusters.unfinished.iter().map(|name| (Thing::Cluster(name.clone()), 0));
    let files = files::stale(&session.surroundings.cache, std::time::SystemTime::now());
    let files = files.into_iter().map(|(path, bytes)| (Thing::File(path), bytes));
    images.chain(unfinished).chain(files).collect()
}

impl Thing {
    /// Returns what it is, and where.
    fn words(&self) -> (String, String) {
        let engine = "Docker engine".to_owned();
        match self {
            Self::Image(Item::Engine { name, .. }) => (format!("image {name}"), engine),
            Self::Image(Item::Node { node, name }) => (format!("image {name}"), format!("node {node}")),
            Self::Image(Item::Cache { steps: 1, .. }) => ("build cache of these images, 1 step".to_owned(), engine),
            Self::Image(Item::Cache { steps, .. }) => (format!("build cache of these images, {steps} steps"), engine),
            Self::Cluster(name) => (format!("unfinished cluster {name}"), engine),
            Self::File(path) => ("cached file".to_owned(), ui::sanitize::line(&path.display().to_string())),
        }
    }
}

fn table(things: &[(Thing, u64)]) -> String {
    let row = |(thing, bytes): &(Thing, u64)| {
        let (what, place) = thing.words();
        vec![what, place, humane::bytes(*bytes)]
    };
    ui::table::table(&["what", "where", "bytes"], &things.iter().map(row).collect::<Vec<_>>())
}

fn listed(things: &[(Thing, u64)]) -> Vec<Value> {
    let entry = |(thing, bytes): &(Thing, u64)| {
        let (what, place) = thing.words();
        json!({"what": what, "where": place, "bytes": bytes})
    };
    things.iter().map(entry).collect()
}

/// Removes everything; returns what is gone. What cannot be removed is told, and stays.
async fn remove(session: &Session, engine: &Engine, things: &[(Thing, u64)]) -> Result<Vec<(Thing, u64)>, Failure> {
    let mut nodes: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    let (mut built, mut others) = (Vec::new(), Vec::new());
    for (thing, _) in things {
        match thing {
            Thing::Image(Item::Node { node, name }) => nodes.entry(node).or_default().push(name.clone()),
            Thing::Image(Item::Engine { name, built: true }) => built.push(name.clone()),
            Thing::Image(Item::Engine { name, built: false }) => others.push(name.clone()),
            _ => {}
        }
    }
    let mut stays: BTreeSet<String> = BTreeSet::new();
    let on_nodes = nodes.iter().map(async |(node, names)| (*node, sweep::node::remove(engine, node, names).await));
    let (in_engine, on_nodes) = tokio::join!(
        async { (engine.remove_names(&built, true).await, engine.remove_names(&others, false).await) },
        futures_util::future::join_all(on_nodes)
    );
    for (name, result) in in_engine.0.into_iter().chain(in_engine.1) {
        match result {
            Ok(Removed::Gone) => continue,
            Ok(Removed::InUse(why)) => session.events.info(words::kept(&name, &why)),
            Err(error) => session.events.warn(words::kept(&name, &chain(&error))),
        }
        stays.insert(name);
    }
    let mut failed = BTreeSet::new();
    for (node, result) in on_nodes {
        if let Err(error) = result {
            session.events.warn(words::not_looked_at(node, &chain(&error)));
            failed.insert(node);
        }
    }
    let mut removed = Vec::new();
    for (thing, bytes) in things {
        let bytes = match thing {
            Thing::Image(Item::Engine { name, .. }) if stays.contains(name) => None,
            Thing::Image(Item::Node { node, .. }) if failed.contains(node) => None,
            Thing::Image(Item::Cache { records, .. }) => {
                told(session, words::BUILD_CACHE, engine.prune_cache(records).await.map(Some))
            }
            Thing::Cluster(name) => told(session, name, clear(session, engine, name).await),
            Thing::File(path) => files::remove(session, path).then_some(*bytes),
            Thing::Image(_) => Some(*bytes),
        };
        removed.extend(bytes.map(|bytes| (thing.clone(), bytes)));
    }
    Ok(removed)
}

/// Tells why something stays; what is gone already is reported all the same.
fn told(session: &Session, what: &str, result: Result<Option<u64>, impl Into<Failure>>) -> Option<u64> {
    result.unwrap_or_else(|error| {
        session.events.warn(words::not_looked_at(what, &error.into().report.to_string()));
        None
    })
}

/// Removes what a creation left that was cut short, unless one goes on at this moment.
async fn clear(session: &Session, engine: &Engine, name: &str) -> Result<Option<u64>, Failure> {
    let wanted = named(session, name)?;
    let Ok(_held) = lock::take(session, &format!("cluster-{name}"), "prune", Duration::ZERO).await else {
        session.events.info(words::being_made(name));
        return Ok(None);
    };
    if matches!(cluster::observe(session, engine, &wanted).await?, State::HalfMade { .. }) {
        Provider::new(&wanted)?.clear_half_made(engine).await?;
    }
    Ok(Some(0))
}
