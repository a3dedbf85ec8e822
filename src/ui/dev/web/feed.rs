//! What the page is told: first everything, then what has changed.
//!
//! Each message has the whole state, which is small, and the lines since the one before. A
//! reader that is slow gets fewer messages, not older ones, and is told how many lines it
//! has missed. Nothing is sent, and nothing wakes up, while nothing happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Shared, Site};
use crate::ui::dev::board::Board;
use crate::ui::dev::lines::Kind;

/// The shortest time between two messages.
const PACE: Duration = Duration::from_millis(100);
/// The most lines in one message; the page keeps no more either.
const LINES: u64 = 2000;

/// Answers with a stream that ends with the board.
pub(super) async fn events(State(site): State<Site>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let reader = Reader::new(site.board);
    let messages = unfold(reader, |mut reader| async move {
        let message = reader.next().await?;
        Some((Ok(Event::default().data(message.to_string())), reader))
    });
    Sse::new(messages)
}

/// One page that is open.
pub(super) struct Reader {
    board: Shared,
    changed: watch::Receiver<u64>,
    /// The number of the next line that it has not seen; none before the first message.
    next: Option<u64>,
    ended: bool,
}

impl Reader {
    pub(super) fn new(board: Shared) -> Self {
        let changed = board.changed.subscribe();
        Self { board, changed, next: None, ended: false }
    }

    /// Returns the next message, once there is something to tell; none after the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        if self.ended {
            return None;
        }
        if self.next.is_some() {
            self.changed.changed().await.ok()?;
            tokio::time::sleep(PACE).await;
        }
        self.changed.mark_unchanged();
        let board = self.board.read();
        let newest = board.lines.next();
        let from = self.next.unwrap_or(0);
        let first = from.max(newest.saturating_sub(LINES));
        let kept = board.lines.since(first).next().map_or(newest, |line| line.number);
        let lines: Vec<_> = board.lines.since(first).filter(|line| line.kind != Kind::Address).collect();
        let message = json!({
            "state": state(&board),
            "lines": lines,
            // True if these lines replace those on the page.
            "all": self.next.is_none(),
            "missed": if self.next.is_none() { 0 } else { kept - from },
        });
        self.next = Some(newest);
        self.ended = board.ended;
        drop(board);
        Some(message)
    }
}

fn state(board: &Board) -> Value {
    let services: Vec<_> = board
        .services
        .iter()
        .map(|row| {
            let mut service = json!(row);
            service["activity"] = json!(board.activity(&row.shown.service));
            service
        })
        .collect();
    let problems: Vec<_> = board.problems.iter().map(|(of, text)| json!({"of": of, "text": text})).collect();
    json!({
        "services": services,
        "elsewhere": board.elsewhere(),
        "problems": problems,
        "paused": board.paused,
        "ended": board.ended,
    })
}
