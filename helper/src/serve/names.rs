//! Names for files that are not whole yet. They tell who writes them, so that what is left of a
//! helper that was killed is known and removed, and nothing else is.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::AtFlags;

use super::find::began;
use super::root::names;

const PREFIX: &str = ".coracle-";

/// This process: its number, and when it was started.
static SELF: LazyLock<(u32, u64)> = LazyLock::new(|| {
    let own = std::process::id();
    (own, start_of(own).unwrap_or(0))
});

fn start_of(pid: u32) -> Option<u64> {
    began(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Returns a name that no other file has.
pub(super) fn fresh() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (pid, start) = *SELF;
    format!("{PREFIX}{pid:x}-{start:x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed)).into()
}

/// Returns whether a file is what is left of a helper that runs no more.
fn is_left(name: &Path) -> bool {
    let parse = || {
        let mut parts = name.to_str()?.strip_prefix(PREFIX)?.split('-').map(|part| u64::from_str_radix(part, 16));
        let (pid, start, _count) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
        parts.next().is_none().then_some((u32::try_from(pid).ok()?, start))
    };
    parse().is_some_and(|(pid, start)| start_of(pid) != Some(start))
}

/// Removes from a folder what helpers that were killed left there. What cannot be removed does
/// not keep a batch from its way.
pub(super) fn sweep(folder: &OwnedFd) {
    let left = names(folder).unwrap_or_default().into_iter().filter(|name| is_left(name));
    for name in left.map(OsString::from) {
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_helper_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let own = fresh();
        let kept = [own.to_str().unwrap(), ".coracle-notes", ".coracle-1-2", ".coracle-1-2-3-4", "other"];
        for name in kept.iter().chain(&[".coracle-7ffffff-2-3", ".coracle-1-2-3"]) {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(&std::fs::File::open(folder.path()).unwrap().into());
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut kept = kept.map(OsString::from);
        kept.sort();
        assert_eq!(left, kept);
    }
}
