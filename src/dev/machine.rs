//! The state machine of `dev`: inputs in, effects out, no I/O.
//!
//! It keeps, per service, the local tree, and per container what that container was seen to
//! hold. At rest the two are equal under the service's rules, or the service is being rebuilt,
//! or the reason why not has been told.
//!
//! [`contract`] has its inputs and effects. [`scan`] says when a context is read, [`view`] what
//! a tree is in a container, [`replica`] what differs there, `after` sends it and restarts,
//! [`build`] says when a new image is needed. Nothing here reacts to an event by what it was:
//! each input changes what is known, and then [`Machine::settle`] does whatever the difference
//! between known and wanted asks for. So an event that is lost, doubled or late does no harm.

mod after;
mod build;
mod contract;
mod replica;
mod scan;
mod service;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) use self::contract::{
    Built, Container, ContainerId, Effect, Fault, Found, Hints, How, Input, Key, Op, Spec, Told,
};
use self::service::{Out, Service};

/// The state of everything.
#[derive(Debug)]
pub(crate) struct Machine {
    services: BTreeMap<Key, Service>,
    converging: Option<Converging>,
    /// The profile changed: it is to be deployed even if nothing is built.
    redeploy: bool,
    paused: bool,
    batches: u64,
    wake: Option<Duration>,
}

#[derive(Debug)]
struct Converging {
    services: BTreeSet<Key>,
    is_cancelled: bool,
}

impl Machine {
    /// Makes a machine for services that were deployed; the first effects come with the first
    /// input. `now` is of any clock that never goes back.
    pub(crate) fn new(services: BTreeMap<Key, (Spec, Built)>, now: Duration) -> Self {
        let services = services
            .into_iter()
            .map(|(key, (spec, built))| (key.clone(), Service::new(key, spec, Some(built), now)))
            .collect();
        Self { services, converging: None, redeploy: false, paused: false, batches: 0, wake: Some(now) }
    }

    /// Returns when [`Input::Tick`] is due, if it is.
    pub(crate) fn wake(&self) -> Option<Duration> {
        self.wake
    }

    /// Takes in what happened and returns what is to be done. Answers of services and
    /// containers that are not there any more are dropped.
    pub(crate) fn take(&mut self, now: Duration, input: Input) -> Vec<Effect> {
        let mut out = Out { now, paused: self.paused, effects: Vec::new(), wake: None, batches: self.batches };
        self.note(input, &mut out);
        out.paused = self.paused;
        self.settle(&mut out);
        (self.wake, self.batches) = (out.wake, out.batches);
        out.effects
    }

    fn note(&mut self, input: Input, out: &mut Out) {
        match input {
            Input::Hinted { service, hints } => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.scan.hint(hints, out.now);
                }
            }
            Input::Scanned { service, found, torn } => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.scanned(found, &torn, out);
                }
            }
            Input::Containers { service, running, wanted } => {
                if let Some(service) = self.services.get_mut(&service) {
                    service.contain(running, wanted, out.now);
                }
            }
            Input::Looked { container, result } => {
                self.with(&container, |service| service.looked(&container, result, out));
            }
            Input::Sent { container, batch, result } => {
                self.with(&container, |service| service.sent(&container, batch, result, out));
            }
            Input::Restarted { container, result } => {
                self.with(&container, |service| service.restarted(&container, result, out));
            }
            Input::Ran { container, result } => self.with(&container, |service| service.ran(&container, result, out)),
            Input::Converged { built, specs, result } => self.converged(built, specs, result, out),
            Input::Reconfigured { services } => self.reconfigure(services, out.now),
            Input::Retry => {
                self.redeploy = true;
                self.services.values_mut().for_each(|service| service.build.retry());
            }
            Input::Rebuild { service } => self.asked(service.as_ref()).for_each(|service| service.build.force()),
            Input::Restart { service } => self.asked(service.as_ref()).for_each(|service| service.restart(out)),
            Input::Pause(paused) => self.paused = paused,
            Input::Tick => {}
        }
    }

    /// Has the service that has this container take an answer.
    fn with(&mut self, container: &ContainerId, take: impl FnOnce(&mut Service)) {
        if let Some(service) = self.services.values_mut().find(|service| service.replicas.contains_key(container)) {
            take(service);
        }
    }

    fn asked(&mut self, key: Option<&Key>) -> impl Iterator<Item = &mut Service> {
        let named = key.cloned();
        self.services.values_mut().filter(move |service| named.as_ref().is_none_or(|key| *key == service.key))
    }

    fn reconfigure(&mut self, specs: BTreeMap<Key, Spec>, now: Duration) {
        self.services.retain(|key, _| specs.contains_key(key));
        for (key, spec) in specs {
            match self.services.get_mut(&key) {
                Some(service) => service.reconfigure(spec, now),
                None => drop(self.services.insert(key.clone(), Service::new(key, spec, None, now))),
            }
        }
        self.redeploy = true;
    }

    fn converged(
        &mut self,
        built: BTreeMap<Key, Built>,
        specs: BTreeMap<Key, Spec>,
        result: Result<(), Option<String>>,
        out: &mut Out,
    ) {
        let Some(converging) = self.converging.take() else { return };
        for (key, spec) in specs {
            if let Some(service) = self.services.get_mut(&key).filter(|service| service.spec != spec) {
                service.reconfigure(spec, out.now);
            }
        }
        let is_whole = result.is_ok();
        for (key, built) in built {
            if let Some(service) = self.services.get_mut(&key) {
                service.built(built, is_whole, out);
            }
        }
        // What was cut short may stand half way.
        let is_cancelled = converging.is_cancelled || result == Err(None);
        self.redeploy |= is_cancelled && !is_whole;
        let why = result.err().flatten().unwrap_or_else(|| "it was not built".to_owned());
        for key in &converging.services {
            if let Some(service) = self.services.get_mut(key) {
                service.not_built(&why, is_cancelled, out);
            }
        }
    }

    /// Does all that the difference between what is known and what is wanted asks for.
    fn settle(&mut self, out: &mut Out) {
        for service in self.services.values_mut() {
            service.serve(out);
        }
        if out.paused {
            return;
        }
        if self.converging.is_some() { self.overtake(out) } else { self.converge(out) }
    }

    /// Gives up a build that newer changes made useless. What another service needs waits: its
    /// change is no reason to lose this one's work.
    fn overtake(&mut self, out: &mut Out) {
        let Some(converging) = self.converging.as_mut().filter(|converging| !converging.is_cancelled) else { return };
        let running = self.services.values_mut().filter(|service| converging.services.contains(&service.key));
        let due = running.filter_map(|service| service.outdated(out.now)).min();
        if self.redeploy || due.is_some_and(|due| out.is_due(due)) {
            converging.is_cancelled = true;
            out.effects.push(Effect::CancelConverge);
        }
    }

    /// Builds what needs it once any of it is due.
    fn converge(&mut self, out: &mut Out) {
        let mut needs = BTreeMap::new();
        for (key, service) in &mut self.services {
            needs.extend(service.need(out).map(|need| (key.clone(), need)));
        }
        let due = needs.values().map(|(_, due)| *due).min();
        // What is deployed anyway waits for what is about to be built.
        if !due.map_or(self.redeploy, |due| out.is_due(due)) {
            return;
        }
        let mut rebuild = BTreeMap::new();
        for (key, (reason, _)) in needs {
            if self.services.get_mut(&key).is_some_and(|service| service.begin(&reason, out)) {
                rebuild.insert(key, reason);
            }
        }
        let was_redeploy = std::mem::take(&mut self.redeploy);
        if was_redeploy || !rebuild.is_empty() {
            let services = rebuild.keys().cloned().collect();
            self.converging = Some(Converging { services, is_cancelled: false });
            out.effects.push(Effect::Converge { rebuild });
        }
    }
}
