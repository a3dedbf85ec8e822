//! Linux: one watch per folder that is wanted, in one inotify instance per root.
//!
//! Events name a watch, not a path; where a watch is, is known here. A folder that is renamed
//! keeps its watch under a path that is not its own any more, so both ends of a rename are
//! told of as a whole and what was known below them is forgotten and looked up again.
//!
//! **A new folder is watched first and listed then**: what is made in it meanwhile is seen
//! twice, never missed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self as sys, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::calm::Saw;
use super::place::{Change, Refusal};
use super::wanted::{Standing, Wanted};
use super::{Limits, Why};

/// So many events are taken before what was seen is told.
const AT_ONCE: usize = 8192;

#[derive(Debug)]
pub(super) struct Native {
    fd: OwnedFd,
    root: PathBuf,
    limit: usize,
    dirs: HashMap<i32, Dir>,
    paths: BTreeMap<PathBuf, i32>,
    /// The folders and links that lead to the root: one that moves takes the root with it.
    above: HashSet<i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

#[derive(Debug)]
struct Dir {
    /// Relative to the root.
    path: PathBuf,
    standing: Standing,
}

impl Native {
    /// Watches a root and all that is wanted in it.
    pub(super) fn open(root: &Path, wanted: &Wanted, limits: Limits) -> Result<Self, Refusal> {
        let fd = sys::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(|errno| match errno {
            Errno::MFILE | Errno::NFILE => Refusal::Poll(Why::Instances),
            errno => Refusal::Poll(Why::Other(errno.to_string())),
        })?;
        let (dirs, paths, above) = Default::default();
        let buffer = vec![MaybeUninit::uninit(); 64 * 1024];
        let mut native = Self { fd, root: root.to_owned(), limit: limits.watches, dirs, paths, above, buffer };
        native.resync(wanted)?;
        Ok(native)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Looks anew at what is to be watched.
    pub(super) fn resync(&mut self, wanted: &Wanted) -> Result<(), Refusal> {
        let before = std::mem::take(&mut self.dirs);
        self.paths.clear();
        self.watch_above()?;
        self.add(PathBuf::new(), wanted.top(), wanted)?;
        for watch in before.into_keys().filter(|watch| !self.dirs.contains_key(watch)) {
            self.remove(watch);
        }
        // What is gone by now has to be seen before anything is believed.
        if self.paths.contains_key(Path::new("")) { Ok(()) } else { Err(Refusal::Absent) }
    }

    fn watch_above(&mut self) -> Result<(), Refusal> {
        let flags = WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF | WatchFlags::DONT_FOLLOW;
        let real = fs::canonicalize(&self.root).map_err(|_| Refusal::Absent)?;
        let is_link = fs::symlink_metadata(&self.root).is_ok_and(|found| found.is_symlink());
        let written = self.root.ancestors().skip(usize::from(!is_link));
        for path in written.chain(real.ancestors().skip(1)).filter(|path| path.parent().is_some()) {
            match sys::add_watch(&self.fd, path, flags) {
                Ok(watch) => _ = self.above.insert(watch),
                Err(errno) => self.refused(errno)?,
            }
        }
        Ok(())
    }

    /// Watches the folder `path` and what is wanted below it.
    fn add(&mut self, path: PathBuf, standing: Standing, wanted: &Wanted) -> Result<(), Refusal> {
        let mut left = vec![(path, standing)];
        while let Some((path, standing)) = left.pop() {
            let full = if path.as_os_str().is_empty() { self.root.clone() } else { self.root.join(&path) };
            if self.dirs.len() >= self.limit {
                return Err(Refusal::Poll(Why::Watches));
            }
            let watch = match sys::add_watch(&self.fd, &full, flags(&path)) {
                Ok(watch) => watch,
                Err(errno) => {
                    self.refused(errno)?;
                    continue;
                }
            };
            if let Some(name) = eventless(&full) {
                return Err(Refusal::Poll(Why::FileSystem(name)));
            }
            // What cannot be listed says so to whoever scans it.
            for child in fs::read_dir(&full).into_iter().flatten().flatten() {
                if child.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let below = path.join(child.file_name());
                    if let Some(standing) = wanted.folder(&below, &standing) {
                        left.push((below, standing));
                    }
                }
            }
            self.paths.insert(path.clone(), watch);
            self.dirs.insert(watch, Dir { path, standing });
        }
        Ok(())
    }

    /// Passes over what is gone or not to be read; a limit is a reason to poll.
    #[expect(clippy::unused_self, reason = "it reads as one of the instance's answers")]
    fn refused(&self, errno: Errno) -> Result<(), Refusal> {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG => Ok(()),
            Errno::NOSPC => Err(Refusal::Poll(Why::Watches)),
            errno => Err(Refusal::Poll(Why::Other(errno.to_string()))),
        }
    }

    fn remove(&self, watch: i32) {
        // The kernel has removed it already where its folder is gone.
        let _ = sys::remove_watch(&self.fd, watch);
    }

    /// Forgets the folder `path` and all below it.
    fn drop_below(&mut self, path: &Path) {
        let below: Vec<(PathBuf, i32)> = self
            .paths
            .range(path.to_owned()..)
            .take_while(|(below, _)| below.starts_with(path))
            .map(|(below, watch)| (below.clone(), *watch))
            .collect();
        for (path, watch) in below {
            self.paths.remove(&path);
            // The same folder may be known under another path by now.
            if self.dirs.get(&watch).is_some_and(|dir| dir.path == path) {
                self.dirs.remove(&watch);
                self.remove(watch);
            }
        }
    }

    /// Returns what happened since it was asked last, and whether there may be more.
    pub(super) fn drain(&mut self, wanted: &Wanted) -> Result<(Vec<Change>, bool), Refusal> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let events = self.read(&mut buffer);
        self.buffer = buffer;
        let (events, more) = events?;
        let mut changes = Vec::new();
        for event in events {
            if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                // Folders may have come, gone and moved.
                self.resync(wanted)?;
                changes.push(Change::Lost);
            } else if self.above.contains(&event.watch) {
                return Err(Refusal::Absent);
            } else {
                self.event(&event, wanted, &mut changes)?;
            }
        }
        Ok((changes, more))
    }

    fn read(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<(Vec<Event>, bool), Refusal> {
        let mut reader = sys::Reader::new(&self.fd, buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
                    events.push(Event { watch: event.wd(), flags: event.events(), name });
                }
                Err(Errno::AGAIN) => return Ok((events, false)),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Refusal::Poll(Why::Other(errno.to_string()))),
            }
            if events.len() >= AT_ONCE && reader.is_buffer_empty() {
                return Ok((events, true));
            }
        }
    }

    fn event(&mut self, event: &Event, wanted: &Wanted, changes: &mut Vec<Change>) -> Result<(), Refusal> {
        let Some(dir) = self.dirs.get(&event.watch) else { return Ok(()) };
        let Some(name) = &event.name else {
            let ends = ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
            return if event.flags.intersects(ends) { self.ended(event.watch, changes) } else { Ok(()) };
        };
        let path = dir.path.join(name);
        if event.flags.contains(ReadFlags::ISDIR) {
            return match wanted.folder(&path, &dir.standing) {
                Some(standing) => self.folder(path, standing, event.flags, wanted, changes),
                None => Ok(()),
            };
        }
        if wanted.keeps(&path, &dir.standing) || wanted.is_rules(&self.root.join(&path)) {
            let saw = self.file(&path, event.flags);
            changes.extend(saw.map(|saw| Change::At(path, saw)));
        }
        Ok(())
    }

    /// A watched folder is not there any more, by its own account.
    fn ended(&mut self, watch: i32, changes: &mut Vec<Change>) -> Result<(), Refusal> {
        let Some(dir) = self.dirs.get(&watch) else { return Ok(()) };
        if dir.path.as_os_str().is_empty() {
            return Err(Refusal::Absent);
        }
        let path = dir.path.clone();
        self.drop_below(&path);
        changes.push(Change::At(path, Saw::Gone));
        Ok(())
    }

    fn folder(
        &mut self,
        path: PathBuf,
        standing: Standing,
        flags: ReadFlags,
        wanted: &Wanted,
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        let is_new = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let saw = if is_new {
            Saw::There
        } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
            self.drop_below(&path);
            Saw::Gone
        } else if flags.contains(ReadFlags::ATTRIB) {
            Saw::Attributes
        } else {
            return Ok(());
        };
        // One that could not be watched may have become readable.
        if is_new || (saw == Saw::Attributes && !self.paths.contains_key(&path)) {
            self.drop_below(&path);
            self.add(path.clone(), standing, wanted)?;
        }
        changes.push(Change::At(path, saw));
        Ok(())
    }

    fn file(&self, path: &Path, flags: ReadFlags) -> Option<Saw> {
        if flags.contains(ReadFlags::MOVED_TO) {
            Some(Saw::There)
        } else if flags.contains(ReadFlags::CLOSE_WRITE) {
            Some(Saw::Closed)
        } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
            Some(Saw::Gone)
        } else if flags.contains(ReadFlags::MODIFY) {
            Some(Saw::Written)
        } else if flags.contains(ReadFlags::CREATE) {
            // Nobody will close a link.
            let found = fs::symlink_metadata(self.root.join(path));
            let is_open = found.is_ok_and(|found| found.is_file() && found.nlink() == 1);
            Some(if is_open { Saw::Made } else { Saw::There })
        } else {
            flags.contains(ReadFlags::ATTRIB).then_some(Saw::Attributes)
        }
    }
}

#[derive(Debug)]
struct Event {
    watch: i32,
    flags: ReadFlags,
    name: Option<std::ffi::OsString>,
}

fn flags(path: &Path) -> WatchFlags {
    let all = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ATTRIB
        | WatchFlags::ONLYDIR
        | WatchFlags::EXCL_UNLINK;
    if path.as_os_str().is_empty() {
        all | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF
    } else {
        all | WatchFlags::DONT_FOLLOW
    }
}

/// Returns the file system's name if others write to it without the kernel knowing. The
/// numbers are those of `linux/magic.h` and of `statfs(2)`.
fn eventless(path: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    Some(match u32::try_from(kind & 0xffff_ffff).ok()? {
        0x6969 => "NFS",
        0x0102_1997 => "9p",
        0x5346_4846 => "drvfs",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x6573_5546 => "FUSE",
        0x786f_4256 => "a VirtualBox share",
        0xbacb_acbc => "a VMware share",
        0x7c7c_6673 => "a Parallels share",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x00c3_6400 => "Ceph",
        0x7375_7245 => "Coda",
        0x0bd0_0bd0 => "Lustre",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
