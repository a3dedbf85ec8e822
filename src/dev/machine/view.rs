//! What a tree is in a container, under a service's rules: by target, what shall be there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::contract::Spec;
use crate::dev::rules::{Landing, Verdict};
use crate::dev::tree::{Node, Thing, Tree};

/// The mode of a folder that is made because something in it is needed.
const ON_THE_WAY: u32 = 0o755;

/// By target.
#[derive(Debug, Default)]
pub(super) struct View {
    slots: BTreeMap<PathBuf, Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Rule and source of what leads here; the first one counts.
    by: BTreeMap<(usize, PathBuf), Node>,
    /// How much below needs a folder here, and the folder of the context that this one is.
    needed: BTreeMap<PathBuf, u32>,
}

/// What shall be at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) source: PathBuf,
    pub(super) node: Node,
    /// `None` for a folder that is only on the way: any folder will do.
    pub(super) rule: Option<usize>,
}

impl View {
    /// Returns the view of a whole tree.
    pub(super) fn of(spec: &Spec, tree: &Tree) -> Self {
        let mut view = Self::default();
        for (path, node) in tree {
            view.put(spec, path, node, 1);
        }
        view
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &PathBuf> {
        self.slots.keys()
    }

    pub(super) fn lists(&self, target: &Path) -> bool {
        self.slots.contains_key(target)
    }

    /// Takes over that `path` was `before` and is `now`; adds to `touched` the targets for
    /// which something else may be wanted.
    pub(super) fn change(
        &mut self,
        spec: &Spec,
        path: &Path,
        (before, now): (Option<&Node>, Option<&Node>),
        touched: &mut BTreeSet<PathBuf>,
    ) {
        for (node, by) in [(before, -1), (now, 1)] {
            let Some(node) = node else { continue };
            for target in self.put(spec, path, node, by) {
                // What stands below counts or not, depending on what is here.
                let below = (Bound::Excluded(target.as_path()), Bound::Unbounded);
                let below = self.slots.range::<Path, _>(below).map(|(other, _)| other);
                touched.extend(below.take_while(|other| other.starts_with(&target)).cloned());
                touched.insert(target);
            }
        }
    }

    /// Adds `path` (`by` is 1) or takes it away (-1), and returns the targets that it leads to.
    fn put(&mut self, spec: &Spec, path: &Path, node: &Node, by: i32) -> BTreeSet<PathBuf> {
        let mut touched = BTreeSet::new();
        let Verdict::Sync { targets, .. } = spec.verdict(path, node) else { return touched };
        for landing in targets {
            for (source, folder) in spec.rules.on_the_way(&landing, path) {
                let slot = self.slots.entry(folder.clone()).or_default();
                let count = slot.needed.entry(source.clone()).or_default();
                *count = count.saturating_add_signed(by);
                if *count == 0 {
                    slot.needed.remove(&source);
                }
                if self.tidy(&folder) || by > 0 {
                    touched.insert(folder);
                }
            }
            self.put_here(spec, path, node, by, &landing);
            touched.insert(landing.target);
        }
        touched
    }

    fn put_here(&mut self, spec: &Spec, path: &Path, node: &Node, by: i32, landing: &Landing) {
        let slot = self.slots.entry(landing.target.clone()).or_default();
        let key = (landing.rule, path.to_owned());
        if by > 0 {
            let mut node = node.clone();
            if let (Some(mode), false) = (spec.rules.rules[landing.rule].mode, matches!(node.thing, Thing::Link(_))) {
                node.mode = mode;
            }
            slot.by.insert(key, node);
        } else {
            slot.by.remove(&key);
        }
        self.tidy(&landing.target);
    }

    /// Forgets a slot that nothing leads to; returns whether it did.
    fn tidy(&mut self, target: &Path) -> bool {
        let is_empty = self.slots.get(target).is_some_and(|slot| slot.by.is_empty() && slot.needed.is_empty());
        if is_empty {
            self.slots.remove(target);
        }
        is_empty
    }

    /// Returns what shall be at `target`. What would be in something that is no folder is not
    /// wanted.
    pub(super) fn want(&self, target: &Path) -> Option<Want> {
        let slot = self.slots.get(target)?;
        if target.ancestors().skip(1).any(|folder| self.slots.get(folder).is_some_and(Slot::is_no_folder)) {
            return None;
        }
        if let Some(((rule, source), node)) = slot.by.first_key_value() {
            return Some(Want { source: source.clone(), node: node.clone(), rule: Some(*rule) });
        }
        let source = slot.needed.keys().next()?.clone();
        Some(Want { source, node: Node { mode: ON_THE_WAY, thing: Thing::Folder }, rule: None })
    }
}

impl Slot {
    fn is_no_folder(&self) -> bool {
        self.by.values().next().is_some_and(|node| node.thing != Thing::Folder)
    }
}
