//! What goes to a container and what follows: looks, sends, hooks, restarts, and their answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::contract::{ContainerId, Effect, Fault, Told};
use super::replica::{Replica, Sent, State};
use super::service::{Out, Service};
use crate::dev::tree::Node;
use crate::ui::sanitize;

/// A restart waits until nothing changed for so long, and not longer than the other.
const RESTART_REST: Duration = Duration::from_millis(100);
pub(super) const RESTART_MOST: Duration = Duration::from_secs(1);
/// A way that broke is tried again after so long, doubled each time up to the other.
const CUT_FIRST: Duration = Duration::from_millis(50);
const CUT_MOST: Duration = Duration::from_secs(2);
/// So often a restart or a hook is tried whose way broke.
const TRIES: u32 = 3;

type Seen = BTreeMap<PathBuf, Option<Node>>;

impl Service {
    /// Does whatever is due for the containers.
    pub(super) fn serve(&mut self, out: &mut Out) {
        if !out.paused && self.scan.due().is_some_and(|at| out.is_due(at)) {
            let hints = self.scan.begin(out.now);
            out.effects.push(Effect::Scan { service: self.key.clone(), hints });
        }
        let ids: Vec<ContainerId> = self.replicas.keys().cloned().collect();
        for id in ids {
            self.serve_one(&id, out);
        }
        self.tell(out);
    }

    fn serve_one(&mut self, id: &ContainerId, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        if out.paused {
            return;
        }
        let image = self.images.get(&replica.is.image).map(|image| &image.view);
        if replica.must_look && replica.state == State::Ready {
            replica.forget(out.now);
        }
        replica.in_sync = false;
        let targets = match replica.state {
            _ if replica.is_mute => return,
            State::Unknown { at } if !out.is_due(at) => return,
            State::Unknown { .. } => replica.everything(&self.view, image),
            State::Ready => replica.unseen(&self.view, image),
            _ => return,
        };
        if !targets.is_empty() {
            (replica.state, replica.must_look) = (State::Looking, false);
            out.effects.push(Effect::Look { service: self.key.clone(), container: id.clone(), targets });
            return;
        }
        if replica.state != State::Ready {
            replica.must_look = false;
            replica.saw(BTreeMap::new(), image);
        }
        if replica.after.since.is_some_and(|since| since + RESTART_MOST <= out.now) {
            return self.follow(id, out);
        }
        self.send(id, out);
    }

    /// Sends what differs; if nothing does, what follows is due.
    fn send(&mut self, id: &ContainerId, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        let image = self.images.get(&replica.is.image).map(|image| &image.view);
        let modes = image.or(self.build.attempted.as_ref());
        let sent = replica.compare(&self.view, image, modes, &self.scan.torn);
        if sent.is_empty() {
            replica.in_sync = replica.dirty.is_empty() && replica.after.since.is_none();
            return self.follow(id, out);
        }
        out.batches += 1;
        let ops = sent.iter().map(|sent| sent.op.clone()).collect();
        replica.state = State::Sending { batch: out.batches, sent };
        if let Some(batch) = &mut self.batch {
            batch.was_sent = true;
        }
        let (service, container) = (self.key.clone(), id.clone());
        out.effects.push(Effect::Send { service, container, batch: out.batches, ops });
    }

    /// Runs hooks and restarts once nothing changes any more.
    fn follow(&mut self, id: &ContainerId, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        let Some(since) = replica.after.since else { return };
        if replica.state != State::Ready || !out.is_due((self.changed + RESTART_REST).min(since + RESTART_MOST)) {
            return;
        }
        let rules = &self.spec.rules.rules;
        let runs = std::mem::take(&mut replica.after.runs);
        let left = runs.iter().filter_map(|rule| rules.get(*rule)?.run.clone()).collect();
        replica.state = State::Running { left };
        replica.after.running = runs;
        self.next_step(id, out);
    }

    /// The next hook, or the restart, or nothing more.
    fn next_step(&mut self, id: &ContainerId, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        let State::Running { left } = &mut replica.state else { return };
        let (service, container) = (self.key.clone(), id.clone());
        if let Some(command) = left.pop_front() {
            out.effects.push(Effect::Run { service, container, command });
        } else if std::mem::take(&mut replica.after.restart) {
            replica.after.running.clear();
            replica.state = State::Restarting;
            out.effects.push(Effect::Restart { service, container });
        } else {
            replica.after.running.clear();
            replica.finish();
            self.serve_one(id, out);
        }
    }

    pub(super) fn looked(&mut self, id: &ContainerId, result: Result<Seen, Fault>, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id).filter(|replica| replica.state == State::Looking) else { return };
        match result {
            Ok(seen) => {
                let image = self.images.get(&replica.is.image).map(|image| &image.view);
                replica.saw(seen, image.or(self.build.attempted.as_ref()));
            }
            Err(fault) => self.failed(id, fault, out),
        }
    }

    pub(super) fn sent(&mut self, id: &ContainerId, batch: u64, result: Result<(), Fault>, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        let State::Sending { batch: ours, sent } = &replica.state else { return };
        if *ours != batch {
            return;
        }
        let sent = sent.clone();
        match result {
            Ok(()) => {
                replica.took(&sent);
                self.note_what_follows(id, &sent, out.now);
            }
            Err(fault) => {
                replica.take_back(&sent, matches!(fault, Fault::Cut(_)));
                // It may have arrived before the way broke.
                if matches!(fault, Fault::Cut(_)) {
                    self.note_what_follows(id, &sent, out.now);
                }
                self.failed(id, fault, out);
            }
        }
    }

    fn note_what_follows(&mut self, id: &ContainerId, sent: &[Sent], now: Duration) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        for Sent { rule, source, .. } in sent {
            let Some((at, rule)) = rule.and_then(|at| Some((at, self.spec.rules.rules.get(at)?))) else { continue };
            let restarts = rule.restarts(source);
            if rule.run.is_some() {
                replica.after.runs.insert(at);
            }
            replica.after.restart |= restarts;
            if restarts || rule.run.is_some() {
                replica.after.since.get_or_insert(now);
            }
        }
    }

    pub(super) fn restarted(&mut self, id: &ContainerId, result: Result<(), Fault>, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id).filter(|replica| replica.state == State::Restarting) else {
            return;
        };
        replica.finish();
        if let Err(fault) = result {
            replica.after.restart = true;
            self.follow_failed(id, "be restarted", fault, out);
        } else {
            replica.after.tries = 0;
        }
    }

    pub(super) fn ran(&mut self, id: &ContainerId, result: Result<(), Fault>, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        if !matches!(replica.state, State::Running { .. }) {
            return;
        }
        if let Err(fault) = result {
            replica.after.runs.extend(std::mem::take(&mut replica.after.running));
            replica.finish();
            self.follow_failed(id, "run its hook", fault, out);
        } else {
            self.next_step(id, out);
        }
    }

    /// A hook or a restart failed. A way that broke is tried again; what the process itself
    /// says is the user's to mend, and the restart after a failed hook is not made.
    fn follow_failed(&mut self, id: &ContainerId, what: &str, fault: Fault, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        let said = match &fault {
            Fault::Cut(_) if replica.after.tries < TRIES => {
                replica.after.tries += 1;
                replica.after.since = Some(out.now);
                return self.failed(id, fault, out);
            }
            Fault::Gone => return self.failed(id, fault, out),
            Fault::Cut(said) | Fault::Refused(said) => sanitize::line(said),
            Fault::Torn(path) => sanitize::line(&path.to_string_lossy()),
        };
        replica.after = super::replica::After::default();
        let text = format!("`{}` could not {what}: {said}", sanitize::line(&replica.is.pod));
        out.tell(Told::Warning { service: self.key.clone(), text });
        if matches!(fault, Fault::Cut(_)) {
            self.failed(id, fault, out);
        }
    }

    /// A look or a send failed.
    fn failed(&mut self, id: &ContainerId, fault: Fault, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        match fault {
            // Were it gone for good, the cluster would say so: then it leaves. Until then it may be
            // that only the look came at a bad moment.
            Fault::Gone | Fault::Cut(_) => {
                let wait = (CUT_FIRST * 2u32.pow(replica.cuts.min(6))).min(CUT_MOST);
                replica.cuts += 1;
                replica.forget(out.now + wait);
            }
            Fault::Torn(path) => {
                replica.state = State::Ready;
                self.scan.tear([path], out.now);
            }
            Fault::Refused(reason) => self.refused(id, &reason, out),
        }
    }

    /// A new image holds what this container does not take.
    fn refused(&mut self, id: &ContainerId, reason: &str, out: &mut Out) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        replica.is_mute = true;
        if replica.state == State::Looking {
            replica.forget(out.now);
        }
        // An old one is replaced, and of a new one it is not known what its image holds.
        if self.deployed.as_ref().is_some_and(|built| built.image == replica.is.image) {
            self.build.refused = Some((sanitize::line(&replica.is.pod), sanitize::line(reason)));
        }
    }
}

impl Replica {
    /// Hooks and restart are done.
    fn finish(&mut self) {
        self.state = State::Ready;
        if self.after.runs.is_empty() && !self.after.restart {
            self.after.since = None;
        }
    }
}

/// Names at most a few paths.
pub(super) fn names<'a>(paths: impl ExactSizeIterator<Item = &'a PathBuf>) -> String {
    let more = paths.len().saturating_sub(3);
    let named: Vec<String> = paths
        .take(3)
        .map(|path: &PathBuf| format!("`{}`", sanitize::line(&Path::new(path).to_string_lossy())))
        .collect();
    if more == 0 { named.join(", ") } else { format!("{} and {more} more", named.join(", ")) }
}
