//! The build context: what `.dockerignore` leaves of a folder, its digests, and its tar.
//!
//! [`read`] records every entry with its content's digest; [`Context::write_tar`] sends
//! exactly what was recorded or fails, so that a tag never names a tree that changed
//! while it was read. Links are recorded as links and never followed, so nothing outside
//! the folder is read. What an entry means to Docker is not this module's concern.

mod hash;
mod size;
mod tar;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::ignore::Ignore;
use crate::error::{Classified, Kind};

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

/// Reads a context: walks, ignores, hashes. FIFOs, sockets and devices are left out; the
/// Dockerfile and the ignore file are always in, if they are in the folder at all.
pub(crate) fn read(root: &Path, dockerfile: &Path) -> Result<Context, Error> {
    let unusable = |source| Error::Root { path: root.to_owned(), source };
    if !std::fs::metadata(root).map_err(unusable)?.is_dir() {
        return Err(unusable(io::ErrorKind::NotADirectory.into()));
    }
    let (ignore, ignore_file) = read_ignore(root, dockerfile)?;
    let kept = [Some(dockerfile), ignore_file.as_deref()];
    let kept: Vec<&Path> = kept.into_iter().flatten().filter_map(|path| path.strip_prefix(root).ok()).collect();
    let mut entries = walk::walk(root, &ignore, &kept)?;
    hash::fill_in(root, &mut entries)?;
    let size = entries.iter().map(|entry| if let What::File { size, .. } = entry.what { size } else { 0 }).sum();
    Ok(Context { root: root.to_owned(), entries, size })
}

/// Returns the rules, and the file that they came from. `<Dockerfile>.dockerignore` beside
/// the Dockerfile wins over the context's `.dockerignore`.
fn read_ignore(root: &Path, dockerfile: &Path) -> Result<(Ignore, Option<PathBuf>), Error> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), root.join(".dockerignore")] {
        match std::fs::read(&path) {
            Ok(bytes) => {
                let ignore = Ignore::parse(&String::from_utf8_lossy(&bytes)).map_err(|malformed| Error::Ignore {
                    path: path.clone(),
                    line: malformed.line,
                    pattern: crate::ui::sanitize::line(&malformed.pattern),
                })?;
                return Ok((ignore, Some(path)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Unreadable { path, source }),
        }
    }
    Ok((Ignore::default(), None))
}

#[cfg(test)]
mod tests;
