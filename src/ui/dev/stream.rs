//! `dev` for pipes and programs: one line per thing, on standard output.
//!
//! Plain lines are the board's lines; while something is built or rolled out, the steps and
//! signs of life of `ui::plain` stand between them. JSON lines are the events themselves,
//! each with the time at which it was told; `docs/dev.md` lists them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{MissedTickBehavior, interval};

use super::lines::{Kind, Line};
use super::{Settings, Shared, words};
use crate::dev::shown::Wish;
use crate::event::{Event, Level};
use crate::ui::plain::Narrator;
use crate::ui::prefixes::Prefixes;
use crate::ui::{WARNING, answer};

/// Tells of warnings and failures only.
pub(super) async fn quiet(board: &Shared, mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        for line in heard(board, &event) {
            if matches!(line.kind, Kind::Warning | Kind::Error) {
                answer::narrate(&plain_line(&line, &mut Prefixes::default()));
            }
        }
    }
}

/// Writes plain lines until the senders are gone.
pub(super) async fn plain(
    settings: Settings,
    board: &Shared,
    wishes: &UnboundedSender<Wish>,
    mut events: UnboundedReceiver<Event>,
) {
    let (mut plain, mut out) = (Plain::new(settings.verbose), Out { wishes, gone: false });
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let lines = tokio::select! {
            event = events.recv() => match event {
                Some(event) => plain.hear(board, event),
                None => break,
            },
            // Nothing wakes up while nothing goes on.
            _ = second.tick(), if !plain.narrator.is_idle() => timed(board, plain.narrator.signs(Instant::now())),
        };
        for line in &lines {
            out.print(line);
        }
    }
    if !settings.down_on_exit {
        out.print(&words::left(board.read().services.iter().map(|row| &row.shown)));
    }
}

/// The state of plain lines.
struct Plain {
    narrator: Narrator,
    prefixes: Prefixes,
}

impl Plain {
    fn new(verbose: bool) -> Self {
        Self { narrator: Narrator::new(verbose), prefixes: Prefixes::default() }
    }

    fn hear(&mut self, board: &Shared, event: Event) -> Vec<String> {
        let lines = heard(board, &event);
        match event {
            Event::Dev(_) | Event::Notice { .. } => {
                lines.iter().map(|line| plain_line(line, &mut self.prefixes)).collect()
            }
            event => timed(board, self.narrator.hear(event, Instant::now())),
        }
    }
}

/// Puts the time before lines of `ui::plain`.
fn timed(board: &Shared, lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let at = (board.now)();
    lines.into_iter().map(|line| format!("{} {line}", words::time_of_day(&at))).collect()
}

/// Writes each event as a JSON line until the senders are gone.
pub(super) async fn json(
    settings: Settings,
    board: &Shared,
    wishes: &UnboundedSender<Wish>,
    mut events: UnboundedReceiver<Event>,
) {
    let mut out = Out { wishes, gone: false };
    while let Some(event) = events.recv().await {
        board.hear(&event);
        if let Some(line) = json_line(&event, settings.verbose, &(board.now)()) {
            out.print(&line);
        }
    }
    out.print(&left(board, settings.down_on_exit, &(board.now)()));
}

/// Standard output, as long as somebody reads it.
struct Out<'a> {
    wishes: &'a UnboundedSender<Wish>,
    gone: bool,
}

impl Out<'_> {
    /// Once nobody reads any more (`| head`, an editor that was closed) `dev` has nobody to run for.
    fn print(&mut self, text: &str) {
        if !self.gone && !matches!(answer::print(text), Ok(true)) {
            self.gone = true;
            // A loop that has ended needs no wishes.
            drop(self.wishes.send(Wish::Leave));
        }
    }
}

fn heard(board: &Shared, event: &Event) -> Vec<Line> {
    let at = (board.now)();
    board.change(|board| {
        let before = board.lines.next();
        board.hear(event, &at);
        board.lines.since(before).cloned().collect()
    })
}

fn plain_line(line: &Line, prefixes: &mut Prefixes) -> String {
    let about = line.service.as_deref();
    let at = words::time_of_day(&line.at);
    let named = about.map_or_else(String::new, |service| format!("{service}: "));
    match (line.kind, about) {
        (Kind::Log, Some(service)) => {
            prefixes.learn(service);
            prefixes.line(service, &line.text)
        }
        (Kind::Log | Kind::Error | Kind::Address, _) => line.text.clone(),
        (Kind::Note, _) => format!("{at} {named}{}", line.text),
        (Kind::Warning, _) => format!("{at} {WARNING}warning: {WARNING:#}{named}{}", line.text),
    }
}

/// Returns an event as a line: its own fields and `at`, unless it has that already.
fn json_line(event: &Event, verbose: bool, at: &str) -> Option<String> {
    if matches!(event, Event::Output { .. } | Event::Notice { level: Level::Detail, .. }) && !verbose {
        return None;
    }
    let mut object = serde_json::to_value(event).expect("events are plain data with text as keys");
    if let Value::Object(fields) = &mut object {
        fields.entry("at").or_insert_with(|| at.into());
    }
    Some(object.to_string())
}

/// Returns the last line: what `dev` leaves behind.
fn left(board: &Shared, removed: bool, at: &str) -> String {
    let board = board.read();
    let services: Vec<_> = board.services.iter().map(|row| &row.shown).collect();
    json!({"event": "left", "at": at, "removed": removed, "services": services}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::dev::script;

    fn board() -> Shared {
        Shared { now: || "2026-01-02T14:02:11.042+01:00".to_owned(), ..Shared::new(false) }
    }

    #[test]
    fn a_session_as_plain_lines() {
        let (board, mut plain) = (board(), Plain::new(false));
        let lines: Vec<_> = script::session().into_iter().flat_map(|(_, event)| plain.hear(&board, event)).collect();
        let lines = anstream::adapter::strip_str(&lines.join("\n")).to_string();
        insta::assert_snapshot!(lines);
        insta::assert_snapshot!(words::left(board.read().services.iter().map(|row| &row.shown)));
    }

    #[test]
    fn a_session_as_json_lines() {
        let board = board();
        let line = |event: &Event| {
            board.hear(event);
            json_line(event, false, &(board.now)())
        };
        let lines: Vec<_> = script::session().iter().filter_map(|(_, event)| line(event)).collect();
        insta::assert_snapshot!(lines.join("\n"));
        insta::assert_snapshot!(left(&board, false, "T"));
    }

    #[test]
    fn only_what_matters_is_told_to_the_quiet() {
        let board = board();
        let events = script::session();
        let lines = events.iter().flat_map(|(_, event)| heard(&board, event));
        let kinds = lines.filter(|line| matches!(line.kind, Kind::Warning | Kind::Error)).count();
        assert!(kinds > 3, "{kinds}");
    }

    /// The page for editors and the code say the same: each event and each of its fields is there.
    #[test]
    fn the_page_has_every_event_and_field() {
        let page = include_str!("../../../docs/dev.md");
        let board = board();
        let mut seen = std::collections::BTreeSet::new();
        for (_, event) in script::session() {
            board.hear(&event);
            let Some(line) = json_line(&event, true, "T") else { continue };
            let object: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
            let name = object["event"].as_str().unwrap();
            let section = section(page, name);
            for field in object.keys().filter(|field| !matches!(field.as_str(), "event" | "at")) {
                assert!(section.contains(&format!("`{field}`")), "{name} has no {field} on the page:\n{section}");
            }
            seen.insert(name.to_owned());
        }
        seen.insert("left".to_owned());
        let told: std::collections::BTreeSet<_> =
            page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).map(str::to_owned).collect();
        assert_eq!(told, seen, "what the page tells of, and what there is");
    }

    fn section<'a>(page: &'a str, name: &str) -> &'a str {
        let start = page.find(&format!("### `{name}`")).unwrap_or_else(|| panic!("`{name}` is not on the page"));
        let rest = &page[start + 4..];
        &rest[..rest.find("\n##").unwrap_or(rest.len())]
    }
}
