//! Which way an image takes to a node, and what need not leave the engine. Pure.

use std::collections::BTreeMap;

use super::inventory::Inventory;
use super::push::{Held, Source};

/// Up to this many missing bytes a push is quicker than an archive, even of the whole image.
const LITTLE: u64 = 16 * 1024 * 1024;

/// An image that some node lacks, as the engine knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// As the engine is asked for it: `coracle.local/shop/web:0123456789ab`.
    pub(super) tag: String,
    /// As a node is asked for it.
    pub(super) name: String,
    /// Digest of its configuration; in a containerd store, of its manifest or index.
    pub(super) id: String,
    pub(super) in_containerd: bool,
    /// `amd64`. Mostly the engine's own; a build may state another.
    pub(super) architecture: String,
    /// Bytes, as the engine counts them.
    pub(super) size: u64,
    pub(super) diff_ids: Vec<String>,
    /// Bytes of each layer, uncompressed; empty where the engine does not say.
    pub(super) sizes: Vec<u64>,
}

impl Wanted {
    pub(super) fn source(&self) -> Source<'_> {
        Source { tag: &self.tag, id: &self.id, in_containerd: self.in_containerd }
    }
}

/// How an image gets into a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// It is there under this name.
    Retag { from: String },
    /// The layers that are missing, by a push.
    Delta,
    /// The engine's archive.
    Full,
}

/// Returns the way of one image to one node. `reaches_us`: the engine can push to a port of ours.
pub(super) fn way(image: &Wanted, node: &Inventory, reaches_us: bool) -> Way {
    // CRI records each image under the digest of its configuration too.
    if !image.in_containerd && node.has_config(&image.id) {
        return Way::Retag { from: image.id.clone() };
    }
    let pushes = reaches_us && (image.in_containerd || mostly_there(image, node));
    if pushes { Way::Delta } else { Way::Full }
}

/// A classic store compresses what it pushes, at the cost of an archive or more: that pays when
/// at most half of the image is missing.
fn mostly_there(image: &Wanted, node: &Inventory) -> bool {
    let layers = node.layers(&image.diff_ids);
    let even = vec![1; layers.len()];
    let known = image.sizes.len() == layers.len();
    let sizes = if known { &image.sizes } else { &even };
    let missing: u64 = layers.iter().zip(sizes).filter(|(held, _)| held.is_none()).map(|(_, size)| size).sum();
    missing * 2 <= sizes.iter().sum() || (known && missing <= LITTLE)
}

/// Returns the digests that the engine need not upload, with their sizes: the blobs of layers
/// that every node holds at every place where one of `images` has them. `images`: diff ids, and
/// the nodes that they go to. `known`: digest, diff id, size.
pub(super) fn held<'a>(
    images: &[(&[String], Vec<&Inventory>)],
    known: impl Iterator<Item = (&'a str, &'a str, u64)>,
) -> Held {
    let mut everywhere: BTreeMap<&str, bool> = BTreeMap::new();
    for (diff_ids, nodes) in images {
        let layers: Vec<_> = nodes.iter().map(|node| node.layers(diff_ids)).collect();
        for (at, diff_id) in diff_ids.iter().enumerate() {
            *everywhere.entry(diff_id).or_insert(true) &= layers.iter().all(|layers| layers[at].is_some());
        }
    }
    let is_held = |diff_id: &str| everywhere.get(diff_id) == Some(&true);
    let mut held = Held::new();
    for (digest, diff_id, size) in known {
        if is_held(diff_id) {
            held.insert(digest.to_owned(), size);
        }
    }
    for node in images.iter().flat_map(|(_, nodes)| nodes) {
        for (digest, blob) in &node.blobs {
            if is_held(blob.diff_id.as_deref().unwrap_or(digest)) {
                held.insert(digest.clone(), blob.size);
            }
        }
    }
    held
}

/// Returns the size of each layer, from what the engine says of an image's history, newest
/// first. Not every step of it made a layer, and those that did may be empty: what is known is
/// the order. Empty where the two cannot be brought together.
pub(super) fn layer_sizes(history: &[u64], layers: usize) -> Vec<u64> {
    let mut sizes: Vec<u64> = history.iter().copied().filter(|size| *size > 0).collect();
    if sizes.len() > layers {
        return Vec::new();
    }
    // Layers without bytes are somewhere among them: below all, where they weigh nothing.
    sizes.resize(layers, 0);
    sizes.reverse();
    sizes
}

#[cfg(test)]
mod tests;
