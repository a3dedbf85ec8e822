//! What there is before the first images are.

use super::super::agent::Agents;
use super::super::bring::{self, Ask, Prepared};
use super::super::shown::{Shown, Wish};
use super::super::watch::{self, Seen, Watcher};
use super::round::cut_short;
use super::{Start, files, watched};
use crate::error::{Failure, Kind};
use crate::event::Event;

pub(super) struct First<'a> {
    pub(super) start: Start<'a>,
    pub(super) agents: Agents,
    pub(super) watcher: Watcher,
    pub(super) seen: watch::Receiver,
}

impl First<'_> {
    /// Builds and loads for the first time. What only the user can mend in the folder or the
    /// profile is shown, and tried again with the next change; `None`: the user left.
    pub(super) async fn prepare(&mut self) -> Result<Option<Prepared>, Failure> {
        let session = self.start.session;
        let mut was_shown = false;
        loop {
            match self.attempt().await {
                Ok(prepared) => {
                    if was_shown {
                        let of = self.start.profile.name.clone();
                        session.events.send(Event::Dev(Shown::Mended { of }));
                    }
                    return Ok(Some(prepared));
                }
                Err(failure)
                    if matches!(failure.kind, Kind::Work | Kind::Request) && !session.cancel.is_cancelled() =>
                {
                    was_shown = true;
                    self.show(&failure);
                }
                Err(failure) => return Err(failure),
            }
            loop {
                tokio::select! {
                    seen = self.seen.recv() => match seen {
                        None => return Ok(None),
                        Some(Seen::Context { .. }) => break,
                        Some(Seen::File(_)) => if self.reload() { break },
                        Some(Seen::Polling { .. } | Seen::Lost { .. }) => {}
                    },
                    wish = self.start.wishes.recv() => if matches!(wish, None | Some(Wish::Leave)) { return Ok(None) },
                    () = session.cancel.cancelled() => return Ok(None),
                }
            }
        }
    }

    /// Prepares once, and listens for the wish to leave meanwhile.
    async fn attempt(&mut self) -> Result<Prepared, Failure> {
        let Start { session, engine, profile, wishes, timeout, .. } = &mut self.start;
        let cancel = session.cancel.child_token();
        let session = cut_short(session, &cancel);
        let ask = Ask { timeout: *timeout, ..Ask::default() };
        let mut work = std::pin::pin!(bring::prepare(&session, engine, &self.agents, profile, &ask));
        loop {
            tokio::select! {
                prepared = &mut work => return prepared,
                wish = wishes.recv(), if !cancel.is_cancelled() => if matches!(wish, None | Some(Wish::Leave)) {
                    cancel.cancel();
                },
            }
        }
    }

    /// Reads the profile again; returns whether it is a good one.
    fn reload(&mut self) -> bool {
        match (self.start.reload)() {
            Ok(profile) => {
                self.watcher.rewatch(&watched(&profile), &files(&profile));
                self.start.profile = profile;
                true
            }
            Err(failure) => {
                self.show(&failure);
                false
            }
        }
    }

    fn show(&self, failure: &Failure) {
        self.start.session.events.send(Event::Dev(crate::ui::dev::problem(&self.start.profile.name, failure)));
    }
}
