//! macOS: one recursive stream of events per root, through `notify`.
//!
//! The stream names paths and lumps together what happened to each, so what a path is now is
//! looked up. Adding a folder later would lose events, so the whole root is watched, and what
//! is ignored is left out here.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::calm::Saw;
use super::mailbox::MANY;
use super::place::{Change, Refusal};
use super::wanted::Wanted;
use super::{Limits, Why};

/// What the stream's own thread left.
#[derive(Debug, Default)]
struct Queue {
    paths: Vec<PathBuf>,
    lost: bool,
}

#[derive(Debug)]
pub(super) struct Native {
    /// Where the root really lies: events name paths without links.
    real: PathBuf,
    root: PathBuf,
    queue: Arc<Mutex<Queue>>,
    rung: PipeReader,
    _stream: RecommendedWatcher,
}

impl Native {
    pub(super) fn open(root: &Path, wanted: &Wanted, _: Limits) -> Result<Self, Refusal> {
        let real = fs::canonicalize(root).map_err(|_| Refusal::Absent)?;
        let other = |error: String| Refusal::Poll(Why::Other(error));
        let (rung, bell) = io::pipe().map_err(|error| other(error.to_string()))?;
        let queue = Arc::new(Mutex::new(Queue::default()));
        let filled = Arc::clone(&queue);
        let handler = move |event: notify::Result<Event>| fill(&filled, &bell, event);
        let mut stream = notify::recommended_watcher(handler).map_err(|error| other(error.to_string()))?;
        let single = matches!(wanted, Wanted::Files(_));
        let mode = if single { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
        stream.watch(&real, mode).map_err(|error| other(error.to_string()))?;
        Ok(Self { real, root: root.to_owned(), queue, rung, _stream: stream })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.rung.as_fd()
    }

    /// The whole root is watched anyway.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(super) fn resync(&mut self, _: &Wanted) -> Result<(), Refusal> {
        Ok(())
    }

    pub(super) fn drain(&mut self, wanted: &Wanted) -> Result<(Vec<Change>, bool), Refusal> {
        // It blocks only if there is nothing to read, and then nothing happened.
        if self.is_rung() {
            let _ = self.rung.read(&mut [0; 4096]);
        }
        let queue = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        if fs::canonicalize(&self.root).ok().as_ref() != Some(&self.real) {
            return Err(Refusal::Absent);
        }
        let mut changes: Vec<Change> = queue.lost.then_some(Change::Lost).into_iter().collect();
        for path in queue.paths {
            let Ok(path) = path.strip_prefix(&self.real) else { continue };
            if path.as_os_str().is_empty() {
                changes.push(Change::Lost);
            } else if let Some(saw) = self.saw(path, wanted) {
                changes.push(Change::At(path.to_owned(), saw));
            }
        }
        Ok((changes, false))
    }

    fn is_rung(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(&self.rung, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))
            .is_ok_and(|ready| ready > 0)
    }

    /// Returns what to make of an event at `path`; `None` if nobody wants it.
    fn saw(&self, path: &Path, wanted: &Wanted) -> Option<Saw> {
        let found = fs::symlink_metadata(self.root.join(path));
        let mut standing = wanted.top();
        for folder in
            path.ancestors().skip(1).filter(|path| path.file_name().is_some()).collect::<Vec<_>>().iter().rev()
        {
            standing = wanted.folder(folder, &standing)?;
        }
        let as_file = || wanted.keeps(path, &standing) || wanted.is_rules(&self.root.join(path));
        let as_folder = || wanted.folder(path, &standing).is_some();
        match found {
            Ok(found) if found.is_dir() => as_folder().then_some(Saw::There),
            Ok(_) => as_file().then_some(Saw::There),
            Err(_) => (as_file() || as_folder()).then_some(Saw::Gone),
        }
    }
}

/// Runs on the stream's own thread.
fn fill(queue: &Mutex<Queue>, mut bell: &PipeWriter, event: notify::Result<Event>) {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    let was_empty = queue.paths.is_empty() && !queue.lost;
    match event {
        Ok(event) if event.kind.is_access() => return,
        Ok(event) if !event.need_rescan() && queue.paths.len() < MANY => queue.paths.extend(event.paths),
        Ok(_) | Err(_) => {
            queue.paths.clear();
            queue.lost = true;
        }
    }
    if was_empty {
        // It is emptied before more is written, so it never blocks.
        let _ = bell.write(&[0]);
    }
}
