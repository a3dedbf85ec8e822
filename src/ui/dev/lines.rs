//! The last lines of everything, bounded. Pure.

use std::collections::VecDeque;

use serde::Serialize;

use crate::ui::sanitize;

/// How many lines are kept, and how many bytes of text: a day of logs must not fill memory.
const MOST: usize = 10_000;
const BYTES: usize = 4 << 20;
/// The longest line that is kept, in bytes; more of it says nothing on a screen.
const LONGEST: usize = 8 << 10;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A service wrote it.
    Log,
    /// `dev` did something.
    Note,
    Warning,
    /// A part of a report.
    Error,
    /// The address of the page, which holds a secret: for the terminal only.
    Address,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// Counts all lines of this run.
    pub(super) number: u64,
    /// RFC 3339.
    pub(super) at: String,
    pub(super) kind: Kind,
    /// None: it is about all of them.
    pub(super) service: Option<String>,
    /// Sanitised.
    pub(super) text: String,
}

#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: VecDeque<Line>,
    bytes: usize,
    next: u64,
}

impl Lines {
    pub(super) fn push(&mut self, at: &str, kind: Kind, service: Option<&str>, text: &str) {
        let text = cut(sanitize::line(text));
        self.bytes += text.len();
        let line = Line { number: self.next, at: at.to_owned(), kind, service: service.map(str::to_owned), text };
        self.kept.push_back(line);
        self.next += 1;
        while self.kept.len() > MOST || self.bytes > BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    /// Returns the number that the next line will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Returns the lines from a number on, oldest first.
    pub(super) fn since(&self, number: u64) -> impl DoubleEndedIterator<Item = &Line> + Clone {
        let first = self.kept.front().map_or(self.next, |line| line.number);
        let skip = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        self.kept.range(skip.min(self.kept.len())..)
    }

    /// Returns all lines up to a number, newest first.
    pub(super) fn until(&self, number: u64) -> impl Iterator<Item = &Line> {
        let later = usize::try_from(self.next.saturating_sub(number.saturating_add(1))).unwrap_or(usize::MAX);
        self.kept.iter().rev().skip(later)
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize, text: &str) -> Lines {
        let mut lines = Lines::default();
        for _ in 0..count {
            lines.push("", Kind::Log, None, text);
        }
        lines
    }

    #[test]
    fn memory_is_bounded() {
        assert_eq!(filled(MOST + 5, "x").since(0).count(), MOST);
        assert_eq!(filled(MOST + 5, "x").since(0).next().unwrap().number, 5);
        let long = filled(1000, &"é".repeat(LONGEST));
        assert!(long.bytes <= BYTES);
        assert!(long.since(0).all(|line| line.text.len() <= LONGEST + '…'.len_utf8()));
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let lines = filled(MOST + 5, "x");
        assert_eq!(lines.since(lines.next()).count(), 0);
        assert_eq!(lines.since(lines.next() - 2).count(), 2);
        assert_eq!(lines.until(7).map(|line| line.number).collect::<Vec<_>>(), [7, 6, 5]);
        assert_eq!(lines.until(u64::MAX - 1).next().unwrap().number, lines.next() - 1);
    }
}
