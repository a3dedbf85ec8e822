//! From a container's id to its first process, without asking a daemon: containerd writes the
//! number down, and for other runtimes the control groups tell.
//!
//! A number may belong to another process by now. So the process's folder in /proc is opened
//! once, which pins the process rather than the number, and its control group must name the
//! container.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::refuse;
use crate::protocol::{Kind, Refusal};

/// Where the node tells which process is a container's.
#[derive(Debug)]
pub struct Finder {
    /// Folders of containerd's with `ID/init.pid`.
    tasks: PathBuf,
    proc: PathBuf,
    /// Found by search.
    known: Mutex<HashMap<String, u32>>,
}

impl Default for Finder {
    fn default() -> Self {
        Self::at("/run/containerd/io.containerd.runtime.v2.task/k8s.io".into(), "/proc".into())
    }
}

/// The first process of a container that was alive when it was looked for.
#[derive(Debug)]
pub(super) struct First {
    pub(super) pid: u32,
    /// Its folder in /proc: of no use once the process has ended.
    folder: OwnedFd,
    id: String,
}

impl Finder {
    /// Looks at other places than the kernel's and containerd's own.
    #[must_use]
    pub fn at(tasks: PathBuf, proc: PathBuf) -> Self {
        Self { tasks, proc, known: Mutex::default() }
    }

    pub(super) fn find(&self, id: &str) -> Result<First, Refusal> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if id.len() < 8 || !id.bytes().all(plain) {
            return Err(refuse("", Kind::Other, "that is no container's id"));
        }
        let written = std::fs::read_to_string(self.tasks.join(id).join("init.pid")).ok();
        let known = || self.known.lock().expect("no holder panics").get(id).copied();
        let candidate = written.and_then(|text| text.trim().parse().ok()).or_else(known);
        if let Some(first) = candidate.and_then(|pid| self.first(pid, id)) {
            return Ok(first);
        }
        let first = self.search(id).and_then(|pid| self.first(pid, id));
        let first = first.ok_or_else(|| refuse("", Kind::Gone, "the container does not run"))?;
        self.known.lock().expect("no holder panics").insert(id.to_owned(), first.pid);
        Ok(first)
    }

    /// Returns the process if it is one of the container's.
    fn first(&self, pid: u32, id: &str) -> Option<First> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, self.proc.join(pid.to_string()), flags, Mode::empty()).ok()?;
        let first = First { pid, folder, id: id.to_owned() };
        first.lives().then_some(first)
    }

    /// Returns the processes of a container, oldest number first.
    pub(super) fn all(&self, id: &str) -> Vec<First> {
        let numbers = std::fs::read_dir(&self.proc).into_iter().flatten().filter_map(Result::ok);
        let mut numbers: Vec<u32> =
            numbers.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|pid| self.first(pid, id)).collect()
    }

    /// Among all processes of the container, the first one is number 1 for itself; where it
    /// shares the numbers of others, it is the one that started first.
    fn search(&self, id: &str) -> Option<u32> {
        let all = self.all(id);
        let counted = |first: &&First| {
            let status = first.read("status").unwrap_or_default();
            let status = String::from_utf8_lossy(&status);
            let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            own.is_some_and(|numbers| numbers.split_whitespace().last() == Some("1"))
        };
        let init = all.iter().find(counted).map(|first| first.pid);
        init.or_else(|| all.iter().min_by_key(|first| first.began()).map(|first| first.pid))
    }
}

impl First {
    /// Returns whether it still is the container's.
    pub(super) fn lives(&self) -> bool {
        self.read("cgroup").is_some_and(|groups| groups.windows(self.id.len()).any(|part| part == self.id.as_bytes()))
    }

    /// Returns the root of its file system.
    pub(super) fn root(&self) -> Result<OwnedFd, Refusal> {
        self.open("root", OFlags::PATH | OFlags::DIRECTORY)
            .map_err(|error| refuse("", Kind::Gone, &format!("its root cannot be reached: {error}")))
    }

    /// Opens something of its folder in /proc.
    pub(super) fn open(&self, name: impl AsRef<Path>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        openat(&self.folder, name.as_ref(), flags | OFlags::CLOEXEC, Mode::empty())
    }

    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let mut file = std::fs::File::from(self.open(name, OFlags::RDONLY).ok()?);
        std::io::Read::read_to_end(&mut file, &mut content).ok()?;
        Some(content)
    }

    /// Returns when it was started, in the kernel's ticks.
    fn began(&self) -> Option<u64> {
        self.read("stat").and_then(|stat| began(&stat))
    }
}

/// Returns when a process was started, out of its `stat`: `proc_pid_stat(5)`, field 22; the second
/// field is a name in parentheses that may contain anything.
pub(super) fn began(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[end + 1..]).ok()?.split_whitespace().nth(19)?.parse().ok()
}
