//! Getting images onto nodes without a registry, verified there.
//!
//! What a node holds (`inventory`) says which way an image takes to it (`decide`): it is there
//! under another name; or most of it is, and the engine pushes only the layers that are missing
//! to a receiver in this process, which go on as an archive that leaves out what the node holds
//! (`delta`); or the engine exports the whole image as one stream, handed to all nodes that
//! lack the same ones at once (`export`). Nodes are spoken to through a command in each that stays
//! open: to containerd itself (`containerd`), or else to a shell (`shell`). What `ctr` says is not believed: each node is asked for each image.
//! The short ways may be surprised; the full load is then made, once.

mod archive;
mod containerd;
mod decide;
mod delta;
mod export;
mod filter;
mod full;
mod inventory;
mod known;
mod node;
mod prime;
mod push;
mod receiver;
mod shell;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use self::decide::{Wanted, Way};
use self::inventory::Inventory;
pub(crate) use self::node::{feed_node, node_command, on_node, remove_names};
pub(crate) use self::prime::Primer;
pub(crate) use self::push::{is_live, receiver_of};
pub(crate) use self::shell::Nodes;
use super::engine::{Engine, LocalImage, go_architecture};
use super::{Error, reference};
use crate::session::Session;

/// For how long what a node said it holds is taken for true. When it no longer is, the load
/// is surprised, and made in full.
const FRESH: Duration = Duration::from_secs(3);

/// How often a node's progress is told: often enough for an eye.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Returns the names of the images that each node holds whole, as containerd spells them
/// (`coracle.local/shop/web:0123456789ab`). Reads only.
pub(crate) async fn observe_nodes(
    engine: &Engine,
    nodes: &[String],
) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let asked = nodes.iter().map(async |name| {
        let inventory = inventory::ask(engine, name).await?;
        Ok::<_, Error>((name.clone(), node::whole(engine, name, &inventory).await?))
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}

/// Gets images from the engine into nodes, all nodes at once, and verifies each on each node.
/// `missing`: node → tags that it lacks.
pub(crate) async fn load(
    session: &Session,
    engine: &Engine,
    missing: &BTreeMap<String, Vec<String>>,
) -> Result<(), Error> {
    tokio::select! {
        result = load_all(session, engine, missing) => result,
        () = session.cancel.cancelled() => Err(Error::Cancelled { what: "the load of images".to_owned() }),
    }
}

async fn load_all(session: &Session, engine: &Engine, missing: &BTreeMap<String, Vec<String>>) -> Result<(), Error> {
    let tags: BTreeSet<String> = missing.values().flatten().cloned().collect();
    let (wanted, inventories) = tokio::join!(wanted(engine, &tags), inventories(engine, missing.keys()));
    let (wanted, inventories) = (wanted?, inventories?);
    let work = Work { session, engine, wanted: &wanted, inventories: &inventories };
    let (mut short, mut long) = (BTreeMap::new(), BTreeMap::new());
    for (node, tags) in missing {
        let inventory = &inventories[node];
        let ways = tags.iter().collect::<BTreeSet<_>>().into_iter();
        let ways = ways.map(|tag| (tag.clone(), way(engine, &wanted[tag], inventory)));
        let (full, others): (Vec<_>, Vec<_>) = ways.partition(|(_, way)| *way == Way::Full);
        if !full.is_empty() {
            long.insert(node.clone(), full.into_iter().map(|(tag, _)| tag).collect::<Vec<_>>());
        }
        if !others.is_empty() {
            short.insert(node.clone(), others);
        }
    }
    let (left, full) = tokio::join!(delta::load(&work, &short), full::load(&work, &long, true));
    full?;
    let left = left?;
    full::load(&work, &left.unpushed, true).await?;
    // Once, and with everything: whatever the surprise was, it is not met again.
    full::load(&work, &left.refused, false).await
}

/// Returns the way of an image to a node. The transfer service unpacks for the node's own
/// architecture alone, so an image for another one goes in full.
fn way(engine: &Engine, wanted: &Wanted, inventory: &Inventory) -> Way {
    let native = wanted.architecture == go_architecture(std::env::consts::ARCH);
    decide::way(wanted, inventory, native && engine.shares_loopback())
}

/// What one load works with.
#[derive(Clone, Copy)]
struct Work<'a> {
    session: &'a Session,
    engine: &'a Engine,
    /// By tag.
    wanted: &'a BTreeMap<String, Wanted>,
    /// By node, as of the load's begin.
    inventories: &'a BTreeMap<String, Arc<Inventory>>,
}

/// Returns what the engine knows of images that it must have.
async fn wanted(engine: &Engine, tags: &BTreeSet<String>) -> Result<BTreeMap<String, Wanted>, Error> {
    let tags: Vec<String> = tags.iter().cloned().collect();
    let histories = join_all(tags.iter().map(async |tag| history(engine, tag).await));
    let (local, histories) = tokio::join!(engine.local_images(&tags), histories);
    let local = local?;
    let mut wanted = BTreeMap::new();
    for (tag, history) in tags.into_iter().zip(histories) {
        let image = local.get(&tag).ok_or_else(|| Error::NotLocal { image: tag.clone() })?;
        let mut one = one_wanted(&tag, image, &history);
        if one.architecture.is_empty() {
            one.architecture = engine.architecture().await?;
        }
        wanted.insert(tag, one);
    }
    Ok(wanted)
}

fn one_wanted(tag: &str, image: &LocalImage, history: &[u64]) -> Wanted {
    Wanted {
        tag: tag.to_owned(),
        name: reference::in_full(tag),
        id: image.id.clone(),
        in_containerd: image.in_containerd,
        architecture: image.architecture.clone(),
        size: image.size,
        sizes: decide::layer_sizes(history, image.diff_ids.len()),
        diff_ids: image.diff_ids.clone(),
    }
}

/// Returns the sizes in an image's history, newest first. It only helps to choose a way: none is
/// as good as an error.
async fn history(engine: &Engine, tag: &str) -> Vec<u64> {
    let history = engine.docker.image_history(tag).await.unwrap_or_default();
    history.iter().map(|step| u64::try_from(step.size).unwrap_or(0)).collect()
}

/// Returns what nodes hold; one that said so just now is not asked again.
async fn inventories(
    engine: &Engine,
    nodes: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, Arc<Inventory>>, Error> {
    let asked = nodes.map(async |node| {
        let inventory = match engine.nodes.kept(node, FRESH) {
            Some(inventory) => inventory,
            None => inventory::ask(engine, node).await?,
        };
        Ok::<_, Error>((node.clone(), inventory))
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}

/// Returns "image `a`" or "images `a`, `b`".
fn named(images: &[String]) -> String {
    let names: Vec<String> = images.iter().map(|image| format!("`{image}`")).collect();
    format!("{} {}", if names.len() == 1 { "image" } else { "images" }, names.join(", "))
}

#[cfg(test)]
mod tests;
