//! `coracle cluster create|delete|start|stop|list`: the local cluster itself.

use std::time::Duration;

use serde_json::json;

use super::args::{ClusterVerb, Global};
use super::{Answer, ask, target};
use crate::cluster::{self, Provider, State, lock};
use crate::error::{Classified, Failure, Kind};
use crate::event::Subject;
use crate::execute::execute;
use crate::image::engine::{self, Engine};
use crate::observe::Observed;
use crate::plan;
use crate::profile::names::label_fault;
use crate::profile::{Profile, error, resolve};
use crate::session::Session;
use crate::ui;

/// How long another `coracle` may keep the cluster to itself.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn cluster(session: &Session, global: &Global, verb: &ClusterVerb) -> Result<Answer, Failure> {
    let (ClusterVerb::Create(given)
    | ClusterVerb::Start(given)
    | ClusterVerb::Stop(given)
    | ClusterVerb::Delete(given)) = verb
    else {
        return list(session).await;
    };
    let mut profile = wanted(session, global)?;
    if let Some(name) = &given.name {
        if let Some(fault) = label_fault(name) {
            return Err(BadName { name: name.clone(), fault }.into());
        }
        name.clone_into(&mut profile.cluster.name);
    }
    let engine = engine::connect(session).await?;
    match verb {
        ClusterVerb::Stop(_) => stop(session, global, &engine, &profile).await,
        ClusterVerb::Delete(_) => delete(session, global, &engine, &profile).await,
        ClusterVerb::Start(_) => start(session, global, &engine, &profile).await,
        _ => create(session, global, &engine, &profile).await,
    }
}

/// A name that can be no cluster's.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("`{name}` cannot be a cluster's name: it {fault}")]
#[diagnostic(code(coracle::cluster::bad_name), help("a name is at most 63 of a-z, 0-9 and `-`, such as `coracle`"))]
struct BadName {
    name: String,
    fault: String,
}

impl Classified for BadName {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

/// Keeps others from making or changing the cluster.
async fn lock(session: &Session, profile: &Profile, verb: &str) -> Result<lock::Lock, Failure> {
    Ok(lock::take(session, &format!("cluster-{}", profile.cluster.name), verb, PATIENCE).await?)
}

/// The profile's cluster, or the default one where there is no profile.
fn wanted(session: &Session, global: &Global) -> Result<Profile, Failure> {
    let request = resolve::Request { path: global.profile.clone(), ..resolve::Request::default() };
    match resolve::load(&request, &session.surroundings) {
        Err(error::Error::Nothing { .. }) => Ok(resolve::without_services(&session.surroundings)?),
        found => Ok(found?),
    }
}

async fn create(session: &Session, global: &Global, engine: &Engine, profile: &Profile) -> Result<Answer, Failure> {
    let state = cluster::observe(session, engine, &profile.cluster).await?;
    let plan = plan::cluster(&state);
    if global.dry_run {
        return Ok(ui::plan::answer(profile, &plan));
    }
    if plan.is_empty() {
        session.events.info(format!("The cluster `{}` runs already", profile.cluster.name));
    }
    execute(session, engine, profile, &Observed { cluster: state, ..Observed::nothing() }, &plan, None).await?;
    Ok(Answer { text: String::new(), json: json!({"cluster": profile.cluster.name, "state": "running"}) })
}

/// Starts a cluster that is there; one that is not is named, and never made by mistake.
async fn start(session: &Session, global: &Global, engine: &Engine, profile: &Profile) -> Result<Answer, Failure> {
    match cluster::observe(session, engine, &profile.cluster).await? {
        State::Stopped { .. } | State::Running { .. } => create(session, global, engine, profile).await,
        State::HalfMade { .. } | State::Absent { .. } => {
            target::running(session, profile).await?;
            unreachable!("a cluster that is not there does not run")
        }
    }
}

async fn stop(session: &Session, global: &Global, engine: &Engine, profile: &Profile) -> Result<Answer, Failure> {
    let name = profile.cluster.name.clone();
    let _held = lock(session, profile, "cluster stop").await?;
    match cluster::observe(session, engine, &profile.cluster).await? {
        State::Running { .. } if global.dry_run => {
            return Ok(Answer { text: format!("stop cluster {name}\n"), json: json!({"stop": name}) });
        }
        State::Running { .. } => {
            let subject = Subject::StopCluster { name: name.clone() };
            let provider = Provider::new(&profile.cluster)?;
            session.events.track(subject, provider.stop(session, engine), |()| "stopped".to_owned()).await?;
        }
        State::Stopped { .. } => session.events.info(format!("The cluster `{name}` is stopped already")),
        State::HalfMade { .. } | State::Absent { .. } => {
            session.events.info(format!("There is no cluster `{name}` to stop"));
        }
    }
    Ok(Answer { text: String::new(), json: json!({"cluster": name, "state": "stopped"}) })
}

async fn delete(session: &Session, global: &Global, engine: &Engine, profile: &Profile) -> Result<Answer, Failure> {
    let name = profile.cluster.name.clone();
    let gone = || Answer { text: String::new(), json: json!({"cluster": name, "state": "absent"}) };
    if matches!(cluster::observe(session, engine, &profile.cluster).await?, State::Absent { .. }) {
        session.events.info(format!("There is no cluster `{name}`"));
        return Ok(gone());
    }
    if global.dry_run {
        return Ok(Answer { text: format!("delete cluster {name}\n"), json: json!({"delete": name}) });
    }
    let question =
        format!("The cluster `{name}` is deleted, with every profile's services and volumes in it. Delete it?");
    ask::confirm(session, global, &question).await?;
    let _held = lock(session, profile, "cluster delete").await?;
    let provider = Provider::new(&profile.cluster)?;
    let subject = Subject::DeleteCluster { name: name.clone() };
    session.events.track(subject, provider.delete(session, engine), |_| "deleted".to_owned()).await?;
    Ok(gone())
}

async fn list(session: &Session) -> Result<Answer, Failure> {
    let engine = engine::connect(session).await?;
    let clusters = cluster::list(session, &engine).await?;
    let headers = ["NAME", "PROVIDER", "STATE", "NODES", "KUBERNETES", "PORTS"];
    let rows: Vec<Vec<String>> = clusters
        .iter()
        .map(|cluster| {
            vec![
                cluster.name.clone(),
                cluster.provider.clone(),
                cluster.state.clone(),
                cluster.nodes.to_string(),
                cluster.kubernetes.clone().unwrap_or_else(|| "-".to_owned()),
                cluster.ports.clone(),
            ]
        })
        .collect();
    if rows.is_empty() {
        session.events.info("Coracle has made no cluster here");
        return Ok(Answer { text: String::new(), json: json!([]) });
    }
    Ok(Answer { text: ui::table::table(&headers, &rows), json: json!(clusters) })
}
