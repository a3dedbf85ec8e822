//! The files' digests, read by a few threads where there are many.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::{Entry, Error, What};

/// Below this many files a thread costs more than it saves.
const MANY: usize = 64;

/// Fills in the digest and the size of each file. The first that cannot be read, in the
/// entries' order, is the error.
pub(super) fn fill_in(root: &Path, entries: &mut [Entry]) -> Result<(), Error> {
    let files: Vec<usize> = (0..entries.len()).filter(|&at| matches!(entries[at].what, What::File { .. })).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if files.len() < MANY { 1 } else { cores.clamp(1, 4) };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&at) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((at, hash(&root.join(&entries[at].path))));
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
    for (at, what) in hashed {
        entries[at].what = what?;
    }
    Ok(())
}

fn hash(path: &Path) -> Result<What, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let modified = file.metadata().map_err(unreadable)?.mtime();
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            return Ok(What::File { digest: hasher.finalize().into(), size, modified });
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}
