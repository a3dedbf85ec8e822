//! The lines at the top: one for each service, and what goes on besides. Pure.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::draw::{Paint, cut};
use crate::dev::shown::State;
use crate::ui::dev::board::{Board, Row};
use crate::ui::dev::words;
use crate::ui::sanitize;

/// From this many columns on the addresses are shown.
const WIDE: usize = 70;
/// The most columns of a name.
const NAME: usize = 20;

/// Returns at most `most` lines. Where services have no room, those in trouble come first.
pub(super) fn lines(board: &Board, paint: Paint, width: usize, most: usize) -> Vec<Line<'static>> {
    let elsewhere = board.elsewhere();
    let extra = usize::from(!elsewhere.is_empty() && most > 1);
    let room = most - extra;
    let mut rows: Vec<_> = board.services.iter().collect();
    let more = if rows.len() > room {
        rows.sort_by_key(|row| !in_trouble(row.shown.state));
        rows.len() - room.saturating_sub(1)
    } else {
        0
    };
    rows.truncate(if more > 0 { room.saturating_sub(1) } else { room });
    let columns = Columns::new(&rows, width);
    let mut lines: Vec<_> = rows.iter().map(|row| columns.line(row, board, paint)).collect();
    if more > 0 {
        lines.push(Line::styled(cut(&format!("+ {more} more: {}", counted(board)), width), paint.dim()));
    }
    if extra > 0 {
        lines.push(Line::styled(cut(&elsewhere.join("  ·  "), width), paint.color(Color::Yellow)));
    }
    if lines.is_empty() {
        lines.push(Line::raw(""));
    }
    lines
}

fn in_trouble(state: State) -> bool {
    matches!(state, State::Failing | State::Behind)
}

/// Returns how many of all services are ready.
fn counted(board: &Board) -> String {
    let ready = board.services.iter().filter(|row| row.shown.state == State::Ready).count();
    format!("{ready} of {} ready", board.services.len())
}

struct Columns {
    name: usize,
    replicas: usize,
    /// None: there is no room for addresses.
    url: Option<usize>,
    width: usize,
}

impl Columns {
    fn new(rows: &[&Row], width: usize) -> Self {
        let widest = |of: &dyn Fn(&Row) -> usize| rows.iter().map(|row| of(row)).max().unwrap_or_default();
        let name = widest(&|row| row.shown.service.width()).min(NAME).min(width / 4);
        let replicas = widest(&|row| replicas(row).width());
        let url = widest(&|row| url(row).width());
        Self { name, replicas, url: (width >= WIDE && url > 0).then_some(url.min(width / 3)), width }
    }

    fn line(&self, row: &Row, board: &Board, paint: Paint) -> Line<'static> {
        let color = match row.shown.state {
            State::Ready => Color::Green,
            State::Starting | State::Building | State::Deploying => Color::Yellow,
            State::Failing | State::Behind => Color::Red,
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut spans = vec![
            Span::styled(padded(&row.shown.service, self.name), bold),
            Span::styled(format!("  {:9} ", words::state(row.shown.state)), paint.color(color)),
            Span::raw(padded(&replicas(row), self.replicas)),
        ];
        if let Some(width) = self.url {
            spans.push(Span::raw("  "));
            spans.push(Span::styled(padded(url(row), width), paint.color(Color::Blue)));
        }
        let used: usize = spans.iter().map(Span::width).sum();
        let (text, style) = said(row, board, paint);
        spans.push(Span::styled(cut(&format!("  {text}"), self.width.saturating_sub(used)), style));
        Line::from(spans)
    }
}

/// Returns what there is to say: why it is not well, what goes on, or its last update.
fn said(row: &Row, board: &Board, paint: Paint) -> (String, Style) {
    let shown = &row.shown;
    if let Some(activity) = board.activity(&shown.service) {
        return (activity, paint.color(Color::Yellow));
    }
    if let Some(detail) = shown.detail.as_ref().filter(|_| shown.state != State::Ready) {
        let style = if in_trouble(shown.state) { paint.color(Color::Red) } else { Style::new() };
        return (sanitize::line(detail), style);
    }
    let last = row.last.as_ref().map(|last| format!("{} {}", words::time_of_day(&last.at), last.text));
    let behind = shown.in_sync.filter(|in_sync| *in_sync < shown.wanted && shown.state == State::Ready);
    match (behind, last) {
        (Some(in_sync), _) => {
            (format!("{in_sync} of {} replicas are in sync", shown.wanted), paint.color(Color::Yellow))
        }
        (None, last) => (last.unwrap_or_default(), Style::new()),
    }
}

fn replicas(row: &Row) -> String {
    format!("{}/{}", row.shown.ready, row.shown.wanted)
}

fn url(row: &Row) -> &str {
    row.shown.urls.first().map_or("", String::as_str)
}

/// Returns a text exactly `width` wide.
fn padded(text: &str, width: usize) -> String {
    let text = cut(&sanitize::line(text), width);
    let pad = width.saturating_sub(text.width());
    text + &" ".repeat(pad)
}
