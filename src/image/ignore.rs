//! `.dockerignore` with Docker's exact rules.
//!
//! They are not git's: `a` matches only `./a`, `*` stops at `/`, the last match wins, and
//! `!x` brings back what an excluded parent holds. A pattern that matches a folder also
//! matches what is in it, so a walk hands each folder's [`Verdict`] to its children.
//! Reading the file and walking the folder are `context`'s.

pub(crate) mod pattern;

use pattern::Pattern;

/// The patterns of one ignore file, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignore {
    patterns: Vec<Pattern>,
}

/// A line that Docker would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) pattern: String,
}

/// Whether a path is left out, and which patterns it matched, for its children.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    pub(crate) ignored: bool,
    matched: Vec<bool>,
}

impl Ignore {
    /// Reads an ignore file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            // Only a `#` in the first column is a comment.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let malformed = || Malformed { line: index + 1, pattern: line.trim().to_owned() };
            patterns.push(Pattern::parse(line.trim()).ok_or_else(malformed)?);
        }
        Ok(Self { patterns })
    }

    /// Reads patterns that are lines already; `None` if one is malformed.
    pub(crate) fn of_patterns(patterns: &[String]) -> Option<Self> {
        let patterns = patterns.iter().map(|pattern| pattern.trim()).filter(|pattern| !pattern.is_empty());
        Some(Self { patterns: patterns.map(Pattern::parse).collect::<Option<_>>()? })
    }

    /// Returns the verdict on what has no folder above it.
    pub(crate) fn top(&self) -> Verdict {
        Verdict { ignored: false, matched: vec![false; self.patterns.len()] }
    }

    /// Returns what the rules say of the folder `path` (relative, slash-separated). `parent` is
    /// the verdict on the folder that it is in; `None` at the top.
    pub(crate) fn verdict(&self, path: &str, parent: Option<&Verdict>) -> Verdict {
        let mut matched = Vec::with_capacity(self.patterns.len());
        let ignored = self.decide(path, parent, |is_match| matched.push(is_match));
        Verdict { ignored, matched }
    }

    /// Returns whether `path` is left out, for what has no children.
    pub(crate) fn ignores(&self, path: &str, parent: Option<&Verdict>) -> bool {
        self.decide(path, parent, |_| {})
    }

    fn decide(&self, path: &str, parent: Option<&Verdict>, mut matched: impl FnMut(bool)) -> bool {
        let mut ignored = false;
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.is_some_and(|parent| parent.matched[index]);
            // A pattern that could not change the verdict is not even tried. That is
            // visible: its children do not inherit a match from it either.
            let is_match = inherited || (pattern.negated == ignored && pattern.matches(path));
            matched(is_match);
            if is_match {
                ignored = !pattern.negated;
            }
        }
        ignored
    }

    /// Returns whether something in the ignored `folder` might be brought back by a `!`,
    /// so that it must be walked.
    pub(crate) fn may_reinclude(&self, folder: &str) -> bool {
        self.patterns.iter().filter(|pattern| pattern.negated).any(|pattern| pattern.may_match_below(folder))
    }

    /// Returns what the rules say of a single path, walking down to it.
    #[cfg(test)]
    fn ignores_all_the_way(&self, path: &str) -> bool {
        let mut verdict: Option<Verdict> = None;
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            verdict = Some(self.verdict(&path[..end], verdict.as_ref()));
        }
        verdict.is_some_and(|verdict| verdict.ignored)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ignores(file: &str, path: &str) -> bool {
        Ignore::parse(file).unwrap().ignores_all_the_way(path)
    }

    #[test]
    fn single_patterns_match_as_docker_documents() {
        for (pattern, path, expected) in [
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("a", "x/a", false),
            ("/a", "a", true),
            ("a/", "a/b", true),
            ("./a//b/", "a/b", true),
            ("a/../b", "b", true),
            ("  a  ", "a", true),
            ("# a", "# a", false),
            (" # a", "# a", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("*", "a/b", true),
            ("*/temp*", "x/temporary.txt", true),
            ("*/temp*", "x/y/temporary.txt", false),
            ("*/*/temp*", "x/y/temporary.txt", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("temp?", "temp/", false),
            ("**", "a/b", true),
            ("**/*.go", "main.go", true),
            ("**/*.go", "a/b/main.go", true),
            ("**/foo", "foo", true),
            ("**/foo", "a/foo", true),
            ("**/foo", "a/foo/b", true),
            ("**/foo", "afoo", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/foo/bar/**", "x/foo/bar/y", true),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[^a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            ("[\\]]x", "]x", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a.b", "axb", false),
            ("a+b(c)|{d}$", "a+b(c)|{d}$", true),
            ("ä?ö", "äüö", true),
            (".", "a", false),
            ("/", "a", false),
            ("../a", "a", false),
            ("\u{feff}a", "a", true),
            ("a\r", "a", true),
        ] {
            assert_eq!(ignores(pattern, path), expected, "{pattern:?} on {path:?}");
        }
    }

    #[test]
    fn the_last_match_wins_and_children_can_come_back() {
        for (file, path, expected) in [
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            ("a\n!a/keep", "a/keep", false),
            ("a\n!a/keep", "a/keep/deep", false),
            ("a\n!a/keep", "a/other", true),
            ("*\n!src\n!go.mod", "src/x/y.go", false),
            ("*\n!src\nsrc/x", "src/x/y.go", true),
            ("*\n! src", "src/a", false),
            ("**\n!**/*.py", "a/b.py", false),
            ("**\n!**/*.py", "a/b.txt", true),
            ("node_modules\n!/node_modules/mine/", "node_modules/mine/x", false),
            ("!a", "a", false),
            // The walk's own rule: `!x` alone says nothing of `x/y`, which another line excludes.
            ("x/y\n!x", "x/y", true),
        ] {
            assert_eq!(ignores(file, path), expected, "{file:?} on {path:?}");
        }
    }

    #[test]
    fn malformed_lines_are_named() {
        for (file, line, pattern) in
            [("a\n[b", 2, "[b"), ("!", 1, "!"), ("a\\", 1, "a\\"), ("[]", 1, "[]"), ("# ok\n\n[a-]", 3, "[a-]")]
        {
            let error = Ignore::parse(file).unwrap_err();
            assert_eq!((error.line, error.pattern.as_str()), (line, pattern));
        }
    }

    #[test]
    fn only_folders_that_could_hold_something_are_walked() {
        let ignore = Ignore::parse("*\n!src/app\n!docs/*.md").unwrap();
        for (folder, walked) in
            [("src", true), ("src/app", true), ("src/app/x", true), ("src/lib", false), ("docs", true), ("node", false)]
        {
            assert_eq!(ignore.may_reinclude(folder), walked, "{folder}");
        }
        assert!(Ignore::parse("*\n!**/*.py").unwrap().may_reinclude("any/where"));
        assert!(!Ignore::parse("*").unwrap().may_reinclude("any"));
    }

    proptest! {
        #[test]
        fn a_literal_pattern_takes_its_tree_and_nothing_else(
            name in "[a-z.+()|{}$ ]{0,4}[a-z]", other in "[a-z]{1,4}", below in "[a-z]{1,3}(/[a-z]{1,3}){0,3}",
        ) {
            let name = format!("a{name}");
            prop_assert!(ignores(&name, &name));
            let inside = format!("{name}/{below}");
            prop_assert!(ignores(&name, &inside));
            let outside = format!("{other}/{name}");
            prop_assert!(!ignores(&name, &outside));
            let back = format!("*\n!{name}");
            prop_assert!(!ignores(&back, &inside));
        }

        #[test]
        fn skipped_folders_never_hold_what_is_kept(
            file in proptest::collection::vec("!?(\\*\\*/)?[ab*?]{1,2}(/[ab*]{1,2}){0,2}(/\\*\\*)?", 1..5),
            path in "[ab]{1,2}(/[ab]{1,2}){1,3}",
        ) {
            let ignore = Ignore::parse(&file.join("\n")).unwrap();
            let cut = path.match_indices('/').map(|(end, _)| &path[..end]);
            let skipped = cut.into_iter().any(|folder| ignore.ignores_all_the_way(folder) && !ignore.may_reinclude(folder));
            prop_assert!(!skipped || ignore.ignores_all_the_way(&path));
        }

        #[test]
        fn nothing_panics(file in any::<String>(), path in "[^/]{1,9}") {
            if let Ok(ignore) = Ignore::parse(&file) {
                let _: bool = ignore.ignores_all_the_way(&path);
            }
        }
    }
}
