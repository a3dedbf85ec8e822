//! The files' digests: those that are known, and the others read, by a few threads where
//! there are many.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::memory::{Files, Known};
use super::stamp::{Now, Stamp, nanoseconds};
use super::walk::Walked;
use super::{Error, What, gone_or};

/// Below this many files a thread costs more than it saves.
const MANY: usize = 64;

/// Fills in the digest of each file, and adds to `known` those that had to be read. The
/// first that cannot be read, in the entries' order, is the error. `hashed` counts those that were read.
pub(super) fn fill_in(
    root: &Path,
    walked: &mut Walked,
    known: &mut Files,
    hashed: &mut usize,
    now: Now,
) -> Result<(), Error> {
    let mut unknown = Vec::new();
    for (at, (entry, stamp)) in walked.entries.iter_mut().zip(&walked.stamps).enumerate() {
        if let What::File { digest, .. } = &mut entry.what {
            match known.get(entry.path.as_os_str()) {
                Some(known) if known.stamp == *stamp => *digest = known.digest,
                _ => unknown.push(at),
            }
        }
    }
    let mut fault = None;
    for (at, found) in hash_all(root, walked, &unknown, now) {
        let entry = &mut walked.entries[at];
        let problem = match found {
            Ok(found) => {
                entry.what =
                    What::File { digest: found.digest, size: found.stamp.size, modified: found.stamp.seconds() };
                known.insert(entry.path.as_os_str().to_owned(), found);
                if found.stamp == walked.stamps[at] {
                    continue;
                }
                Error::Changed { path: root.join(&entry.path) }
            }
            Err(error) => error,
        };
        fault.get_or_insert(problem);
    }
    *hashed += unknown.len();
    fault.map_or(Ok(()), Err)
}

fn hash_all(root: &Path, walked: &Walked, files: &[usize], now: Now) -> Vec<(usize, Result<Known, Error>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if files.len() < MANY { 1 } else { cores.clamp(1, 4) };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&at) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((at, hash(&root.join(&walked.entries[at].path), now)));
        }
        done
    };
    let mut hashed = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut hashed = work();
        for other in others {
            hashed.extend(other.join().expect("hashing does not panic"));
        }
        hashed
    });
    hashed.sort_by_key(|(at, _)| *at);
    hashed
}

/// Reads a file that stays the same from its first byte to its last.
fn hash(path: &Path, now: Now) -> Result<Known, Error> {
    let unreadable = |source| gone_or(path, source);
    // What was a file a moment ago may be a link or a FIFO now.
    let guard = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(guard.bits()).expect("the flags are an `int` to the kernel");
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let mut before = stamp(&file).map_err(unreadable)?;
    if before.settle(now) {
        before = stamp(&file).map_err(unreadable)?;
    }
    let began = nanoseconds(now());
    let (digest, size) = content(&mut file, before.size).map_err(unreadable)?;
    if size != before.size || stamp(&file).map_err(unreadable)? != before {
        return Err(Error::Changed { path: path.to_owned() });
    }
    // A clock that was set back meanwhile is the one that counts.
    let lasts = before.is_old(began.min(nanoseconds(now())));
    Ok(Known { stamp: before, digest, lasts })
}

fn stamp(file: &File) -> io::Result<Stamp> {
    file.metadata().map(|found| Stamp::of(&found))
}

/// Returns the digest, and how many bytes it is of: no more than one beyond `expected`, for
/// a file may grow faster than it is read.
pub(crate) fn content(file: &mut File, expected: u64) -> io::Result<([u8; 32], u64)> {
    let mut file = file.take(expected.saturating_add(1));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finalize().into(), size)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
