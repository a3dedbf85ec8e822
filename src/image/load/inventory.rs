//! What a node holds: names, blobs, unpacked layers. containerd is asked for it; where it cannot be,
//! `ctr` is, in one round trip.
//!
//! A layer is held if its blob is there, under its own digest or a compressed one, or if it is
//! there unpacked: kind's nodes discard blobs that they have unpacked. Unpacked layers are
//! known by the chain of all layers up to them (OCI image specification, "Layer `ChainID`").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Error;
use super::super::digest::sha256;
use super::super::engine::Engine;
use super::super::error::Cause;
use super::super::own::HOST;
use super::containerd::{self, Client};
use super::shell::{self, ANSWER};

/// Four questions at once, for each is mostly the start of `ctr`. A table of images is the slow
/// one, as `ctr` reads every image for its size: it is asked for ours alone, the names of the
/// others will do. One image without its configuration fails the whole table; the others are
/// then asked for one by one. `ctr` rounds sizes of blobs; the exact ones are those of the files. `$$` is
/// the node shell's, which runs one script at a time.
pub(super) const SCRIPT: &str = "t=/run/coracle.$$; export CONTAINERD_NAMESPACE=k8s.io
ctr snapshots ls >$t.s & s=$!
ctr content ls >$t.c & c=$!
ctr images ls -q >$t.n & n=$!
ctr images ls 'name~=^coracle\\.local/' || for name in $(ctr images ls -q 'name~=^coracle\\.local/'); do
ctr images ls name==$name; done
wait $s; s=$?; wait $c; c=$?; wait $n; n=$?
cat $t.s $t.c; echo NAMES; cat $t.n; rm -f $t.s $t.c $t.n
echo SIZES; cd /var/lib/containerd/io.containerd.content.v1.content/blobs/sha256 2>/dev/null && stat -c '%n %s' * 2>/dev/null
exit $((s | c | n))";

/// Returns the script that asks for these names of ours alone, and for blobs: what an import that
/// has just succeeded is verified by.
pub(super) fn script_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("'name=={name}'")).collect();
    format!(
        "t=/run/coracle.$$; export CONTAINERD_NAMESPACE=k8s.io
ctr content ls >$t.c & c=$!
ctr images ls {}; i=$?
wait $c; c=$?
cat $t.c; rm -f $t.c
exit $((i | c))",
        names.join(" ")
    )
}

/// What a node holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    /// All names of images. CRI adds `sha256:CONFIG` ones.
    pub(super) names: BTreeSet<String>,
    /// Name of ours → digest of its manifest or index.
    pub(super) targets: BTreeMap<String, String>,
    pub(super) blobs: BTreeMap<String, Stored>,
    /// Chain ids of what is unpacked.
    pub(super) chains: BTreeSet<String>,
    /// Diff id → a blob that is this layer compressed.
    compressed: BTreeMap<String, String>,
}

/// A blob in a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Bytes.
    pub(super) size: u64,
    /// Of a layer: its diff id.
    pub(super) diff_id: Option<String>,
    /// Of a manifest: its config; of an index: its manifests.
    refers: Vec<String>,
    /// Of a config: the chain that containerd unpacked for it.
    chain: Option<String>,
}

/// How a node holds a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    /// As this blob.
    Blob(String),
    /// Unpacked, without a blob.
    Unpacked,
}

/// Asks a node for all that it holds.
pub(super) async fn ask(engine: &Engine, node: &str) -> Result<Arc<Inventory>, Error> {
    let quickly = containerd::ask(engine, node, ANSWER, Client::inventory).await?;
    let inventory = match quickly {
        Some(inventory) => inventory,
        None => ask_shell(engine, node).await?,
    };
    let inventory = Arc::new(inventory);
    engine.nodes.keep(node, &inventory);
    Ok(inventory)
}

async fn ask_shell(engine: &Engine, node: &str) -> Result<Inventory, Error> {
    let ran = shell::run(engine, node, SCRIPT, ANSWER).await?;
    if ran.code != 0 {
        let command = "ctr --namespace=k8s.io images ls".to_owned();
        return Err(Error::NodeCommand { node: node.to_owned(), command, cause: Cause::new(ran.words) });
    }
    Ok(parse(&String::from_utf8_lossy(&ran.out)))
}

impl Inventory {
    pub(super) fn add_image(&mut self, name: &str, target: &str) {
        self.names.insert(name.to_owned());
        if name.starts_with(HOST) {
            self.targets.insert(name.to_owned(), target.to_owned());
        }
    }

    /// `size` in bytes; `labels`: what containerd notes at the blob.
    pub(super) fn add_blob<'a>(&mut self, digest: &str, size: u64, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        let blob = stored(size, labels);
        if let Some(diff_id) = &blob.diff_id {
            self.compressed.insert(diff_id.clone(), digest.to_owned());
        }
        self.blobs.insert(digest.to_owned(), blob);
    }

    fn holds_blob(&self, diff_id: &str) -> Option<Holds> {
        if self.blobs.contains_key(diff_id) {
            return Some(Holds::Blob(diff_id.to_owned()));
        }
        self.compressed.get(diff_id).map(|digest| Holds::Blob(digest.clone()))
    }

    /// Returns for each layer of an image how it is held.
    pub(super) fn layers(&self, diff_ids: &[String]) -> Vec<Option<Holds>> {
        let chains = chain_ids(diff_ids);
        let both = diff_ids.iter().zip(&chains);
        both.map(|(diff_id, chain)| {
            let unpacked = || self.chains.contains(chain).then_some(Holds::Unpacked);
            self.holds_blob(diff_id).or_else(unpacked)
        })
        .collect()
    }

    /// Returns whether an image of ours is there with all its layers unpacked. containerd notes
    /// the chain at the configuration when the last layer is unpacked; `ctr images check` asks
    /// for blobs, which a node may well have discarded. An image without any layer has no chain.
    pub(super) fn is_whole(&self, name: &str) -> bool {
        self.targets.get(name).is_some_and(|target| self.any_config(target, 3, &|chain| self.chains.contains(chain)))
    }

    /// Returns whether containerd notes at an image's configuration that it unpacked it: enough
    /// right after an import, before anything can have been collected.
    pub(super) fn was_unpacked(&self, name: &str) -> bool {
        self.targets.get(name).is_some_and(|target| self.any_config(target, 3, &|_| true))
    }

    /// Returns whether the image with this configuration is there whole, under the name that
    /// CRI gives it.
    pub(super) fn has_config(&self, digest: &str) -> bool {
        self.names.contains(digest) && self.any_config(digest, 1, &|chain| self.chains.contains(chain))
    }

    /// Whether a configuration that is reached from a blob has a chain noted that is `good`.
    /// `depth`: index, manifest, config.
    fn any_config(&self, digest: &str, depth: u8, good: &impl Fn(&str) -> bool) -> bool {
        let Some(blob) = self.blobs.get(digest).filter(|_| depth > 0) else { return false };
        blob.chain.as_ref().is_some_and(|chain| good(chain))
            || blob.refers.iter().any(|digest| self.any_config(digest, depth - 1, good))
    }
}

/// Returns the chain ids of an image's layers: of the first one, of the first two, …
pub(super) fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chains.push(match chains.last() {
            None => diff_id.clone(),
            Some(below) => sha256(format!("{below} {diff_id}")),
        });
    }
    chains
}

/// Reads what [`SCRIPT`] prints.
pub(super) fn parse(text: &str) -> Inventory {
    let mut inventory = Inventory::default();
    let mut part = "";
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if let "REF" | "KEY" | "DIGEST" | "NAMES" | "SIZES" = first {
            part = first;
            continue;
        }
        match part {
            "REF" => {
                if let Some(digest) = words.nth(1) {
                    inventory.targets.insert(first.to_owned(), digest.to_owned());
                }
            }
            // Running containers have active ones, with names of their own.
            "KEY" if words.next_back() == Some("Committed") => drop(inventory.chains.insert(first.to_owned())),
            "DIGEST" => {
                let size = words.next().map_or(0, rounded);
                let labels = words.next_back().unwrap_or_default();
                inventory.add_blob(first, size, labels.split(',').filter_map(|label| label.split_once('=')));
            }
            "NAMES" => drop(inventory.names.insert(first.to_owned())),
            "SIZES" => {
                let blob = inventory.blobs.get_mut(&format!("sha256:{first}"));
                if let (Some(blob), Some(Ok(size))) = (blob, words.next().map(str::parse)) {
                    blob.size = size;
                }
            }
            _ => {}
        }
    }
    inventory
}

/// Returns a blob with what its labels say.
fn stored<'a>(size: u64, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Stored {
    let mut blob = Stored { size, ..Stored::default() };
    for (key, value) in labels {
        let key = key.strip_prefix("containerd.io/").unwrap_or(key);
        if key == "uncompressed" {
            blob.diff_id = Some(value.to_owned());
        } else if key == "gc.ref.content.config" || key.starts_with("gc.ref.content.m.") {
            blob.refers.push(value.to_owned());
        } else if key.starts_with("gc.ref.snapshot.") {
            blob.chain = Some(value.to_owned());
        }
    }
    blob
}

/// Reads `76.51MB` as bytes; only what is not a file in the usual place keeps that.
fn rounded(text: &str) -> u64 {
    let at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let unit: u64 = match &text[at..] {
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => 1,
    };
    let (whole, part) = text[..at].split_once('.').unwrap_or((&text[..at], ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    number(whole) * unit + number(&part) * unit / 1_000
}

#[cfg(test)]
mod tests;
