//! When a service needs a new image, and when it has had enough of them.
//!
//! Whether one is needed is read off the trees: where the local one differs from the deployed
//! one and no rule can carry that over. So what is taken back needs nothing, and what failed is
//! tried again when something changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::after::names;
use super::contract::{Built, Hints, How, Spec, Told};
use super::service::{Out, Service};
use super::view::View;
use crate::dev::tree::{Node, Tree};
use crate::ui::sanitize;

/// A build waits until nothing changed for so long, and not longer than the other.
const REST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(2);
/// What changes until so long after a build may be of its own making.
const WINDOW: Duration = Duration::from_secs(1);
/// So many rounds of the same changes are a loop.
const ROUNDS: u32 = 3;
/// So often in a row a build is given up for a newer change; then it may end.
const CANCELS: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Building {
    /// [`Spec::inputs`] of what is deployed.
    pub(super) inputs: String,
    /// Somebody asked.
    pub(super) forced: bool,
    /// The container that did not take a change, and why.
    pub(super) refused: Option<(String, String)>,
    /// The view of what was last built, for containers that run it before that is known.
    pub(super) attempted: Option<View>,
    pub(super) run: Option<Run>,
    needed_since: Option<Duration>,
    /// The generation that failed.
    failed_at: Option<u64>,
    is_behind: bool,
    cancels: u32,
    rounds: Rounds,
}

/// A build that is under way.
#[derive(Debug)]
pub(super) struct Run {
    tree: Arc<Tree>,
    inputs: String,
    generation: u64,
    was_forced: bool,
    began: Duration,
    /// The first few paths that need it, and how many there are.
    paths: Vec<PathBuf>,
    files: usize,
    /// Where what is there now differs, so that it needs yet another one.
    differs: BTreeSet<PathBuf>,
}

/// What changes while a service is built and right after.
#[derive(Debug, Default)]
struct Rounds {
    until: Option<Duration>,
    inside: BTreeSet<PathBuf>,
    /// Something else changed, too.
    outside: bool,
    last: BTreeSet<PathBuf>,
    count: u32,
    stopped: Option<BTreeSet<PathBuf>>,
}

impl Building {
    /// A path changed that needs a new image.
    pub(super) fn changed(&mut self, path: &Path, now: Duration) {
        let is_running = self.run.is_some();
        let rounds = &mut self.rounds;
        let is_inside = is_running || rounds.until.is_some_and(|until| now <= until);
        if rounds.stopped.as_ref().is_some_and(|stopped| !is_inside || !stopped.contains(path)) {
            (rounds.stopped, rounds.count) = (None, 0);
        }
        if is_inside {
            rounds.inside.insert(path.to_owned());
        } else {
            rounds.outside = true;
        }
    }

    /// Compares a path with what the running build began with.
    pub(super) fn measure(&mut self, spec: &Spec, path: &Path, now: Option<&Node>) {
        let Some(run) = &mut self.run else { return };
        let before = run.tree.get(path);
        if before != now && spec.judge(path, before, now).0 == How::Rebuild {
            run.differs.insert(path.to_owned());
        } else {
            run.differs.remove(path);
        }
    }

    /// What failed is tried again.
    pub(super) fn retry(&mut self) {
        self.failed_at = None;
    }

    /// Somebody asked for a build: loops and failures are forgotten.
    pub(super) fn force(&mut self) {
        self.forced = true;
        self.rounds = Rounds::default();
        self.failed_at = None;
        self.cancels = 0;
    }
}

impl Rounds {
    /// Counts a build that is about to begin; returns whether it would be one too many.
    fn next(&mut self) -> bool {
        let inside = std::mem::take(&mut self.inside);
        let is_own = !std::mem::take(&mut self.outside) && !inside.is_empty();
        self.count = match is_own {
            true if inside == self.last => self.count + 1,
            true => 1,
            false => 0,
        };
        self.last = inside;
        self.count >= ROUNDS
    }
}

impl Service {
    /// Returns why the service needs a new image; `None` if it does not.
    fn reason(&self) -> Option<String> {
        let refused = || self.build.refused.as_ref().filter(|_| !self.drift.is_empty());
        if self.build.forced {
            Some("somebody asked".to_owned())
        } else if self.deployed.is_none() {
            Some("it is new in the profile".to_owned())
        } else if self.build.inputs != self.spec.inputs {
            Some("the profile or the Dockerfile says something else of its image".to_owned())
        } else if let Some(reason) = self.drift.values().flatten().next() {
            Some(reason.clone())
        } else {
            refused().map(|(pod, reason)| format!("`{pod}` does not take the change: {reason}"))
        }
    }

    /// Returns why and when the service is to be built.
    pub(super) fn need(&mut self, out: &mut Out) -> Option<(String, Duration)> {
        let reason = self.reason();
        if reason.is_none() {
            self.build.needed_since = None;
            self.settle_refusal(out);
            if self.scan.is_done() && std::mem::take(&mut self.build.is_behind) {
                out.tell(Told::Behind { service: self.key.clone(), reason: None });
            }
        }
        let reason = reason?;
        if self.build.forced {
            return Some((reason, out.now));
        }
        if self.build.failed_at == Some(self.generation) || self.build.rounds.stopped.is_some() {
            return None;
        }
        let latest = *self.build.needed_since.get_or_insert(out.now) + MOST;
        let due = if self.scan.is_done() { (self.changed + REST).min(latest) } else { latest };
        Some((reason, due))
    }

    /// The container does not even take what its image was built from: no build helps.
    fn settle_refusal(&mut self, out: &mut Out) {
        if self.scan.is_done()
            && self.build.run.is_none()
            && let Some((pod, reason)) = self.build.refused.take()
        {
            self.warn(format!("`{pod}` cannot be kept in sync, and a new image does not help: {reason}"), out);
        }
    }

    /// Begins a build; returns whether it may.
    pub(super) fn begin(&mut self, reason: &str, out: &mut Out) -> bool {
        if self.build.rounds.next() {
            let looped = self.build.rounds.last.clone();
            let named = names(looped.iter());
            self.build.rounds.stopped = Some(looped);
            let text = format!(
                "each build changes {named} in its own context and so asks for the next one; it is stopped until \
                 something else changes. Name what a build writes in `.dockerignore`"
            );
            out.tell(Told::Warning { service: self.key.clone(), text });
            return false;
        }
        let build = &mut self.build;
        let tree = Arc::new(self.tree.clone());
        let needing = || self.drift.iter().filter(|(_, reason)| reason.is_some()).map(|(path, _)| path);
        build.attempted = Some(View::of(&self.spec, &tree));
        build.run = Some(Run {
            tree,
            inputs: self.spec.inputs.clone(),
            generation: self.generation,
            was_forced: std::mem::take(&mut build.forced),
            began: build.needed_since.unwrap_or(out.now),
            paths: needing().take(super::service::NAMED).cloned().collect(),
            files: needing().count(),
            differs: BTreeSet::new(),
        });
        build.needed_since = None;
        build.rounds.until = None;
        out.tell(Told::Began { service: self.key.clone(), how: How::Rebuild, reason: reason.to_owned() });
        true
    }

    /// Returns when the running build is to be given up for a newer change.
    pub(super) fn outdated(&mut self, now: Duration) -> Option<Duration> {
        let build = &mut self.build;
        let run = build.run.as_ref()?;
        if build.forced {
            return Some(now);
        }
        if run.differs.is_empty() && run.inputs == self.spec.inputs {
            build.needed_since = None;
            return None;
        }
        let since = *build.needed_since.get_or_insert(now);
        (build.cancels < CANCELS).then(|| (self.changed + REST).min(since + MOST))
    }

    /// The build ended with an image.
    ///
    /// `is_deployed`: its containers are there and ready.
    pub(super) fn built(&mut self, built: Built, is_deployed: bool, out: &mut Out) {
        let run = self.build.run.take();
        if run.is_some() {
            self.build.rounds.until = Some(out.now + WINDOW);
        }
        self.build.inputs.clone_from(&built.inputs);
        (self.build.failed_at, self.build.refused, self.build.cancels) = (None, None, 0);
        self.warned.retain(|text| text.contains("cannot be kept in sync"));
        self.deploy(built);
        if std::mem::take(&mut self.build.is_behind) {
            out.tell(Told::Behind { service: self.key.clone(), reason: None });
        }
        if let (Some(Run { began, paths, files, .. }), true) = (run, is_deployed) {
            let (service, took) = (self.key.clone(), out.now.saturating_sub(began));
            let replicas = (self.wanted, self.wanted);
            out.tell(Told::Updated { service, how: How::Rebuild, paths, files, took, replicas });
        }
        // The build read the disk by itself, so it may know more than the last scan.
        if !self.drift.is_empty() {
            self.scan.hint(Hints::Paths(self.drift.keys().cloned().collect()), out.now);
        }
    }

    /// The build ended without an image.
    pub(super) fn not_built(&mut self, why: &str, was_cancelled: bool, out: &mut Out) {
        let Some(run) = self.build.run.take() else { return };
        self.build.rounds.until = Some(out.now + WINDOW);
        if was_cancelled {
            self.build.forced |= run.was_forced;
            self.build.cancels += 1;
            return;
        }
        self.build.cancels = 0;
        self.build.failed_at = Some(run.generation);
        self.build.is_behind = true;
        let reason = Some(sanitize::line(why));
        out.tell(Told::Behind { service: self.key.clone(), reason });
    }
}
