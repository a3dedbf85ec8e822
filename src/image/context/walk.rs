//! The walk: what is in the folder and not ignored, in order, and how it looked.

use std::ffi::OsString;
use std::fs::{self, DirEntry, FileType};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::stamp::{Now, Stamp};
use super::{Entry, Error, What, gone_or};
use crate::image::ignore::{Ignore, Verdict};

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Sorted; the files' digests are still zero.
    pub(super) entries: Vec<Entry>,
    /// One per entry.
    pub(super) stamps: Vec<Stamp>,
    /// Every folder that was listed, the root (`""`) too, and how it looked before.
    pub(super) listed: Vec<(PathBuf, Stamp)>,
}

impl Walked {
    /// Returns the first thing that is not as the walk found it any more.
    pub(super) fn changed(&self, root: &Path) -> Option<PathBuf> {
        let is_another = |path: &Path, stamp: &Stamp| !Stamp::now(path).is_ok_and(|now| now == *stamp);
        let folders = self.listed.iter().map(|(path, stamp)| (path, stamp));
        let others = self.entries.iter().zip(&self.stamps).filter(|(entry, _)| entry.what != What::Folder);
        let mut all = folders.chain(others.map(|(entry, stamp)| (&entry.path, stamp)));
        all.find_map(|(path, stamp)| Some(root.join(path)).filter(|path| is_another(path, stamp)))
    }

    /// Whether two walks found the same, but for the times of folders: those change by what
    /// is ignored in them, too.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same = |(ours, theirs): (&Stamp, &Stamp), what: &What| {
            let place = |stamp: &Stamp| (stamp.mode, stamp.inode, stamp.device);
            if *what == What::Folder { place(ours) == place(theirs) } else { ours == theirs }
        };
        self.entries == other.entries
            && self.stamps.iter().zip(&other.stamps).zip(&self.entries).all(|(pair, entry)| same(pair, &entry.what))
    }
}

struct Walk<'a> {
    root: &'a Path,
    ignore: &'a Ignore,
    /// Paths that are in whatever the rules say.
    kept: &'a [&'a Path],
    now: Now,
    found: Walked,
    /// Ignored folders above the place where the walk is: they are entries only if
    /// something in them is.
    pending: Vec<(Entry, Stamp)>,
}

/// Returns what is below `root`.
pub(super) fn walk(root: &Path, ignore: &Ignore, kept: &[&Path], now: Now) -> Result<Walked, Error> {
    let mut walk = Walk { root, ignore, kept, now, found: Walked::default(), pending: Vec::new() };
    walk.folder(Path::new(""), None)?;
    Ok(walk.found)
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, verdict: Option<&Verdict>) -> Result<(), Error> {
        let full = self.root.join(folder);
        let unreadable = |source| gone_or(&full, source);
        let mut stamp = Stamp::now(&full).map_err(unreadable)?;
        if stamp.settle(self.now) {
            stamp = Stamp::now(&full).map_err(unreadable)?;
        }
        self.found.listed.push((folder.to_owned(), stamp));
        let mut children = Vec::new();
        for child in fs::read_dir(&full).map_err(unreadable)? {
            let child = child.map_err(unreadable)?;
            children.push((child.file_name(), child));
        }
        children.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, child) in children {
            self.child(folder, name, &child, verdict)?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        folder: &Path,
        name: OsString,
        child: &DirEntry,
        parent: Option<&Verdict>,
    ) -> Result<(), Error> {
        let path = if folder.as_os_str().is_empty() { PathBuf::from(name) } else { folder.join(name) };
        let unreadable = |source| gone_or(&self.root.join(&path), source);
        let text = path.to_string_lossy();
        // The listing tells the kind for nothing; what it says is looked at again below.
        let may_be_folder = child.file_type().is_ok_and(|kind| kind.is_dir());
        let verdict = may_be_folder.then(|| self.ignore.verdict(&text, parent));
        let ignored = verdict.as_ref().map_or_else(|| self.ignore.ignores(&text, parent), |verdict| verdict.ignored);
        let included = !ignored || self.kept.contains(&path.as_path());
        if !included && (!may_be_folder || !self.must_enter(&path)) {
            return Ok(());
        }
        let found = match child.metadata() {
            Ok(found) => found,
            // What is ignored may come and go, and may belong to somebody else.
            Err(_) if !included => return Ok(()),
            Err(source) => return Err(unreadable(source)),
        };
        let (kind, mut stamp) = (found.file_type(), Stamp::of(&found));
        let what = match what(kind, &stamp) {
            Some(What::Link(_)) => {
                if stamp.settle(self.now) {
                    stamp = Stamp::of(&child.metadata().map_err(unreadable)?);
                }
                What::Link(fs::read_link(self.root.join(&path)).map_err(unreadable)?)
            }
            Some(What::Folder) if verdict.is_none() => return Err(Error::Changed { path: self.root.join(&path) }),
            Some(what) => what,
            None => return Ok(()),
        };
        let mode = if kind.is_symlink() { 0o777 } else { found.mode() & 0o7777 };
        let is_folder = what == What::Folder;
        let entry = Entry { path: path.clone(), mode, what };
        if included {
            for (entry, stamp) in self.pending.drain(..).chain([(entry, stamp)]) {
                self.found.entries.push(entry);
                self.found.stamps.push(stamp);
            }
            return if is_folder { self.folder(&path, verdict.as_ref()) } else { Ok(()) };
        }
        if is_folder {
            self.pending.push((entry, stamp));
            self.folder(&path, verdict.as_ref())?;
            self.drop_pending(&path);
        }
        Ok(())
    }

    fn must_enter(&self, folder: &Path) -> bool {
        self.kept.iter().any(|kept| kept.starts_with(folder)) || self.ignore.may_reinclude(&folder.to_string_lossy())
    }

    /// Forgets `folder` if nothing in it was included.
    fn drop_pending(&mut self, folder: &Path) {
        if self.pending.last().is_some_and(|(last, _)| last.path == folder) {
            self.pending.pop();
        }
    }
}

/// Returns what an entry is, a link still without its target; `None` for what is left out.
fn what(kind: FileType, stamp: &Stamp) -> Option<What> {
    if kind.is_dir() {
        Some(What::Folder)
    } else if kind.is_symlink() {
        Some(What::Link(PathBuf::new()))
    } else if kind.is_file() {
        Some(What::File { digest: [0; 32], size: stamp.size, modified: stamp.seconds() })
    } else {
        None
    }
}
