//! What was seen and not received yet, merged: a few messages, whatever happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Seen;
use crate::dev::machine::Hints;

/// More paths than this are everything.
pub(super) const MANY: usize = 4096;

#[derive(Debug, Default)]
struct Mail {
    contexts: BTreeMap<String, Hints>,
    files: BTreeSet<PathBuf>,
    notes: VecDeque<Seen>,
    /// One of the two ends is gone.
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    mail: Mutex<Mail>,
    came: Notify,
}

impl Shared {
    fn mail(&self) -> MutexGuard<'_, Mail> {
        // Nothing in here is ever half done.
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Single files come first: they may change the profile.
    fn take(&self) -> Option<Seen> {
        let mut mail = self.mail();
        if let Some(note) = mail.notes.pop_front() {
            return Some(note);
        }
        if let Some(path) = mail.files.pop_first() {
            return Some(Seen::File(path));
        }
        mail.contexts.pop_first().map(|(key, hints)| Seen::Context { key, hints })
    }

    fn close(&self) {
        self.mail().closed = true;
        self.came.notify_one();
    }
}

/// Where the watcher's thread puts what it saw.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

/// Where it is received.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Shared>);

pub(super) fn mailbox() -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl Sender {
    /// Puts it in; returns whether there is still somebody to receive it.
    pub(super) fn send(&self, seen: Seen) -> bool {
        let mut mail = self.0.mail();
        match seen {
            Seen::Context { key, hints } => match mail.contexts.get_mut(&key) {
                Some(before) => merge(before, hints),
                None => _ = mail.contexts.insert(key, hints),
            },
            Seen::File(path) => _ = mail.files.insert(path),
            note @ (Seen::Polling { .. } | Seen::Lost { .. }) => {
                mail.notes.retain(|other| *other != note);
                mail.notes.push_back(note);
            }
        }
        let open = !mail.closed;
        drop(mail);
        self.0.came.notify_one();
        open
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Receiver {
    /// Waits for the next; `None` once the watcher is gone and all has been received. It may
    /// be dropped while it waits: nothing is lost.
    pub(crate) async fn recv(&mut self) -> Option<Seen> {
        loop {
            let came = self.0.came.notified();
            if let Some(seen) = self.0.take() {
                return Some(seen);
            }
            if self.0.mail().closed {
                return None;
            }
            came.await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Adds hints to others.
pub(super) fn merge(before: &mut Hints, more: Hints) {
    match (&mut *before, more) {
        (Hints::Paths(paths), Hints::Paths(more)) => {
            paths.extend(more);
            if paths.len() > MANY {
                *before = Hints::All;
            }
        }
        (_, Hints::All) => *before = Hints::All,
        (Hints::All, _) => {}
    }
}
