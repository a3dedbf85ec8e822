//! The files that a session offers, as fsutil's protocol words them.
//!
//! What is offered is what was recorded of the context, never what is on disk now, so the
//! engine's tree is that of the tag whatever happens meanwhile.
//!
//! The engine keeps the last tree of each shared key and asks only for files whose mode,
//! size or time differ. Size and time alone would serve stale content: a file that is
//! written twice within a clock tick, or by a tool that sets times (`rsync -t`, `git`
//! with hooks, archives), may have other content of the same size at the same time. So
//! the nanoseconds of the time sent are derived from the content's digest, and the
//! seconds are the file's own: other content is another time. Nothing in an image depends
//! on a file's nanoseconds.
//!
//! A folder's new mode reaches the engine's tree, but does not count there as a change: a
//! `COPY` would come from the cache with the mode before. So unusual modes of folders are
//! part of the shared key: with others the engine begins a new tree.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bollard_buildkit_proto::fsutil::types::Stat;
use sha2::{Digest, Sha256};

use super::super::context::{Context, EARLIEST, What};

/// Later than any clock; its nanoseconds still fit the protocol's 64 bits.
const LATEST: i64 = 9_000_000_000;
const NANOSECONDS: i64 = 1_000_000_000;

/// Go's `os.FileMode` bits beside the nine of permission (<https://pkg.go.dev/io/fs#FileMode>).
const MODE_FOLDER: u32 = 1 << 31;
const MODE_LINK: u32 = 1 << 27;
const MODE_SETUID: u32 = 1 << 23;
const MODE_SETGID: u32 = 1 << 22;
const MODE_STICKY: u32 = 1 << 20;

/// One file, folder or link.
#[derive(Debug)]
pub(super) struct Item {
    /// Relative, slash-separated.
    pub(super) path: String,
    /// As on disk: `0o7777` at most.
    pub(super) mode: u32,
    pub(super) kind: ItemKind,
}

#[derive(Debug)]
pub(super) enum ItemKind {
    Folder,
    Link(String),
    File {
        digest: [u8; 32],
        size: u64,
        modified: i64,
    },
    /// A file that is not on disk.
    Text(Vec<u8>),
}

/// All that is offered.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    /// The context's entries in fsutil's order, then the extra ones.
    pub(super) items: Vec<Item>,
    /// How many of the items are the context's.
    own: usize,
}

impl Tree {
    /// Returns what tells this tree from those that the engine must not make it from: where it
    /// is, and the modes of folders. Of these just the ones that few have, or every new folder
    /// would have all be sent again.
    pub(super) fn identity(&self) -> Vec<u8> {
        let folders = || self.items.iter().filter(|item| matches!(item.kind, ItemKind::Folder));
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for folder in folders() {
            *counts.entry(folder.mode).or_default() += 1;
        }
        let usual = counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(mode, _)| mode);
        let mut identity = self.root.as_os_str().as_bytes().to_vec();
        identity.extend(usual.to_be_bytes());
        for folder in folders().filter(|folder| folder.mode != usual) {
            identity.extend(folder.mode.to_be_bytes());
            identity.extend(folder.path.as_bytes());
            identity.push(0);
        }
        identity
    }

    /// Returns the tree of a context and of `extra` files (path, content), which only the
    /// Dockerfile's local has; `None` if a name is not UTF-8, as the protocol wants it.
    pub(super) fn new(context: &Context, extra: Vec<(String, Vec<u8>)>) -> Option<Self> {
        let mut items = Vec::with_capacity(context.entries.len() + extra.len());
        for entry in &context.entries {
            let kind = match &entry.what {
                What::Folder => ItemKind::Folder,
                What::Link(target) => ItemKind::Link(target.to_str()?.to_owned()),
                What::File { digest, size, modified, .. } => {
                    ItemKind::File { digest: *digest, size: *size, modified: *modified }
                }
            };
            items.push(Item { path: entry.path.to_str()?.to_owned(), mode: entry.mode, kind });
        }
        let own = items.len();
        items.extend(extra.into_iter().map(|(path, text)| Item { path, mode: 0o644, kind: ItemKind::Text(text) }));
        Some(Self { root: context.root.clone(), items, own })
    }

    /// Returns the items of the local `name`, in fsutil's order; `None` if there is no such
    /// local.
    pub(super) fn local(&self, name: &str) -> Option<Vec<usize>> {
        let (own, extra) = self.items.split_at(self.own);
        match name {
            "context" => Some((0..self.own).collect()),
            "dockerfile" => {
                let hidden = |item: &Item| extra.iter().any(|extra| extra.path == item.path);
                let shown = own.iter().enumerate().filter(|(_, item)| !hidden(item)).map(|(index, _)| index);
                let mut all: Vec<usize> = shown.chain(self.own..self.items.len()).collect();
                all.sort_by(|one, other| in_order(&self.items[*one].path, &self.items[*other].path));
                Some(all)
            }
            _ => None,
        }
    }

    pub(super) fn full(&self, item: &Item) -> PathBuf {
        self.root.join(&item.path)
    }
}

impl Item {
    pub(super) fn is_file(&self) -> bool {
        matches!(self.kind, ItemKind::File { .. } | ItemKind::Text(_))
    }

    /// Returns bytes of content.
    pub(super) fn size(&self) -> u64 {
        match &self.kind {
            ItemKind::Folder | ItemKind::Link(_) => 0,
            ItemKind::File { size, .. } => *size,
            ItemKind::Text(text) => text.len() as u64,
        }
    }

    pub(super) fn stat(&self) -> Stat {
        let special = [(0o4000, MODE_SETUID), (0o2000, MODE_SETGID), (0o1000, MODE_STICKY)];
        let special = special.iter().filter(|(bit, _)| self.mode & bit != 0).fold(0, |mode, (_, go)| mode | go);
        let (kind, seconds, nanoseconds) = match &self.kind {
            ItemKind::Folder => (MODE_FOLDER, EARLIEST.into(), 0),
            ItemKind::Link(_) => (MODE_LINK, EARLIEST.into(), 0),
            ItemKind::File { digest, modified, .. } => (0, *modified, nanoseconds(digest)),
            ItemKind::Text(text) => (0, EARLIEST.into(), nanoseconds(&Sha256::digest(text).into())),
        };
        let (size, linkname) = match &self.kind {
            // As on disk: a link's size is its target's length.
            ItemKind::Link(target) => (target.len() as u64, target.clone()),
            _ => (self.size(), String::new()),
        };
        Stat {
            path: self.path.clone(),
            mode: kind | special | self.mode & 0o777,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            mod_time: seconds.clamp(EARLIEST.into(), LATEST) * NANOSECONDS + nanoseconds,
            linkname,
            ..Stat::default()
        }
    }
}

fn nanoseconds(digest: &[u8; 32]) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(first) % NANOSECONDS.unsigned_abs()).cast_signed()
}

/// Compares paths as fsutil wants them in order: `/` is below every other byte.
pub(super) fn in_order(one: &str, other: &str) -> std::cmp::Ordering {
    let weigh = |byte: u8| if byte == b'/' { 0 } else { byte };
    one.bytes().map(weigh).cmp(other.bytes().map(weigh))
}
