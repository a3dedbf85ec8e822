//! The walk: what is in the folder and not ignored, in order.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Entry, Error, What};
use crate::image::ignore::{Ignore, Verdict};

struct Walk<'a> {
    root: &'a Path,
    ignore: &'a Ignore,
    /// Paths that are in whatever the rules say.
    kept: &'a [&'a Path],
    entries: Vec<Entry>,
    /// Ignored folders above the place where the walk is: they are entries only if
    /// something in them is.
    pending: Vec<Entry>,
}

/// Returns the entries below `root`, sorted; the files' digests are still zero.
pub(super) fn walk(root: &Path, ignore: &Ignore, kept: &[&Path]) -> Result<Vec<Entry>, Error> {
    let mut walk = Walk { root, ignore, kept, entries: Vec::new(), pending: Vec::new() };
    walk.folder(Path::new(""), None)?;
    Ok(walk.entries)
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, verdict: Option<&Verdict>) -> Result<(), Error> {
        let full = self.root.join(folder);
        let unreadable = |source| Error::Unreadable { path: full.clone(), source };
        let mut names = Vec::new();
        for child in fs::read_dir(&full).map_err(unreadable)? {
            names.push(child.map_err(unreadable)?.file_name());
        }
        names.sort();
        for name in names {
            self.child(&folder.join(name), verdict)?;
        }
        Ok(())
    }

    fn child(&mut self, path: &Path, parent: Option<&Verdict>) -> Result<(), Error> {
        let full = self.root.join(path);
        let verdict = self.ignore.verdict(&path.to_string_lossy(), parent);
        let included = !verdict.ignored || self.kept.contains(&path);
        let found = match fs::symlink_metadata(&full) {
            Ok(found) => found,
            // What is ignored may come and go, and may belong to somebody else.
            Err(_) if !included => return Ok(()),
            Err(source) => return Err(Error::Unreadable { path: full, source }),
        };
        let kind = found.file_type();
        let mut mode = found.permissions().mode() & 0o7777;
        let what = if kind.is_dir() {
            What::Folder
        } else if !included {
            return Ok(());
        } else if kind.is_symlink() {
            mode = 0o777;
            let target = fs::read_link(&full).map_err(|source| Error::Unreadable { path: full, source })?;
            What::Link(target)
        } else if kind.is_file() {
            What::File { digest: [0; 32], size: found.len(), modified: found.mtime() }
        } else {
            return Ok(());
        };
        let is_folder = what == What::Folder;
        let entry = Entry { path: path.to_owned(), mode, what };
        if included {
            self.entries.append(&mut self.pending);
            self.entries.push(entry);
            return if is_folder { self.folder(path, Some(&verdict)) } else { Ok(()) };
        }
        if self.must_enter(path) {
            self.pending.push(entry);
            self.folder(path, Some(&verdict))?;
            self.drop_pending(path);
        }
        Ok(())
    }

    fn must_enter(&self, folder: &Path) -> bool {
        self.kept.iter().any(|kept| kept.starts_with(folder)) || self.ignore.may_reinclude(&folder.to_string_lossy())
    }

    /// Forgets `folder` if nothing in it was included.
    fn drop_pending(&mut self, folder: &Path) {
        let of_folder = |entry: &PathBuf| entry == folder;
        if self.pending.last().is_some_and(|last| of_folder(&last.path)) {
            self.pending.pop();
        }
    }
}
