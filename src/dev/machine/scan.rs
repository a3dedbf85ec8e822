//! When a build context is read, and what the reading changes in its tree.
//!
//! The first hint is followed at once. What comes during a scan follows on its answer. Only a
//! burst waits for a moment, so that a checkout is not read in a hundred pieces.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::contract::{Found, Hints};
use crate::dev::tree::{Node, Thing, Tree};

/// So many paths at once are a burst.
const BURST: usize = 20;
/// A burst is over when nothing came for so long, and has lasted long enough after the other.
const BURST_REST: Duration = Duration::from_millis(10);
const BURST_MOST: Duration = Duration::from_millis(30);
/// A file that is being written is read again after so long, doubled each time up to the other.
const TORN_FIRST: Duration = Duration::from_millis(5);
const TORN_MOST: Duration = Duration::from_millis(640);

#[derive(Debug, Default)]
pub(super) struct Scan {
    /// What is to be read.
    pending: Option<Hints>,
    /// When the first of them came, and the last.
    first: Duration,
    last: Duration,
    /// A scan is under way, for hints of which the first came then.
    running: Option<Duration>,
    /// Files that were being written when they were read.
    pub(super) torn: BTreeSet<PathBuf>,
    torn_at: Duration,
    torn_rounds: u32,
}

impl Scan {
    pub(super) fn hint(&mut self, hints: Hints, now: Duration) {
        self.last = now;
        match (&mut self.pending, hints) {
            (None, hints) => {
                self.first = now;
                self.pending = Some(hints);
            }
            (Some(Hints::Paths(paths)), Hints::Paths(more)) => paths.extend(more),
            (Some(all), _) => *all = Hints::All,
        }
    }

    /// These files were being written: they are read again in a moment.
    pub(super) fn tear(&mut self, paths: impl IntoIterator<Item = PathBuf>, now: Duration) {
        let before = self.torn.len();
        self.torn.extend(paths);
        if self.torn.len() > before {
            self.torn_at = now + (TORN_FIRST * 2u32.pow(self.torn_rounds.min(7))).min(TORN_MOST);
            self.torn_rounds += 1;
        }
    }

    /// Returns whether nothing is to be read or being read.
    pub(super) fn is_done(&self) -> bool {
        self.pending.is_none() && self.running.is_none() && self.torn.is_empty()
    }

    /// Returns when to scan; `None` if there is nothing to scan, or a scan is under way.
    pub(super) fn due(&self) -> Option<Duration> {
        if self.running.is_some() {
            return None;
        }
        let torn = (!self.torn.is_empty()).then_some(self.torn_at);
        let pending = self.pending.as_ref().map(|hints| match hints {
            Hints::Paths(paths) if paths.len() <= BURST => self.first,
            _ => (self.last + BURST_REST).min(self.first + BURST_MOST),
        });
        pending.into_iter().chain(torn).min()
    }

    /// Begins the scan that is due, and returns what to read.
    pub(super) fn begin(&mut self, now: Duration) -> Hints {
        let mut first = if self.pending.is_some() { self.first } else { now };
        if !self.torn.is_empty() && self.torn_at <= now {
            first = first.min(now);
            let torn = self.torn.clone();
            self.hint(Hints::Paths(torn), now);
        }
        self.running = Some(first);
        self.pending.take().unwrap_or(Hints::All)
    }

    /// Ends the scan and returns when the first of its hints came.
    pub(super) fn end(&mut self, found: &[Found], torn: BTreeSet<PathBuf>, now: Duration) -> Duration {
        self.torn.retain(|path| !found.iter().any(|found| path.starts_with(&found.root)));
        if self.torn.is_empty() && torn.is_empty() {
            self.torn_rounds = 0;
        }
        self.tear(torn, now);
        self.running.take().unwrap_or(now)
    }
}

/// What a path was before it changed, by path.
pub(super) type Changes = BTreeMap<PathBuf, Option<Node>>;

/// Takes over what was found, and returns what changed and the folders that must be read, too.
/// What was torn stays as it was.
pub(super) fn apply(tree: &mut Tree, found: Vec<Found>, torn: &BTreeSet<PathBuf>) -> (Changes, BTreeSet<PathBuf>) {
    let mut changes = Changes::new();
    let mut missing = BTreeSet::new();
    let is_torn = |path: &Path| torn.iter().any(|torn| path.starts_with(torn));
    for Found { root, entries } in found {
        let old: Vec<PathBuf> = below(tree, &root).filter(|path| !entries.contains_key(*path)).cloned().collect();
        for path in old.into_iter().filter(|path| !is_torn(path)) {
            let node = tree.remove(&path);
            changes.entry(path).or_insert(node);
        }
        missing.extend(missing_folder(tree, &root).filter(|_| !entries.is_empty()));
        for (path, node) in entries {
            if !is_torn(&path) && tree.get(&path) != Some(&node) {
                let old = tree.insert(path.clone(), node);
                changes.entry(path).or_insert(old);
            }
        }
    }
    changes.retain(|path, before| tree.get(path) != before.as_ref());
    (changes, missing)
}

/// Returns the path of `root` itself and all below it that the tree has.
fn below<'a>(tree: &'a Tree, root: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
    let all = tree.range::<Path, _>((Bound::Included(root), Bound::Unbounded)).map(|(path, _)| path);
    all.take_while(move |path| path.starts_with(root))
}

/// Returns the topmost folder above `root` that the tree does not know as a folder.
fn missing_folder(tree: &Tree, root: &Path) -> Option<PathBuf> {
    let above = root.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    let unknown = above.filter(|folder| tree.get(*folder).is_none_or(|node| node.thing != Thing::Folder));
    unknown.last().map(Path::to_owned)
}
