//! Narration for pipes, logs and plain terminals: one line per thing that happened.
//!
//! Beginnings are told of long work only. Progress is told where a build reaches a new
//! step, and elsewhere as a sign of life: every 10 s if something changed, every 30 s if not.
//! Nothing is ever rewritten.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};

use super::{answer, notice, words};
use crate::event::{Event, Level, Progress, Subject};

/// The shortest time between two signs of life of one subject.
const SIGN: Duration = Duration::from_secs(10);
/// The same while nothing changes.
const STILL: Duration = Duration::from_secs(30);

/// Writes lines until the senders are gone.
pub(crate) async fn show(verbose: bool, mut events: UnboundedReceiver<Event>) {
    let mut narrator = Narrator::new(verbose);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let lines = tokio::select! {
            event = events.recv() => match event {
                Some(event) => narrator.hear(event, Instant::now()).into_iter().collect(),
                None => return,
            },
            _ = second.tick() => narrator.signs(Instant::now()),
        };
        for line in lines {
            answer::narrate(&line);
        }
    }
}

/// What is going on, and what was said about it.
pub(super) struct Narrator {
    verbose: bool,
    /// In the order in which they began.
    running: Vec<Running>,
}

struct Running {
    subject: Subject,
    progress: Option<Progress>,
    /// When something was last said about it, or when it began.
    said: Instant,
    changed: bool,
    /// The steps told so far; side-by-side steps of a build take turns.
    steps: HashSet<String>,
}

impl Narrator {
    pub(super) fn new(verbose: bool) -> Self {
        Self { verbose, running: Vec::new() }
    }

    /// Returns the line that an event is worth.
    pub(super) fn hear(&mut self, event: Event, now: Instant) -> Option<String> {
        match event {
            Event::Begin { subject } => {
                self.running(&subject, now);
                takes_long(&subject).then(|| words::begun(&subject))
            }
            Event::Progress { subject, progress } => self.running(&subject, now).advance(progress, now),
            Event::Dev(_) => None,
            Event::Output { subject, line } => self.verbose.then(|| format!("{} | {line}", words::label(&subject))),
            Event::End { subject, outcome, took } => {
                self.running.retain(|running| running.subject != subject);
                Some(words::ended(&subject, &outcome, took))
            }
            Event::Notice { level: Level::Detail, .. } if !self.verbose => None,
            Event::Notice { level, text } => Some(notice(level, &text)),
        }
    }

    /// Returns a sign of life of each subject that nothing was said about for long.
    pub(super) fn signs(&mut self, now: Instant) -> Vec<String> {
        self.running.iter_mut().filter_map(|running| running.sign(now)).collect()
    }

    /// Whether there is nothing that a sign of life could be given of.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    fn running(&mut self, subject: &Subject, now: Instant) -> &mut Running {
        let index = self.running.iter().position(|running| running.subject == *subject).unwrap_or_else(|| {
            self.running.push(Running::new(subject.clone(), now));
            self.running.len() - 1
        });
        &mut self.running[index]
    }
}

impl Running {
    fn new(subject: Subject, said: Instant) -> Self {
        Self { subject, progress: None, said, changed: false, steps: HashSet::new() }
    }

    fn advance(&mut self, progress: Progress, now: Instant) -> Option<String> {
        let line = match &self.subject {
            Subject::Build { .. } => {
                let new = words::instruction(&progress.detail).is_some_and(|step| self.steps.insert(step));
                words::step(&self.subject, &progress).filter(|_| new)
            }
            _ => None,
        };
        self.changed |= self.progress.as_ref() != Some(&progress);
        self.progress = Some(progress);
        let line = line?;
        self.told(now);
        Some(line)
    }

    fn sign(&mut self, now: Instant) -> Option<String> {
        let quiet = now.saturating_duration_since(self.said);
        if quiet < SIGN || (!self.changed && quiet < STILL) {
            return None;
        }
        self.told(now);
        Some(words::going(&self.subject, self.progress.as_ref()))
    }

    fn told(&mut self, now: Instant) {
        self.said = now;
        self.changed = false;
    }
}

/// Whether a beginning is worth a line: what ends within a second or two is told at its end.
fn takes_long(subject: &Subject) -> bool {
    matches!(subject, Subject::Cluster { .. } | Subject::Build { .. } | Subject::Pull { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Unit};

    /// Plays events at seconds, with a tick each second, and returns the lines.
    fn told(verbose: bool, script: Vec<(u64, Event)>, end: u64) -> String {
        let start = Instant::now();
        let mut narrator = Narrator::new(verbose);
        let mut script = script.into_iter().peekable();
        let mut lines = Vec::new();
        for second in 0..=end {
            let now = start + Duration::from_secs(second);
            while let Some((_, event)) = script.next_if(|(at, _)| *at == second) {
                lines.extend(narrator.hear(event, now).map(|line| format!("{second:2} {line}")));
            }
            lines.extend(narrator.signs(now).into_iter().map(|line| format!("{second:2} {line}")));
        }
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    fn web() -> Subject {
        Subject::Build { service: "web".into() }
    }

    fn step(done: u64, detail: &str) -> Event {
        let progress = Progress { done, total: Some(4), unit: Unit::Steps, detail: detail.into() };
        Event::Progress { subject: web(), progress }
    }

    fn ready(done: u64, detail: &str) -> Event {
        let progress = Progress { done, total: Some(3), unit: Unit::Replicas, detail: detail.into() };
        Event::Progress { subject: Subject::Workload { name: "web".into() }, progress }
    }

    fn end(subject: Subject, what: &str) -> Event {
        Event::End { subject, outcome: Outcome::Done { what: what.into() }, took: Duration::from_millis(3100) }
    }

    #[test]
    fn a_build_tells_each_step_once() {
        let script = vec![
            (0, Event::Begin { subject: web() }),
            (1, step(1, "FROM python:3")),
            (1, step(1, "FROM python:3")),
            (2, step(2, "RUN pip install flask")),
            (2, step(2, "FROM python:3")),
            (2, step(2, "RUN pip install flask (1.0 MB of 3.0 MB)")),
            (2, step(4, "exporting to image")),
            (3, end(web(), "built 7 steps, 4 cached")),
        ];
        assert_eq!(
            told(false, script, 60),
            "\u{20}0 Building `web`
 1 build web: [1/4] FROM python:3
 2 build web: [2/4] RUN pip install flask
 3 Built `web` in 3.1s (7 steps, 4 cached)"
        );
    }

    #[test]
    fn a_wait_is_told_every_ten_seconds_and_less_when_nothing_changes() {
        let script = vec![
            (0, ready(0, "ContainerCreating")),
            (1, ready(1, "ContainerCreating")),
            (2, ready(0, "ContainerCreating")),
            (15, ready(1, "ContainerCreating")),
            (52, end(Subject::Workload { name: "web".into() }, "ready 3/3")),
        ];
        assert_eq!(
            told(false, script, 90),
            "10 still waiting for web: 0/3 ready: ContainerCreating
20 still waiting for web: 1/3 ready: ContainerCreating
50 still waiting for web: 1/3 ready: ContainerCreating
52 `web` is ready after 3.1s (3/3)"
        );
    }

    #[test]
    fn short_work_is_told_at_its_end_only() {
        let apply = Subject::Apply { namespace: "shop".into() };
        let script = vec![(0, Event::Begin { subject: apply.clone() }), (1, end(apply, "5 objects"))];
        assert_eq!(told(false, script, 60), " 1 Applied to namespace `shop` in 3.1s (5 objects)");
    }

    #[test]
    fn details_are_for_the_verbose() {
        let script = || {
            vec![
                (0, Event::Notice { level: Level::Detail, text: "engine 29.1".into() }),
                (0, Event::Output { subject: web(), line: "Collecting flask".into() }),
                (0, Event::Notice { level: Level::Warning, text: "`web` listens on 127.0.0.1".into() }),
                (0, Event::Notice { level: Level::Info, text: "Nothing had to change".into() }),
            ]
        };
        let few = " 0 warning: `web` listens on 127.0.0.1\n 0 Nothing had to change";
        assert_eq!(told(false, script(), 0), few);
        assert_eq!(told(true, script(), 0), format!(" 0 engine 29.1\n 0 build web | Collecting flask\n{few}"));
    }
}
