//! The helpers in the nodes, and what they are asked for: to look into containers, to write
//! into them, to restart their process.
//!
//! One helper per node, reached over one stream that stays open; [`Agents`] opens it when it is
//! first needed and again after it broke. What was under way then is told as [`Fault::Cut`]:
//! nothing is tried twice here, for only the caller knows what a container should hold by now.
//! The other end is the crate `coracle-helper`, which says what the messages mean.

mod link;
mod place;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coracle_helper::protocol::{self, Answer, Kind, MANY, Process, Refusal, Request};
use futures_util::future::try_join_all;
use tokio::sync::Mutex as AsyncMutex;

use super::machine::{Fault, Op};
use super::tree::{Node, Thing};
use crate::image::Error;
use crate::image::engine::Engine;
use crate::ui::sanitize;
use link::Link;

/// How long a helper may take for a question.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it may take to hash what a few hundred targets hold.
const LOOKED: Duration = Duration::from_secs(120);
/// How long a process may take to be started again; the helper itself gives up before.
const RESTARTED: Duration = Duration::from_secs(150);
/// How long a batch may stand still, while it is sent or carried out.
const STALLED: Duration = Duration::from_secs(30);

/// The helpers of an engine's nodes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Agents {
    engine: Engine,
    nodes: Arc<Mutex<BTreeMap<String, Slot>>>,
}

/// A node's stream, once it was needed.
type Slot = Arc<AsyncMutex<Option<Link>>>;

impl Agents {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, nodes: Arc::default() }
    }

    /// Puts the helper into a node, unless it is there; returns its path there.
    pub(crate) async fn place(&self, node: &str) -> Result<PathBuf, Error> {
        place::place(&self.engine, node).await
    }

    /// Returns what the container holds at these targets. What is no file, folder or link is
    /// told as a file that nobody has.
    pub(crate) async fn look(
        &self,
        node: &str,
        container: &str,
        targets: &[PathBuf],
    ) -> Result<BTreeMap<PathBuf, Option<Node>>, Fault> {
        let link = self.link(node).await?;
        let parts = targets.chunks(MANY).map(async |part| {
            let request = Request::Look { container: container.to_owned(), targets: part.to_vec() };
            match link.ask(&request, LOOKED).await? {
                Answer::Looked(found) if found.len() == part.len() => Ok(found),
                other => Err(unexpected(other)),
            }
        });
        let found = try_join_all(parts).await?.into_iter().flatten().map(|found| found.map(node_of));
        Ok(targets.iter().cloned().zip(found).collect())
    }

    /// Carries out `ops` in a container, all or none; contents come from below `root`. A file
    /// that is not what its op says withdraws the batch.
    pub(crate) async fn send(&self, node: &str, container: &str, root: &Path, ops: &[Op]) -> Result<(), Fault> {
        if ops.is_empty() {
            return Ok(());
        }
        let link = self.link(node).await?;
        outcome(link.send(container, root, ops).await?, ops)
    }

    /// Has the container's process stopped and started again; returns its number, as the
    /// container counts.
    pub(crate) async fn restart(&self, node: &str, container: &str) -> Result<u32, Fault> {
        let request = Request::Restart { container: container.to_owned() };
        match self.link(node).await?.ask(&request, RESTARTED).await? {
            Answer::Found(found) => Ok(found.pid),
            other => Err(unexpected(other)),
        }
    }

    /// Returns what runs in the container.
    pub(crate) async fn processes(&self, node: &str, container: &str) -> Result<Vec<Process>, Fault> {
        let request = Request::Processes { container: container.to_owned() };
        match self.link(node).await?.ask(&request, ANSWER).await? {
            Answer::Processes(processes) => Ok(processes),
            other => Err(unexpected(other)),
        }
    }

    /// Returns the stream to a node's helper. Whoever else needs one meanwhile waits.
    async fn link(&self, node: &str) -> Result<Link, Fault> {
        let slot = self.nodes.lock().expect("no holder panics").entry(node.to_owned()).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| link.lives()) {
            return Ok(link.clone());
        }
        let open = async {
            let path = self.place(node).await?;
            let argv = vec![path.display().to_string(), "serve".to_owned()];
            let (attached, input) = self.engine.attach(node, argv, true).await?;
            Ok::<_, Error>(Link::new(node, attached.output(), input))
        };
        let link = open.await.map_err(|error| Fault::Cut(crate::error::chain(&error)))?;
        link.greeted(ANSWER).await?;
        Ok(slot.insert(link).clone())
    }
}

fn node_of(node: protocol::Node) -> Node {
    let thing = match node.thing {
        protocol::Thing::Folder => Thing::Folder,
        protocol::Thing::Link(to) => Thing::Link(to),
        protocol::Thing::File { digest, size } => Thing::File { digest, size },
        // No content has this digest, so it differs from all that could be wanted.
        protocol::Thing::Other => Thing::File { digest: [0; 32], size: 0 },
    };
    Node { mode: node.mode, thing }
}

/// Returns an answer that is no success as a fault.
fn unexpected(answer: Answer) -> Fault {
    match answer {
        Answer::Refused(refusal) => fault_of(&refusal),
        _ => Fault::Cut("the helper gave another answer than was asked for".to_owned()),
    }
}

fn fault_of(refusal: &Refusal) -> Fault {
    let place = sanitize::line(&refusal.path.to_string_lossy());
    let words = sanitize::line(&refusal.words);
    let words = if place.is_empty() { words } else { format!("`{place}`: {words}") };
    match refusal.kind {
        Kind::Gone => Fault::Gone,
        // What it holds now has to be looked at.
        _ if refusal.partly => Fault::Cut(words),
        _ => Fault::Refused(words),
    }
}

fn outcome(answer: Answer, ops: &[Op]) -> Result<(), Fault> {
    let refusal = match answer {
        Answer::Done => return Ok(()),
        Answer::Refused(refusal) => refusal,
        other => return Err(unexpected(other)),
    };
    let source = ops.iter().find_map(|op| match op {
        Op::Put { target, source, .. } if *target == refusal.path => Some(source.clone()),
        _ => None,
    });
    Err(match (refusal.kind, source) {
        (Kind::Torn, Some(source)) => Fault::Torn(source),
        _ => fault_of(&refusal),
    })
}
