//! Images of ours that nothing needs any more: found, weighed, removed.
//!
//! What goes is decided by [`choose`], which is pure and shared by the last step of `up` and by
//! `coracle prune`; who uses what is the caller's to know. Only what is provably ours is touched:
//! in the engine, an image that was built here has our labels and is named after them; of a pulled
//! one only the further name that Coracle gave it is ours. Build cache goes with the images that it
//! was made for ([`cache`]).

mod cache;
pub(crate) mod choose;
pub(crate) mod engine;
pub(crate) mod node;
pub(crate) mod survey;
mod weight;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use self::engine::Removed;
use super::engine::Engine;
use crate::session::Session;
use crate::ui::words;

/// Removes tags from the engine and names from nodes, all at the same time, but for those that are
/// in `used`. What cannot be removed is told: the next time finds it again.
pub(crate) async fn sweep(
    session: &Session,
    engine: &Engine,
    tags: &[String],
    nodes: &BTreeMap<String, Vec<String>>,
    used: &BTreeSet<String>,
) {
    let unused = |names: &[String]| names.iter().filter(|name| !used.contains(*name)).cloned().collect::<Vec<_>>();
    let tags = unused(tags);
    let on_nodes = join_all(nodes.iter().map(async |(node, names)| node::remove(engine, node, &unused(names)).await));
    let ((), on_nodes) = tokio::join!(from_engine(session, engine, &tags), on_nodes);
    for error in on_nodes.into_iter().filter_map(Result::err) {
        session.events.warn(words::not_swept(&crate::error::chain(&error)));
    }
}

/// Removes tags from the engine, and the build cache that only their images kept.
async fn from_engine(session: &Session, engine: &Engine, tags: &[String]) {
    let steps = engine.steps_of(tags).await;
    for (name, removed) in engine.remove_names(tags, true).await {
        match removed {
            Ok(Removed::Gone) => session.events.detail(format!("removed image {name}, which nothing uses")),
            Ok(Removed::InUse(why)) => session.events.detail(words::kept(&name, &why)),
            Err(error) => session.events.warn(words::not_swept(&crate::error::chain(&error))),
        }
    }
    let pruned = async { engine.prune_cache(&steps?).await };
    match pruned.await {
        Ok(0) => {}
        Ok(bytes) => session.events.detail(format!("removed {bytes} bytes of build cache of these images")),
        Err(error) => session.events.warn(words::not_swept(&crate::error::chain(&error))),
    }
}
