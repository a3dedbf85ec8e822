//! Containers that take what is sent, or do not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::{Container, Fault, Op, Spec};
use crate::dev::rules::Verdict;
use crate::dev::tree::{Node, Thing, Tree};

pub(super) struct Fake {
    pub(super) is: Container,
    pub(super) service: String,
    pub(super) files: Tree,
    /// What it was built from, and what it began with.
    image: Tree,
    began: BTreeSet<PathBuf>,
    /// Files that only the container has.
    pub(super) own: BTreeSet<PathBuf>,
    /// Written since the process was started, where a rule asks for a restart.
    pub(super) is_stale: bool,
    /// It takes nothing.
    pub(super) is_read_only: bool,
    pub(super) is_busy: bool,
}

/// What a tree is in a container; `false` for a folder of which only the being there counts.
/// Spelled out once more, the slow way.
pub(super) fn expected(spec: &Spec, tree: &Tree) -> BTreeMap<PathBuf, (Node, bool)> {
    let mut best: BTreeMap<PathBuf, (usize, Node)> = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for (path, node) in tree {
        let Verdict::Sync { targets, .. } = spec.verdict(path, node) else { continue };
        for landing in targets {
            let root = &spec.rules.rules[landing.rule].path;
            let way = landing.target.ancestors().skip(1).take_while(|it| it.starts_with(root) && it != root);
            folders.extend(way.map(Path::to_owned));
            let is_better = best.get(&landing.target).is_none_or(|(rule, _)| landing.rule < *rule);
            if is_better {
                best.insert(landing.target, (landing.rule, node.clone()));
            }
        }
    }
    let mut all: BTreeMap<PathBuf, (Node, bool)> =
        folders.into_iter().map(|path| (path, (Node { mode: 0, thing: Thing::Folder }, false))).collect();
    all.extend(best.into_iter().map(|(path, (_, node))| (path, (node, true))));
    let blocked = |path: &PathBuf| {
        path.ancestors().skip(1).any(|it| all.get(it).is_some_and(|(node, _)| node.thing != Thing::Folder))
    };
    let keys: BTreeSet<PathBuf> = all.keys().filter(|path| blocked(path)).cloned().collect();
    all.retain(|path, _| !keys.contains(path));
    all
}

impl Fake {
    pub(super) fn new(is: Container, service: &str, spec: &Spec, image: &Tree) -> Self {
        let mut files: Tree = expected(spec, image).into_iter().map(|(path, (node, _))| (path, node)).collect();
        let own: BTreeSet<PathBuf> = ["/app/cache.db", "/app/lib/own.tmp", "/other"].map(PathBuf::from).into();
        for path in &own {
            let folder = path.parent().unwrap();
            let blocked = files.get(folder).is_some_and(|node| node.thing != Thing::Folder);
            if !blocked {
                if folder == Path::new("/app/lib") {
                    files.entry(folder.to_owned()).or_insert(Node { mode: 0o755, thing: Thing::Folder });
                }
                files.insert(path.clone(), super::disk::file(99, 0o600));
            }
        }
        let own = own.into_iter().filter(|path| files.contains_key(path)).collect();
        let (service, image, began) = (service.to_owned(), image.clone(), files.keys().cloned().collect());
        Self { is, service, files, image, began, own, is_stale: false, is_read_only: false, is_busy: false }
    }

    fn has_below(&self, target: &Path) -> bool {
        self.files.keys().any(|path| path.starts_with(target) && path != target)
    }

    /// All or nothing.
    pub(super) fn apply(&mut self, ops: &[Op], restarts: impl Fn(&Path) -> bool) -> Result<(), Fault> {
        if self.is_read_only {
            return Err(Fault::Refused("read-only".into()));
        }
        let before = self.files.clone();
        for op in ops {
            if let Err(reason) = self.apply_one(op) {
                self.files = before;
                return Err(Fault::Refused(reason));
            }
        }
        self.is_stale |= ops.iter().any(|op| match op {
            Op::Put { source, .. } => restarts(source),
            Op::Remove { .. } => false,
        });
        Ok(())
    }

    fn apply_one(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Remove { target } => {
                if !self.has_below(target) {
                    assert!(!self.own.contains(target), "{target:?} is not ours and was removed");
                    self.files.remove(target);
                }
            }
            Op::Put { target, node, .. } => {
                assert!(!self.own.contains(target), "{target:?} is not ours and was replaced");
                if node.thing != Thing::Folder && self.has_below(target) {
                    return Err(format!("{} is not empty", target.display()));
                }
                for folder in target.ancestors().skip(1).filter(|it| it.components().count() > 2) {
                    match self.files.get(folder) {
                        Some(Node { thing: Thing::Folder, .. }) => {}
                        Some(_) => return Err(format!("{} is no folder", folder.display())),
                        None => drop(self.files.insert(folder.to_owned(), Node { mode: 0o755, thing: Thing::Folder })),
                    }
                }
                self.files.insert(target.clone(), node.clone());
            }
        }
        Ok(())
    }

    /// Returns what is not as the tree wants it.
    pub(super) fn wrong(&self, spec: &Spec, tree: &Tree) -> Vec<String> {
        // What the image brought, and no rule leads to any more, is nobody's to remove.
        let listed = expected(spec, &self.image);
        let is_the_images = |path: &PathBuf| self.began.contains(path) && !listed.contains_key(path);
        let expected = expected(spec, tree);
        let mut wrong = Vec::new();
        for (path, (node, is_exact)) in &expected {
            match self.files.get(path) {
                Some(held) if held == node || (!is_exact && held.thing == Thing::Folder) => {}
                held => wrong.push(format!("{path:?} is {held:?}, not {node:?}")),
            }
        }
        for (path, node) in &self.files {
            let keeps_own = self.own.iter().any(|own| own.starts_with(path)) && node.thing == Thing::Folder;
            let is_root =
                spec.rules.rules.iter().any(|rule| rule.path.starts_with(path)) && node.thing == Thing::Folder;
            if !is_root
                && !is_the_images(path)
                && !expected.contains_key(path)
                && !self.own.contains(path)
                && !keeps_own
            {
                wrong.push(format!("{path:?} is still there"));
            }
        }
        wrong
            .extend(self.own.iter().filter(|own| !self.files.contains_key(*own)).map(|own| format!("{own:?} is lost")));
        if self.is_stale {
            wrong.push("the process was not restarted".to_owned());
        }
        wrong
    }
}
