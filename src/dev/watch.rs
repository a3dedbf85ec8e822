//! What happens in the folders of all build contexts, and to single files beside them.
//!
//! [`Watcher::open`] starts one thread, which tells a [`Receiver`] what it [`Seen`]. All of it
//! is a hint: that something may have changed at or below a path. Whether it did, the scanner
//! says. What is told too much costs a look; what is not told is a wrong container. So where
//! events were lost, a folder was replaced or the rules changed, everything is hinted at.
//!
//! - [`inotify`] (Linux) watches each folder that is not ignored; `fsevents` (macOS) the root.
//!   Linux's is not had through `notify`, which also asks for every opening of a file and
//!   folder: reading ten thousand files, as a build does, would then fill the kernel's queue,
//!   and looking for what was lost would fill it again.
//! - [`calm`] holds back what is half done: a file that is being written, a name that is gone
//!   for the milliseconds of an editor's save. What is complete is told at once.
//! - [`poll`] looks every second where there are no events, or no watches left.
//!
//! Nothing is awake while nothing happens, but for polling and for a folder that is gone.
//! What nobody has received yet is merged ([`mailbox`]), so it does not grow.

mod calm;
#[cfg(target_os = "macos")]
mod fsevents;
#[cfg(target_os = "linux")]
mod inotify;
mod mailbox;
mod place;
mod poll;
mod run;
mod wanted;

use std::io::{self, PipeWriter, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use miette::Diagnostic;

pub(crate) use self::mailbox::Receiver;
use super::machine::Hints;
use crate::error::{Classified, Kind};

/// A build context to watch. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    /// The service's key.
    pub(crate) key: String,
    pub(crate) root: PathBuf,
    pub(crate) dockerfile: PathBuf,
}

/// What was seen. Nothing is told of what lies before [`Watcher::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Something may have changed in a build context.
    Context { key: String, hints: Hints },
    /// One of the single files may have changed, or come, or gone.
    File(PathBuf),
    /// A folder is looked at every second from now on, because it cannot be watched.
    Polling { root: PathBuf, why: Why },
    /// A folder is not there any more. When it is back, everything in it is hinted at.
    Lost { root: PathBuf },
}

/// Why a folder is not watched but polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The user's watches are used up, by all programs together.
    Watches,
    /// The user's inotify instances are used up.
    Instances,
    /// Its file system tells of nothing that others do; its name.
    FileSystem(&'static str),
    /// The system's own words.
    Other(String),
}

impl Why {
    /// Returns the warning for the user, with what mends it.
    pub(crate) fn warning(&self, root: &std::path::Path) -> String {
        let root = crate::ui::sanitize::line(&root.display().to_string());
        let mend = |what: &str, limit: &str| {
            format!(
                "`{root}` is looked at every second instead of watched: all {what} of this user are in use; \
                 `sudo sysctl {limit}` and a new start mend it."
            )
        };
        match self {
            Self::Watches => mend("inotify watches", "fs.inotify.max_user_watches=524288"),
            Self::Instances => mend("inotify instances", "fs.inotify.max_user_instances=512"),
            Self::FileSystem(name) => format!(
                "`{root}` is looked at every second instead of watched: {name} does not tell of changes; \
                 a folder on a local disk is faster."
            ),
            Self::Other(words) => {
                let words = crate::ui::sanitize::line(words);
                format!("`{root}` is looked at every second instead of watched: {words}.")
            }
        }
    }
}

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("changes of files cannot be watched for")]
    #[diagnostic(
        code(coracle::dev::watch),
        help("the system has no thread or pipe left: close other programs, and run the same command again")
    )]
    Start { source: io::Error },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Start { .. } => Kind::Absent,
        }
    }
}

/// What differs in tests.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// How many folders may be watched.
    watches: usize,
    /// How often is looked where nothing is watched.
    every: Duration,
    /// How long half a save is held back.
    step: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { watches: usize::MAX, every: Duration::from_secs(1), step: calm::STEP }
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    commands: Option<mpsc::Sender<Command>>,
    /// The thread waits for file descriptors, and this is one.
    bell: PipeWriter,
    thread: Option<JoinHandle<()>>,
}

/// For the thread.
struct Command {
    contexts: Vec<Watched>,
    files: Vec<PathBuf>,
}

impl Watcher {
    /// Watches the contexts, and the `files` (absolute) through their folders. It returns once
    /// all watches stand: what changes from then on is told of. It blocks for about 20 µs per
    /// folder.
    pub(crate) fn open(contexts: &[Watched], files: &[PathBuf]) -> Result<(Self, Receiver), Error> {
        Self::open_with(contexts, files, Limits::default())
    }

    fn open_with(contexts: &[Watched], files: &[PathBuf], limits: Limits) -> Result<(Self, Receiver), Error> {
        let failed = |source| Error::Start { source };
        let (rung, bell) = io::pipe().map_err(failed)?;
        let (sender, receiver) = mailbox::mailbox();
        let (commands, inbox) = mpsc::channel();
        let mut run = run::Run::new(sender, inbox, rung, limits);
        run.watch(contexts, files, false);
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || run.run()).map_err(failed)?;
        Ok((Self { commands: Some(commands), bell, thread: Some(thread) }, receiver))
    }

    /// Watches these from now on. Contexts that are new or lie elsewhere are hinted at as a
    /// whole, once they are watched; of what stays nothing is missed.
    pub(crate) fn rewatch(&mut self, contexts: &[Watched], files: &[PathBuf]) {
        if let Some(commands) = &self.commands {
            // A thread that ended has no receiver any more, so nobody is waiting for it.
            let _ = commands.send(Command { contexts: contexts.to_vec(), files: files.to_vec() });
            self.ring();
        }
    }

    fn ring(&mut self) {
        // A pipe that is full or closed has rung.
        let _ = self.bell.write(&[0]);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.commands = None;
        self.ring();
        if let Some(thread) = self.thread.take() {
            // Its panic was printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
