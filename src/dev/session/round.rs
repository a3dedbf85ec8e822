//! Rounds of building and deploying, one at a time, beside the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::agent::Agents;
use super::super::bring::{self, Addresses, Ask, Prepared};
use super::super::machine::{Built, Key};
use crate::converge::fresh_suffix;
use crate::error::Failure;
use crate::image::engine::Engine;
use crate::profile::Profile;
use crate::session::Session;

/// How a round ended.
pub(super) struct Ended {
    /// Absent where not even the images came about.
    pub(super) prepared: Option<Prepared>,
    pub(super) result: Result<Addresses, Failure>,
    /// The machine waits for its answer; the first deploy is nobody's wish.
    pub(super) of_machine: bool,
    /// It was told to stop; its failure is none.
    pub(super) is_cancelled: bool,
}

/// A round that runs. Polled by the loop: what a round is made of need not be `Send`.
type Running = Pin<Box<dyn Future<Output = Ended>>>;

/// A round that is wanted.
struct Wanted {
    profile: Profile,
    /// Service → the image that it keeps.
    pins: BTreeMap<Key, String>,
}

/// The round that runs, and the one that comes after it.
pub(super) struct Rounds {
    session: Session,
    engine: Engine,
    agents: Agents,
    running: Option<(Running, CancellationToken)>,
    next: Option<Wanted>,
    /// Bounds the wait for each workload.
    timeout: Option<Duration>,
    /// Built again though nothing changed.
    anew: BTreeSet<Key>,
}

impl Rounds {
    pub(super) fn new(session: &Session, engine: &Engine, agents: &Agents, timeout: Option<Duration>) -> Self {
        Self {
            session: session.clone(),
            engine: engine.clone(),
            agents: agents.clone(),
            running: None,
            next: None,
            timeout,
            anew: BTreeSet::new(),
        }
    }

    /// Remembers that the next round builds these though nothing changed.
    pub(super) fn anew(&mut self, service: Option<&Key>, profile: &Profile) {
        match service {
            Some(service) => drop(self.anew.insert(service.clone())),
            None => self.anew.extend(profile.services.iter().map(|service| service.key.clone())),
        }
    }

    /// Deploys images that are there.
    pub(super) fn deploy(&mut self, prepared: &Prepared) {
        let (session, engine, prepared) = (self.session.clone(), self.engine.clone(), prepared.clone());
        self.spawn(move |cancel| async move {
            let session = cut_short(&session, &cancel);
            let result = Box::pin(bring::deploy(&session, &engine, &prepared)).await;
            Ended { prepared: Some(prepared), result, of_machine: false, is_cancelled: cancel.is_cancelled() }
        });
    }

    /// Builds these services, loads and deploys. The first deploy, if it still runs, is ended.
    pub(super) fn begin(&mut self, profile: &Profile, rebuild: &BTreeSet<Key>, images: &BTreeMap<Key, Built>) {
        let pins = images.iter().filter(|(key, _)| !rebuild.contains(*key));
        let pins = pins.map(|(key, built)| (key.clone(), built.image.clone())).collect();
        self.next = Some(Wanted { profile: profile.clone(), pins });
        self.cancel();
        self.start_next();
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Ends the round that runs; its answer still comes.
    pub(super) fn cancel(&self) {
        if let Some((_, cancel)) = &self.running {
            cancel.cancel();
        }
    }

    /// Waits for the end of the round that runs; for ever if none does.
    pub(super) async fn ended(&mut self) -> Ended {
        let Some((running, _)) = &mut self.running else { return std::future::pending().await };
        let ended = running.await;
        self.running = None;
        self.start_next();
        ended
    }

    /// Ends what runs and waits for it, so that nothing is left half written.
    pub(super) async fn end(&mut self) {
        self.next = None;
        self.cancel();
        if self.running.is_some() {
            drop(self.ended().await);
        }
    }

    fn start_next(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some(Wanted { profile, pins }) = self.next.take() else { return };
        let anew = std::mem::take(&mut self.anew);
        let ask = Ask { pins, anew, suffix: fresh_suffix(), timeout: self.timeout };
        let (session, engine, agents) = (self.session.clone(), self.engine.clone(), self.agents.clone());
        self.spawn(move |cancel| async move {
            let session = cut_short(&session, &cancel);
            let result = Ok(Addresses::default());
            let mut ended = Ended { prepared: None, result, of_machine: true, is_cancelled: false };
            match Box::pin(bring::prepare(&session, &engine, &agents, &profile, &ask)).await {
                Ok(prepared) => {
                    ended.result = Box::pin(bring::deploy(&session, &engine, &prepared)).await;
                    ended.prepared = Some(prepared);
                }
                Err(failure) => ended.result = Err(failure),
            }
            ended.is_cancelled = cancel.is_cancelled();
            ended
        });
    }

    fn spawn<F: Future<Output = Ended> + 'static>(&mut self, work: impl FnOnce(CancellationToken) -> F) {
        let cancel = self.session.cancel.child_token();
        self.running = Some((Box::pin(work(cancel.clone())), cancel));
    }
}

/// Returns a session whose work ends when `cancel` says so.
pub(super) fn cut_short(session: &Session, cancel: &CancellationToken) -> Session {
    let events = session.events.clone().cut_short_by(cancel.clone());
    Session { cancel: cancel.clone(), events, ..session.clone() }
}
