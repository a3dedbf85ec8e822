//! The short ways: a further name for what a node holds, or only the layers that it lacks.
//!
//! One script per node does all of it: names, import, and the inventory that verifies both.
//! The import is the transfer service's, which fails before there is a name when a blob is
//! missing. Whatever is not as expected is no error here: it is said, and returned to be
//! loaded in full; but for what a full load would meet as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{join_all, try_join_all};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::super::Error;
use super::super::engine::{Ran, is_disk_full};
use super::super::error::Cause;
use super::archive::Archive;
use super::containerd::{self, Client};
use super::decide::{self, Way};
use super::inventory::{self, Inventory};
use super::known::Known;
use super::push::{Held, Pushed, Source, push, sweep_leftovers};
use super::shell::{self, Feed};
use super::{TELL_EVERY, Work, named};
use crate::event::{Progress, Subject, Unit};

/// Exit codes of a node's script, which no command in it has.
const NOT_NAMED: i64 = 91;
const NOT_IMPORTED: i64 = 92;

/// Why a node was not loaded.
enum Trouble {
    /// A full load may well succeed.
    Surprise(String),
    /// It would not.
    Error(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::NodeFull { .. }
            | Error::DiskFull { .. }
            | Error::NodeDown { .. }
            | Error::NotLocal { .. }
            | Error::Cancelled { .. } => Self::Error(error),
            _ => Self::Surprise(crate::error::chain(&error)),
        }
    }
}

/// What the short ways did not bring in: node → tags.
#[derive(Default)]
pub(super) struct Left {
    /// The engine's push failed: what nodes hold is not in doubt.
    pub(super) unpushed: BTreeMap<String, Vec<String>>,
    /// A node did not take it.
    pub(super) refused: BTreeMap<String, Vec<String>>,
}

/// Loads images on short ways; returns what is left for the full one. `ways`: node → tags.
pub(super) async fn load(work: &Work<'_>, ways: &BTreeMap<String, Vec<(String, Way)>>) -> Result<Left, Error> {
    let pushed = match pushed(work, ways).await {
        Ok(pushed) => pushed,
        Err(Trouble::Error(error)) => return Err(error),
        Err(Trouble::Surprise(words)) => {
            say(work, "the engine's push of the missing layers", &words);
            let unpushed = ways.iter().map(|(node, ways)| (node.clone(), tags(ways))).collect();
            return Ok(Left { unpushed, ..Left::default() });
        }
    };
    let results = join_all(ways.iter().map(async |(node, ways)| (node, ways, one(work, node, ways, &pushed).await)));
    let (mut left, mut fault) = (Left::default(), None);
    for (node, ways, result) in results.await {
        match result {
            Ok(()) => {}
            Err(Trouble::Error(error)) => drop(fault.get_or_insert(error)),
            Err(Trouble::Surprise(words)) => {
                say(work, &format!("the load of the missing layers into {node}"), &words);
                remove(work, node, ways).await?;
                left.refused.insert(node.clone(), tags(ways));
            }
        }
    }
    fault.map_or(Ok(left), Err)
}

fn say(work: &Work<'_>, what: &str, words: &str) {
    let words = crate::ui::sanitize::line(words);
    work.session.events.detail(format!("{what} did not succeed, so whole images are loaded: {words}"));
}

fn tags(ways: &[(String, Way)]) -> Vec<String> {
    ways.iter().map(|(tag, _)| tag.clone()).collect()
}

/// What the engine pushed, and where in it each tag is.
struct Layers {
    pushed: Arc<Vec<Pushed>>,
    places: BTreeMap<String, usize>,
}

/// Has the engine push what some node takes as a delta.
async fn pushed(work: &Work<'_>, ways: &BTreeMap<String, Vec<(String, Way)>>) -> Result<Layers, Trouble> {
    let mut nodes: BTreeMap<&str, BTreeMap<&str, Vec<&Inventory>>> = BTreeMap::new();
    for (node, ways) in ways {
        for (tag, _) in ways.iter().filter(|(_, way)| *way == Way::Delta) {
            let architecture = work.wanted[tag].architecture.as_str();
            nodes.entry(architecture).or_default().entry(tag).or_default().push(&work.inventories[node]);
        }
    }
    if nodes.is_empty() {
        return Ok(Layers { pushed: Arc::default(), places: BTreeMap::new() });
    }
    let known = Known::read(&work.session.surroundings.cache);
    let pushes = nodes.into_iter().map(async |(architecture, images)| {
        let tags: Vec<String> = images.keys().map(|tag| (*tag).to_owned()).collect();
        let images: Vec<_> =
            images.into_iter().map(|(tag, nodes)| (work.wanted[tag].diff_ids.as_slice(), nodes)).collect();
        let held: Held = decide::held(&images, known.iter());
        let (_sender, held) = watch::channel(Some(Arc::new(held)));
        let sources: Vec<Source<'_>> = tags.iter().map(|tag| work.wanted[tag].source()).collect();
        let pushing = push(work.session, work.engine, &sources, architecture, held);
        let (pushed, ()) = tokio::join!(pushing, sweep_leftovers(work.engine));
        let pushed = pushed?;
        Ok::<_, Error>((tags, pushed))
    });
    let (mut all, mut places) = (Vec::new(), BTreeMap::new());
    for (tags, pushed) in try_join_all(pushes).await? {
        for (tag, image) in tags.into_iter().zip(pushed) {
            places.insert(tag, all.len());
            all.push(image);
        }
    }
    Ok(Layers { pushed: Arc::new(all), places })
}

/// Loads one node.
async fn one(work: &Work<'_>, node: &str, ways: &[(String, Way)], layers: &Layers) -> Result<(), Trouble> {
    let deltas: Vec<&str> = ways.iter().filter(|(_, way)| *way == Way::Delta).map(|(tag, _)| tag.as_str()).collect();
    let architectures: BTreeSet<&str> = deltas.iter().map(|tag| work.wanted[*tag].architecture.as_str()).collect();
    let mut images = Vec::new();
    for tag in &deltas {
        let place = layers.places.get(*tag).ok_or_else(|| Trouble::Surprise(format!("{tag} was not pushed")))?;
        images.push((work.wanted[*tag].name.as_str(), *place));
    }
    let archive = Archive::new(&images, &layers.pushed, &work.inventories[node])
        .map_err(|lacks| Trouble::Surprise(format!("the layer {} was not pushed", lacks.digest)))?;
    let (size, manifests) = (archive.size, archive.manifests.clone());
    let names = ways.iter().filter_map(|(tag, way)| match way {
        Way::Retag { from } => Some((from.as_str(), work.wanted[tag].name.as_str())),
        _ => None,
    });
    let names: Vec<_> = names.collect();
    let all: Vec<&str> = ways.iter().map(|(tag, _)| work.wanted[tag].name.as_str()).collect();
    work.engine.nodes.forget(node);
    let feed = || {
        let stream = archive.stream(layers.pushed.clone());
        told(work, node, size, images.len(), stream)
    };
    let inventory = if let Some(client) = containerd::client(work.engine, node).await? {
        let feed = (!images.is_empty()).then(feed);
        quickly(work, node, ways, &client, (&names, feed, &architectures)).await?
    } else {
        let ran = if images.is_empty() {
            shell::run(work.engine, node, &script(&names, None, &all), shell::ANSWER).await?
        } else {
            let script = script(&names, Some((size, &architectures)), &all);
            shell::feed(work.engine, node, &script, size, feed()).await?
        };
        judge(&ran, node, ways)?;
        Arc::new(inventory::parse(&String::from_utf8_lossy(&ran.out)))
    };
    for (tag, _) in ways {
        if !inventory.was_unpacked(&work.wanted[tag].name) {
            return Err(Trouble::Surprise(format!("{tag} is not whole there")));
        }
    }
    match manifests.iter().find(|(name, digest)| inventory.targets.get(name) != Some(digest)) {
        Some((name, _)) => Err(Trouble::Surprise(format!("{name} is another image there"))),
        None => Ok(()),
    }
}

/// What a node is to do: names to give, an archive to import, and for which architectures.
type Task<'a> = (&'a [(&'a str, &'a str)], Option<Feed>, &'a BTreeSet<&'a str>);

/// Does it through containerd's own API, and asks what the node holds then.
async fn quickly(
    work: &Work<'_>,
    node: &str,
    ways: &[(String, Way)],
    client: &Client,
    (names, feed, architectures): Task<'_>,
) -> Result<Arc<Inventory>, Trouble> {
    let done = async {
        for (from, to) in names {
            let tagged = tokio::time::timeout(shell::ANSWER, client.tag(from, to)).await;
            tagged.map_err(|_| Status::deadline_exceeded(format!("naming {to} took too long")))??;
        }
        match feed {
            Some(feed) => client.import(architectures, feed).await,
            None => Ok(()),
        }
    };
    if let Err(status) = done.await {
        containerd::close(work.engine, node, &status).await;
        return Err(trouble(status.message(), "containerd's import failed", node, ways));
    }
    Ok(inventory::ask(work.engine, node).await?)
}

/// Returns a node's script. `import`: the archive's bytes, and what it is for. `all`: the names that
/// must be there at its end.
pub(super) fn script(names: &[(&str, &str)], import: Option<(u64, &BTreeSet<&str>)>, all: &[&str]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (from, to) in names {
        let tag = format!("ctr --namespace=k8s.io images tag --force '{from}' '{to}' >/dev/null");
        lines.push(format!("{tag} || exit {NOT_NAMED}"));
    }
    if let Some((size, architectures)) = import {
        let platforms: Vec<String> = architectures.iter().map(|name| format!("--platform linux/{name}")).collect();
        let platforms = platforms.join(" ");
        // What `ctr` leaves is read to the end, or the shell would take it for a script.
        lines.push(format!(
            "head -c {size} | {{ ctr --namespace=k8s.io images import --local=false {platforms} - >/dev/null; c=$?; cat \
             >/dev/null; exit $c; }} || exit {NOT_IMPORTED}"
        ));
    }
    lines.push(inventory::script_of(all.iter().copied()));
    lines.join("\n")
}

/// Tells what an exit code means.
fn judge(ran: &Ran, node: &str, ways: &[(String, Way)]) -> Result<(), Trouble> {
    let words = ran.words.trim();
    let what = match ran.code {
        0 => return Ok(()),
        NOT_NAMED => "`ctr images tag` failed".to_owned(),
        NOT_IMPORTED => "`ctr images import` failed".to_owned(),
        code => format!("the inventory exited with {code}"),
    };
    Err(trouble(words, &what, node, ways))
}

/// Returns what a node's `words` mean: a full disk is full for a full load as well.
fn trouble(words: &str, what: &str, node: &str, ways: &[(String, Way)]) -> Trouble {
    if is_disk_full(words) {
        let (node, images) = (node.to_owned(), named(&tags(ways)));
        return Trouble::Error(Error::NodeFull { node, images, reclaimable: None, cause: Cause::new(words) });
    }
    Trouble::Surprise(format!("{what}: {words}"))
}

/// Removes the names that a load may have left half done.
async fn remove(work: &Work<'_>, node: &str, ways: &[(String, Way)]) -> Result<(), Error> {
    let names: Vec<String> = ways.iter().map(|(tag, _)| format!("'{}'", work.wanted[tag].name)).collect();
    // A name that was never made is no failure, so the exit code says nothing.
    let script = format!("ctr --namespace=k8s.io images rm {} 2>/dev/null", names.join(" "));
    shell::run(work.engine, node, &script, shell::ANSWER).await?;
    Ok(())
}

/// Tells how far a node is, on the way of what it is fed.
fn told(work: &Work<'_>, node: &str, size: u64, images: usize, mut feed: Feed) -> Feed {
    let (sender, told) = mpsc::channel(1);
    let (events, subject) = (work.session.events.clone(), Subject::Load { node: node.to_owned() });
    let detail = if images == 1 { "1 image".to_owned() } else { format!("{images} images") };
    tokio::spawn(async move {
        let mut done = 0;
        let mut last: Option<Instant> = None;
        while let Some(piece) = feed.recv().await {
            done += piece.as_ref().map_or(0, |piece| piece.len() as u64);
            if sender.send(piece).await.is_err() {
                return;
            }
            if done == size || last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
                last = Some(Instant::now());
                let detail = detail.clone();
                events.progress(&subject, Progress { done, total: Some(size), unit: Unit::Bytes, detail });
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_script_names_imports_and_asks() {
        let text =
            script(&[("sha256:1", "coracle.local/s/a:1")], Some((1024, &["amd64"].into())), &["coracle.local/s/a:1"]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "ctr --namespace=k8s.io images tag --force 'sha256:1' 'coracle.local/s/a:1' >/dev/null || exit 91"
        );
        assert_eq!(
            lines[1],
            "head -c 1024 | { ctr --namespace=k8s.io images import --local=false --platform linux/amd64 - >/dev/null; \
             c=$?; cat >/dev/null; exit $c; } || exit 92"
        );
        assert_eq!(lines[4], "ctr images ls 'name==coracle.local/s/a:1'; i=$?");
    }

    #[test]
    fn a_full_disk_is_no_surprise() {
        let ways = [("coracle.local/s/a:1".to_owned(), Way::Delta)];
        let ran = |code, words: &str| Ran { code, out: Vec::new(), words: words.to_owned() };
        assert!(matches!(
            judge(&ran(NOT_IMPORTED, "write /var: no space left on device"), "n", &ways),
            Err(Trouble::Error(Error::NodeFull { .. }))
        ));
        let missing = judge(&ran(NOT_IMPORTED, "content digest sha256:1: not found"), "n", &ways);
        assert!(matches!(missing, Err(Trouble::Surprise(words)) if words.contains("sha256:1")));
        assert!(judge(&ran(0, "a warning"), "n", &ways).is_ok());
    }
}
