//! The build context: what `.dockerignore` leaves of a folder, its digests, and its tar.
//!
//! [`read`] records every entry with its content's digest; [`Context::write_tar`] sends
//! exactly what was recorded or fails. Links are recorded as links and never followed, so
//! nothing outside the folder is read. What an entry means to Docker is not this module's
//! concern.
//!
//! **A record is a tree that existed**, all of it at one moment, so that no tag names a mix
//! of two. Everything is looked at before it is read and once more when all has been read:
//! a [`stamp`](stamp::Stamp) that is the same at both times says that the thing was the same
//! in between. Where one differs all is looked at again, and only what differs is read; what
//! does not come to rest is [`Error::Changed`].
//!
//! **A file is not read again** while its stamp is what it was when an earlier command read
//! it ([`memory`]). Not seen are: a program that writes into a mapping of the file for some
//! seconds after the kernel noted the time; a clock that was set back so that a change falls
//! on the very nanosecond of the one before; a name that came and went while the context
//! was read and something that is ignored was made or removed in the same folder.

pub(crate) mod hash;
mod memory;
mod size;
pub(crate) mod stamp;
mod tar;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use miette::Diagnostic;

use self::memory::{Files, Memory};
use self::stamp::{Now, Stamp};
pub(crate) use self::tar::EARLIEST;
use self::walk::Walked;
use super::ignore::Ignore;
use crate::error::{Classified, Kind};

/// How often a folder is looked at in which somebody writes.
const ROUNDS: usize = 5;

/// A build context as it is on disk now.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) root: PathBuf,
    /// Sorted by path, component by component; without what is ignored.
    pub(crate) entries: Vec<Entry>,
    /// Sum of the files' sizes, in bytes.
    pub(crate) size: u64,
}

/// One file, folder or link of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative, slash-separated; bytes as on disk.
    pub(crate) path: PathBuf,
    /// Permission bits, `0o7777` at most; `0o777` for a link.
    pub(crate) mode: u32,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Folder,
    Link(PathBuf),
    File {
        /// SHA-256 of the content.
        digest: [u8; 32],
        /// Bytes.
        size: u64,
        /// When it was last written: seconds since 1970. Does not count for a tag.
        modified: i64,
    },
}

/// Why a context could not be read or sent.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("the build context `{}` is not a folder", path.display())]
    #[diagnostic(
        code(coracle::image::context_missing),
        help("`build:` names the folder that is sent to the build, relative to the profile")
    )]
    Root { path: PathBuf, source: io::Error },
    #[error("`{}` of the build context could not be read", path.display())]
    #[diagnostic(
        code(coracle::image::context_unreadable),
        help("make it readable (`chmod u+r`), or name it in `.dockerignore` if the image does not need it")
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{pattern}` on line {line} of `{}` is not a pattern", path.display())]
    #[diagnostic(
        code(coracle::image::ignore_malformed),
        help("close the `[`, and write `\\[` or `\\\\` for a literal one; `!` needs a pattern after it")
    )]
    Ignore { path: PathBuf, line: usize, pattern: String },
    #[error("`{}` changed while the build context was read", path.display())]
    #[diagnostic(
        code(coracle::image::context_changed),
        help(
            "run the same command again once nothing writes there; name what is written all the time in `.dockerignore`"
        )
    )]
    Changed { path: PathBuf },
    #[error("the build context could not be sent")]
    #[diagnostic(
        code(coracle::image::context_send),
        help("run the same command again; if it stays, `docker info` tells whether the engine is well")
    )]
    Send { source: io::Error },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Root { .. } | Self::Unreadable { .. } | Self::Ignore { .. } => Kind::Request,
            Self::Changed { .. } => Kind::Work,
            Self::Send { .. } => Kind::Absent,
        }
    }
}

/// Reads a context: walks, ignores, hashes what changed since it was read last, as far as the
/// folder `cache` tells. FIFOs, sockets and devices are left out; the Dockerfile and the
/// ignore file are always in, if they are in the folder at all.
pub(crate) fn read(root: &Path, dockerfile: &Path, cache: Option<&Path>) -> Result<Context, Error> {
    let (context, hashed) = read_at(root, dockerfile, cache, SystemTime::now)?;
    tracing::debug!(root = %root.display(), entries = context.entries.len(), hashed, "read the build context");
    Ok(context)
}

/// Returns the digests that earlier commands left: paths relative to the context, how each
/// file looked then, and what it held.
pub(crate) fn remembered(root: &Path, dockerfile: &Path, cache: &Path) -> Vec<(PathBuf, Stamp, [u8; 32])> {
    let files = Memory::of(cache, root, dockerfile).map(|memory| memory.load(SystemTime::now)).unwrap_or_default();
    files.into_iter().map(|(path, known)| (path.into(), known.stamp, known.digest)).collect()
}

/// Forgets what is known of all contexts: something that was sent was not what was recorded.
pub(crate) fn forget(cache: &Path) {
    memory::forget(cache);
}

/// Returns the context, and how many files had to be read.
fn read_at(root: &Path, dockerfile: &Path, cache: Option<&Path>, now: Now) -> Result<(Context, usize), Error> {
    let unusable = |source| Error::Root { path: root.to_owned(), source };
    if !std::fs::metadata(root).map_err(unusable)?.is_dir() {
        return Err(unusable(io::ErrorKind::NotADirectory.into()));
    }
    let memory = cache.and_then(|cache| Memory::of(cache, root, dockerfile));
    let before = memory.as_ref().map(|memory| memory.load(now)).unwrap_or_default();
    let (mut known, mut hashed) = (before.clone(), 0);
    let walked = still(root, dockerfile, &mut known, &mut hashed, now)?;
    if let Some(memory) = memory {
        remember(&memory, &before, &known, &walked, now);
    }
    let entries = walked.entries;
    let size = entries.iter().map(|entry| if let What::File { size, .. } = entry.what { size } else { 0 }).sum();
    Ok((Context { root: root.to_owned(), entries, size }, hashed))
}

/// Returns the tree as it was at one moment. `known` gets the files that were read.
fn still(root: &Path, dockerfile: &Path, known: &mut Files, hashed: &mut usize, now: Now) -> Result<Walked, Error> {
    let mut last: Option<Walked> = None;
    let mut changed = root.to_owned();
    for _ in 0..ROUNDS {
        let rules = read_ignore(root, dockerfile)?;
        let kept = [Some(dockerfile), rules.as_ref().map(|rules| rules.path.as_path())];
        let kept: Vec<&Path> = kept.into_iter().flatten().filter_map(|path| path.strip_prefix(root).ok()).collect();
        let ignore = rules.as_ref().map(Rules::parse).transpose()?.unwrap_or_default();
        let round = walk::walk(root, &ignore, &kept, now)
            .and_then(|mut walked| hash::fill_in(root, &mut walked, known, hashed, now).map(|()| walked));
        match round {
            Err(Error::Changed { path }) => changed = path,
            Err(error) => return Err(error),
            Ok(walked) => {
                let same_rules = read_ignore(root, dockerfile)? == rules;
                let moved = walked.changed(root);
                // In a folder whose times do not rest, two rounds that agree tell as much.
                let rests = moved.is_none() || last.as_ref().is_some_and(|last| last.is_like(&walked));
                if same_rules && rests {
                    return Ok(walked);
                }
                changed = moved.unwrap_or_else(|| root.join(".dockerignore"));
                last = Some(walked);
            }
        }
    }
    Err(Error::Changed { path: changed })
}

/// Keeps what later commands may rely on, if that is not what is kept already.
fn remember(memory: &Memory, before: &Files, known: &Files, walked: &Walked, now: Now) {
    let paths = walked.entries.iter().map(|entry| entry.path.as_os_str());
    let lasting: Vec<_> = paths.filter_map(|path| known.get_key_value(path).filter(|(_, file)| file.lasts)).collect();
    let is_same = lasting.len() == before.len() && lasting.iter().all(|(path, file)| before.get(*path) == Some(*file));
    if is_same {
        memory.touch();
    } else {
        memory.save(lasting.into_iter().map(|(path, file)| (path.as_os_str(), file)), now);
    }
}

/// What could not be looked at: gone, so that the tree is another by now, or unreadable.
fn gone_or(path: &Path, source: io::Error) -> Error {
    let is_link = source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    if is_link || matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        Error::Changed { path: path.to_owned() }
    } else {
        Error::Unreadable { path: path.to_owned(), source }
    }
}

/// An ignore file.
#[derive(PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) path: PathBuf,
    pub(crate) text: Vec<u8>,
}

impl Rules {
    pub(crate) fn parse(&self) -> Result<Ignore, Error> {
        Ignore::parse(&String::from_utf8_lossy(&self.text)).map_err(|malformed| Error::Ignore {
            path: self.path.clone(),
            line: malformed.line,
            pattern: crate::ui::sanitize::line(&malformed.pattern),
        })
    }
}

/// Returns where an ignore file may lie; the first that is there counts.
pub(crate) fn ignore_files(root: &Path, dockerfile: &Path) -> [PathBuf; 2] {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    [PathBuf::from(own), root.join(".dockerignore")]
}

/// Returns the ignore file that counts: `<Dockerfile>.dockerignore` beside the Dockerfile
/// wins over the context's `.dockerignore`.
pub(crate) fn read_ignore(root: &Path, dockerfile: &Path) -> Result<Option<Rules>, Error> {
    for path in ignore_files(root, dockerfile) {
        match std::fs::read(&path) {
            Ok(text) => return Ok(Some(Rules { path, text })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Unreadable { path, source }),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
