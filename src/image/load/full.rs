//! The full load: the engine's own archive, for groups of nodes that lack the same images.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::super::Error;
use super::super::error::Cause;
use super::inventory::Inventory;
use super::{Work, export, inventory, named, node};

/// Nodes that lack the same images, which are all for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) images: Vec<String>,
    pub(super) nodes: Vec<String>,
    /// `amd64`.
    pub(super) architecture: String,
    /// Bytes, as the engine counts them; layers that two images share count twice.
    pub(super) size: u64,
    /// Digests of blobs that all of its nodes hold.
    pub(super) without: BTreeSet<String>,
}

/// Loads tags into nodes and verifies them. `filtered`: what nodes hold is left out.
pub(super) async fn load(
    work: &Work<'_>,
    missing: &BTreeMap<String, Vec<String>>,
    filtered: bool,
) -> Result<(), Error> {
    let architecture = |image: &str| work.wanted[image].architecture.clone();
    let groups = groups(missing, architecture).into_iter().map(async |((architecture, images), nodes)| {
        let size = images.iter().map(|image| work.wanted[image].size).sum();
        let without = if filtered { held_by_all(work, &images, &nodes) } else { BTreeSet::new() };
        group(work, &Group { images, nodes, architecture, size, without }).await
    });
    join_all(groups).await.into_iter().collect()
}

/// Returns architecture and images → the nodes that lack exactly these.
pub(super) fn groups(
    missing: &BTreeMap<String, Vec<String>>,
    architecture: impl Fn(&str) -> String,
) -> BTreeMap<(String, Vec<String>), Vec<String>> {
    let mut groups: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    for (node, images) in missing {
        let mut lacks: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for image in images.iter().collect::<BTreeSet<_>>() {
            lacks.entry(architecture(image)).or_default().push(image.clone());
        }
        for key in lacks {
            groups.entry(key).or_default().push(node.clone());
        }
    }
    groups
}

/// Returns the digests that an archive of `images` need not have for any of `nodes`.
fn held_by_all(work: &Work<'_>, images: &[String], nodes: &[String]) -> BTreeSet<String> {
    let nodes: Vec<&Inventory> = nodes.iter().map(|node| &*work.inventories[node]).collect();
    let images: Vec<_> = images.iter().map(|image| (work.wanted[image].diff_ids.as_slice(), nodes.clone())).collect();
    // A classic store's archive names layers by their diff ids.
    let plain = images.iter().flat_map(|(diff_ids, _)| diff_ids.iter().map(|id| (id.as_str(), id.as_str(), 0)));
    super::decide::held(&images, plain).into_keys().collect()
}

async fn group(work: &Work<'_>, group: &Group) -> Result<(), Error> {
    let mut group = group.clone();
    let mut again = true;
    loop {
        let results = export::stream(work.session, work.engine, &group).await;
        let mut lost = Vec::new();
        for (node, result) in results {
            match result {
                Ok(()) => {}
                Err(node::Fault::Truncated(_)) if again => lost.push(node),
                // What was left out may be gone from the node by now.
                Err(node::Fault::Import { .. }) if again && !group.without.is_empty() => lost.push(node),
                Err(fault) => return Err(fault.into_error(&node, &group.images)),
            }
        }
        let loaded = group.nodes.iter().filter(|node| !lost.contains(node));
        let verified = join_all(loaded.map(async |node| (node.clone(), verify(work, node, &group.images).await)));
        for (node, result) in verified.await {
            match result {
                Ok(()) => {}
                Err(Error::NotOnNode { .. }) if again && !group.without.is_empty() => lost.push(node),
                Err(error) => return Err(error),
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        // Neither a stream that broke off nor what was left out says anything of the images.
        let text = format!("the load did not succeed on {}; once more, with everything", lost.join(", "));
        work.session.events.detail(text);
        group.nodes = lost;
        group.without.clear();
        again = false;
    }
}

async fn verify(work: &Work<'_>, node: &str, images: &[String]) -> Result<(), Error> {
    let inventory = inventory::ask(work.engine, node).await?;
    let there = node::whole(work.engine, node, &inventory).await?;
    let absent: Vec<String> =
        images.iter().filter(|image| !there.contains(&work.wanted[*image].name)).cloned().collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(Error::NotOnNode {
        node: node.to_owned(),
        images: named(&absent),
        cause: Cause::new("`ctr images check` does not list it as complete and unpacked"),
    })
}
