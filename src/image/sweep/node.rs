//! A node's side: what it holds, what each image weighs there, and the removal of names.
//!
//! `ctr` and not `crictl rmi`, which removes every name of an image's id. The CRI plugin keeps a
//! record `sha256:CONFIG` beside each image; one whose last name goes must go too, or it keeps
//! all of the content.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Error;
use super::super::engine::Engine;
use super::super::error::Cause;
use super::super::load::{on_node, remove_names};
use super::super::own::HOST;

/// Between the answers of one script.
const BREAK: &str = "\n--\n";

/// Everything that decides what an image weighs, in one go.
const SURVEY: &str = "c() { ctr --namespace=k8s.io \"$@\"; }; c images ls && echo -- && c content ls && echo -- && \
                      c snapshots ls && echo -- && c snapshots usage -b && echo -- && c containers ls && echo -- && \
                      cd /var/lib/containerd/io.containerd.content.v1.content/blobs/sha256 && stat -c '%n %s' *";

/// Removes the names that are its arguments, and the CRI's records of images that lose their last
/// name by that; what nothing refers to any more is collected before it returns.
const REMOVE: &str = r#"c() { ctr --namespace=k8s.io "$@"; }
pins=$(c images ls | awk -v names="$*" '
    BEGIN { count = split(names, list, " "); for (i = 1; i <= count; i++) goes[list[i]] = 1 }
    $1 in goes { lost[$3] = 1; next }
    $1 ~ /^sha256:/ { pins[$1] = $3; next }
    { kept[$3] = 1 }
    END { for (pin in pins) if (pins[pin] in lost && !(pins[pin] in kept)) print pin }')
c images rm --sync "$@" $pins"#;

/// What a node holds, as far as it says what weighs what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Image name → digest of its manifest; the CRI's own records too.
    names: BTreeMap<String, String>,
    blobs: BTreeMap<String, Blob>,
    /// Chain id, or a container's → what it is.
    snapshots: BTreeMap<String, Snapshot>,
    /// The images of the node's containers.
    pub(crate) used: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Blob {
    size: u64,
    /// Blobs and snapshots that it keeps.
    keeps: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Snapshot {
    parent: String,
    size: u64,
    /// A container writes to it.
    active: bool,
}

/// Asks a node what it holds.
pub(crate) async fn survey(engine: &Engine, node: &str) -> Result<Held, Error> {
    let ran = on_node(engine, node, SURVEY).await?;
    if ran.code != 0 {
        return Err(failed(node, "ctr --namespace=k8s.io content ls", ran.words));
    }
    Ok(parse(&String::from_utf8_lossy(&ran.out)))
}

/// Removes names from a node. One that is not there is fine.
pub(crate) async fn remove(engine: &Engine, node: &str, names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let quickly = remove_names(engine, node, names).await?;
    let ran = match quickly {
        Some(()) => None,
        None => Some(on_node(engine, node, &script(names)).await?),
    };
    // What it said before that it holds may be gone.
    engine.nodes.forget(node);
    match ran.filter(|ran| ran.code != 0) {
        None => Ok(()),
        Some(ran) => Err(failed(node, &format!("ctr --namespace=k8s.io images rm {}", names.join(" ")), ran.words)),
    }
}

fn failed(node: &str, command: &str, words: String) -> Error {
    Error::NodeCommand { node: node.to_owned(), command: command.to_owned(), cause: Cause::new(words) }
}

/// Returns the script that removes `names`; none that could be more than a word gets into it.
fn script(names: &[String]) -> String {
    let plain = |name: &&String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./:_-@".contains(&byte));
    let names: Vec<&str> = names.iter().filter(plain).map(String::as_str).collect();
    format!("set -- {}\n{REMOVE}", names.join(" "))
}

fn parse(text: &str) -> Held {
    let mut sections = text.split(BREAK).map(rows);
    let mut next = || sections.next().unwrap_or_default();
    let (images, blobs, snapshots, usage, containers, sizes) = (next(), next(), next(), next(), next(), next());
    let word = |row: &[&str], at: usize| row.get(at).copied().unwrap_or_default().to_owned();
    let mut held = Held {
        names: images.iter().map(|row| (word(row, 0), word(row, 2))).collect(),
        used: containers.iter().map(|row| word(row, 1)).collect(),
        ..Held::default()
    };
    for row in &blobs {
        let labels = row.last().copied().unwrap_or_default();
        held.blobs.insert(word(row, 0), Blob { size: 0, keeps: kept_by(labels) });
    }
    for row in sizes {
        if let Some(blob) = held.blobs.get_mut(&format!("sha256:{}", word(&row, 0))) {
            blob.size = word(&row, 1).parse().unwrap_or(0);
        }
    }
    for row in &snapshots {
        let active = row.last() == Some(&"Active");
        let parent = if row.len() == 3 { word(row, 1) } else { String::new() };
        held.snapshots.insert(word(row, 0), Snapshot { parent, size: 0, active });
    }
    for row in usage {
        if let Some(snapshot) = held.snapshots.get_mut(&word(&row, 0)) {
            snapshot.size = word(&row, 1).parse().unwrap_or(0);
        }
    }
    held
}

/// Returns a table's rows, as words; headers are in capitals.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let header =
        |line: &str| line.split_whitespace().next().is_none_or(|first| first.bytes().all(|b| b.is_ascii_uppercase()));
    text.lines().filter(|line| !header(line)).map(|line| line.split_whitespace().collect()).collect()
}

/// Returns what the labels `containerd.io/gc.ref.…=WHAT` of a blob keep from being collected.
fn kept_by(labels: &str) -> Vec<String> {
    let references = labels.split(',').filter(|label| label.starts_with("containerd.io/gc.ref."));
    references.filter_map(|label| label.split_once('=')).map(|(_, what)| what.to_owned()).collect()
}

impl Held {
    /// Returns the names of ours, of one profile or of all.
    pub(crate) fn own_names(&self) -> impl Iterator<Item = &String> {
        self.names.keys().filter(|name| name.starts_with(HOST))
    }

    /// Returns the bytes that come back with each name, in this order: content that several of
    /// them share counts with the last.
    pub(crate) fn weights(&self, going: &BTreeSet<String>) -> BTreeMap<String, u64> {
        let mut reached = BTreeSet::new();
        let lost: BTreeSet<&String> = going.iter().filter_map(|name| self.names.get(name)).collect();
        let named: BTreeSet<&String> = self.staying(going).map(|(_, digest)| digest).collect();
        for (name, digest) in &self.names {
            let pin = name.starts_with("sha256:") && lost.contains(digest) && !named.contains(digest);
            if !going.contains(name) && !pin {
                self.reach(digest, &mut reached);
            }
        }
        for (key, _) in self.snapshots.iter().filter(|(_, snapshot)| snapshot.active) {
            self.reach(key, &mut reached);
        }
        let weigh = |name: &String| {
            let size = self.names.get(name).map_or(0, |digest| self.reach(digest, &mut reached));
            (name.clone(), size)
        };
        let mut weights: Vec<_> = going.iter().rev().map(weigh).collect();
        weights.reverse();
        weights.into_iter().collect()
    }

    /// The names of images, without the CRI's records, that stay.
    fn staying<'a>(&'a self, going: &'a BTreeSet<String>) -> impl Iterator<Item = (&'a String, &'a String)> {
        self.names.iter().filter(|(name, _)| !name.starts_with("sha256:") && !going.contains(*name))
    }

    /// Marks everything that `from` keeps; returns the size of what was not marked before.
    fn reach(&self, from: &str, reached: &mut BTreeSet<String>) -> u64 {
        let mut size = 0;
        let mut left = vec![from.to_owned()];
        while let Some(key) = left.pop() {
            if key.is_empty() || !reached.insert(key.clone()) {
                continue;
            }
            // A chain id can be equal to a blob's digest: the first layer's is its diff id.
            if let Some(blob) = self.blobs.get(&key) {
                size += blob.size;
                left.extend(blob.keeps.iter().cloned());
            }
            if let Some(snapshot) = self.snapshots.get(&key) {
                size += snapshot.size;
                left.push(snapshot.parent.clone());
            }
        }
        size
    }
}

#[cfg(test)]
mod tests;
