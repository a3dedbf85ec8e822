//! What a build context holds now, at and below the paths where something may have changed.
//!
//! [`Scanner::scan`] answers hints with facts: what is there and not ignored, each file with
//! the digest of what was in it. It keeps every file's [`Stamp`] with its digest, so what did
//! not change is looked at but not read. The rules are the build context's ([`super::sieve`]):
//! the union of all answers is what `image::context::read` says of the folder at rest.
//!
//! **It does not wait for rest**, as a build does: a file that changes while it is read is
//! [`Scanned::torn`], what vanishes while it is looked at is not there, and either is hinted at
//! again by whoever wrote. A stamp that is so young that a further write might leave it as it
//! is says nothing: that file is read again at the next hint.
//!
//! The code blocks; it belongs on a thread where that is allowed.

mod read;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use self::read::Outcome;
use self::walk::{Spot, Walk, Walked};
use super::machine::{Found, Hints};
use super::sieve::Sieve;
use super::tree::Thing;
use crate::image::context::stamp::{Stamp, nanoseconds};
use crate::image::context::{self, Error};

/// How often the rules may change under a scan before it takes them as they are.
const ROUNDS: usize = 3;

/// What is known of one build context.
#[derive(Debug)]
pub(crate) struct Scanner {
    root: PathBuf,
    dockerfile: PathBuf,
    sieve: Option<Sieve>,
    known: BTreeMap<PathBuf, Known>,
    /// Ignored folders that are there for what is in them, as of the last look.
    bridges: BTreeSet<PathBuf>,
    /// What was told to be unreadable.
    told: BTreeSet<PathBuf>,
}

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
struct Known {
    stamp: Stamp,
    digest: [u8; 32],
    /// Any later write gives another stamp.
    settled: bool,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// No root lies below another. It may have roots that nobody hinted at: a folder that is
    /// there only for what is in it comes and goes with that.
    pub(crate) found: Vec<Found>,
    /// Files that changed while they were read: in no entry, and not gone either.
    pub(crate) torn: BTreeSet<PathBuf>,
    /// What cannot be read and is left out, each told once until it can be read again.
    pub(crate) unreadable: Vec<Error>,
}

impl Scanner {
    /// `root` and `dockerfile` are absolute. `cache` is where earlier commands left digests,
    /// so that the first look at a large folder reads nothing.
    pub(crate) fn new(root: &Path, dockerfile: &Path, cache: Option<&Path>) -> Self {
        let known = cache.map(|cache| context::remembered(root, dockerfile, cache)).unwrap_or_default();
        let known = known.into_iter().map(|(path, stamp, digest)| (path, Known { stamp, digest, settled: true }));
        Self {
            root: root.to_owned(),
            dockerfile: dockerfile.to_owned(),
            sieve: None,
            known: known.collect(),
            bridges: BTreeSet::new(),
            told: BTreeSet::new(),
        }
    }

    /// Returns what is at and below the hinted paths; all there is if the ignore rules changed.
    /// It fails if the folder is not there or the rules are malformed: then nothing is known.
    pub(crate) fn scan(&mut self, hints: &Hints) -> Result<Scanned, Error> {
        let unusable = |source| Error::Root { path: self.root.clone(), source };
        if !std::fs::metadata(&self.root).map_err(unusable)?.is_dir() {
            return Err(unusable(std::io::ErrorKind::NotADirectory.into()));
        }
        let mut round = 0;
        loop {
            round += 1;
            let new_rules = self.refresh()?;
            let all = Hints::All;
            let scanned = self.look(if new_rules { &all } else { hints })?;
            // Rules that changed meanwhile: a mix of two would be a tree that never was.
            let rests = self.sieve.as_ref().is_some_and(Sieve::is_current);
            if rests || round == ROUNDS || !self.refresh_needed()? {
                return Ok(scanned);
            }
            self.sieve = None;
        }
    }

    /// Reads the ignore rules if they may have changed; returns whether they did.
    fn refresh(&mut self) -> Result<bool, Error> {
        if self.sieve.as_ref().is_some_and(Sieve::is_current) {
            return Ok(false);
        }
        let before = self.sieve.take();
        let now = Sieve::read(&self.root, &self.dockerfile)?;
        let is_same = before.is_some_and(|before| before.is_same(&now));
        self.sieve = Some(now);
        Ok(!is_same)
    }

    /// Returns whether the rules differ from those that were scanned by.
    fn refresh_needed(&mut self) -> Result<bool, Error> {
        let now = Sieve::read(&self.root, &self.dockerfile)?;
        Ok(!self.sieve.as_ref().is_some_and(|sieve| sieve.is_same(&now)))
    }

    fn look(&mut self, hints: &Hints) -> Result<Scanned, Error> {
        let mut parts: Vec<(PathBuf, Walked)> = self.parts(hints)?.into_iter().collect();
        let mut scanned = Scanned::default();
        for (_, walked) in &mut parts {
            for (path, error) in std::mem::take(&mut walked.unreadable) {
                self.tell(&mut scanned, path, error);
            }
        }
        let mut jobs = Vec::new();
        for (part, (_, walked)) in parts.iter_mut().enumerate() {
            for (path, stamp) in &walked.files {
                match self.known.get(path) {
                    Some(known) if known.settled && known.stamp == *stamp => {
                        set_digest(walked.entries.get_mut(path), known);
                    }
                    _ => jobs.push((part, path.clone())),
                }
            }
        }
        let outcomes = read::all(&self.root, &jobs);
        for ((part, path), outcome) in jobs.into_iter().zip(outcomes) {
            let entries = &mut parts[part].1.entries;
            if let Outcome::Read(known) = outcome {
                set_digest(entries.get_mut(&path), &known);
                self.told.remove(&path);
                self.known.insert(path, known);
                continue;
            }
            entries.remove(&path);
            self.known.remove(&path);
            match outcome {
                Outcome::Torn => _ = scanned.torn.insert(path),
                Outcome::Unreadable(error) => self.tell(&mut scanned, path, error),
                Outcome::Gone | Outcome::Read(_) => {}
            }
        }
        for (root, walked) in parts {
            self.forget(&root, &walked);
            scanned.found.push(Found { root, entries: walked.entries });
        }
        Ok(scanned)
    }

    /// Walks what is hinted at; returns each root with what is there.
    fn parts(&self, hints: &Hints) -> Result<BTreeMap<PathBuf, Walked>, Error> {
        let sieve = self.sieve.as_ref().expect("the rules are read first");
        let mut walk = Walk::new(&self.root, sieve);
        let mut parts: BTreeMap<PathBuf, Walked> = BTreeMap::new();
        let all = BTreeSet::from([PathBuf::new()]);
        for path in topmost(if let Hints::Paths(paths) = hints { paths } else { &all }) {
            if path.ancestors().any(|above| parts.contains_key(above)) {
                continue;
            }
            let Spot { parent, bridges } = walk.locate(&path);
            let walked = parent.map(|parent| walk.walk(&path, &parent)).transpose()?.unwrap_or_default();
            let stay = |bridge: &PathBuf| self.bridges.contains(bridge) != walked.entries.is_empty();
            // Whether those folders stay is for all that is in them to say.
            match bridges.first().filter(|_| !bridges.iter().all(stay)) {
                None => _ = parts.insert(path, walked),
                Some(top) => {
                    let above = walk.locate(top).parent;
                    let walked = above.map(|above| walk.walk(top, &above)).transpose()?.unwrap_or_default();
                    parts.retain(|path, _| !path.starts_with(top));
                    parts.insert(top.clone(), walked);
                }
            }
        }
        Ok(parts)
    }

    fn tell(&mut self, scanned: &mut Scanned, path: PathBuf, error: Error) {
        if self.told.insert(path) {
            scanned.unreadable.push(error);
        }
    }

    /// Forgets what is not at or below `root` any more.
    fn forget(&mut self, root: &Path, walked: &Walked) {
        let below = |path: &&PathBuf| path.starts_with(root);
        let from = || root.to_owned()..;
        let known = self.known.range(from()).map(|(path, _)| path).take_while(below);
        let gone: Vec<PathBuf> = known.filter(|path| !walked.entries.contains_key(*path)).cloned().collect();
        for path in gone {
            self.known.remove(&path);
        }
        let old: Vec<PathBuf> = self.bridges.range(from()).take_while(below).cloned().collect();
        for path in old {
            self.bridges.remove(&path);
        }
        self.bridges.extend(walked.bridges.iter().cloned());
        let is_there = |path: &Path| std::fs::symlink_metadata(self.root.join(path)).is_ok();
        self.told.retain(|path| !path.starts_with(root) || is_there(path));
    }
}

fn set_digest(node: Option<&mut super::tree::Node>, known: &Known) {
    if let Some(node) = node {
        node.mode = known.stamp.mode & 0o7777;
        node.thing = Thing::File { digest: known.digest, size: known.stamp.size };
    }
}

/// Returns the paths that lie below no other, in order.
fn topmost(paths: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut top: Vec<PathBuf> = Vec::new();
    // What lies below a path follows right after it.
    for path in paths {
        if !top.last().is_some_and(|last| path.starts_with(last)) {
            top.push(path.clone());
        }
    }
    top
}

/// Returns the time, in nanoseconds since 1970.
fn now() -> i128 {
    nanoseconds(SystemTime::now())
}

#[cfg(test)]
mod tests;
