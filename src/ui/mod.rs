//! The only code that words and draws.
//!
//! Work sends events; [`show`] reads them from one channel until the senders are gone and
//! tells of them on standard error, in one of four ways. `words` has every sentence, so
//! that a pipe and a terminal tell the same story. The answer is `answer`'s, a failure `report`'s.

pub(crate) mod answer;
pub(crate) mod dev;
pub(crate) mod humane;
pub(crate) mod json;
pub(crate) mod plain;
pub(crate) mod plan;
pub(crate) mod prefixes;
pub(crate) mod raw;
pub(crate) mod report;
pub(crate) mod sanitize;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod tty;
pub(crate) mod words;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::event::{Event, Level};

/// What `--progress` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum ProgressFlag {
    /// Live on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// Live lines where the terminal can show them.
    Tty,
    /// One line per thing that happened.
    Plain,
    /// Warnings and failures only.
    Quiet,
}

/// How narration is shown on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Display {
    /// Warnings only: a flag about progress must not hide them.
    Quiet,
    Plain,
    Tty,
    Json,
}

impl Display {
    /// Returns the display for the flags and the terminal; `term` is the variable `TERM`.
    ///
    /// Live lines need a terminal that moves its cursor, so that `tty` asked for elsewhere is plain.
    /// Narration is JSON with `-o json`, unless `quiet` was asked for.
    pub(crate) fn choose(flag: ProgressFlag, json: bool, terminal: bool, term: Option<&str>) -> Self {
        let live = terminal && !matches!(term, None | Some("" | "dumb"));
        match flag {
            ProgressFlag::Quiet => Self::Quiet,
            _ if json => Self::Json,
            ProgressFlag::Auto | ProgressFlag::Tty if live => Self::Tty,
            ProgressFlag::Auto | ProgressFlag::Tty | ProgressFlag::Plain => Self::Plain,
        }
    }
}

/// Shows events until the senders are gone. `verbose` shows details and foreign output too.
pub(crate) async fn show(display: Display, verbose: bool, events: UnboundedReceiver<Event>) {
    match display {
        Display::Quiet => quiet(events).await,
        Display::Plain => plain::show(verbose, events).await,
        Display::Tty => tty::show(verbose, events).await,
        Display::Json => json::show(verbose, events).await,
    }
}

async fn quiet(mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        if let Event::Notice { level: Level::Warning, text } = event {
            answer::narrate(&notice(Level::Warning, &text));
        }
    }
}

/// Returns a notice with its coloured prefix; what prints it drops the colour where it must.
fn notice(level: Level, text: &str) -> String {
    match words::prefix(level) {
        "" => text.to_owned(),
        prefix => format!("{WARNING}{prefix}{WARNING:#}{text}"),
    }
}

const WARNING: anstyle::Style = anstyle::AnsiColor::Yellow.on_default().bold();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_lines_need_a_terminal_that_moves_its_cursor() {
        use ProgressFlag::{Auto, Plain, Quiet, Tty};
        let xterm = Some("xterm-256color");
        let cases = [
            (Auto, false, true, xterm, Display::Tty),
            (Auto, false, false, xterm, Display::Plain),
            (Auto, false, true, Some("dumb"), Display::Plain),
            (Auto, false, true, Some(""), Display::Plain),
            (Auto, false, true, None, Display::Plain),
            (Tty, false, false, xterm, Display::Plain),
            (Tty, false, true, xterm, Display::Tty),
            (Plain, false, true, xterm, Display::Plain),
            (Quiet, false, true, xterm, Display::Quiet),
            (Auto, true, true, xterm, Display::Json),
            (Plain, true, false, None, Display::Json),
            (Quiet, true, false, None, Display::Quiet),
        ];
        for (flag, json, terminal, term, display) in cases {
            assert_eq!(Display::choose(flag, json, terminal, term), display, "{flag:?} {json} {terminal} {term:?}");
        }
    }
}
