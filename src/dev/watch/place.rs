//! One folder that is watched or polled, and what becomes of what is seen there.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::calm::{Calm, Saw};
#[cfg(target_os = "macos")]
use super::fsevents::Native;
#[cfg(target_os = "linux")]
use super::inotify::Native;
use super::mailbox::merge;
use super::poll::Poll;
use super::wanted::Wanted;
use super::{Limits, Why};
use crate::dev::machine::Hints;

/// How often is looked for a folder that is gone.
const MISSED: Duration = Duration::from_millis(500);

/// What was seen, before it is held or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Relative to the root.
    At(PathBuf, Saw),
    /// Events were lost.
    Lost,
}

/// Why a folder is not watched.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not there, or not where it was.
    Absent,
    Poll(Why),
}

/// What there is to tell of a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Hints(Hints),
    Polling(Why),
    Lost,
}

#[derive(Debug)]
enum Source {
    Events(Box<Native>),
    Polling(Poll),
    /// When it is looked for next.
    Absent(Instant),
}

#[derive(Debug)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) wanted: Wanted,
    source: Source,
    calm: Calm,
    limits: Limits,
    told: Vec<Told>,
    warned: Option<Why>,
}

impl Place {
    /// Watches a folder. What is there already is told only if `all` says so.
    pub(super) fn open(root: PathBuf, wanted: Wanted, limits: Limits, all: bool) -> Self {
        let source = Source::Absent(Instant::now());
        let mut place =
            Self { root, wanted, source, calm: Calm::new(limits.step), limits, told: Vec::new(), warned: None };
        place.arm(false);
        if all {
            place.hint(Hints::All);
        }
        place
    }

    /// What wakes it.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        if let Source::Events(native) = &self.source { Some(native.fd()) } else { None }
    }

    /// When it wants to be woken at the latest.
    pub(super) fn next(&self) -> Option<Instant> {
        let source = match &self.source {
            Source::Events(_) => None,
            Source::Polling(poll) => Some(poll.next()),
            Source::Absent(next) => Some(*next),
        };
        source.into_iter().chain(self.calm.next()).min()
    }

    /// Takes what happened; returns what there is to tell.
    pub(super) fn wake(&mut self) -> Vec<Told> {
        loop {
            let now = Instant::now();
            let changes = match &mut self.source {
                Source::Events(native) => native.drain(&self.wanted),
                Source::Polling(poll) => poll.look(&self.root, &self.wanted, now).map(|changes| (changes, false)),
                Source::Absent(next) if now < *next => Ok((Vec::new(), false)),
                Source::Absent(_) => {
                    self.arm(true);
                    Ok((Vec::new(), false))
                }
            };
            match changes {
                Ok((changes, more)) => {
                    self.take(changes, now);
                    if !more {
                        break;
                    }
                }
                Err(refusal) => {
                    self.displaced(refusal);
                    break;
                }
            }
            // Somebody else waits, too, and what is told can be looked at meanwhile.
            if !self.told.is_empty() {
                break;
            }
        }
        let due = self.calm.due(Instant::now());
        if !due.is_empty() {
            self.tell(due.into_iter().collect());
        }
        std::mem::take(&mut self.told)
    }

    fn take(&mut self, changes: Vec<Change>, now: Instant) {
        let mut paths = BTreeSet::new();
        for change in changes {
            match change {
                Change::Lost => self.hint(Hints::All),
                Change::At(path, saw) => match self.calm.saw(&path, saw, now) {
                    Ok(true) => _ = paths.insert(path),
                    Ok(false) => {}
                    Err(super::calm::TooMuch) => self.hint(Hints::All),
                },
            }
        }
        if !paths.is_empty() {
            self.tell(paths);
        }
    }

    fn tell(&mut self, paths: BTreeSet<PathBuf>) {
        let is_rules = paths.iter().any(|path| self.wanted.is_rules(&self.root.join(path)));
        self.hint(Hints::Paths(paths));
        if is_rules {
            self.reload();
        }
    }

    /// Reads the ignore rules again, and watches what they leave.
    pub(super) fn reload(&mut self) {
        if !self.wanted.reload() {
            return;
        }
        let done = match &mut self.source {
            Source::Events(native) => native.resync(&self.wanted),
            Source::Polling(_) | Source::Absent(_) => Ok(()),
        };
        self.hint(Hints::All);
        if let Err(refusal) = done {
            self.displaced(refusal);
        }
    }

    /// Returns what was told meanwhile.
    pub(super) fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// The folder is not where it was, or cannot be watched any more.
    fn displaced(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Absent => self.arm(true),
            Refusal::Poll(why) => {
                self.poll(why);
                self.hint(Hints::All);
            }
        }
    }

    /// Watches the folder anew; `again` if it was watched before, so that all may be another.
    fn arm(&mut self, again: bool) {
        let was_absent = matches!(self.source, Source::Absent(_)) && again;
        if again {
            self.wanted.reload();
        }
        match Native::open(&self.root, &self.wanted, self.limits) {
            Ok(native) => self.source = Source::Events(Box::new(native)),
            Err(Refusal::Poll(why)) => self.poll(why),
            Err(Refusal::Absent) => {
                self.source = Source::Absent(Instant::now() + MISSED);
                if !was_absent {
                    self.told.push(Told::Lost);
                    // Files that are gone with their folder are gone.
                    if again && matches!(self.wanted, Wanted::Files(_)) {
                        self.hint(Hints::All);
                    }
                }
                return;
            }
        }
        if again {
            // Rules that came with the folder, after they were read.
            if !self.wanted.is_current() {
                self.reload();
            }
            self.hint(Hints::All);
        }
    }

    fn poll(&mut self, why: Why) {
        self.source = Source::Polling(Poll::new(&self.root, &self.wanted, self.limits.every));
        // It may come and go; once is enough.
        if self.warned.as_ref() != Some(&why) {
            self.warned = Some(why.clone());
            self.told.push(Told::Polling(why));
        }
    }

    fn hint(&mut self, hints: Hints) {
        match self.told.iter_mut().find_map(|told| if let Told::Hints(before) = told { Some(before) } else { None }) {
            Some(before) => merge(before, hints),
            None => self.told.push(Told::Hints(hints)),
        }
    }

    /// Returns the single files that hints mean, absolute.
    pub(super) fn files(&self, hints: &Hints) -> Vec<PathBuf> {
        let Wanted::Files(names) = &self.wanted else { return Vec::new() };
        let hit = |name: &Path| match hints {
            Hints::All => true,
            Hints::Paths(paths) => paths.contains(name),
        };
        names.iter().map(Path::new).filter(|name| hit(name)).map(|name| self.root.join(name)).collect()
    }
}
