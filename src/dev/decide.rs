//! What a change needs: files, hooks, a restart, a new image, or nothing. Pure.

use std::path::{Path, PathBuf};

use super::machine::{How, Spec};
use super::rules::Verdict;
use super::tree::{Node, Tree};
use crate::ui::sanitize;

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

    fn judged(supervised: bool, path: &str, before: Option<u8>, now: Option<u8>) -> String {
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
        let (how, reason) = spec.judge(Path::new(path), before.map(node).as_ref(), now.map(node).as_ref());
        format!("{how:?}: {reason}")
    }

    #[test]
    fn what_a_change_needs_and_why() {
        for (path, before, now, expected) in [
            ("a.html", Some(1), Some(2), "Sync: a `sync` rule matches `a.html`"),
            ("a.html", Some(1), None, "Sync: a `sync` rule matches `a.html`"),
            ("b.css", None, Some(1), "Run: a `sync` rule matches `b.css`"),
            ("x.py", Some(1), Some(2), "Restart: a `sync` rule matches `x.py`"),
            ("y", None, Some(1), "Rebuild: no `sync` rule matches `y`"),
            ("Dockerfile", Some(1), Some(2), "Rebuild: `Dockerfile` says how the image is built"),
        ] {
            assert_eq!(judged(true, path, before, now), expected);
        }
        assert_eq!(
            judged(false, "x.py", None, Some(1)),
            "Rebuild: `x.py` needs a restart, and the process cannot be restarted in place"
        );
    }

    #[test]
    fn trees_differ_where_something_came_went_or_changed() {
        let tree = |entries: &[(&str, u8)]| entries.iter().map(|(path, it)| ((*path).into(), node(*it))).collect();
        let (before, now): (Tree, Tree) =
            (tree(&[("a", 1), ("b", 1), ("c", 1)]), tree(&[("b", 2), ("c", 1), ("d", 1)]));
        assert_eq!(differences(&before, &now), ["a", "b", "d"].map(PathBuf::from));
        assert_eq!(differences(&now, &now), Vec::<PathBuf>::new());
    }
}
