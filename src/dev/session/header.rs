//! What the screen's header lines say: what the cluster tells of a service, and what the loop does
//! with it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::machine::{Key, Told};
use super::super::shown::{PodShown, ServiceShown, Shown, State};
use crate::deploy::seen::Seen;
use crate::deploy::status;
use crate::event::{Event, Level};
use crate::profile::Profile;

use super::Addresses;

/// The header lines as they were shown last.
#[derive(Debug, Default)]
pub(super) struct Headers {
    shown: BTreeMap<Key, ServiceShown>,
    building: BTreeSet<Key>,
    /// Nothing was deployed yet: what runs is of an earlier time.
    is_deploying: bool,
    /// Services whose last change could not be brought there, and why.
    behind: BTreeMap<Key, String>,
    in_sync: BTreeMap<Key, u32>,
}

impl Headers {
    pub(super) fn building(&mut self, service: &Key) {
        self.building.insert(service.clone());
        self.behind.remove(service);
    }

    /// The first deploy begins.
    pub(super) fn deploying(&mut self) {
        self.is_deploying = true;
    }

    /// Nothing is built or deployed any more.
    pub(super) fn round_ended(&mut self) {
        self.building.clear();
        self.is_deploying = false;
    }

    /// Returns the URL of a service, or of the first that has one.
    pub(super) fn url(&self, service: Option<&str>) -> Option<String> {
        let shown = self.shown.values().filter(|shown| service.is_none_or(|service| shown.service == service));
        shown.flat_map(|shown| &shown.urls).find(|url| url.starts_with("http")).cloned()
    }

    pub(super) fn hear(&mut self, told: &Told) {
        match told {
            Told::Updated { service, replicas, .. } | Told::InSync { service, replicas } => {
                self.in_sync.insert(service.clone(), replicas.0);
            }
            Told::Behind { service, reason: Some(reason) } => drop(self.behind.insert(service.clone(), reason.clone())),
            Told::Behind { service, reason: None } => drop(self.behind.remove(service)),
            Told::Warning { .. } | Told::Began { .. } | Told::Nothing { .. } => {}
        }
    }

    /// Returns the lines that are not as they were.
    pub(super) fn changed(
        &mut self,
        profile: &Profile,
        seen: &Seen,
        addresses: &Addresses,
        synced: impl Fn(&str) -> bool,
    ) -> Vec<Event> {
        let mut changed = Vec::new();
        for service in profile.services.iter().filter(|service| service.deploy) {
            let status = status::of_seen(seen, service);
            let key = &service.key;
            let (state, detail) = match (status.state.as_str(), self.behind.get(key)) {
                _ if self.building.contains(key) => (State::Building, None),
                ("failing", _) => (State::Failing, status.reasons.first().cloned()),
                _ if self.is_deploying => (State::Deploying, None),
                (_, Some(why)) => (State::Behind, Some(why.clone())),
                ("ready" | "done", _) => (State::Ready, None),
                _ => (State::Starting, status.reasons.first().cloned()),
            };
            let line = ServiceShown {
                service: key.clone(),
                state,
                urls: addresses.urls.get(key).cloned().unwrap_or_default(),
                ready: u32::try_from(status.ready).unwrap_or(0),
                wanted: u32::try_from(status.wanted).unwrap_or(0),
                in_sync: synced(key).then(|| self.in_sync.get(key).copied().unwrap_or(0)),
                detail,
            };
            if self.shown.get(key) != Some(&line) {
                self.shown.insert(key.clone(), line.clone());
                changed.push(Event::Dev(Shown::Service(line)));
            }
        }
        changed
    }
}

/// Returns what is shown of what the machine told.
pub(super) fn shown(told: Told) -> Vec<Event> {
    let event = match told {
        Told::Updated { service, how, paths, files, took, replicas } => {
            let at = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
            Event::Dev(Shown::Updated { service, at, how, files, paths, took, reason: None, replicas })
        }
        Told::Began { service, how, reason } => Event::Dev(Shown::Began { service, how, reason }),
        Told::Nothing { service, reason } => {
            Event::Notice { level: Level::Detail, text: format!("{service}: nothing to do, {reason}") }
        }
        Told::Warning { service, text } => Event::Notice { level: Level::Warning, text: format!("{service}: {text}") },
        // The header lines say it.
        Told::InSync { .. } | Told::Behind { .. } => return Vec::new(),
    };
    vec![event]
}

/// Returns the pods of the services, for the status panel.
pub(super) fn pods(profile: &Profile, seen: &Seen) -> Shown {
    let services = profile.services.iter().filter(|service| service.deploy);
    let pods = services.flat_map(|service| {
        let status = status::of_seen(seen, service);
        status.pods.into_iter().map(|pod| PodShown {
            service: service.key.clone(),
            pod: pod.name,
            node: pod.node.unwrap_or_default(),
            status: pod.phase,
            ready: pod.ready,
            restarts: u32::try_from(pod.restarts).unwrap_or(0),
            in_sync: None,
        })
    });
    Shown::Pods { pods: pods.collect() }
}
