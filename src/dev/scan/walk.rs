//! The walk: what is at and below a path and not ignored, and how each file looked.
//!
//! It differs from a build's own walk in what it does about a folder that is written to: it
//! takes what is there. Which entries count is the same.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::dev::sieve::{Fate, Sieve};
use crate::dev::tree::{Node, Thing, Tree};
use crate::image::context::Error;
use crate::image::context::stamp::Stamp;
use crate::image::ignore::Verdict;

/// What is at and below one path.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The files' digests are still zero.
    pub(super) entries: Tree,
    pub(super) files: Vec<(PathBuf, Stamp)>,
    /// Ignored folders among the entries.
    pub(super) bridges: BTreeSet<PathBuf>,
    pub(super) unreadable: Vec<(PathBuf, Error)>,
}

/// Where a path lies.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// The verdict on the folder that it is in; `None` if that is no folder or is out.
    pub(super) parent: Option<Rc<Verdict>>,
    /// The folders above it that are there only for what is in them, topmost first.
    pub(super) bridges: Vec<PathBuf>,
}

pub(super) struct Walk<'a> {
    root: &'a Path,
    sieve: &'a Sieve,
    /// By folder; one look at each per scan.
    spots: HashMap<PathBuf, Spot>,
}

/// A folder that is walked through: its entry is made only if something in it is.
type Pending = Vec<(PathBuf, Node)>;

impl<'a> Walk<'a> {
    pub(super) fn new(root: &'a Path, sieve: &'a Sieve) -> Self {
        Self { root, sieve, spots: HashMap::new() }
    }

    /// Returns where `path` lies, by what is there now.
    pub(super) fn locate(&mut self, path: &Path) -> Spot {
        match path.parent() {
            None => self.inside(path),
            Some(folder) => self.inside(folder),
        }
    }

    /// Returns where what is in `folder` lies.
    fn inside(&mut self, folder: &Path) -> Spot {
        let Some(above) = folder.parent() else {
            return Spot { parent: Some(Rc::new(self.sieve.top())), bridges: Vec::new() };
        };
        if let Some(spot) = self.spots.get(folder) {
            return spot.clone();
        }
        let mut spot = self.inside(above);
        if let Some(parent) = spot.parent.take() {
            let (fate, verdict) = self.sieve.folder(folder, &parent);
            if fate == Fate::Through {
                spot.bridges.push(folder.to_owned());
            }
            let is_folder = || fs::symlink_metadata(self.root.join(folder)).is_ok_and(|found| found.is_dir());
            spot.parent = (fate != Fate::Out && is_folder()).then(|| Rc::new(verdict));
        }
        self.spots.insert(folder.to_owned(), spot.clone());
        spot
    }

    /// Returns what is at and below `path`, which lies in a folder with the verdict `parent`.
    pub(super) fn walk(&self, path: &Path, parent: &Verdict) -> Result<Walked, Error> {
        let mut walked = Walked::default();
        if path.as_os_str().is_empty() {
            let unreadable = |source| Error::Root { path: self.root.to_owned(), source };
            let children = fs::read_dir(self.root).map_err(unreadable)?;
            self.children(path, children, parent, &mut Pending::new(), &mut walked);
            return Ok(walked);
        }
        let full = self.root.join(path);
        self.entry(path, || fs::symlink_metadata(&full), parent, &mut Pending::new(), &mut walked);
        Ok(walked)
    }

    fn children(
        &self,
        folder: &Path,
        children: fs::ReadDir,
        verdict: &Verdict,
        pending: &mut Pending,
        walked: &mut Walked,
    ) {
        for child in children {
            match child {
                Ok(child) => {
                    let path = folder.join(child.file_name());
                    // The listing tells the kind for nothing.
                    let is_folder = child.file_type().is_ok_and(|kind| kind.is_dir());
                    if is_folder || self.sieve.keeps(&path, verdict) {
                        self.entry(&path, || child.metadata(), verdict, pending, walked);
                    }
                }
                Err(source) => {
                    let error = Error::Unreadable { path: self.root.join(folder), source };
                    walked.unreadable.push((folder.to_owned(), error));
                    return;
                }
            }
        }
    }

    fn entry(
        &self,
        path: &Path,
        look: impl Fn() -> io::Result<Metadata>,
        parent: &Verdict,
        pending: &mut Pending,
        walked: &mut Walked,
    ) {
        // Neither what is gone nor what cannot be looked at is an entry; who removed it tells.
        let Ok(found) = look() else { return };
        let mode = found.mode() & 0o7777;
        if found.is_dir() {
            let (fate, verdict) = self.sieve.folder(path, parent);
            if fate != Fate::Out {
                self.folder(path, fate, Node { mode, thing: Thing::Folder }, &verdict, pending, walked);
            }
            return;
        }
        if !self.sieve.keeps(path, parent) {
            return;
        }
        let node = if found.is_symlink() {
            let Ok(target) = fs::read_link(self.root.join(path)) else { return };
            Node { mode: 0o777, thing: Thing::Link(target) }
        } else if found.is_file() {
            walked.files.push((path.to_owned(), Stamp::of(&found)));
            Node { mode, thing: Thing::File { digest: [0; 32], size: found.size() } }
        } else {
            return;
        };
        include(pending, walked);
        walked.entries.insert(path.to_owned(), node);
    }

    fn folder(
        &self,
        path: &Path,
        fate: Fate,
        node: Node,
        verdict: &Verdict,
        pending: &mut Pending,
        walked: &mut Walked,
    ) {
        if fate == Fate::In {
            include(pending, walked);
            walked.entries.insert(path.to_owned(), node);
        } else {
            pending.push((path.to_owned(), node));
        }
        match fs::read_dir(self.root.join(path)) {
            Ok(children) => self.children(path, children, verdict, pending, walked),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(source) => {
                let error = Error::Unreadable { path: self.root.join(path), source };
                walked.unreadable.push((path.to_owned(), error));
            }
        }
        if pending.last().is_some_and(|(last, _)| last == path) {
            pending.pop();
        }
    }
}

/// Makes entries of the folders above, for something in them is one.
fn include(pending: &mut Pending, walked: &mut Walked) {
    for (path, node) in pending.drain(..) {
        walked.bridges.insert(path.clone());
        walked.entries.insert(path, node);
    }
}
