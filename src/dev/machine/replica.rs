//! One container: what it was seen to hold, what is on its way to it, and what it still needs.
//!
//! One thing at a time is asked of a container: a look, a send, a hook or a restart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::discriminant;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::contract::{Container, Op};
use super::view::{View, Want};
use crate::dev::tree::{Node, Thing};

/// The most that one send holds.
const BATCH: usize = 2_000;

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) is: Container,
    pub(super) state: State,
    /// What each target was seen or acknowledged to be; absent: not known.
    held: BTreeMap<PathBuf, Option<Node>>,
    /// What we wrote, and by which rule and source.
    ours: BTreeMap<PathBuf, (Option<usize>, PathBuf)>,
    /// What was sent when the way broke: ours if it is seen there.
    tried: Vec<Sent>,
    /// Modes that the image's build gave after its COPY, seen before anything was sent. They
    /// hold as long as the context's mode is the one that the image was built with.
    modes: BTreeMap<PathBuf, u32>,
    /// Targets to compare.
    pub(super) dirty: BTreeSet<PathBuf>,
    pub(super) was_seen: bool,
    /// The rules changed since it was looked at.
    pub(super) must_look: bool,
    /// Broken ways in a row.
    pub(super) cuts: u32,
    /// It refused something: nothing is sent until something changes.
    pub(super) is_mute: bool,
    pub(super) after: After,
    /// It has everything.
    pub(super) in_sync: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// What it holds is not known; look at this time.
    Unknown {
        at: Duration,
    },
    Looking,
    Ready,
    Sending {
        batch: u64,
        sent: Vec<Sent>,
    },
    Running {
        left: VecDeque<Vec<String>>,
    },
    Restarting,
}

/// An operation that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) op: Op,
    pub(super) rule: Option<usize>,
    pub(super) source: PathBuf,
}

/// What follows a send.
#[derive(Debug, Default)]
pub(super) struct After {
    /// Since when something waits.
    pub(super) since: Option<Duration>,
    pub(super) restart: bool,
    /// Rules with hooks, in their order.
    pub(super) runs: BTreeSet<usize>,
    /// Those of them that run now.
    pub(super) running: BTreeSet<usize>,
    pub(super) tries: u32,
}

impl Replica {
    pub(super) fn new(is: Container, now: Duration) -> Self {
        Self {
            is,
            state: State::Unknown { at: now },
            held: BTreeMap::new(),
            ours: BTreeMap::new(),
            tried: Vec::new(),
            modes: BTreeMap::new(),
            dirty: BTreeSet::new(),
            was_seen: false,
            must_look: false,
            cuts: 0,
            is_mute: false,
            after: After::default(),
            in_sync: false,
        }
    }

    /// Takes over what was seen at the targets.
    pub(super) fn saw(&mut self, seen: BTreeMap<PathBuf, Option<Node>>, modes: Option<&View>) {
        for (target, node) in seen {
            let built = modes.and_then(|view| view.want(&target)).filter(|want| want.rule.is_some());
            if let (false, Some(built), Some(node)) = (self.was_seen, built, &node)
                && discriminant(&built.node.thing) == discriminant(&node.thing)
                && built.node.mode != node.mode
            {
                self.modes.insert(target.clone(), node.mode);
            }
            self.dirty.insert(target.clone());
            self.held.insert(target, node);
        }
        for Sent { op, rule, source } in std::mem::take(&mut self.tried) {
            if let Op::Put { target, node, .. } = op
                && self.held.get(&target).is_some_and(|held| held.as_ref() == Some(&node))
            {
                self.ours.insert(target, (rule, source));
            }
        }
        self.was_seen = true;
        self.cuts = 0;
        self.state = State::Ready;
    }

    /// Forgets what it holds; it is looked at again.
    pub(super) fn forget(&mut self, at: Duration) {
        self.held.clear();
        self.state = State::Unknown { at };
        self.in_sync = false;
    }

    /// Returns what must be looked at: what may have to be removed and was never seen.
    pub(super) fn unseen(&self, view: &View, image: Option<&View>) -> Vec<PathBuf> {
        let listed = image.into_iter().flat_map(View::targets);
        listed.filter(|target| !self.held.contains_key(*target) && view.want(target).is_none()).cloned().collect()
    }

    /// Returns all that is looked at in a container of which nothing is known.
    pub(super) fn everything(&self, view: &View, image: Option<&View>) -> Vec<PathBuf> {
        let listed = image.into_iter().flat_map(View::targets);
        let tried = self.tried.iter().map(|sent| target_of(&sent.op));
        let mut all: BTreeSet<&Path> =
            view.targets().chain(listed).chain(self.ours.keys()).map(PathBuf::as_path).collect();
        all.extend(tried);
        all.into_iter().map(Path::to_owned).collect()
    }

    /// Other rules hold: what none of them leads to is not ours any more.
    pub(super) fn disown(&mut self, view: &View) {
        self.ours.retain(|target, _| view.lists(target));
        self.must_look = true;
        self.is_mute = false;
    }

    /// Compares what is wanted with what is held at the dirty targets, and returns what to
    /// send: what goes first, from below; then what comes, from above. What is on its way to
    /// being read again (`torn`) stays dirty.
    pub(super) fn compare(
        &mut self,
        view: &View,
        image: Option<&View>,
        modes: Option<&View>,
        torn: &BTreeSet<PathBuf>,
    ) -> Vec<Sent> {
        let (mut removed, mut put) = (Vec::new(), Vec::new());
        let mut later = BTreeSet::new();
        for target in std::mem::take(&mut self.dirty) {
            match view.want(&target) {
                Some(want) if torn.contains(&want.source) => {
                    later.insert(target);
                }
                Some(want) => {
                    let origin = (want.rule, want.source.clone());
                    match self.put(target.clone(), want, modes) {
                        Some(sent) => put.push(sent),
                        // It is the very same thing, so an earlier session wrote it, or we did.
                        None => drop(self.ours.entry(target).or_insert(origin)),
                    }
                }
                None => removed.extend(self.removal(target, image)),
            }
        }
        removed.reverse();
        removed.extend(put);
        for sent in removed.iter().skip(BATCH) {
            later.insert(target_of(&sent.op).to_owned());
        }
        removed.truncate(BATCH);
        self.dirty = later;
        removed
    }

    fn put(&self, target: PathBuf, want: Want, modes: Option<&View>) -> Option<Sent> {
        let Want { source, mut node, rule } = want;
        let held = self.held.get(&target).and_then(Option::as_ref);
        if rule.is_none() && held.is_some_and(|held| held.thing == Thing::Folder) {
            return None;
        }
        if let Some(mode) = self.modes.get(&target) {
            let built = modes.and_then(|view| view.want(&target)).map(|want| want.node);
            let is_same =
                |built: &Node| built.mode == node.mode && discriminant(&built.thing) == discriminant(&node.thing);
            node.mode = if built.as_ref().is_some_and(is_same) { *mode } else { node.mode };
        }
        if held == Some(&node) {
            return None;
        }
        Some(Sent { op: Op::Put { target, source: source.clone(), node }, rule, source })
    }

    /// Removes only what we wrote or what the image's tree lists.
    fn removal(&self, target: PathBuf, image: Option<&View>) -> Option<Sent> {
        self.held.get(&target)?.as_ref()?;
        let listed = image.filter(|view| view.lists(&target));
        let from_image = listed.and_then(|view| view.want(&target)).map(|want| (want.rule, want.source));
        let is_listed = listed.is_some();
        let (rule, source) = match self.ours.get(&target).cloned().or(from_image) {
            Some(origin) => origin,
            None if is_listed => (None, PathBuf::new()),
            None => return None,
        };
        Some(Sent { op: Op::Remove { target }, rule, source })
    }

    /// Takes over that the container took what was sent.
    pub(super) fn took(&mut self, sent: &[Sent]) {
        for Sent { op, rule, source } in sent {
            match op {
                Op::Put { target, node, .. } => {
                    let before = self.held.insert(target.clone(), Some(node.clone())).flatten();
                    self.ours.insert(target.clone(), (*rule, source.clone()));
                    let was_folder = before.is_some_and(|before| before.thing == Thing::Folder);
                    if was_folder != (node.thing == Thing::Folder) {
                        self.emptied(target);
                    }
                }
                Op::Remove { target } => {
                    self.held.insert(target.clone(), None);
                    self.ours.remove(target);
                }
            }
        }
        self.state = State::Ready;
        self.cuts = 0;
    }

    /// Something else stands at `target` now, so nothing that was known is below it.
    fn emptied(&mut self, target: &Path) {
        let below = (Bound::Excluded(target), Bound::Unbounded);
        for (path, node) in self.held.range_mut::<Path, _>(below).take_while(|(path, _)| path.starts_with(target)) {
            *node = None;
            self.dirty.insert(path.clone());
        }
    }

    /// Returns what was on its way to the comparison. `may_have` says that it may have arrived.
    pub(super) fn take_back(&mut self, sent: &[Sent], may_have: bool) {
        if may_have {
            self.tried.extend(sent.iter().cloned());
        }
        self.dirty.extend(sent.iter().map(|sent| target_of(&sent.op).to_owned()));
        self.state = State::Ready;
    }
}

fn target_of(op: &Op) -> &Path {
    match op {
        Op::Put { target, .. } | Op::Remove { target } => target,
    }
}
