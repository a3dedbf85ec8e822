//! Getting images onto nodes without a registry, verified there.
//!
//! The engine exports the images for the one platform that the nodes have, as one stream;
//! it is handed to all nodes that lack the same images at once, each with a queue of its
//! own, and `ctr` in the node reads it from standard input. There is no file in between.
//! One platform, because an archive of Docker's containerd store names platforms that are
//! not in it. What `ctr` says is not believed: each node is asked for each image.

mod export;
mod known;
mod node;
mod push;
mod receiver;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join_all, try_join_all};

pub(crate) use self::node::on_node;
use super::engine::Engine;
use super::error::Cause;
use super::{Error, reference};
use crate::session::Session;

/// Returns the names of the images that each node holds whole, as containerd spells them
/// (`coracle.local/shop/web:0123456789ab`). Reads only.
pub(crate) async fn observe_nodes(
    engine: &Engine,
    nodes: &[String],
) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let asked = nodes.iter().map(async |name| node::images(engine, name).await.map(|images| (name.clone(), images)));
    Ok(try_join_all(asked).await?.into_iter().collect())
}

/// Streams images from the engine into nodes, all nodes at once, and verifies each on
/// each node. `missing`: node → tags that it lacks.
pub(crate) async fn load(
    session: &Session,
    engine: &Engine,
    missing: &BTreeMap<String, Vec<String>>,
) -> Result<(), Error> {
    let all: Vec<String> = missing.values().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let local = engine.local_images(&all).await?;
    if let Some(image) = all.iter().find(|image| !local.contains_key(*image)) {
        return Err(Error::NotLocal { image: image.clone() });
    }
    let architecture = |image: &str| match local.get(image).map(|image| image.architecture.as_str()) {
        None | Some("") => engine.architecture.clone(),
        Some(architecture) => architecture.to_owned(),
    };
    let groups = groups(missing, architecture).into_iter().map(async |((architecture, images), nodes)| {
        let size = images.iter().filter_map(|image| local.get(image)).map(|image| image.size).sum();
        group(session, engine, &Group { images, nodes, architecture, size }).await
    });
    tokio::select! {
        results = join_all(groups) => results.into_iter().collect(),
        () = session.cancel.cancelled() => Err(Error::Cancelled { what: "the load of images".to_owned() }),
    }
}

/// Nodes that lack the same images, which are all for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    images: Vec<String>,
    nodes: Vec<String>,
    /// `amd64`. Mostly the engine's own; a build may state another.
    architecture: String,
    /// Bytes, as the engine counts them; layers that two images share count twice.
    size: u64,
}

/// Returns architecture and images → the nodes that lack exactly these.
fn groups(
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

async fn group(session: &Session, engine: &Engine, group: &Group) -> Result<(), Error> {
    let mut nodes = group.nodes.clone();
    let mut again = true;
    loop {
        let attempt = Group { nodes: nodes.clone(), ..group.clone() };
        let results = export::stream(session, engine, &attempt).await;
        let mut lost = Vec::new();
        for (node, result) in results {
            match result {
                Ok(()) => {}
                Err(node::Fault::Truncated(_)) if again => lost.push(node),
                Err(fault) => return Err(fault.into_error(&node, &group.images)),
            }
        }
        if lost.is_empty() {
            break;
        }
        // A stream that broke off says nothing of the images; once more tells.
        session.events.detail(format!("the stream of images broke off; loading again into {}", lost.join(", ")));
        nodes = lost;
        again = false;
    }
    try_join_all(group.nodes.iter().map(async |name| verify(engine, name, &group.images).await)).await?;
    Ok(())
}

async fn verify(engine: &Engine, node: &str, images: &[String]) -> Result<(), Error> {
    let there = node::images(engine, node).await?;
    let absent: Vec<String> =
        images.iter().filter(|image| !there.contains(&reference::in_full(image))).cloned().collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(Error::NotOnNode {
        node: node.to_owned(),
        images: named(&absent),
        cause: Cause::new("`ctr images check` does not list it as complete and unpacked"),
    })
}

/// Returns "image `a`" or "images `a`, `b`".
fn named(images: &[String]) -> String {
    let names: Vec<String> = images.iter().map(|image| format!("`{image}`")).collect();
    format!("{} {}", if names.len() == 1 { "image" } else { "images" }, names.join(", "))
}

#[cfg(test)]
mod tests;
