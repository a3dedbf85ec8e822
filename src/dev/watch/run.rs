//! The thread: waits for all places at once, and tells what they saw.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{PipeReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::mailbox::Sender;
use super::place::{Place, Told};
use super::wanted::Wanted;
use super::{Command, Limits, Seen, Watched};
use crate::dev::machine::Hints;

#[derive(Debug)]
pub(super) struct Run {
    places: Vec<Place>,
    /// Where a file really lies → under which names it was asked for; none if it is watched
    /// for a context's sake only.
    files: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    sender: Sender,
    inbox: mpsc::Receiver<Command>,
    rung: PipeReader,
    limits: Limits,
}

impl Run {
    pub(super) fn new(sender: Sender, inbox: mpsc::Receiver<Command>, rung: PipeReader, limits: Limits) -> Self {
        Self { places: Vec::new(), files: BTreeMap::new(), sender, inbox, rung, limits }
    }

    /// Watches these and nothing else. What is watched already goes on being so; `all` says
    /// whether what is new is hinted at as a whole.
    pub(super) fn watch(&mut self, contexts: &[Watched], files: &[PathBuf], all: bool) {
        let mut before = std::mem::take(&mut self.places);
        for (root, contexts) in by_root(contexts) {
            let same = before.iter().position(|place| place.root == root && is_same(&place.wanted, &contexts));
            self.places.push(match same {
                Some(at) => before.swap_remove(at),
                None => Place::open(root, Wanted::of_contexts(contexts), self.limits, all),
            });
        }
        self.files = real(contexts, files);
        for (folder, names) in by_folder(self.files.keys()) {
            let is_same = |place: &Place| {
                place.root == folder && matches!(&place.wanted, Wanted::Files(before) if *before == names)
            };
            self.places.push(match before.iter().position(is_same) {
                Some(at) => before.swap_remove(at),
                None => Place::open(folder, Wanted::Files(names), self.limits, all),
            });
        }
        for at in 0..self.places.len() {
            let told = self.places[at].told();
            self.tell(at, told);
        }
    }

    /// Runs until nobody is left who listens or commands.
    pub(super) fn run(mut self) {
        loop {
            if let Err(errno) = self.wait() {
                tracing::debug!(%errno, "the watcher cannot wait");
                return;
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(command) => self.watch(&command.contexts, &command.files, true),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            for at in 0..self.places.len() {
                let told = self.places[at].wake();
                if !self.tell(at, told) {
                    return;
                }
            }
        }
    }

    /// Waits until something happens or is due.
    fn wait(&mut self) -> rustix::io::Result<()> {
        let next = self.places.iter().filter_map(Place::next).min();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let sources = self.places.iter().filter_map(Place::fd).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let mut all: Vec<PollFd<'_>> = sources.chain([PollFd::new(&self.rung, PollFlags::IN)]).collect();
        match rustix::event::poll(&mut all, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let rung = all.last().is_some_and(|rung| !rung.revents().is_empty());
        drop(all);
        if rung {
            // Whatever it says, the inbox is looked at next.
            let _ = self.rung.read(&mut [0; 64]);
        }
        Ok(())
    }

    /// Tells what a place saw; returns whether somebody listens.
    fn tell(&mut self, at: usize, told: Vec<Told>) -> bool {
        let mut listens = true;
        for told in told {
            let place = &self.places[at];
            match (told, &place.wanted) {
                (Told::Hints(hints), Wanted::Contexts(members)) => {
                    for member in members {
                        let key = member.context.key.clone();
                        listens &= self.sender.send(Seen::Context { key, hints: hints.clone() });
                    }
                }
                (Told::Hints(hints), Wanted::Files(_)) => listens &= self.tell_files(at, &hints),
                (Told::Polling(why), _) => {
                    listens &= self.sender.send(Seen::Polling { root: place.root.clone(), why });
                }
                (Told::Lost, _) => listens &= self.sender.send(Seen::Lost { root: place.root.clone() }),
            }
        }
        listens
    }

    fn tell_files(&mut self, at: usize, hints: &Hints) -> bool {
        let mut listens = true;
        for path in self.places[at].files(hints) {
            for name in self.files.get(&path).into_iter().flatten() {
                listens &= self.sender.send(Seen::File(name.clone()));
            }
            for at in 0..self.places.len() {
                if self.places[at].wanted.is_rules(&path) {
                    self.places[at].reload();
                    let told = self.places[at].told();
                    listens &= self.tell(at, told);
                }
            }
        }
        listens
    }
}

fn by_root(contexts: &[Watched]) -> BTreeMap<PathBuf, Vec<Watched>> {
    let mut roots: BTreeMap<PathBuf, Vec<Watched>> = BTreeMap::new();
    for context in contexts {
        roots.entry(context.root.clone()).or_default().push(context.clone());
    }
    roots
}

fn by_folder<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, BTreeSet<std::ffi::OsString>> {
    let mut folders: BTreeMap<PathBuf, BTreeSet<std::ffi::OsString>> = BTreeMap::new();
    for file in files {
        if let (Some(folder), Some(name)) = (file.parent(), file.file_name()) {
            folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
        }
    }
    folders
}

fn is_same(wanted: &Wanted, contexts: &[Watched]) -> bool {
    matches!(wanted, Wanted::Contexts(members) if members.iter().map(|member| &member.context).eq(contexts))
}

/// Returns what files are to be watched: those that are asked for, what a link among them
/// leads to, and the ignore files that lie outside of their contexts.
fn real(contexts: &[Watched], files: &[PathBuf]) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let mut real: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for file in files {
        real.entry(file.clone()).or_default().insert(file.clone());
        if let Some(target) = target(file) {
            real.entry(target).or_default().insert(file.clone());
        }
    }
    for file in contexts.iter().filter_map(Wanted::outside) {
        real.entry(file).or_default();
    }
    real
}

fn target(file: &Path) -> Option<PathBuf> {
    let is_link = std::fs::symlink_metadata(file).is_ok_and(|found| found.is_symlink());
    is_link.then(|| file.canonicalize().ok()).flatten()
}
