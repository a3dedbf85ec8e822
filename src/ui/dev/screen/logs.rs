//! The log of everything, newest at the bottom. Pure.

use anstyle::AnsiColor;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::draw::{Paint, cut, wrapped};
use super::view::View;
use crate::ui::dev::board::Board;
use crate::ui::dev::{lines, words};
use crate::ui::prefixes::Prefixes;

/// A longer line would push everything else away; the page and the pipe have all of it.
const ROWS: usize = 12;

/// Returns exactly the rows that fit, and notes in the view which lines they are.
pub(super) fn lines(board: &Board, view: &mut View, paint: Paint, width: usize, height: usize) -> Vec<Line<'static>> {
    let prefixes = Prefixes::new(board.services.iter().map(|row| row.shown.service.clone()));
    let most = if width < 60 { 8 } else { 16 };
    let name = board.services.iter().map(|row| row.shown.service.width()).max().unwrap_or_default().min(most);
    let look = Look { prefixes, paint, name, width };
    let mut rows = Vec::with_capacity(height);
    let mut drawn = Vec::new();
    let mut more = false;
    let shown = board.lines.until(view.bottom.unwrap_or(u64::MAX - 1));
    for line in shown.filter(|line| view.shows(line.service.as_deref())) {
        if rows.len() >= height {
            more = true;
            break;
        }
        rows.extend(look.rows(line).into_iter().rev());
        drawn.push(line.number);
    }
    more |= rows.len() > height;
    rows.truncate(height);
    rows.reverse();
    (view.drawn, view.more) = (drawn, more);
    // A short log stands at the bottom, where the next line will come.
    let mut filled = vec![Line::raw(""); height - rows.len()];
    filled.append(&mut rows);
    filled
}

struct Look {
    prefixes: Prefixes,
    paint: Paint,
    name: usize,
    width: usize,
}

impl Look {
    fn rows(&self, line: &lines::Line) -> Vec<Line<'static>> {
        // What is about no service begins at the edge: an address has the whole row.
        let (prefix, color) = line.service.as_deref().map_or((String::new(), Style::new()), |service| {
            let name = cut(service, self.name);
            let pad = " ".repeat(self.name.saturating_sub(name.width()));
            (format!("{name}{pad} │ "), self.paint.color(ratatui(self.prefixes.color(service))))
        });
        let at = words::time_of_day(&line.at);
        let (text, style) = match line.kind {
            lines::Kind::Log | lines::Kind::Address => (line.text.clone(), Style::new()),
            lines::Kind::Note => (format!("{at} {}", line.text), self.paint.dim()),
            lines::Kind::Warning => (format!("{at} {}", line.text), self.paint.color(Color::Yellow)),
            lines::Kind::Error => (line.text.clone(), self.paint.color(Color::Red)),
        };
        let mut rows = wrapped(&text, self.width.saturating_sub(prefix.width()).max(1));
        if rows.len() > ROWS {
            rows.truncate(ROWS);
            if let Some(last) = rows.last_mut() {
                last.pop();
                last.push('…');
            }
        }
        let row = |text| Line::from(vec![Span::styled(prefix.clone(), color), Span::styled(text, style)]);
        rows.into_iter().map(row).collect()
    }
}

fn ratatui(color: AnsiColor) -> Color {
    match color {
        AnsiColor::Magenta => Color::Magenta,
        AnsiColor::Green => Color::Green,
        AnsiColor::Yellow => Color::Yellow,
        AnsiColor::Blue => Color::Blue,
        AnsiColor::Red => Color::Red,
        _ => Color::Cyan,
    }
}
