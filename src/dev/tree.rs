//! What a folder holds, as data: the same shape for a build context and for a container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::image::context::{Context, What};

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Permission bits, `0o7777` at most; `0o777` for a link.
    pub(crate) mode: u32,
    pub(crate) thing: Thing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    Folder,
    /// Where it leads, as written.
    Link(PathBuf),
    File {
        /// SHA-256 of the content.
        digest: [u8; 32],
        /// Bytes.
        size: u64,
    },
}

/// By path: relative to a build context, or absolute in a container; bytes as on disk. The
/// root itself is not in it.
pub(crate) type Tree = BTreeMap<PathBuf, Node>;

/// Returns the tree that a context recorded, without what is an editor's ([`super::passing`]).
pub(crate) fn of_context(context: &Context) -> Tree {
    let node = |mode, what: &What| {
        let thing = match what {
            What::Folder => Thing::Folder,
            What::Link(target) => Thing::Link(target.clone()),
            What::File { digest, size, .. } => Thing::File { digest: *digest, size: *size },
        };
        Node { mode, thing }
    };
    let lasting = |path: &Path, what: &What| *what == What::Folder || !super::passing::is_passing(path);
    let entries = context.entries.iter().filter(|entry| lasting(&entry.path, &entry.what));
    entries.map(|entry| (entry.path.clone(), node(entry.mode, &entry.what))).collect()
}
