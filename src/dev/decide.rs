//! What a change needs: files, hooks, a restart, a new image, or nothing. Pure.

use std::path::{Path, PathBuf};

use super::machine::{How, Spec};
use super::rules::Verdict;
use super::tree::{Node, Tree};
use crate::ui::sanitize;

/// What is to be done about a change, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) how: How,
    /// Of what decided: the first path that needs the most.
    pub(crate) reason: String,
    /// What is written into containers.
    pub(crate) synced: Vec<PathBuf>,
    /// What needs a new image.
    pub(crate) rebuilt: Vec<PathBuf>,
}

impl Spec {
    /// Returns what is to be done when `path`, which is or was `node`, changes.
    pub(crate) fn verdict(&self, path: &Path, node: &Node) -> Verdict {
        let named = || sanitize::line(&path.to_string_lossy());
        if self.recipes.contains(path) {
            return Verdict::Rebuild { reason: format!("`{}` says how the image is built", named()) };
        }
        match self.rules.verdict(path, node) {
            Verdict::Sync { restart: true, .. } if !self.supervised => Verdict::Rebuild {
                reason: format!("`{}` needs a restart, and the process cannot be restarted in place", named()),
            },
            verdict => verdict,
        }
    }

    /// Returns what a change of `path` from `before` to `now` needs; where both were something,
    /// the one that needs more.
    pub(crate) fn judge(&self, path: &Path, before: Option<&Node>, now: Option<&Node>) -> (How, String) {
        let judged = [before, now].into_iter().flatten().map(|node| self.need(path, node));
        judged.max_by_key(|(how, _)| *how).unwrap_or((How::Nothing, String::new()))
    }

    fn need(&self, path: &Path, node: &Node) -> (How, String) {
        match self.verdict(path, node) {
            Verdict::Rebuild { reason } => (How::Rebuild, reason),
            Verdict::Nothing { reason } => (How::Nothing, reason),
            Verdict::Sync { targets, restart } => {
                let runs = targets.iter().any(|landing| self.rules.rules[landing.rule].run.is_some());
                let how = match (restart, runs) {
                    (true, _) => How::Restart,
                    (false, true) => How::Run,
                    (false, false) => How::Sync,
                };
                (how, format!("a `sync` rule matches `{}`", sanitize::line(&path.to_string_lossy())))
            }
        }
    }
}

/// Returns what the change from one tree to another needs, as far as it is at `paths`.
pub(crate) fn decide<'a>(
    spec: &Spec,
    before: &Tree,
    now: &Tree,
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Update {
    let mut update =
        Update { how: How::Nothing, reason: "nothing differs".to_owned(), synced: Vec::new(), rebuilt: Vec::new() };
    let mut is_first = true;
    for path in paths {
        let (old, new) = (before.get(path), now.get(path));
        if old == new {
            continue;
        }
        let (how, reason) = spec.judge(path, old, new);
        match how {
            How::Nothing => {}
            How::Rebuild => update.rebuilt.push(path.clone()),
            How::Sync | How::Run | How::Restart => update.synced.push(path.clone()),
        }
        if is_first || how > update.how {
            (update.how, update.reason) = (how, reason);
            is_first = false;
        }
    }
    update
}

/// Returns the paths at which two trees differ.
pub(crate) fn differences(before: &Tree, now: &Tree) -> Vec<PathBuf> {
    let gone = before.keys().filter(|path| !now.contains_key(*path));
    let changed = now.iter().filter(|(path, node)| before.get(*path) != Some(node)).map(|(path, _)| path);
    let mut paths: Vec<PathBuf> = gone.chain(changed).cloned().collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::rules::Rules;
    use crate::dev::tree::Thing;
    use crate::profile::SyncRule;

    fn node(content: u8) -> Node {
        Node { mode: 0o644, thing: Thing::File { digest: [content; 32], size: 1 } }
    }

    fn update(supervised: bool, before: &[(&str, u8)], now: &[(&str, u8)]) -> String {
        let rule = |pattern: &str, restart, run: Option<&str>| SyncRule {
            pattern: pattern.into(),
            path: "/app".into(),
            restart,
            run: run.map(|run| vec![run.to_owned()]),
        };
        let rules = [rule("**/*.py", true, None), rule("*.css", false, Some("hook")), rule("*.html", false, None)];
        let spec = Spec {
            rules: Rules::of_profile(&rules).unwrap(),
            supervised,
            recipes: ["Dockerfile".into()].into(),
            inputs: String::new(),
        };
        let tree =
            |entries: &[(&str, u8)]| entries.iter().map(|(path, it)| ((*path).into(), node(*it))).collect::<Tree>();
        let (before, now) = (tree(before), tree(now));
        let update = decide(&spec, &before, &now, &differences(&before, &now));
        format!("{:?}: {} {:?} {:?}", update.how, update.reason, update.synced, update.rebuilt)
    }

    #[test]
    fn the_path_that_needs_most_decides() {
        for (before, now, expected) in [
            (&[("a.html", 1)][..], &[("a.html", 1)][..], "Nothing: nothing differs [] []"),
            (&[("a.html", 1)], &[("a.html", 2)], "Sync: a `sync` rule matches `a.html` [\"a.html\"] []"),
            (&[("a.html", 1)], &[], "Sync: a `sync` rule matches `a.html` [\"a.html\"] []"),
            (&[], &[("a.html", 2), ("b.css", 1)], "Run: a `sync` rule matches `b.css` [\"a.html\", \"b.css\"] []"),
            (
                &[("x.py", 1)],
                &[("x.py", 2), ("b.css", 1)],
                "Restart: a `sync` rule matches `x.py` [\"b.css\", \"x.py\"] []",
            ),
            (&[("x.py", 1)], &[("x.py", 2), ("y", 1)], "Rebuild: no `sync` rule matches `y` [\"x.py\"] [\"y\"]"),
            (
                &[("Dockerfile", 1)],
                &[("Dockerfile", 2)],
                "Rebuild: `Dockerfile` says how the image is built [] [\"Dockerfile\"]",
            ),
        ] {
            assert_eq!(update(true, before, now), expected);
        }
        assert_eq!(
            update(false, &[], &[("x.py", 1)]),
            "Rebuild: `x.py` needs a restart, and the process cannot be restarted in place [] [\"x.py\"]"
        );
    }
}
