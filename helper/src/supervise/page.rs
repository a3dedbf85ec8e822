//! What a supervisor tells about itself, for `serve` to read from outside the container: a file
//! without a path that only this process has open. So it works without any folder that can be
//! written, and whoever has such a file is a supervisor.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::fs::MemfdFlags;

/// The file's name in `/proc/PID/fd`.
pub(crate) const NAME: &str = "coracle-supervisor";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// Counts starts, and attempts.
    pub(crate) round: u32,
    pub(crate) state: State,
    /// Of the program, as the container counts; 0 if it was never started.
    pub(crate) pid: u32,
    /// Why the program could not be started (errno); 0 if it was.
    pub(crate) error: u32,
    /// How long a program may take to end, in milliseconds.
    pub(crate) grace: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum State {
    Runs = 1,
    /// It is being ended, to be started again.
    Stops = 2,
    /// It has ended, or could not be started.
    Waits = 3,
}

/// Five numbers, then the same with every bit turned: so a reader knows whether all are of one
/// moment.
const SIZE: usize = 40;

impl Page {
    /// Reads a page, unless it is none.
    pub(crate) fn read(file: &File) -> Option<Self> {
        let mut bytes = [0; SIZE];
        // Half-written pages are rare, and whole a moment later.
        for _ in 0..1000 {
            file.read_exact_at(&mut bytes, 0).ok()?;
            if let Some(page) = Self::decode(&bytes) {
                return Some(page);
            }
        }
        None
    }

    fn encode(&self) -> [u8; SIZE] {
        let numbers = [self.round, self.state as u32, self.pid, self.error, self.grace];
        let mut bytes = [0; SIZE];
        let both = numbers.iter().copied().chain(numbers.iter().map(|number| !number));
        for (part, number) in bytes.chunks_exact_mut(4).zip(both) {
            part.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; SIZE]) -> Option<Self> {
        let mut numbers = [0; SIZE / 4];
        for (number, part) in numbers.iter_mut().zip(bytes.chunks_exact(4)) {
            *number = u32::from_ne_bytes(part.try_into().expect("four bytes"));
        }
        let (once, again) = numbers.split_at(SIZE / 8);
        let same = once.iter().zip(again).all(|(number, turned)| *number == !turned);
        let state = match once[1] {
            1 => State::Runs,
            2 => State::Stops,
            3 => State::Waits,
            _ => return None,
        };
        same.then_some(Self { round: once[0], state, pid: once[2], error: once[3], grace: once[4] })
    }
}

/// The supervisor's side.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    page: Page,
}

impl Writer {
    pub(super) fn new(grace: Duration) -> Option<Self> {
        let file = rustix::fs::memfd_create(NAME, MemfdFlags::CLOEXEC).ok()?.into();
        let grace = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        let writer = Self { file, page: Page { round: 0, state: State::Waits, pid: 0, error: 0, grace } };
        writer.store().ok()?;
        Some(writer)
    }

    pub(super) fn write(&mut self, state: State, pid: u32, error: u32, begins: bool) {
        self.page = Page { round: self.page.round.wrapping_add(u32::from(begins)), state, pid, error, ..self.page };
        // It is memory; were there none left, the reader's patience would end.
        let _ = self.store();
    }

    fn store(&self) -> std::io::Result<()> {
        self.file.write_all_at(&self.page.encode(), 0)
    }
}
