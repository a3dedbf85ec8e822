//! An image layout of our own for one node: images whose layers are only those that it lacks.
//!
//! As in the OCI image specification, "Image Layout", but without the blobs that the node
//! holds: containerd finds those by their digest, and does not look for the blob of a layer
//! that it has unpacked. Its length is known before its first byte, and it is streamed: blobs
//! come from where the receiver put them.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::super::digest::sha256;
use super::inventory::{Holds, Inventory};
use super::push::{Layer, Pushed};
use super::shell::Feed;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// containerd looks at the bytes for how they are compressed, so this will do for zstd as well.
const COMPRESSED: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How much of a blob is read at once, and how many such pieces wait for a node.
const PIECE: usize = 256 * 1024;
const QUEUE: usize = 8;

/// Tar's unit, in bytes.
const BLOCK: u64 = 512;

/// An archive that is still to be streamed.
#[derive(Debug, Default)]
pub(super) struct Archive {
    parts: Vec<Part>,
    /// Bytes.
    pub(super) size: u64,
    /// Full name → digest of the manifest that the archive has for it.
    pub(super) manifests: Vec<(String, String)>,
    names: BTreeSet<String>,
}

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    /// A layer of an image that was pushed.
    Blob {
        image: usize,
        layer: usize,
        size: u64,
    },
}

/// A layer that the node lacks and that was not pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lacks {
    pub(super) digest: String,
}

impl Archive {
    /// Returns the archive of `images` for a node: full names, and places in `pushed`.
    pub(super) fn new(images: &[(&str, usize)], pushed: &[Pushed], node: &Inventory) -> Result<Self, Lacks> {
        let mut archive = Self::default();
        archive.file("oci-layout", Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#));
        let mut entries = Vec::new();
        for (name, at) in images {
            let image = &pushed[*at];
            archive.blob(&image.config_digest, image.config.clone());
            let manifest = archive.manifest(*at, image, node)?;
            let digest = sha256(&manifest);
            entries.push(json!({
                "mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
                "annotations": {"io.containerd.image.name": name},
            }));
            archive.blob(&digest, manifest.into());
            archive.manifests.push(((*name).to_owned(), digest));
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        archive.file("index.json", index.to_string().into());
        archive.push(Bytes::from(vec![0; 2 * 512]));
        Ok(archive)
    }

    /// Returns the image's manifest for a node, and adds the layers that it lacks.
    fn manifest(&mut self, at: usize, image: &Pushed, node: &Inventory) -> Result<Vec<u8>, Lacks> {
        let mut layers = Vec::new();
        for (place, (layer, held)) in image.layers.iter().zip(node.layers(&image.diff_ids)).enumerate() {
            let diff_id = &image.diff_ids[place];
            layers.push(match held {
                Some(Holds::Blob(digest)) if digest != layer.digest => {
                    let size = node.blobs.get(&digest).map_or(0, |blob| blob.size);
                    let media_type = if digest == *diff_id { TAR } else { COMPRESSED };
                    json!({"mediaType": media_type, "digest": digest, "size": size})
                }
                Some(_) => named(layer),
                None if layer.data.is_some() => {
                    self.layer(at, place, layer);
                    named(layer)
                }
                None => return Err(Lacks { digest: layer.digest.clone() }),
            });
        }
        let config = json!({"mediaType": CONFIG, "digest": image.config_digest, "size": image.config.len()});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        Ok(manifest.to_string().into_bytes())
    }

    fn layer(&mut self, image: usize, place: usize, layer: &Layer) {
        let path = path(&layer.digest);
        if self.names.insert(path.clone()) {
            self.push(header(&path, layer.size));
            self.size += layer.size;
            self.parts.push(Part::Blob { image, layer: place, size: layer.size });
            self.push(padding(layer.size));
        }
    }

    fn blob(&mut self, digest: &str, content: Bytes) {
        self.file(&path(digest), content);
    }

    /// Adds a file, unless it is there.
    fn file(&mut self, path: &str, content: Bytes) {
        if self.names.insert(path.to_owned()) {
            let size = content.len() as u64;
            self.push(header(path, size));
            self.push(content);
            self.push(padding(size));
        }
    }

    fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len() as u64;
        self.parts.push(Part::Bytes(bytes));
    }

    /// Reads the archive piece by piece, as it is taken. Ends when nobody takes any more.
    pub(super) fn stream(self, pushed: Arc<Vec<Pushed>>) -> Feed {
        let (sender, feed) = mpsc::channel(QUEUE);
        tokio::task::spawn_blocking(move || {
            for part in self.parts {
                let sent = match part {
                    Part::Bytes(bytes) => sender.blocking_send(Ok(bytes)).is_ok(),
                    Part::Blob { image, layer, size } => send(&sender, &pushed[image].layers[layer], size),
                };
                if !sent {
                    return;
                }
            }
        });
        feed
    }
}

/// Sends a blob; returns whether the next part may follow.
fn send(sender: &mpsc::Sender<Result<Bytes, String>>, layer: &Layer, size: u64) -> bool {
    let read = || -> std::io::Result<bool> {
        let gone = || std::io::Error::other("it is gone");
        let mut reader = layer.data.as_ref().ok_or_else(gone)?.reader()?.take(size);
        let mut left = size;
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            reader.read_exact(&mut piece)?;
            left -= piece.len() as u64;
            if sender.blocking_send(Ok(piece.into())).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    };
    read().unwrap_or_else(|error| {
        let words = format!("the layer {} could not be read again: {error}", layer.digest);
        // Who no longer listens needs no reason.
        drop(sender.blocking_send(Err(words)));
        false
    })
}

fn named(layer: &Layer) -> serde_json::Value {
    json!({"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size})
}

fn path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn header(path: &str, size: u64) -> Bytes {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).expect("a digest's path is short");
    header.set_mode(0o444);
    header.set_size(size);
    header.set_cksum();
    Bytes::copy_from_slice(header.as_bytes())
}

/// Returns the zeros that fill the last block of a file.
fn padding(size: u64) -> Bytes {
    let rest = usize::try_from((BLOCK - size % BLOCK) % BLOCK).expect("less than a block");
    Bytes::from(vec![0; rest])
}

#[cfg(test)]
mod tests;
