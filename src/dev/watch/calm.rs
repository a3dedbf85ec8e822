//! Holding back what is half done, for some milliseconds.
//!
//! Editors save in steps. vim moves the file away, writes another under its name and removes
//! the old; others write a draft and rename it; some write in place. In between the file is
//! gone, empty or cut short. So a name that is gone, made or written to waits for what follows:
//! a close or a rename, which say that a file is complete, and are told at once. Where nothing
//! follows, it is told all the same, so nothing is ever dropped.
//!
//! It knows no clock: the time comes with each call.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::mailbox::MANY;

/// How long a save may take between two of its steps.
pub(super) const STEP: Duration = Duration::from_millis(50);
/// How often is told of a file that is written to and stays open, in steps.
const GROWING: u32 = 5;
/// However many events follow each other; in steps.
const LONGEST: u32 = 10;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saw {
    /// It is there, complete: renamed to this name, a folder or a link.
    There,
    /// Closed after it was open for writing.
    Closed,
    /// A file was made, and nothing is in it yet.
    Made,
    /// A file was written to, and is still open.
    Written,
    /// Removed, or renamed to something else.
    Gone,
    /// Its mode or its times changed.
    Attributes,
}

#[derive(Debug)]
struct Held {
    what: Saw,
    since: Instant,
    due: Instant,
    /// For [`Saw::Written`]: something was written since it was told of.
    news: bool,
}

#[derive(Debug)]
pub(super) struct Calm {
    /// [`STEP`], but in tests.
    step: Duration,
    held: HashMap<PathBuf, Held>,
    /// Not after the first that is due.
    next: Option<Instant>,
}

/// More is held than makes sense: everything may have changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Calm {
    pub(super) fn new(step: Duration) -> Self {
        Self { step, held: HashMap::new(), next: None }
    }

    /// Takes what was seen; returns whether it is to be told at once.
    pub(super) fn saw(&mut self, path: &std::path::Path, saw: Saw, now: Instant) -> Result<bool, TooMuch> {
        match saw {
            // Closed, and nothing was written: vim's probe whether it may write here is gone in a
            // moment. A new file that stays empty is told of a little later.
            Saw::Closed if self.held.get(path).is_some_and(|held| held.what == Saw::Made) => return Ok(false),
            Saw::There | Saw::Closed => {
                self.held.remove(path);
                return Ok(true);
            }
            // Part of a save: it is told of with what is held.
            Saw::Attributes => return Ok(!self.held.contains_key(path)),
            Saw::Made | Saw::Written | Saw::Gone => {}
        }
        if let Some(held) = self.held.get_mut(path) {
            held.news = true;
            if held.what != saw {
                held.what = saw;
                held.due = (now + self.step).min(held.since + self.step * LONGEST);
            }
        } else {
            if self.held.len() >= MANY {
                self.held.clear();
                return Err(TooMuch);
            }
            self.held.insert(path.to_owned(), Held { what: saw, since: now, due: now + self.step, news: true });
        }
        self.next = Some(self.next.map_or(now + self.step, |next| next.min(now + self.step)));
        Ok(false)
    }

    /// Returns when [`Self::due`] is to be called, at the latest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Returns what has waited long enough.
    pub(super) fn due(&mut self, now: Instant) -> Vec<PathBuf> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut due = Vec::new();
        let growing = self.step * GROWING;
        self.held.retain(|path, held| {
            if now < held.due {
                return true;
            }
            if held.news {
                due.push(path.clone());
            }
            // A file that grows is told of again, as long as it does.
            let stays = held.what == Saw::Written && held.news;
            (held.news, held.since, held.due) = (false, now, now + growing);
            stays
        });
        self.next = self.held.values().map(|held| held.due).min();
        due
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Plays events (milliseconds, path, what) and returns what is told when.
    fn told(events: &[(u64, &str, Saw)]) -> String {
        let start = Instant::now();
        let mut calm = Calm::new(STEP);
        let mut told = Vec::new();
        let mut events = events.iter().peekable();
        for at in 0..3000 {
            let now = start + Duration::from_millis(at);
            while let Some((_, path, saw)) = events.next_if(|(time, ..)| *time <= at) {
                if calm.saw(Path::new(path), *saw, now).unwrap() {
                    told.push(format!("{at} {path}"));
                }
            }
            let mut due = calm.due(now);
            due.sort();
            told.extend(due.iter().map(|path| format!("{at} {}", path.display())));
        }
        assert!(calm.held.is_empty() && calm.next().is_none(), "nothing is awake in the end");
        told.join(", ")
    }

    #[test]
    fn what_is_complete_is_told_at_once_and_once() {
        assert_eq!(told(&[(0, "a", Saw::Written), (3, "a", Saw::Closed)]), "3 a");
        assert_eq!(told(&[(0, "a", Saw::There)]), "0 a");
        assert_eq!(told(&[(0, "a", Saw::Attributes)]), "0 a");
        let vim = [(0, "a", Saw::Gone), (1, "a", Saw::Made), (2, "a", Saw::Attributes), (30, "a", Saw::Written)];
        assert_eq!(told(&[&vim[..], &[(70, "a", Saw::Closed)]].concat()), "70 a");
    }

    #[test]
    fn what_is_followed_by_nothing_is_told_all_the_same() {
        assert_eq!(told(&[(0, "a", Saw::Gone)]), "50 a");
        assert_eq!(told(&[(0, "4913", Saw::Made), (1, "4913", Saw::Gone)]), "51 4913");
        assert_eq!(told(&[(0, "a", Saw::Written)]), "50 a");
        let probe = [(0, "4913", Saw::Made), (1, "4913", Saw::Closed), (2, "4913", Saw::Gone)];
        assert_eq!(told(&probe[..2]), "50 4913");
        assert_eq!(told(&probe), "52 4913");
    }

    #[test]
    fn a_file_that_grows_is_told_of_four_times_a_second() {
        let writes: Vec<_> = (0..60).map(|at| (at * 10, "log", Saw::Written)).collect();
        assert_eq!(told(&writes), "50 log, 300 log, 550 log, 800 log");
    }

    #[test]
    fn nothing_waits_for_ever() {
        let swaps: Vec<_> =
            (0..90).map(|at| (at * 10, "a", [Saw::Gone, Saw::Made][usize::from(at % 2 == 0)])).collect();
        assert_eq!(told(&swaps), "500 a, 940 a");
    }

    #[test]
    fn what_is_held_has_a_bound() {
        let (mut calm, now) = (Calm::new(STEP), Instant::now());
        let mut results = (0..=MANY).map(|at| calm.saw(Path::new(&at.to_string()), Saw::Gone, now));
        assert_eq!(results.find(Result::is_err), Some(Err(TooMuch)));
    }
}
