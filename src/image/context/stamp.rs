//! What tells that a file, folder or link is as it was, without reading it.
//!
//! A write that comes within the same tick of the file system's clock as the one before
//! leaves no trace in a stamp. So nothing is read before its stamp's tick is over
//! ([`Stamp::settle`]), and nothing is remembered for a later command before it is old
//! ([`Stamp::is_old`]).

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the time comes from; tests have their own.
pub(crate) type Now = fn() -> SystemTime;

/// The kernel's clock for files ticks every 10 ms at most.
const TICK: i128 = 20_000_000;
/// Some file systems keep whole seconds, FAT every other one.
const COARSE: i128 = 2_000_000_000;

/// A change of what is in a file, folder or link changes its stamp: whatever else a program
/// may set, the change time is the kernel's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Kind and permission bits.
    pub(crate) mode: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i128,
    /// Nanoseconds since 1970.
    pub(crate) changed: i128,
    pub(crate) inode: u64,
    pub(crate) device: u64,
}

impl Stamp {
    pub(crate) fn of(found: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            mode: found.mode(),
            size: found.size(),
            modified: nanoseconds(found.mtime(), found.mtime_nsec()),
            changed: nanoseconds(found.ctime(), found.ctime_nsec()),
            inode: found.ino(),
            device: found.dev(),
        }
    }

    /// Returns the stamp of what is at `path` now, not of what a link there leads to.
    pub(crate) fn now(path: &Path) -> io::Result<Self> {
        std::fs::symlink_metadata(path).map(|found| Self::of(&found))
    }

    /// Waits until a further write would show: at most some milliseconds, or two seconds
    /// where the file system keeps whole seconds. Returns whether it had to; then the stamp
    /// may be another by now.
    pub(crate) fn settle(&self, now: Now) -> bool {
        let time = nanoseconds(now());
        let left = self.changed + self.tick() - time;
        let must_wait = !self.is_settled(time);
        if must_wait {
            std::thread::sleep(Duration::from_nanos(u64::try_from(left).unwrap_or_default()));
        }
        must_wait
    }

    /// Whether at `time` (nanoseconds since 1970) a further write would show, so that nothing
    /// has to be waited for ([`Self::settle`]).
    pub(crate) fn is_settled(&self, time: i128) -> bool {
        // A time far ahead is a clock that was set back: no wait would help.
        !(1..=self.tick()).contains(&(self.changed + self.tick() - time))
    }

    /// How long a write may leave the stamp as the one before made it, in nanoseconds.
    fn tick(&self) -> i128 {
        if self.modified % 1_000_000_000 == 0 && self.changed % 1_000_000_000 == 0 { COARSE } else { TICK }
    }

    /// Whether at `time` (nanoseconds since 1970) all that led to this stamp was over for so
    /// long that any later write gives another one, on every file system.
    pub(crate) fn is_old(&self, time: i128) -> bool {
        self.modified.max(self.changed) + COARSE < time
    }

    /// Returns the time of the last write in whole seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        i64::try_from(self.modified.div_euclid(1_000_000_000)).unwrap_or_default()
    }
}

/// Returns nanoseconds since 1970; 0 before.
pub(crate) fn nanoseconds(time: SystemTime) -> i128 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}
