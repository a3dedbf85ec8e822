//! Where things are on the screen. Pure.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::view::{Act, Mode, View};
use super::{header, logs};
use crate::dev::shown::PodShown;
use crate::ui::dev::board::Board;

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    pub(super) fn color(self, color: Color) -> Style {
        if self.0 { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn dim(self) -> Style {
        if self.0 { Style::new().add_modifier(Modifier::DIM) } else { Style::new() }
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board, view: &mut View, color: bool) {
    let (area, paint) = (frame.area(), Paint(color));
    let mut rows = Rows { area, used: 0 };
    // The footer's row and one of the log are always there, if there are rows at all.
    let room = usize::from(area.height).saturating_sub(3);
    let head = header::lines(board, paint, area.width.into(), room.div_ceil(2).max(1));
    rows.put(frame, head);
    rows.put(frame, vec![Line::styled("─".repeat(area.width.into()), paint.dim())]);
    let panel = match view.mode {
        Mode::Pods => pods(&board.pods, paint, area.width.into()),
        _ => problems(board, paint, area.width.into(), rows.left().saturating_sub(1) * 2 / 3),
    };
    let panel = panel.into_iter().take(rows.left().saturating_sub(1)).collect();
    rows.put(frame, panel);
    let height = rows.left().saturating_sub(1);
    rows.put(frame, logs::lines(board, view, paint, area.width.into(), height));
    let bottom = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    frame.render_widget(Paragraph::new(footer(board, view, paint, area.width.into())), bottom);
}

/// The rows that are filled from the top on.
struct Rows {
    area: Rect,
    used: u16,
}

impl Rows {
    fn left(&self) -> usize {
        self.area.height.saturating_sub(self.used).into()
    }

    fn put(&mut self, frame: &mut Frame<'_>, lines: Vec<Line<'_>>) {
        let height = u16::try_from(lines.len().min(self.left())).unwrap_or(u16::MAX);
        let at = Rect { y: self.area.y + self.used, height, ..self.area };
        frame.render_widget(Paragraph::new(lines), at);
        self.used += height;
    }
}

/// Returns the reports of what is wrong, at most `height` rows, in a frame.
fn problems(board: &Board, paint: Paint, width: usize, height: usize) -> Vec<Line<'static>> {
    let Some((of, text)) = board.problems.iter().next().filter(|_| height > 1) else { return Vec::new() };
    let red = paint.color(Color::Red);
    let more = match board.problems.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let bold = red.add_modifier(Modifier::BOLD);
    let mut lines = vec![Line::styled(cut(&format!("┌ {of}{more}"), width), bold)];
    let texts = text.lines().filter(|line| !line.trim().is_empty());
    let rows: Vec<_> = texts.flat_map(|line| wrapped(line, width.saturating_sub(2))).collect();
    let fits = rows.len() < height;
    let take = if fits { rows.len() } else { height.saturating_sub(2) };
    let row = |text: &String| Line::from(vec![Span::styled("│ ", red), Span::raw(text.clone())]);
    lines.extend(rows.iter().take(take).map(row));
    if !fits {
        lines.push(Line::styled("└ …", red));
    }
    lines
}

fn pods(pods: &[PodShown], paint: Paint, width: usize) -> Vec<Line<'static>> {
    let name = pods.iter().map(|pod| pod.pod.width()).max().unwrap_or_default().max(3);
    let status = pods.iter().map(|pod| pod.status.width()).max().unwrap_or_default().max(6);
    let head = format!("{:name$}  {:status$}  RESTARTS  IN SYNC  NODE", "POD", "STATUS");
    let mut lines = vec![Line::styled(cut(&head, width), paint.dim())];
    if pods.is_empty() {
        lines.push(Line::raw(cut("asking for the pods", width)));
    }
    lines.extend(pods.iter().map(|pod| {
        let sync = pod.in_sync.map_or("", |yes| if yes { "yes" } else { "no" });
        let text = format!("{:name$}  {:status$}  {:8}  {sync:7}  {}", pod.pod, pod.status, pod.restarts, pod.node);
        let style = if pod.ready { Style::new() } else { paint.color(Color::Red) };
        Line::styled(cut(&crate::ui::sanitize::line(&text), width), style)
    }));
    lines.push(Line::raw(""));
    lines
}

/// Returns the keys, as many as there is room for; the way out is the last to go.
fn footer(board: &Board, view: &View, paint: Paint, width: usize) -> Line<'static> {
    let numbered = |names: Vec<(&str, &str)>, end: &[&str]| -> Vec<String> {
        let names = names.iter().take(9).enumerate();
        let names = names.map(|(index, (mark, name))| format!("{} {mark}{name}", index + 1));
        names.chain(end.iter().map(|text| (*text).to_owned())).collect()
    };
    let (title, keys) = match view.mode {
        Mode::Choose(act) => {
            let end: &[&str] = if act == Act::Open { &["esc no"] } else { &["a all", "esc no"] };
            (act.word(), numbered(act.services(board).into_iter().map(|name| ("", name)).collect(), end))
        }
        Mode::Logs => {
            let mark = |name: &str| if view.hidden.contains(name) { "[ ] " } else { "[x] " };
            let names = board.services.iter().map(|row| row.shown.service.as_str());
            ("logs", numbered(names.map(|name| (mark(name), name)).collect(), &["a all", "esc done"]))
        }
        Mode::Pods => ("pods", vec!["esc back".to_owned(), "q leave".to_owned()]),
        Mode::Watch => ("", commands(board, view)),
    };
    let mut spans = Vec::new();
    let mut left = width;
    if !title.is_empty() && left > title.width() + 2 {
        spans.push(Span::styled(format!("{title}: "), Style::new().add_modifier(Modifier::BOLD)));
        left -= title.width() + 2;
    }
    for key in keys {
        let needs = key.width() + 2;
        if needs > left {
            break;
        }
        let (letter, word) = key.split_once(' ').map_or((key.as_str(), ""), |(letter, word)| (letter, word));
        spans.push(Span::styled(letter.to_owned(), Style::new().add_modifier(Modifier::BOLD)));
        spans.push(Span::styled(format!(" {word}  "), paint.dim()));
        left -= needs;
    }
    Line::from(spans)
}

fn commands(board: &Board, view: &View) -> Vec<String> {
    if view.deaf {
        return vec!["Ctrl-C leaves".to_owned()];
    }
    let pause = if board.paused { "p go on" } else { "p pause" };
    let scrolled = view.bottom.map(|_| "End newest");
    let keys = ["q leave", "r rebuild", "R restart", "l logs", "s status", "o open", pause, "PgUp back"];
    scrolled.into_iter().chain(keys).map(str::to_owned).collect()
}

/// Returns a text no wider than `width`, with a mark where it was cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        out.push(character);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// Returns a text as rows no wider than `width`; tabs become four blanks.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for character in text.replace('\t', "    ").chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > width && used > 0 {
            rows.push(String::new());
            used = 0;
        }
        used += wide;
        rows.last_mut().expect("there is always a row").push(character);
    }
    rows
}

#[cfg(test)]
mod tests;
