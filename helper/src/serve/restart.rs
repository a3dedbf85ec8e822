//! Has a supervisor start its program again, and waits for it.
//!
//! The supervisor is told by a signal, and tells by its [`Page`]. The signal reaches that very
//! process, whoever may have its number by then.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags};

use super::find::First;
use super::refuse;
use crate::protocol::{Found, Kind, Refusal};
use crate::supervise::{PAGE, Page, RESTART, State};

/// How long a supervisor may take beyond its grace.
const BEYOND: Duration = Duration::from_secs(5);
/// How often its page is read: often at first, for most programs end at once.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(10);
/// How long that first is.
const FIRST: Duration = Duration::from_millis(200);

pub(super) fn restart(first: &First, ended: &AtomicBool) -> Result<Found, Refusal> {
    let number = i32::try_from(first.pid).ok().and_then(Pid::from_raw);
    let process = number.and_then(|number| rustix::process::pidfd_open(number, PidfdFlags::empty()).ok());
    // Asked after the process is pinned, so it is the same.
    let page = page(first).filter(|_| first.lives());
    let (Some(process), Some(page)) = (process, page) else {
        return Err(if first.lives() { not_supervised() } else { gone() });
    };
    let before = Page::read(&page).ok_or_else(not_supervised)?;
    rustix::process::pidfd_send_signal(process, RESTART)
        .map_err(|error| refuse("", Kind::Gone, &format!("the supervisor cannot be told: {error}")))?;
    let begin = Instant::now();
    let patience = Duration::from_millis(before.grace.into()) * 2 + BEYOND;
    while begin.elapsed() < patience && !ended.load(Ordering::Relaxed) {
        if let Some(now) = Page::read(&page).filter(|now| now.round != before.round) {
            match now.state {
                State::Waits if now.error != 0 => {
                    let error = std::io::Error::from_raw_os_error(now.error.cast_signed());
                    return Err(refuse("", Kind::Other, &format!("the program could not be started: {error}")));
                }
                // It runs; or it ran, and ended at once: the logs say why.
                State::Runs | State::Waits => return Ok(Found { pid: now.pid, supervised: true }),
                State::Stops => {}
            }
        }
        if !first.lives() {
            return Err(gone());
        }
        std::thread::sleep(if begin.elapsed() < FIRST { SOON } else { LATER });
    }
    let words = format!("the process was not started again within {} s", patience.as_secs());
    Err(refuse("", Kind::Other, &words))
}

pub(super) fn supervised(first: &First) -> bool {
    page(first).is_some_and(|page| Page::read(&page).is_some())
}

/// Opens the supervisor's page, if the process is one.
fn page(first: &First) -> Option<File> {
    let folder = first.open("fd", OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
    let wanted = format!("/memfd:{PAGE} (deleted)");
    super::root::names(&folder).ok()?.into_iter().find_map(|name| {
        let leads_to = rustix::fs::readlinkat(&folder, &name, Vec::new()).ok()?;
        let is_it = leads_to.as_bytes() == wanted.as_bytes();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&folder, &name, flags, rustix::fs::Mode::empty()).ok();
        is_it.then(open).flatten().map(File::from)
    })
}

fn not_supervised() -> Refusal {
    refuse("", Kind::NotSupervised, "the container's first process is not the supervisor")
}

fn gone() -> Refusal {
    refuse("", Kind::Gone, "the container ended meanwhile")
}
