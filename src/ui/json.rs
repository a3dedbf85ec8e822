//! Narration for programs: one JSON object a line.
//!
//! With `--output json` three things are written. Standard output has the answer and
//! nothing else. Standard error has each event as one line, told apart by its key `event`
//! (`begin`, `progress`, `output`, `end`, `notice`); foreign output and details come with
//! `-v` only, as they do for people. Where the verb fails, the last line of standard error
//! is the failure, `"event": "failure"`, with the fields of [`report::json`].

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{answer, report};
use crate::error::Failure;
use crate::event::{Event, Level};

/// Writes each event as a line until the senders are gone.
pub(crate) async fn show(verbose: bool, mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        if let Some(line) = line(&event, verbose) {
            answer::narrate(&line);
        }
    }
}

/// Returns the failure as the last line of standard error.
pub(crate) fn failure(failure: &Failure) -> String {
    let mut object = report::json(failure);
    object["event"] = Value::from("failure");
    object.to_string()
}

pub(super) fn line(event: &Event, verbose: bool) -> Option<String> {
    let detail = matches!(event, Event::Output { .. } | Event::Notice { level: Level::Detail, .. });
    if detail && !verbose {
        return None;
    }
    Some(serde_json::to_string(event).expect("events are plain data with text as keys"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Outcome, Progress, Subject, Unit};

    fn web() -> Subject {
        Subject::Build { service: "web".into() }
    }

    #[test]
    fn each_event_is_one_flat_object() {
        let progress = Progress { done: 2, total: Some(4), unit: Unit::Steps, detail: "RUN a\nb".into() };
        let events = [
            Event::Begin { subject: web() },
            Event::Progress { subject: web(), progress },
            Event::End {
                subject: Subject::Cluster { name: "coracle".into() },
                outcome: Outcome::Done { what: "created".into() },
                took: Duration::from_millis(3100),
            },
            Event::End { subject: web(), outcome: Outcome::Failed, took: Duration::ZERO },
            Event::Notice { level: Level::Warning, text: "w".into() },
        ];
        let lines: Vec<_> = events.iter().filter_map(|event| line(event, false)).collect();
        assert_eq!(
            lines.join("\n"),
            r#"{"event":"begin","subject":"build","service":"web"}
{"event":"progress","subject":"build","service":"web","done":2,"total":4,"unit":"steps","detail":"RUN a\nb"}
{"event":"end","subject":"cluster","name":"coracle","outcome":"done","what":"created","took":3100}
{"event":"end","subject":"build","service":"web","outcome":"failed","took":0}
{"event":"notice","level":"warning","text":"w"}"#
        );
    }

    #[test]
    fn details_are_for_the_verbose() {
        let output = Event::Output { subject: web(), line: "Collecting flask".into() };
        let detail = Event::Notice { level: Level::Detail, text: "d".into() };
        for event in [output, detail] {
            assert_eq!(line(&event, false), None);
            assert!(line(&event, true).is_some());
        }
    }

    #[test]
    fn a_failure_is_an_event_too() {
        let failure = failure(&Failure::interrupted("the cluster is half made"));
        let object: Value = serde_json::from_str(&failure).unwrap();
        assert_eq!(object["event"], "failure");
        assert_eq!(object["exit"], 130);
        assert!(!failure.contains('\n'));
    }
}
