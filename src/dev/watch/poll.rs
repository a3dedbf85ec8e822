//! Where nothing tells of changes: looking at everything, again and again, without reading.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::calm::Saw;
use super::place::{Change, Refusal};
use super::wanted::{Standing, Wanted};
use crate::image::context::stamp::Stamp;

/// Looking takes at most this part of the time, however slow the file system.
const SHARE: u32 = 20;

#[derive(Debug)]
pub(super) struct Poll {
    seen: HashMap<PathBuf, Look>,
    every: Duration,
    next: Instant,
}

/// What of a thing tells that it is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// A folder's times change by what is ignored in it, too.
    Folder {
        mode: u32,
        inode: u64,
    },
    Other(Stamp),
}

impl Poll {
    pub(super) fn new(root: &Path, wanted: &Wanted, every: Duration) -> Self {
        let began = Instant::now();
        let seen = walk(root, wanted);
        let mut poll = Self { seen, every, next: began };
        poll.rest(began);
        poll
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    fn rest(&mut self, began: Instant) {
        self.next = Instant::now() + self.every.max(began.elapsed() * SHARE);
    }

    /// Looks, if it is time to; returns what differs.
    pub(super) fn look(&mut self, root: &Path, wanted: &Wanted, now: Instant) -> Result<Vec<Change>, Refusal> {
        if now < self.next {
            return Ok(Vec::new());
        }
        if !fs::metadata(root).is_ok_and(|found| found.is_dir()) {
            return Err(Refusal::Absent);
        }
        let seen = walk(root, wanted);
        let other = |path: &&PathBuf| self.seen.get(*path) != seen.get(*path);
        let gone = self.seen.keys().filter(|path| !seen.contains_key(*path));
        let changed: Vec<PathBuf> = seen.keys().filter(other).chain(gone).cloned().collect();
        self.seen = seen;
        self.rest(now);
        Ok(changed.into_iter().map(|path| Change::At(path, Saw::There)).collect())
    }
}

fn walk(root: &Path, wanted: &Wanted) -> HashMap<PathBuf, Look> {
    let mut seen = HashMap::new();
    let mut left: Vec<(PathBuf, Standing)> = vec![(PathBuf::new(), wanted.top())];
    while let Some((folder, standing)) = left.pop() {
        // What is gone or cannot be listed is a difference like any other.
        for child in fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
            let path = folder.join(child.file_name());
            let is_folder = child.file_type().is_ok_and(|kind| kind.is_dir());
            let below = if is_folder { wanted.folder(&path, &standing) } else { None };
            let is_wanted = || wanted.keeps(&path, &standing) || wanted.is_rules(&root.join(&path));
            if !(if is_folder { below.is_some() } else { is_wanted() }) {
                continue;
            }
            if let Ok(found) = child.metadata() {
                let stamp = Stamp::of(&found);
                let folder = Look::Folder { mode: stamp.mode, inode: stamp.inode };
                seen.insert(path.clone(), if found.is_dir() { folder } else { Look::Other(stamp) });
                left.extend(below.map(|standing| (path, standing)));
            }
        }
    }
    seen
}
