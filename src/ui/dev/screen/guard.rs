//! The terminal as it was, whatever happens.
//!
//! Whoever ends the process without unwinding calls [`restore`]; a panic calls it by itself.

use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

/// Whether the terminal is ours.
static HELD: AtomicBool = AtomicBool::new(false);
/// Whether its keys are ours, too.
static RAW: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Gives the terminal back, if it was taken. It can be called at any time, from any thread.
pub(crate) fn restore() {
    if !HELD.swap(false, Ordering::SeqCst) {
        return;
    }
    // A terminal that has gone away needs no cleaning.
    drop(crossterm::execute!(io::stdout(), LeaveAlternateScreen, Show));
    drop(io::stdout().flush());
    if RAW.swap(false, Ordering::SeqCst) {
        drop(disable_raw_mode());
    }
}

/// Holds the terminal.
pub(super) struct Guard;

impl Guard {
    /// Takes the terminal; with `keys` each key is read as it is pressed.
    pub(super) fn enter(keys: bool) -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        // What was done before a step that fails is undone by the drop.
        let guard = Self;
        guard.again(keys)?;
        Ok(guard)
    }

    /// Takes the terminal after it was given back.
    #[expect(clippy::unused_self, reason = "only who holds it gives it back at the end")]
    pub(super) fn again(&self, keys: bool) -> io::Result<()> {
        HELD.store(true, Ordering::SeqCst);
        if keys {
            enable_raw_mode()?;
            RAW.store(true, Ordering::SeqCst);
        }
        crossterm::execute!(io::stdout(), EnterAlternateScreen, Hide)
    }

    /// Whether nobody has given it back meanwhile.
    #[expect(clippy::unused_self, reason = "only who holds it may ask")]
    pub(super) fn holds(&self) -> bool {
        HELD.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}
