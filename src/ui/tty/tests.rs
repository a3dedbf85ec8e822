//! The screen as a terminal shows it: bytes drawn by the display, read back by a small terminal in memory.

use indicatif::InMemoryTerm;

use super::*;
use crate::event::Unit;

struct Played {
    screen: Screen,
    term: InMemoryTerm,
    start: Instant,
    size: Size,
}

impl Played {
    fn new(columns: u16, rows: u16, verbose: bool) -> Self {
        let term = InMemoryTerm::new(rows, columns);
        let mut screen = Screen::new(verbose, false);
        screen.multi = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(term.clone())));
        let size = Size { columns: columns.into(), rows: rows.into() };
        Self { screen, term, start: Instant::now(), size }
    }

    fn hear(&mut self, event: Event) {
        self.screen.hear(event, self.start);
    }

    fn begin(&mut self, subject: &Subject) {
        self.hear(Event::Begin { subject: subject.clone() });
    }

    fn progress(&mut self, subject: &Subject, done: u64, total: Option<u64>, unit: Unit, detail: &str) {
        let progress = Progress { done, total, unit, detail: detail.into() };
        self.hear(Event::Progress { subject: subject.clone(), progress });
    }

    /// Returns the screen some milliseconds after the beginning, without spinners.
    fn at(&mut self, milliseconds: u64) -> String {
        // What limits the rate of drawing lives by the real clock.
        std::thread::sleep(Duration::from_millis(60));
        self.screen.draw(self.start + Duration::from_millis(milliseconds), self.size);
        self.term.contents().replace(|character| ('\u{2800}'..='\u{28ff}').contains(&character), "*")
    }
}

fn web() -> Subject {
    Subject::Build { service: "web".into() }
}

fn load() -> Subject {
    Subject::Load { node: "coracle-control-plane".into() }
}

fn redis() -> Subject {
    Subject::Workload { name: "redis".into() }
}

#[test]
fn lines_appear_after_a_while_and_are_aligned() {
    let mut played = Played::new(80, 24, false);
    played.begin(&web());
    assert_eq!(played.at(249), "");
    played.progress(&web(), 2, Some(4), Unit::Steps, "RUN pip install flask");
    played.progress(&redis(), 1, Some(3), Unit::Replicas, "ContainerCreating");
    assert_eq!(
        played.at(12_000),
        "\
* build web  ━━━━━━━━────────  2/4 RUN pip install flask                     12s
* redis      ━━━━━───────────  1/3 ready: ContainerCreating                  12s"
    );
}

#[test]
fn a_narrow_terminal_cuts_and_never_wraps() {
    let mut played = Played::new(40, 24, false);
    played.progress(&load(), 41_000_000, Some(120_000_000), Unit::Bytes, "");
    played.progress(&web(), 2, Some(4), Unit::Steps, "RUN pip install --no-cache-dir flask gunicorn");
    assert_eq!(
        played.at(65_000),
        "\
* load coracle-contro… 34%         1m05s
* build web 2/4 RUN pip install -- 1m05s"
    );
}

#[test]
fn what_ended_stays_above_what_goes_on() {
    let mut played = Played::new(60, 24, false);
    played.begin(&web());
    played.begin(&redis());
    played.at(1_000);
    let what = "built 7 steps, 4 cached".to_owned();
    played.hear(Event::End { subject: web(), outcome: Outcome::Done { what }, took: Duration::from_millis(3_100) });
    played.hear(Event::End { subject: load(), outcome: Outcome::Failed, took: Duration::from_millis(20) });
    played.hear(Event::Notice { level: Level::Warning, text: "`web` is large".into() });
    assert_eq!(
        played.at(2_000),
        "\
✓ Built `web` in 3.1s (7 steps, 4 cached)
✗ Loading images into `coracle-control-plane` failed after 2
0ms
warning: `web` is large
* redis                                                   2s"
    );
    let term = played.term.clone();
    played.screen.close();
    assert!(term.contents().ends_with("warning: `web` is large"), "{}", term.contents());
}

#[test]
fn a_low_terminal_shows_the_oldest() {
    let mut played = Played::new(60, 4, false);
    for index in 0..9 {
        played.begin(&Subject::Workload { name: format!("service-{index}") });
    }
    let screen = played.at(1_000);
    assert_eq!(screen.lines().count(), 3, "{screen}");
    assert!(screen.contains("service-2") && !screen.contains("service-3"), "{screen}");
    let outcome = Outcome::Done { what: "ready".into() };
    played.hear(Event::End { subject: Subject::Workload { name: "service-0".into() }, outcome, took: Duration::ZERO });
    assert!(played.at(1_000).contains("service-3"));
}

#[test]
fn details_are_for_the_verbose() {
    for verbose in [false, true] {
        let mut played = Played::new(60, 24, verbose);
        played.hear(Event::Output { subject: web(), line: "Collecting flask".into() });
        played.hear(Event::Notice { level: Level::Detail, text: "engine 29.1".into() });
        let all = "build web | Collecting flask\nengine 29.1";
        assert_eq!(played.at(0), if verbose { all } else { "" });
    }
}

#[test]
fn a_sentence_is_folded_between_words() {
    let warning = notice(Level::Warning, "`web` has no health check, and so is ready at once");
    assert_eq!(
        painted(&folded(&warning, 30), false),
        "warning: `web` has no health\n  check, and so is ready at\n  once"
    );
    assert_eq!(folded("two\nlines", 30), "two\nlines");
    assert_eq!(folded("a-word-that-is-too-long for it", 10), "a-word-that-is-too-long\n  for it");
}

#[test]
fn colour_is_off_unless_wanted() {
    let outcome = Outcome::Done { what: "built".into() };
    let line = ended(&web(), &outcome, Duration::from_secs(3));
    assert_eq!(painted(&line, false), "✓ Built `web` in 3.0s");
    assert!(painted(&line, true).contains("\u{1b}[32m✓"));
}
