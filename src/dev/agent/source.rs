//! A batch as frames: its ops, then the contents of its files, read while they are sent.
//!
//! No link is followed below the root of the context, so nothing from elsewhere gets into a
//! container. The helper compares what arrives with the digest that the op carries; here only
//! sizes are, before anything of a file is sent.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use coracle_helper::protocol::{self, MANY, PIECE, Request, encode};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::super::machine::{Fault, Op};
use super::super::tree::Thing;
use crate::ui::sanitize;

pub(super) struct Batch {
    number: u32,
    container: String,
    root: PathBuf,
    ops: Vec<Op>,
}

/// Frames on their way.
struct Frames<F> {
    number: u32,
    /// Takes a frame; false: no more is wanted.
    feed: F,
    framed: Vec<u8>,
    /// Contents that are not a frame yet.
    data: Vec<u8>,
}

/// Nobody wants more; the reason is known elsewhere.
#[derive(Debug)]
struct Unwanted;

impl Batch {
    pub(super) fn new(number: u32, container: &str, root: &Path, ops: &[Op]) -> Self {
        Self { number, container: container.to_owned(), root: root.to_owned(), ops: ops.to_vec() }
    }

    /// Writes all frames. A file that cannot be read as it was recorded ends it.
    pub(super) fn write(self, feed: impl FnMut(Vec<u8>) -> bool) -> Result<(), Fault> {
        let mut frames = Frames { number: self.number, feed, framed: Vec::new(), data: Vec::new() };
        match self.frames(&mut frames) {
            Ok(()) | Err(Stop::Unwanted) => Ok(()),
            Err(Stop::Fault(fault)) => {
                // Only a batch that was begun can be withdrawn.
                drop(frames.flush());
                Err(fault)
            }
        }
    }

    fn frames<F: FnMut(Vec<u8>) -> bool>(&self, frames: &mut Frames<F>) -> Result<(), Stop> {
        let ops = u32::try_from(self.ops.len()).expect("a batch has fewer than four thousand million ops");
        frames.add(&Request::Sync { container: self.container.clone(), ops })?;
        for part in self.ops.chunks(MANY) {
            frames.add(&Request::Ops(part.iter().map(op).collect()))?;
        }
        for op in &self.ops {
            if let Op::Put { source, node, .. } = op
                && let Thing::File { size, .. } = node.thing
            {
                self.content(source, size, frames)?;
            }
        }
        frames.data()?;
        frames.flush()?;
        Ok(())
    }

    fn content<F: FnMut(Vec<u8>) -> bool>(&self, source: &Path, size: u64, frames: &mut Frames<F>) -> Result<(), Stop> {
        let failed = |error: io::Error| Stop::Fault(fault(source, &error));
        let torn = || Stop::Fault(Fault::Torn(source.to_owned()));
        let mut file = open(&self.root, source).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() != size {
            return Err(torn());
        }
        let mut left = size;
        while left > 0 {
            let room = PIECE - frames.data.len();
            let wanted = u64::try_from(room).expect("small").min(left);
            let read = (&mut file).take(wanted).read_to_end(&mut frames.data).map_err(failed)?;
            if read == 0 {
                return Err(torn());
            }
            left -= read as u64;
            if frames.data.len() >= PIECE {
                frames.data()?;
            }
        }
        Ok(())
    }
}

enum Stop {
    Unwanted,
    Fault(Fault),
}

impl From<Unwanted> for Stop {
    fn from(_: Unwanted) -> Self {
        Self::Unwanted
    }
}

impl<F: FnMut(Vec<u8>) -> bool> Frames<F> {
    /// Small frames go together.
    fn add(&mut self, request: &Request) -> Result<(), Unwanted> {
        self.framed.extend(encode(self.number, request));
        if self.framed.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn data(&mut self) -> Result<(), Unwanted> {
        if self.data.is_empty() {
            return Ok(());
        }
        let data = std::mem::take(&mut self.data);
        self.add(&Request::Data(data))
    }

    fn flush(&mut self) -> Result<(), Unwanted> {
        let frames = std::mem::take(&mut self.framed);
        if frames.is_empty() || (self.feed)(frames) { Ok(()) } else { Err(Unwanted) }
    }
}

fn op(op: &Op) -> protocol::Op {
    match op {
        Op::Remove { target } => protocol::Op::Remove { target: target.clone() },
        Op::Put { target, node, .. } => {
            let thing = match &node.thing {
                Thing::Folder => protocol::Thing::Folder,
                Thing::Link(to) => protocol::Thing::Link(to.clone()),
                Thing::File { digest, size } => protocol::Thing::File { digest: *digest, size: *size },
            };
            protocol::Op::Put { target: target.clone(), node: protocol::Node { mode: node.mode, thing } }
        }
    }
}

/// Opens a file below `root`, one folder after the other: what is a link now was none when the
/// context was read.
fn open(root: &Path, source: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder: OwnedFd = openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut parts = source.iter().peekable();
    while let Some(part) = parts.next() {
        if part == ".." || part == "/" {
            break;
        }
        if parts.peek().is_some() {
            folder = openat(&folder, part, flags | OFlags::DIRECTORY, Mode::empty())?;
            continue;
        }
        // It may be a pipe by now, which would never open.
        let file = File::from(openat(&folder, part, flags | OFlags::NONBLOCK, Mode::empty())?);
        if file.metadata()?.is_file() {
            return Ok(file);
        }
    }
    Err(io::Error::from(ErrorKind::NotFound))
}

/// What changed since it was recorded is torn: the watcher knows of it, or soon will.
fn fault(source: &Path, error: &io::Error) -> Fault {
    let moved = [rustix::io::Errno::NOENT, rustix::io::Errno::NOTDIR, rustix::io::Errno::LOOP, rustix::io::Errno::NXIO];
    if error.kind() == ErrorKind::NotFound
        || rustix::io::Errno::from_io_error(error).is_some_and(|it| moved.contains(&it))
    {
        return Fault::Torn(source.to_owned());
    }
    let place = sanitize::line(&source.to_string_lossy());
    Fault::Refused(format!("`{place}` cannot be read: {}", sanitize::line(&error.to_string())))
}
