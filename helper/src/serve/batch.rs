//! One batch, from its ops to its last byte: contents go to hidden files beside their targets,
//! and are checked; only when all are there, [`super::commit`] moves them.
//!
//! A batch that is dropped, for whatever reason, takes its hidden files with it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::find::First;
use super::names;
use super::root::{Root, entry, kind_of, refused, split};
use super::wishes::{Folders, Wish, Wishes, give};
use super::{Swept, refuse};
use crate::protocol::{Kind, Op, Refusal};

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) first: First,
    pub(super) folders: Folders,
    pub(super) wishes: Wishes,
    /// Ops that are still to be told.
    missing: u32,
    /// Files in the order in which their contents come.
    files: VecDeque<PathBuf>,
    current: Option<Incoming>,
    pub(super) staged: Vec<Staged>,
}

/// A file whose content is arriving.
#[derive(Debug)]
struct Incoming {
    file: File,
    hasher: Sha256,
    left: u64,
}

/// A hidden file or link that waits to be moved.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) target: PathBuf,
    pub(super) folder: Rc<OwnedFd>,
    pub(super) name: PathBuf,
}

impl Drop for Batch {
    fn drop(&mut self) {
        for staged in &self.staged {
            // It is gone where the container is.
            let _ = rustix::fs::unlinkat(&*staged.folder, &staged.name, AtFlags::empty());
        }
    }
}

impl Batch {
    pub(super) fn new(first: First, ops: u32) -> Result<Self, Refusal> {
        let folders = Folders::new(Root(first.root()?));
        let (wishes, files) = (Wishes::default(), VecDeque::new());
        Ok(Self { first, folders, wishes, missing: ops, files, current: None, staged: Vec::new() })
    }

    /// Takes ops; with the last one, all are checked.
    pub(super) fn ops(&mut self, ops: Vec<Op>, swept: &mut Swept) -> Result<(), Refusal> {
        for op in ops {
            let more = || refuse("", Kind::Other, "the batch has more ops than it was to have");
            self.missing = self.missing.checked_sub(1).ok_or_else(more)?;
            self.files.extend(self.wishes.add(op)?);
        }
        if self.missing == 0 {
            self.wishes.check(&mut self.folders)?;
            self.data(&[], swept)?;
        }
        Ok(())
    }

    /// Whether all has arrived.
    pub(super) fn is_whole(&self) -> bool {
        self.missing == 0 && self.files.is_empty()
    }

    /// Takes the next bytes of the files.
    pub(super) fn data(&mut self, mut bytes: &[u8], swept: &mut Swept) -> Result<(), Refusal> {
        while self.missing == 0
            && let Some(target) = self.files.front().cloned()
        {
            let Some(Wish::File { mode, digest, size }) = self.wishes.0.get(&target).cloned() else {
                unreachable!("only files are queued, and what is put is not replaced")
            };
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.begin(&target, size, swept)?,
            };
            let take = bytes.len().min(usize::try_from(current.left).unwrap_or(usize::MAX));
            let (now, rest) = bytes.split_at(take);
            current.take(now).map_err(|error| failed(&target, &error))?;
            bytes = rest;
            if current.left > 0 {
                self.current = Some(current);
                return Ok(());
            }
            self.finish(current, &target, mode, &digest, size)?;
            self.files.pop_front();
        }
        if bytes.is_empty() { Ok(()) } else { Err(refuse("", Kind::Torn, "more arrived than was announced")) }
    }

    fn begin(&mut self, target: &Path, size: u64, swept: &mut Swept) -> Result<Incoming, Refusal> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (folder, name) = self.place(target, swept)?;
        let file = rustix::fs::openat(&*folder, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| refused(target, error))?;
        self.staged.push(Staged { target: target.to_owned(), folder, name });
        Ok(Incoming { file: file.into(), hasher: Sha256::new(), left: size })
    }

    /// Returns where something is to wait before it is moved to `target`, and under which name.
    fn place(&mut self, target: &Path, swept: &mut Swept) -> Result<(Rc<OwnedFd>, PathBuf), Refusal> {
        let (parent, _) = split(target);
        let (folder, _) = self.folders.nearest(&self.wishes, parent)?;
        let found = rustix::fs::fstat(&*folder).map_err(|error| refused(parent, error))?;
        if swept.insert((found.st_dev, found.st_ino, self.first.pid)) {
            names::sweep(&folder);
        }
        Ok((folder, names::fresh()))
    }

    fn finish(
        &mut self,
        current: Incoming,
        target: &Path,
        mode: u32,
        digest: &[u8; 32],
        size: u64,
    ) -> Result<(), Refusal> {
        let found: [u8; 32] = current.hasher.finalize().into();
        if found != *digest {
            return Err(refuse(target, Kind::Torn, "what arrived is not what was announced"));
        }
        let refused = |error| refused(target, error);
        let file = OwnedFd::from(current.file);
        let staged = self.staged.last().expect("it was staged when it began");
        give(&file, &staged.folder).map_err(refused)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(refused)?;
        let (parent, name) = split(target);
        let (folder, whole) = self.folders.nearest(&self.wishes, parent)?;
        if let Some(modified) = whole.then(|| later(&folder, name, size)).flatten() {
            let modified = Timespec { tv_sec: modified, tv_nsec: 0 };
            rustix::fs::futimens(&file, &Timestamps { last_access: modified, last_modification: modified })
                .map_err(refused)?;
        }
        Ok(())
    }

    /// Stages the links; the files are there already.
    pub(super) fn links(&mut self, swept: &mut Swept) -> Result<(), Refusal> {
        let link = |(path, wish): (&PathBuf, &Wish)| match wish {
            Wish::Link { to } => Some((path.clone(), to.clone())),
            _ => None,
        };
        let links: Vec<_> = self.wishes.0.iter().filter_map(link).collect();
        for (target, to) in links {
            let refused = |error| refused(&target, error);
            let (folder, name) = self.place(&target, swept)?;
            rustix::fs::symlinkat(&to, &*folder, &name).map_err(refused)?;
            let owner = rustix::fs::fstat(&*folder).map_err(refused)?;
            self.staged.push(Staged { target: target.clone(), folder: folder.clone(), name: name.clone() });
            let (user, group) = (rustix::fs::Uid::from_raw(owner.st_uid), rustix::fs::Gid::from_raw(owner.st_gid));
            match rustix::fs::chownat(&*folder, &name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW) {
                // Whose a link is matters to nobody.
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(())
    }
}

impl Incoming {
    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.left -= bytes.len() as u64;
        Ok(())
    }
}

/// Returns a time for a new file where the present is too early: Python and others take what
/// they compiled for the file's content if its size and the second of its time are the same.
fn later(folder: &OwnedFd, name: &Path, size: u64) -> Option<i64> {
    let old = entry(folder, name).ok().flatten()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let now = i64::try_from(now.as_secs()).ok()?;
    let same = kind_of(&old) == FileType::RegularFile && old.stx_size == size && old.stx_mtime.tv_sec >= now;
    same.then(|| old.stx_mtime.tv_sec.saturating_add(1))
}

fn failed(path: &Path, error: &std::io::Error) -> Refusal {
    match Errno::from_io_error(error) {
        Some(number) => refused(path, number),
        None => refuse(path, Kind::Other, &error.to_string()),
    }
}
