//! A container's files, seen from outside: every path is resolved by the kernel below the
//! container's root, so that a link in an image, however it changes meanwhile, leads nowhere
//! else (`openat2(2)`, `RESOLVE_IN_ROOT`).

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::refuse;
use crate::protocol::{Kind, Refusal};

/// How often a path is resolved again that changed while it was resolved.
const TRIES: usize = 100;

#[derive(Debug)]
pub(super) struct Root(pub(super) OwnedFd);

impl Root {
    /// Opens what `path` leads to, links followed.
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut result = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            result = rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
            if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        result
    }

    pub(super) fn folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }
}

/// Opens a folder in a folder; a link is no folder.
pub(super) fn subfolder(folder: &OwnedFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// Returns what has this name in a folder; a link is not followed.
pub(super) fn entry(folder: &OwnedFd, name: &Path) -> rustix::io::Result<Option<Statx>> {
    match rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether something is mounted there, so that it can be neither replaced nor removed.
pub(super) fn is_mount(found: &Statx) -> bool {
    found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
}

pub(super) fn is_folder(found: &Statx) -> bool {
    kind_of(found) == rustix::fs::FileType::Directory
}

pub(super) fn kind_of(found: &Statx) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(found.stx_mode.into())
}

/// Returns the names in a folder.
pub(super) fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<PathBuf>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for item in rustix::fs::Dir::read_from(folder)? {
        let item = item?;
        let name = item.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        }
    }
    Ok(names)
}

/// Returns a target in its one spelling: absolute, nothing in it that leads upwards.
pub(super) fn normal(target: &Path) -> Result<PathBuf, Refusal> {
    let outside = || refuse(target, Kind::Outside, "it is not an absolute path below `/`");
    let mut parts = target.components();
    if parts.next() != Some(Component::RootDir) {
        return Err(outside());
    }
    let mut path = PathBuf::from("/");
    for part in parts {
        match part {
            Component::Normal(name) => path.push(name),
            _ => return Err(outside()),
        }
    }
    if path.parent().is_none() { Err(outside()) } else { Ok(path) }
}

/// Returns the parent folder and the name of a path that [`normal`] returned.
pub(super) fn split(path: &Path) -> (&Path, &Path) {
    let name = path.file_name().expect("it is below the root");
    (path.parent().expect("it is below the root"), Path::new(name))
}

/// Returns the kernel's refusal as ours.
pub(super) fn refused(path: &Path, error: Errno) -> Refusal {
    let kind = match error {
        Errno::ROFS => Kind::ReadOnly,
        Errno::NOSPC | Errno::DQUOT => Kind::NoSpace,
        Errno::NOTEMPTY => Kind::NotEmpty,
        Errno::LOOP | Errno::XDEV => Kind::Outside,
        Errno::SRCH => Kind::Gone,
        _ => Kind::Other,
    };
    let words = match error {
        Errno::NOSYS => "the node's kernel is older than Linux 5.6: it has no openat2".to_owned(),
        Errno::LOOP => "a link on the way leads out of the container, or in circles".to_owned(),
        _ => std::io::Error::from(error).to_string(),
    };
    // The number is for nobody.
    let words = words.split(" (os error").next().unwrap_or_default().to_owned();
    refuse(path, kind, &words)
}
