//! The terminal with every key read as it is pressed, and given back whatever happens.
//!
//! Whoever ends the process without unwinding calls [`restore`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Whether the terminal's keys are ours.
static HELD: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, if it was taken. It can be called at any time, from any thread.
pub(crate) fn restore() {
    if HELD.swap(false, Ordering::SeqCst) {
        // A terminal that has gone away needs no cleaning.
        drop(disable_raw_mode());
    }
}

/// Holds the terminal until it is dropped.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Takes the terminal: keys such as Ctrl-C are bytes from now on.
    pub(crate) fn enter() -> io::Result<Self> {
        HELD.store(true, Ordering::SeqCst);
        // What a call that fails has begun is undone by the drop.
        let raw = Self(());
        enable_raw_mode()?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}
