//! What a batch wants, by path, and whether it can be had: asked before anything is written.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;

use super::refuse;
use super::root::{Root, entry, is_folder, is_mount, names, normal, refused, split, subfolder};
use crate::protocol::{Kind, Op, Refusal, Thing};

/// What shall be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Gone,
    Folder { mode: u32 },
    Link { to: PathBuf },
    File { mode: u32, digest: [u8; 32], size: u64 },
}

/// By path, so what contains something comes before it.
#[derive(Debug, Default)]
pub(super) struct Wishes(pub(super) BTreeMap<PathBuf, Wish>);

/// How many open folders are kept.
const KEPT: usize = 128;

/// The folders of a container that a batch needs, opened once.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) root: Root,
    open: BTreeMap<PathBuf, Rc<OwnedFd>>,
}

/// A file system of the kernel's, in which files are no files: proc, sysfs, cgroup 1 and 2, devpts.
const KERNEL: [i64; 5] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1];

impl Wishes {
    /// Adds an op. A path that is removed and put is put.
    pub(super) fn add(&mut self, op: Op) -> Result<Option<PathBuf>, Refusal> {
        let (target, wish) = match op {
            Op::Remove { target } => (normal(&target)?, Wish::Gone),
            Op::Put { target, node } => {
                let mode = node.mode & 0o7777;
                let wish = match node.thing {
                    Thing::Folder => Wish::Folder { mode },
                    Thing::Link(to) => Wish::Link { to },
                    Thing::File { digest, size } => Wish::File { mode, digest, size },
                    Thing::Other => return Err(refuse(target, Kind::Other, "only files, folders and links are put")),
                };
                (normal(&target)?, wish)
            }
        };
        let file = matches!(wish, Wish::File { .. }).then(|| target.clone());
        match (self.0.get(&target), &wish) {
            (Some(Wish::Gone) | None, _) => drop(self.0.insert(target, wish)),
            (Some(_), Wish::Gone) => {}
            (Some(_), _) => return Err(refuse(target, Kind::Other, "the batch puts it twice")),
        }
        Ok(file)
    }

    /// Whether what is put stays a path that things can be below.
    fn ends(&self, path: &Path) -> bool {
        matches!(self.0.get(path), Some(Wish::Link { .. } | Wish::File { .. }))
    }

    /// Whether something above `path` is put as a file or link.
    pub(super) fn below_an_end(&self, path: &Path) -> bool {
        path.ancestors().skip(1).any(|above| self.ends(above))
    }

    /// Whether something below `path` is put.
    pub(super) fn has_puts_below(&self, path: &Path) -> bool {
        let after = self.0.range::<Path, _>((std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded));
        // Whatever is below it sorts right behind it: paths compare part by part.
        after.take_while(|(other, _)| other.starts_with(path)).any(|(_, wish)| *wish != Wish::Gone)
    }

    /// Refuses what cannot be, as far as that can be seen.
    pub(super) fn check(&self, folders: &mut Folders) -> Result<(), Refusal> {
        for (path, wish) in &self.0 {
            if *wish != Wish::Gone && self.below_an_end(path) {
                return Err(refuse(path, Kind::Other, "the batch puts a file or link above it"));
            }
            let (parent, name) = split(path);
            let (folder, whole) = match wish {
                Wish::Gone => match folders.existing(self, parent)? {
                    Some(folder) => (folder, true),
                    None => continue,
                },
                _ => folders.nearest(self, parent)?,
            };
            let found = if whole { entry(&folder, name).map_err(|error| refused(path, error))? } else { None };
            if *wish == Wish::Gone && found.is_none() {
                continue;
            }
            writable(&folder).map_err(|kind| match kind {
                Kind::ReadOnly => refuse(path, kind, "the file system there is read-only"),
                kind => refuse(path, kind, "this is the kernel's, there are no files"),
            })?;
            let Some(found) = found else { continue };
            let stays = is_folder(&found) && matches!(wish, Wish::Folder { .. });
            if is_mount(&found) && !stays {
                return Err(refuse(path, Kind::Other, "something is mounted there, so it cannot be replaced"));
            }
            if is_folder(&found) && !stays {
                self.empties(&folder, name, path)?;
            }
        }
        Ok(())
    }

    /// Refuses unless all that is in this folder is removed by the batch itself.
    fn empties(&self, parent: &OwnedFd, name: &Path, path: &Path) -> Result<(), Refusal> {
        let failed = |error| refused(path, error);
        let folder = subfolder(parent, name).map_err(failed)?;
        for name in names(&folder).map_err(failed)? {
            let inner = path.join(&name);
            let goes = self.0.get(&inner) == Some(&Wish::Gone);
            if !goes {
                let words = format!("it is not empty: it has `{}`", name.display());
                return Err(refuse(path, Kind::NotEmpty, &words));
            }
            if entry(&folder, &name).map_err(failed)?.is_some_and(|found| is_folder(&found)) {
                self.empties(&folder, &name, &inner)?;
            }
        }
        Ok(())
    }
}

fn writable(folder: &OwnedFd) -> Result<(), Kind> {
    let kernel = rustix::fs::fstatfs(folder).is_ok_and(|system| {
        #[expect(clippy::unnecessary_cast, reason = "its width differs between machines")]
        let kind = system.f_type as i64;
        KERNEL.contains(&kind)
    });
    let read_only =
        rustix::fs::fstatvfs(folder).is_ok_and(|system| system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if kernel {
        Err(Kind::Other)
    } else if read_only {
        Err(Kind::ReadOnly)
    } else {
        Ok(())
    }
}

impl Folders {
    pub(super) fn new(root: Root) -> Self {
        Self { root, open: BTreeMap::new() }
    }

    /// Forgets what is open: folders may have been removed.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    /// Opens a folder as it is now. A link counts as a folder, unless the batch names it.
    pub(super) fn existing(&mut self, wishes: &Wishes, path: &Path) -> Result<Option<Rc<OwnedFd>>, Refusal> {
        if let Some(folder) = self.open.get(path) {
            return Ok(Some(folder.clone()));
        }
        let named = path.ancestors().any(|above| wishes.0.contains_key(above));
        let opened = if named {
            let (parent, name) = split(path);
            let Some(parent) = self.existing(wishes, parent)? else { return Ok(None) };
            if wishes.0.contains_key(path) { subfolder(&parent, name) } else { self.root.folder(path) }
        } else {
            self.root.folder(path)
        };
        match opened {
            Ok(folder) => Ok(Some(self.keep(path, folder))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(Errno::LOOP) if wishes.0.contains_key(path) => Ok(None),
            Err(error) => Err(refused(path, error)),
        }
    }

    fn keep(&mut self, path: &Path, folder: OwnedFd) -> Rc<OwnedFd> {
        if self.open.len() >= KEPT {
            self.open.clear();
        }
        let folder = Rc::new(folder);
        self.open.insert(path.to_owned(), folder.clone());
        folder
    }

    /// Returns the deepest folder on the way to `path` that is there and will stay, and whether
    /// it is `path` itself.
    pub(super) fn nearest(&mut self, wishes: &Wishes, path: &Path) -> Result<(Rc<OwnedFd>, bool), Refusal> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        let goes = |path: &&Path| !matches!(wishes.0.get(*path), None | Some(Wish::Folder { .. }));
        let stay = way.iter().position(goes).unwrap_or(way.len());
        for (at, above) in way[..stay].iter().enumerate().rev() {
            if let Some(folder) = self.existing(wishes, above)? {
                return Ok((folder, at + 1 == way.len()));
            }
            let named = wishes.0.contains_key(*above);
            // Nothing there is well: it will be made. Anything else is in the way.
            if !named && self.is_something(wishes, above)? {
                return Err(refuse(above, Kind::Other, "it is not a folder"));
            }
        }
        Err(refuse(path, Kind::Gone, "the container has no root any more"))
    }

    fn is_something(&mut self, wishes: &Wishes, path: &Path) -> Result<bool, Refusal> {
        let (parent, name) = split(path);
        let Some(folder) = self.existing(wishes, parent)? else { return Ok(false) };
        Ok(entry(&folder, name).map_err(|error| refused(path, error))?.is_some())
    }

    /// Returns the folder, made with all that is missing on the way to it.
    pub(super) fn made(&mut self, wishes: &Wishes, path: &Path) -> Result<Rc<OwnedFd>, Refusal> {
        if let Some(folder) = self.existing(wishes, path)? {
            return Ok(folder);
        }
        let (parent, name) = split(path);
        let parent = self.made(wishes, parent)?;
        let folder = make(&parent, name, 0o755).map_err(|error| refused(path, error))?;
        Ok(self.keep(path, folder))
    }
}

/// Makes a folder that belongs to whom its parent belongs to.
pub(super) fn make(parent: &OwnedFd, name: &Path, mode: u32) -> rustix::io::Result<OwnedFd> {
    rustix::fs::mkdirat(parent, name, rustix::fs::Mode::RWXU)?;
    let folder = subfolder(parent, name)?;
    give(&folder, parent)?;
    rustix::fs::fchmod(&folder, rustix::fs::Mode::from_raw_mode(mode))?;
    Ok(folder)
}

/// Gives a new file to the owner of the folder that it is in.
pub(super) fn give(new: &OwnedFd, folder: &OwnedFd) -> rustix::io::Result<()> {
    let (is, wanted) = (rustix::fs::fstat(new)?, rustix::fs::fstat(folder)?);
    if (is.st_uid, is.st_gid) == (wanted.st_uid, wanted.st_gid) {
        return Ok(());
    }
    let (user, group) = (rustix::fs::Uid::from_raw(wanted.st_uid), rustix::fs::Gid::from_raw(wanted.st_gid));
    rustix::fs::fchown(new, Some(user), Some(group))
}
