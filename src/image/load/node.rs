//! Commands in a node: what it holds, and the import that reads standard input.
//!
//! Commands run through the engine, so a node can take images before Kubernetes is up. Each
//! has an end: a containerd that hangs is told, not waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::super::Error;
use super::super::engine::{Engine, Input, Ran, is_disk_full};
use super::super::error::Cause;
use super::super::own::HOST;
use super::inventory::Inventory;
use super::shell::{self, ANSWER, Feed, STALLED, UNPACKED};
use super::{containerd, named};

/// Why a node did not take a stream.
#[derive(Debug)]
pub(super) enum Fault {
    /// The stream ended early: the engine's side, or the node's.
    Truncated(String),
    /// The import's exit code and words.
    Import { code: i64, words: String },
    /// The command could not be run or its end not be seen.
    Lost(Error),
}

impl Fault {
    pub(super) fn into_error(self, node: &str, images: &[String]) -> Error {
        let (node, images) = (node.to_owned(), named(images));
        match self {
            Self::Lost(error) => error,
            Self::Import { words, .. } if is_disk_full(&words) => {
                Error::NodeFull { node, images, reclaimable: None, cause: Cause::new(words) }
            }
            Self::Import { code, words } => {
                let cause = Cause::new(format!("`ctr images import` exited with {code}\n{words}"));
                Error::Import { node, images, cause }
            }
            Self::Truncated(words) => Error::Import { node, images, cause: Cause::new(words) },
        }
    }
}

/// Returns the command that imports from standard input. Layers are unpacked by `ctr`
/// itself where it can (`--local`, faster); that flag is asked for, since older nodes know
/// it not and do so anyway.
pub(super) fn argv_import(architecture: &str) -> Vec<String> {
    let script = "local=; case \"$(ctr images import --help)\" in *--local*) local=--local;; esac; \
                  exec ctr --namespace=k8s.io images import --platform \"$1\" $local -";
    ["sh", "-c", script, "import", &format!("linux/{architecture}")].map(str::to_owned).to_vec()
}

/// Returns the names of the images that a node holds; ours only if they are whole, for an import
/// that was killed leaves a name without its content.
pub(super) async fn whole(engine: &Engine, node: &str, inventory: &Inventory) -> Result<BTreeSet<String>, Error> {
    let (mut whole, unclear): (BTreeSet<String>, BTreeSet<String>) =
        inventory.names.iter().cloned().partition(|name| !name.starts_with(HOST) || inventory.is_whole(name));
    if unclear.is_empty() {
        return Ok(whole);
    }
    // An image without any layer is whole, though nothing of it is unpacked.
    let ran = shell::run(engine, node, &check(&unclear), ANSWER).await?;
    let out = String::from_utf8_lossy(&ran.out).into_owned();
    whole.extend(out.lines().map(|line| line.trim().to_owned()).filter(|name| unclear.contains(name)));
    Ok(whole)
}

/// Returns the script that lists those of these names that are complete and unpacked, blobs included.
/// One at a time, for an image without its configuration fails the question for all; what is not
/// listed is not whole, whatever the reason.
fn check(names: &BTreeSet<String>) -> String {
    let one = |name: &String| format!("ctr --namespace=k8s.io images check -q 'name=={name}'");
    names.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Runs a shell script on a node, to its end.
pub(crate) async fn on_node(engine: &Engine, node: &str, script: &str) -> Result<Ran, Error> {
    shell::run(engine, node, script, ANSWER).await
}

/// Runs a shell script on a node that reads `content`, and nothing beyond it, to its end.
pub(crate) async fn feed_node(engine: &Engine, node: &str, script: &str, content: &'static [u8]) -> Result<Ran, Error> {
    let (sender, feed) = mpsc::channel(1);
    // The channel has room for it.
    drop(sender.try_send(Ok(Bytes::from_static(content))));
    drop(sender);
    let written = shell::feed(engine, node, script, content.len() as u64, feed);
    tokio::time::timeout(ANSWER, written).await.unwrap_or_else(|_| Err(silent_at(node, script, ANSWER)))
}

/// Returns the error for a command on a node that did not do its part.
pub(crate) fn node_command(node: &str, command: &str, words: &str) -> Error {
    Error::NodeCommand { node: node.to_owned(), command: command.to_owned(), cause: Cause::new(words) }
}

/// Removes names from a node the quick way. `None`: there is none, so it was not done, or not all.
pub(crate) async fn remove_names(engine: &Engine, node: &str, names: &[String]) -> Result<Option<()>, Error> {
    containerd::ask(engine, node, ANSWER, async |client| client.remove(names).await).await
}

/// Imports what comes over `feed`.
pub(super) async fn import(engine: &Engine, node: &str, architecture: &str, feed: Feed) -> Result<(), Fault> {
    let mut cut = None;
    let attach = tokio::time::timeout(ANSWER, engine.attach(node, argv_import(architecture), true));
    let (attached, mut input) = attach.await.unwrap_or_else(|_| Err(silent(node, ANSWER))).map_err(Fault::Lost)?;
    // Read while written: a command that talks much would block otherwise.
    let ended = tokio::select! {
        ended = engine.ended(node, attached) => ended,
        silence = fed(&mut input, feed, &mut cut) => Err(silent(node, silence)),
    };
    if let Some(reason) = cut {
        return Err(Fault::Truncated(reason));
    }
    match ended.map_err(Fault::Lost)? {
        Ran { code: 0, .. } => Ok(()),
        Ran { words, .. } if words.contains("unexpected EOF") => Err(Fault::Truncated(words)),
        Ran { code, words, .. } => Err(Fault::Import { code, words }),
    }
}

fn silent(node: &str, time: Duration) -> Error {
    silent_at(node, "ctr images import", time)
}

fn silent_at(node: &str, command: &str, time: Duration) -> Error {
    let command = command.lines().next().unwrap_or_default().to_owned();
    Error::NodeSilent { node: node.to_owned(), command, seconds: time.as_secs() }
}

/// Writes the feed to its end, or to where it is cut, and closes the command's input. Returns
/// only when the command has been silent for too long: it neither took what it was given, nor
/// came to its end afterwards.
async fn fed(input: &mut Input, mut feed: Feed, cut: &mut Option<String>) -> Duration {
    while let Some(chunk) = feed.recv().await {
        match chunk {
            Ok(chunk) => match tokio::time::timeout(STALLED, input.write_all(&chunk)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => return STALLED,
            },
            Err(reason) => {
                *cut = Some(reason);
                break;
            }
        }
    }
    // The engine's side may still give: it sees that nobody takes any more.
    drop(feed);
    drop(tokio::time::timeout(STALLED, input.shutdown()).await);
    tokio::time::sleep(UNPACKED).await;
    UNPACKED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_takes_nothing_is_given_up() {
        let (_reads_nothing, ours) = tokio::io::duplex(4);
        let mut input: Input = Box::pin(ours);
        let (sender, feed) = mpsc::channel(4);
        sender.send(Ok(Bytes::from_static(b"more than four"))).await.unwrap();
        assert_eq!(fed(&mut input, feed, &mut None).await, STALLED);
        assert!(sender.is_closed(), "who feeds sees it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_fed_may_take_long_to_unpack_but_not_for_ever() {
        let (kept, ours) = tokio::io::duplex(64);
        let mut input: Input = Box::pin(ours);
        let (sender, feed) = mpsc::channel(4);
        sender.send(Ok(Bytes::from_static(b"archive"))).await.unwrap();
        drop(sender);
        let begin = tokio::time::Instant::now();
        assert_eq!(fed(&mut input, feed, &mut None).await, UNPACKED);
        assert!(begin.elapsed() >= UNPACKED);
        drop(kept);
    }
}
