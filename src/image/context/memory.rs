//! The digests of a context's files as an earlier command saw them, kept in the cache folder.
//!
//! One file per folder and Dockerfile, written whole or not at all, safe to delete at any
//! time and safe under two processes: the later one wins, and either is right. It holds
//! names, stamps and digests, never content; what is broken, foreign or from the future is
//! as good as absent. A memory that cannot be kept costs time, nothing else, so its faults
//! are only logged.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::stamp::{Now, Stamp, nanoseconds};

/// Changes whenever the format does.
const VERSION: &[u8] = b"coracle context 1\n";
/// What a context that nobody reads any more is kept for.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a memory that stays as it is says that it is in use.
const IN_USE: Duration = Duration::from_secs(24 * 3600);
/// Older drafts are of commands that were killed.
const LEFT: Duration = Duration::from_secs(3600);
const DRAFT: &str = "draft-";

/// One file's content, and how the file looked when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) stamp: Stamp,
    /// SHA-256 of the content.
    pub(super) digest: [u8; 32],
    /// It holds for later commands too: see [`Stamp::is_old`].
    pub(super) lasts: bool,
}

/// By path relative to the context.
pub(super) type Files = HashMap<OsString, Known>;

/// Where one context's digests are kept.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
}

impl Memory {
    /// Returns the memory of a context and its Dockerfile; `None` where the cache is a part
    /// of the context: keeping it would change what is kept.
    pub(super) fn of(cache: &Path, root: &Path, dockerfile: &Path) -> Option<Self> {
        let real = root.canonicalize().ok()?;
        let above = cache.ancestors().find_map(|folder| folder.canonicalize().ok())?;
        if above.starts_with(&real) {
            tracing::debug!(cache = %cache.display(), "the cache lies in the build context: nothing is remembered");
            return None;
        }
        let mut name = Sha256::new();
        for path in [&real, &std::path::absolute(dockerfile).ok()?] {
            name.update((path.as_os_str().len() as u64).to_be_bytes());
            name.update(path.as_os_str().as_bytes());
        }
        let name = super::super::digest::hex(&name.finalize()[..16]);
        Some(Self { path: folder(cache).join(name) })
    }

    /// Returns what is remembered: nothing where the file is not ours, not whole, or written
    /// at a time that is yet to come, for then times of change may come a second time.
    pub(super) fn load(&self, now: Now) -> Files {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::debug!(path = %self.path.display(), %error, "what is known of the context is not readable");
                }
                return Files::new();
            }
        };
        let Some((written, files)) = decode(&bytes).filter(|(written, _)| *written <= nanoseconds(now())) else {
            tracing::debug!(path = %self.path.display(), "what is known of the context is of no use");
            return Files::new();
        };
        tracing::debug!(path = %self.path.display(), files = files.len(), written = %written, "known of the context");
        files
    }

    /// Says that the memory is in use, if it has not been said for a day.
    pub(super) fn touch(&self) {
        let touched = || {
            let file = File::open(&self.path)?;
            let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
            if age > IN_USE { file.set_modified(SystemTime::now()) } else { Ok(()) }
        };
        self.log(touched());
    }

    /// Writes `files`, in any order, and forgets contexts that were not in use for long.
    pub(super) fn save<'a>(&self, files: impl ExactSizeIterator<Item = (&'a OsStr, &'a Known)>, now: Now) {
        self.log(self.write(&encode(files, nanoseconds(now()))));
        self.log(self.sweep());
    }

    fn log(&self, done: io::Result<()>) {
        if let Err(error) = done {
            tracing::debug!(path = %self.path.display(), %error, "what is known of the context is not kept");
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().expect("it lies in our folder");
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Private from the start; removed when it is dropped.
        let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(folder)?;
        draft.write_all(bytes)?;
        draft.persist(&self.path)?;
        Ok(())
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.path.parent().expect("it lies in our folder"))? {
            let entry = entry?;
            let kept = if entry.file_name().as_bytes().starts_with(DRAFT.as_bytes()) { LEFT } else { FORGOTTEN };
            // One that is gone was swept by another process; one from the future is kept.
            let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age > kept) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Forgets all contexts.
pub(super) fn forget(cache: &Path) {
    match fs::remove_dir_all(folder(cache)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(%error, "what is known of contexts is still there");
        }
        _ => {}
    }
}

fn folder(cache: &Path) -> PathBuf {
    cache.join("contexts")
}

/// Version, time, count, each file, and the SHA-256 of all that; numbers big-endian.
fn encode<'a>(files: impl ExactSizeIterator<Item = (&'a OsStr, &'a Known)>, written: i128) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VERSION.len() + 64 + files.len() * 192);
    bytes.extend(VERSION);
    bytes.extend(written.to_be_bytes());
    bytes.extend((files.len() as u64).to_be_bytes());
    for (path, Known { stamp, digest, .. }) in files {
        bytes.extend((path.len() as u64).to_be_bytes());
        bytes.extend(path.as_bytes());
        bytes.extend(stamp.mode.to_be_bytes());
        bytes.extend(stamp.size.to_be_bytes());
        bytes.extend(stamp.modified.to_be_bytes());
        bytes.extend(stamp.changed.to_be_bytes());
        bytes.extend(stamp.inode.to_be_bytes());
        bytes.extend(stamp.device.to_be_bytes());
        bytes.extend(digest);
    }
    let checksum = Sha256::digest(&bytes);
    bytes.extend(checksum);
    bytes
}

/// Returns when it was written and what it holds; `None` if it is not whole.
fn decode(bytes: &[u8]) -> Option<(i128, Files)> {
    let (bytes, checksum) = bytes.split_last_chunk::<32>()?;
    let mut rest = Rest(bytes.strip_prefix(VERSION)?);
    if Sha256::digest(bytes).as_slice() != checksum {
        return None;
    }
    let written = i128::from_be_bytes(rest.take()?);
    let count = usize::try_from(u64::from_be_bytes(rest.take()?)).ok()?;
    let mut files = Files::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let length = usize::try_from(u64::from_be_bytes(rest.take()?)).ok()?;
        let path = OsString::from_vec(rest.slice(length)?.to_vec());
        let stamp = Stamp {
            mode: u32::from_be_bytes(rest.take()?),
            size: u64::from_be_bytes(rest.take()?),
            modified: i128::from_be_bytes(rest.take()?),
            changed: i128::from_be_bytes(rest.take()?),
            inode: u64::from_be_bytes(rest.take()?),
            device: u64::from_be_bytes(rest.take()?),
        };
        files.insert(path, Known { stamp, digest: rest.take()?, lasts: true });
    }
    rest.0.is_empty().then_some((written, files))
}

/// The bytes that are still to be decoded.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests;
