//! The screen of `dev`, in its four forms, and the page of `--ui`.
//!
//! What `dev` tells is what it is run for, so that it goes to standard output, unlike the
//! narration of other verbs: plain lines, JSON lines, or a full screen once watching begins.
//! (Until then a terminal shows what `up` shows, and questions can be asked.) Everything is
//! first taken by a [`board::Board`], which words it; the displays differ in how it looks.
//! [`Stage::new`] and [`Stage::show`] are where to begin. It decides nothing: what the user
//! asks for leaves as a [`Wish`].

mod board;
mod lines;
mod screen;
#[cfg(test)]
mod script;
mod stream;
mod web;
mod words;

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;

use self::board::Board;
use super::{Display, ProgressFlag, answer, report};
use crate::dev::shown::{Shown, Wish};
use crate::error::Failure;
use crate::event::Event;

pub(crate) use self::screen::restore;

/// How wide a report is folded; a narrower screen wraps it.
const REPORT: usize = 80;

/// Returns a failure as a panel that stays until [`Shown::Mended`] names the same `of`.
pub(crate) fn problem(of: &str, failure: &Failure) -> Shown {
    Shown::Problem { of: of.to_owned(), text: report::text(failure, REPORT, false), report: report::json(failure) }
}

/// What a display needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) display: Display,
    pub(crate) verbose: bool,
    /// Standard output shows colour.
    pub(crate) color: bool,
    /// Standard input is a terminal, so that keys can be read.
    pub(crate) keys: bool,
    /// Nothing is left when the user leaves, so that nothing is said of what stays.
    pub(crate) down_on_exit: bool,
}

impl Settings {
    /// Returns what the flags and the terminal come to; `term` is the variable `TERM`.
    /// A full screen is drawn on standard output, and what comes before it on standard error.
    pub(crate) fn choose(flag: ProgressFlag, json: bool, term: Option<&str>) -> Self {
        let terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self {
            display: Display::choose(flag, json, terminal, term),
            verbose: false,
            color: answer::answers_in_color(),
            keys: io::stdin().is_terminal(),
            down_on_exit: false,
        }
    }
}

/// Everything that shows one run of `dev`.
#[derive(Debug)]
pub(crate) struct Stage {
    settings: Settings,
    board: Shared,
    wishes: UnboundedSender<Wish>,
    page: Option<web::Served>,
}

impl Stage {
    pub(crate) fn new(settings: Settings, wishes: UnboundedSender<Wish>) -> Self {
        Self { settings, board: Shared::new(settings.verbose), wishes, page: None }
    }

    /// Serves the page until [`Self::show`] has ended. Returns its address, which holds the
    /// token of this run; send it as [`Shown::Page`].
    pub(crate) async fn serve(&mut self) -> Result<String, web::Error> {
        let served = web::serve(self.board.clone(), self.wishes.clone()).await?;
        let url = served.url.clone();
        self.page = Some(served);
        Ok(url)
    }

    /// Shows events until the senders are gone.
    pub(crate) async fn show(self, events: UnboundedReceiver<Event>) {
        let Self { settings, board, wishes, page } = self;
        match settings.display {
            Display::Quiet => stream::quiet(&board, events).await,
            Display::Plain => stream::plain(settings, &board, &wishes, events).await,
            Display::Json => stream::json(settings, &board, &wishes, events).await,
            Display::Tty => screen::show(settings, &board, wishes, events).await,
        }
        board.change(Board::end);
        if let Some(page) = page {
            page.close().await;
        }
    }
}

/// The board, and a sign that it has changed. Cheap to clone.
#[derive(Debug, Clone)]
struct Shared {
    board: Arc<Mutex<Board>>,
    changed: watch::Sender<u64>,
    now: fn() -> String,
}

impl Shared {
    fn new(verbose: bool) -> Self {
        Self { board: Arc::new(Mutex::new(Board::new(verbose))), changed: watch::Sender::new(0), now }
    }

    fn hear(&self, event: &Event) {
        let at = (self.now)();
        self.change(|board| board.hear(event, &at));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let result = change(&mut self.read());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// The board is whole between two statements, so a panic elsewhere does not spoil it.
    fn read(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time as RFC 3339 with the local offset: `2026-01-02T14:02:11.042+01:00`.
fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_a_panel() {
        let Shown::Problem { of, text, report } = problem("profile", &Failure::interrupted("it is half made")) else {
            panic!("it is no problem");
        };
        assert_eq!((of.as_str(), &report["exit"]), ("profile", &serde_json::json!(130)));
        assert!(text.contains("it is half made") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_time_can_be_read_again() {
        let now = now();
        assert!(now.parse::<jiff::Timestamp>().is_ok(), "{now}");
        assert_eq!(words::time_of_day(&now).len(), 8);
    }
}
