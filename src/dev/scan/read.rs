//! Reading files for their digests, by a few threads where there are many.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{Known, now};
use crate::image::context::Error;
use crate::image::context::hash::content;
use crate::image::context::stamp::Stamp;

/// Below this many files a thread costs more than it saves.
const MANY: usize = 64;

/// What came of reading a file.
pub(super) enum Outcome {
    Read(Known),
    /// It changed meanwhile, or is something else by now.
    Torn,
    Gone,
    Unreadable(Error),
}

/// Reads the files, each named by a number that is the caller's and its path; the outcomes
/// are in the same order.
pub(super) fn all(root: &Path, files: &[(usize, PathBuf)]) -> Vec<Outcome> {
    if files.len() < MANY {
        return files.iter().map(|(_, path)| read(&root.join(path))).collect();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((_, path)) = files.get(at) else { return done };
            done.push((at, read(&root.join(path))));
        }
    };
    let mut read = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut read = work();
        for other in others {
            read.extend(other.join().expect("reading does not panic"));
        }
        read
    });
    read.sort_by_key(|(at, _)| *at);
    read.into_iter().map(|(_, outcome)| outcome).collect()
}

fn read(path: &Path) -> Outcome {
    match read_still(path) {
        Ok(Some(known)) => Outcome::Read(known),
        Ok(None) => Outcome::Torn,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Outcome::Gone,
        // A link or a socket took its place.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::LOOP | Errno::NXIO)) => Outcome::Torn,
        Err(source) => Outcome::Unreadable(Error::Unreadable { path: path.to_owned(), source }),
    }
}

/// Returns what is in a file; `None` if it was not the same from its first byte to its last.
fn read_still(path: &Path) -> io::Result<Option<Known>> {
    // What was a file a moment ago may be a link or a FIFO now.
    let guard = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(guard.bits()).expect("the flags are an `int` to the kernel");
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let began = now();
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(None);
    }
    let stamp = Stamp::of(&found);
    let (digest, size) = content(&mut file, stamp.size)?;
    if size != stamp.size || look(&file)? != stamp {
        return Ok(None);
    }
    // A clock that was set back meanwhile is the one that counts.
    Ok(Some(Known { stamp, digest, settled: stamp.is_settled(began.min(now())) }))
}

fn look(file: &File) -> io::Result<Stamp> {
    file.metadata().map(|found| Stamp::of(&found))
}
