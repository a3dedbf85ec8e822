//! What is known of a run of `dev`: every display draws from it. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::lines::{Kind, Lines};
use super::words::{self, Update};
use crate::dev::shown::{PodShown, ServiceShown, Shown, State};
use crate::event::{Event, Level, Outcome, Progress, Subject};
use crate::ui::sanitize;

/// The state of everything, and the last lines.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// In the order in which they were first told of.
    pub(super) services: Vec<Row>,
    /// What goes on, oldest first.
    work: Vec<Work>,
    /// What is wrong, by what it is about.
    pub(super) problems: BTreeMap<String, String>,
    /// What has gone away, and in which words.
    pub(super) links: BTreeMap<String, String>,
    pub(super) pods: Vec<PodShown>,
    pub(super) paused: bool,
    pub(super) ended: bool,
    pub(super) lines: Lines,
    verbose: bool,
}

/// A service, and what last happened to it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) shown: ServiceShown,
    pub(super) last: Option<Last>,
    /// What was last said of its state.
    #[serde(skip)]
    told: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Last {
    /// RFC 3339.
    pub(super) at: String,
    pub(super) text: String,
}

#[derive(Debug)]
struct Work {
    subject: Subject,
    progress: Option<Progress>,
}

impl Board {
    /// `verbose`: lines of builds and details are kept, too.
    pub(super) fn new(verbose: bool) -> Self {
        Self { verbose, ..Self::default() }
    }

    /// Takes what happened at `at`, an RFC 3339 time.
    pub(super) fn hear(&mut self, event: &Event, at: &str) {
        match event {
            Event::Begin { subject } => {
                self.work(subject);
            }
            Event::Progress { subject, progress } => self.work(subject).progress = Some(progress.clone()),
            Event::Output { subject, line } if self.verbose => {
                self.lines.push(at, Kind::Log, words::service_of(subject), line);
            }
            Event::End { subject, outcome, took } => {
                self.work.retain(|work| work.subject != *subject);
                let kind = if *outcome == Outcome::Failed { Kind::Warning } else { Kind::Note };
                let text = crate::ui::words::ended(subject, outcome, *took);
                self.lines.push(at, kind, words::service_of(subject), &text);
            }
            Event::Notice { level: Level::Warning, text } => self.lines.push(at, Kind::Warning, None, text),
            Event::Notice { level: Level::Detail, .. } if !self.verbose => {}
            Event::Notice { text, .. } => self.lines.push(at, Kind::Note, None, text),
            Event::Output { .. } => {}
            Event::Dev(shown) => self.see(shown, at),
        }
    }

    /// Takes that nothing more will happen.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.work.clear();
    }

    fn see(&mut self, shown: &Shown, at: &str) {
        match shown {
            Shown::Service(service) => self.service(service, at),
            Shown::Updated { service, at, how, files, paths, took, reason, replicas } => {
                let reason = reason.as_deref();
                let text = words::updated(Update {
                    how: *how,
                    files: *files,
                    paths,
                    took: *took,
                    reason,
                    replicas: *replicas,
                });
                self.note(service, at, text);
            }
            Shown::Began { service, how, reason } => self.note(service, at, words::began(*how, reason)),
            Shown::Log { service, pod: _, line } => self.lines.push(at, Kind::Log, Some(service), line),
            Shown::Link { what, up, detail } => {
                let text = words::link(what, *up, detail);
                self.lines.push(at, if *up { Kind::Note } else { Kind::Warning }, None, &text);
                if *up {
                    self.links.remove(what);
                } else {
                    self.links.insert(what.clone(), text);
                }
            }
            Shown::Paused { on } => {
                self.paused = *on;
                self.lines.push(at, Kind::Note, None, words::paused(*on));
            }
            Shown::Problem { of, text, report: _ } => self.problem(of, &sanitize::block(text), at),
            Shown::Mended { of } => {
                if self.problems.remove(of).is_some() {
                    self.lines.push(at, Kind::Note, Some(of), "is mended");
                }
            }
            Shown::Pods { pods } => self.pods.clone_from(pods),
            Shown::Page { url } => {
                self.lines.push(at, Kind::Note, None, words::PAGE);
                self.lines.push(at, Kind::Address, None, url);
            }
        }
    }

    fn service(&mut self, service: &ServiceShown, at: &str) {
        let row = self.row(&service.service);
        row.shown = service.clone();
        let told = words::turned(service);
        if let Some(text) = told.filter(|text| row.told.as_ref() != Some(text)) {
            row.told = Some(text.clone());
            let kind = if service.state == State::Ready { Kind::Note } else { Kind::Warning };
            self.lines.push(at, kind, Some(&service.service), &text);
        }
    }

    /// A report stays in the log when its panel is gone. The same one is told once.
    fn problem(&mut self, of: &str, text: &str, at: &str) {
        if self.problems.get(of).is_some_and(|known| known == text) {
            return;
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.lines.push(at, Kind::Error, Some(of), line);
        }
        self.problems.insert(of.to_owned(), text.to_owned());
    }

    /// Tells what happened to a service, in its header and in the log.
    fn note(&mut self, service: &str, at: &str, text: String) {
        self.lines.push(at, Kind::Note, Some(service), &text);
        self.row(service).last = Some(Last { at: at.to_owned(), text });
    }

    fn row(&mut self, service: &str) -> &mut Row {
        let index = self.services.iter().position(|row| row.shown.service == service).unwrap_or_else(|| {
            let shown = ServiceShown { service: service.to_owned(), ..ServiceShown::default() };
            self.services.push(Row { shown, ..Row::default() });
            self.services.len() - 1
        });
        &mut self.services[index]
    }

    fn work(&mut self, subject: &Subject) -> &mut Work {
        let index = self.work.iter().position(|work| work.subject == *subject).unwrap_or_else(|| {
            self.work.push(Work { subject: subject.clone(), progress: None });
            self.work.len() - 1
        });
        &mut self.work[index]
    }

    /// Returns what goes on for a service, in a few words.
    pub(super) fn activity(&self, service: &str) -> Option<String> {
        let work = self.work.iter().rev().find(|work| words::service_of(&work.subject) == Some(service))?;
        Some(words::activity(&work.subject, work.progress.as_ref()))
    }

    /// Returns what goes on for no service, or for one that has no header, and what is out of reach.
    pub(super) fn elsewhere(&self) -> Vec<String> {
        let headed = |name: &str| self.services.iter().any(|row| row.shown.service == name);
        let mut all: Vec<_> = self.links.values().cloned().collect();
        if self.paused {
            all.push(words::paused(true).to_owned());
        }
        let work = self.work.iter().filter(|work| words::service_of(&work.subject).is_none_or(|name| !headed(name)));
        all.extend(work.map(|work| words::activity(&work.subject, work.progress.as_ref())));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn service(state: State, detail: Option<&str>) -> Event {
        let detail = detail.map(str::to_owned);
        let urls = vec!["http://localhost:30001".to_owned()];
        let shown = ServiceShown { service: "web".into(), state, urls, ready: 1, wanted: 1, detail, in_sync: None };
        Event::Dev(Shown::Service(shown))
    }

    fn said(events: &[Event]) -> Vec<String> {
        let mut board = Board::new(false);
        for event in events {
            board.hear(event, "2026-01-02T14:02:11+01:00");
        }
        board.lines.since(0).map(|line| format!("{:?} {}", line.kind, line.text)).collect()
    }

    #[test]
    fn a_state_is_told_when_it_is_another() {
        let events = [
            service(State::Starting, None),
            service(State::Ready, None),
            service(State::Building, None),
            service(State::Ready, None),
            service(State::Failing, Some("CrashLoopBackOff: exit 1")),
            service(State::Failing, Some("CrashLoopBackOff: exit 1")),
            service(State::Building, None),
            service(State::Ready, None),
        ];
        assert_eq!(
            said(&events),
            [
                "Note is ready: http://localhost:30001",
                "Warning fails: CrashLoopBackOff: exit 1",
                "Note is ready: http://localhost:30001",
            ]
        );
    }

    #[test]
    fn a_problem_is_shown_until_it_is_mended_and_told_once() {
        let problem = Event::Dev(Shown::Problem {
            of: "profile".into(),
            text: "  × broken\u{1b}[2J\n\n  help: mend it".into(),
            report: serde_json::Value::Null,
        });
        let mut board = Board::new(false);
        board.hear(&problem, "");
        board.hear(&problem, "");
        assert_eq!(board.problems["profile"], "  × broken\n\n  help: mend it");
        board.hear(&Event::Dev(Shown::Mended { of: "profile".into() }), "");
        board.hear(&Event::Dev(Shown::Mended { of: "profile".into() }), "");
        assert!(board.problems.is_empty());
        let texts: Vec<_> = board.lines.since(0).map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["  × broken", "  help: mend it", "is mended"]);
    }

    #[test]
    fn work_is_told_where_it_belongs() {
        let mut board = Board::new(false);
        board.hear(&service(State::Ready, None), "");
        let build = Subject::Build { service: "web".into() };
        let load = Subject::Load { node: "n1".into() };
        board.hear(&Event::Begin { subject: build.clone() }, "");
        board.hear(&Event::Begin { subject: load.clone() }, "");
        board.hear(&Event::Dev(Shown::Link { what: "the cluster".into(), up: false, detail: String::new() }), "");
        assert_eq!(board.activity("web").unwrap(), "building");
        assert_eq!(board.elsewhere(), ["the cluster has gone away, waiting for it", "loading images into `n1`"]);
        board.hear(&Event::End { subject: build, outcome: Outcome::Failed, took: Duration::from_secs(1) }, "");
        board.hear(&Event::Dev(Shown::Link { what: "the cluster".into(), up: true, detail: String::new() }), "");
        assert_eq!(board.activity("web"), None);
        assert_eq!(board.elsewhere(), ["loading images into `n1`"]);
        assert_eq!(board.lines.since(0).filter(|line| line.text == "Building `web` failed after 1.0s").count(), 1);
    }
}
