//! What of a folder counts: the ignore rules of one build context, as its build reads them.
//!
//! The watcher and the scanner ask here, so that they cannot differ; that it says what
//! `image::context` says is held by a property test beside the scanner.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::image::context::stamp::{Stamp, nanoseconds};
use crate::image::context::{Error, ignore_files, read_ignore};
use crate::image::ignore::{Ignore, Verdict};

/// The rules of one context, and how their file looked when they were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Sieve {
    ignore: Ignore,
    /// Paths that are in whatever the rules say, relative to the context.
    kept: Vec<PathBuf>,
    /// Where an ignore file may lie, and what was there.
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// A further write of an ignore file would show in its stamp.
    settled: bool,
    text: Vec<u8>,
}

/// Returns how an ignore file looks: what a link leads to, for that is what is read.
fn look(path: &Path) -> Option<Stamp> {
    std::fs::metadata(path).ok().map(|found| Stamp::of(&found))
}

/// What becomes of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    In,
    /// Ignored, but a `!` may bring back what is in it: there only if something in it is.
    Through,
    Out,
}

impl Sieve {
    /// Reads the rules. `root` and `dockerfile` are absolute.
    pub(super) fn read(root: &Path, dockerfile: &Path) -> Result<Self, Error> {
        let now = nanoseconds(SystemTime::now());
        let files = ignore_files(root, dockerfile).map(|path| {
            let stamp = look(&path);
            (path, stamp)
        });
        let settled = files.iter().all(|(_, stamp)| stamp.is_none_or(|stamp| stamp.is_settled(now)));
        let rules = read_ignore(root, dockerfile)?;
        let ignore = rules.as_ref().map(crate::image::context::Rules::parse).transpose()?.unwrap_or_default();
        let kept = [Some(dockerfile), rules.as_ref().map(|rules| rules.path.as_path())];
        let kept = kept.into_iter().flatten().filter_map(|path| path.strip_prefix(root).ok());
        let kept = kept.map(Path::to_owned).collect();
        Ok(Self { ignore, kept, files: files.into(), settled, text: rules.map(|rules| rules.text).unwrap_or_default() })
    }

    /// Returns whether the ignore files look as they did.
    pub(super) fn is_current(&self) -> bool {
        self.settled && self.files.iter().all(|(path, stamp)| look(path) == *stamp)
    }

    /// Returns whether the rules are the same, whatever their file looks like.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.kept == other.kept && self.text == other.text
    }

    /// Returns where the ignore files may lie.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Returns the verdict on the context's root: as if there were no folder above.
    pub(super) fn top(&self) -> Verdict {
        self.ignore.top()
    }

    /// Returns what becomes of the folder `path`, which lies in a folder with the verdict
    /// `parent`, and the verdict for what is in it.
    pub(super) fn folder(&self, path: &Path, parent: &Verdict) -> (Fate, Verdict) {
        let text = path.to_string_lossy();
        let verdict = self.ignore.verdict(&text, Some(parent));
        let fate = if !verdict.ignored || self.kept.iter().any(|kept| kept == path) {
            Fate::In
        } else if self.kept.iter().any(|kept| kept.starts_with(path)) || self.ignore.may_reinclude(&text) {
            Fate::Through
        } else {
            Fate::Out
        };
        (fate, verdict)
    }

    /// Returns whether `path`, which is no folder, is in the context.
    pub(super) fn keeps(&self, path: &Path, parent: &Verdict) -> bool {
        let is_kept = || self.kept.iter().any(|kept| kept == path);
        !super::passing::is_passing(path) && (!self.ignore.ignores(&path.to_string_lossy(), Some(parent)) || is_kept())
    }
}
