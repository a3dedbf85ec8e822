//! Narration for terminals: a live line for each thing that goes on, and above them what happened.
//!
//! A live line appears when its work has gone on for 250 ms, is never wider than the
//! terminal, and turns into a line with ✓ or ✗ that stays. The cursor is never hidden and
//! no terminal mode is changed, so that nothing is left behind by a process that is killed
//! but the last live lines. What they say is `words`'s; how they are laid out is `Line`'s.

use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};

use super::terminal::{self, Size};
use super::{answer, humane, notice, words};
use crate::event::{Event, Level, Outcome, Progress, Subject};

/// Work that ends sooner never has a live line.
const PATIENCE: Duration = Duration::from_millis(250);
const FRAME: Duration = Duration::from_millis(100);
/// From this many columns on labels are aligned and totals have a bar.
const WIDE: usize = 60;
/// Labels longer than this are not waited for when the others are aligned.
const LABEL: usize = 24;
const BAR: usize = 16;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Draws until the senders are gone; then the live lines are gone too.
pub(crate) async fn show(verbose: bool, mut events: UnboundedReceiver<Event>) {
    show_until(verbose, &mut events, |_| false).await;
}

/// Draws until `ends` says so of an event, which is returned, or until the senders are gone.
pub(super) async fn show_until(
    verbose: bool,
    events: &mut UnboundedReceiver<Event>,
    mut ends: impl FnMut(&Event) -> bool,
) -> Option<Event> {
    let mut screen = Screen::new(verbose, answer::narrates_in_color());
    let mut frame = interval(FRAME);
    frame.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) if !ends(&event) => screen.hear(event, Instant::now()),
                end => {
                    screen.close();
                    return end;
                }
            },
            _ = frame.tick() => screen.draw(Instant::now(), terminal::narration()),
        }
    }
}

struct Screen {
    multi: MultiProgress,
    verbose: bool,
    color: bool,
    /// In the order in which they began.
    lines: Vec<Line>,
}

/// One subject's live line.
struct Line {
    subject: Subject,
    begun: Instant,
    progress: Option<Progress>,
    /// Drawn, once it has gone on for long enough and there is room.
    bar: Option<ProgressBar>,
}

impl Screen {
    fn new(verbose: bool, color: bool) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { multi, verbose, color, lines: Vec::new() }
    }

    fn hear(&mut self, event: Event, now: Instant) {
        match event {
            Event::Begin { subject } => {
                self.line(subject, now);
            }
            Event::Progress { subject, progress } => self.line(subject, now).progress = Some(progress),
            Event::End { subject, outcome, took } => {
                self.forget(&subject);
                self.say(&ended(&subject, &outcome, took));
            }
            Event::Output { subject, line } if self.verbose => {
                self.print(&format!("{DIM}{} |{DIM:#} {line}", words::label(&subject)));
            }
            Event::Notice { level: Level::Detail, text } if self.verbose => self.print(&format!("{DIM}{text}{DIM:#}")),
            Event::Notice { level: level @ (Level::Info | Level::Warning), text } => self.say(&notice(level, &text)),
            Event::Output { .. } | Event::Notice { .. } | Event::Dev(_) => {}
        }
    }

    /// Brings every live line to the state of `now`.
    fn draw(&mut self, now: Instant, size: Size) {
        // One row stays free for the cursor.
        let room = size.rows.saturating_sub(1).max(1);
        let due = |line: &&mut Line| now.saturating_duration_since(line.begun) >= PATIENCE;
        let layout = Layout::new(size.columns, self.lines.iter());
        for line in self.lines.iter_mut().filter(due).take(room) {
            let bar =
                line.bar.get_or_insert_with(|| self.multi.add(ProgressBar::no_length().with_style(style()))).clone();
            line.draw(&bar, now, layout, self.color);
        }
    }

    fn close(mut self) {
        for line in self.lines.drain(..) {
            line.erase();
        }
        // A terminal that has gone away needs no cleaning.
        drop(self.multi.clear());
    }

    fn line(&mut self, subject: Subject, now: Instant) -> &mut Line {
        let index = self.lines.iter().position(|line| line.subject == subject).unwrap_or_else(|| {
            self.lines.push(Line { subject, begun: now, progress: None, bar: None });
            self.lines.len() - 1
        });
        &mut self.lines[index]
    }

    fn forget(&mut self, subject: &Subject) {
        if let Some(index) = self.lines.iter().position(|line| line.subject == *subject) {
            self.lines.remove(index).erase();
        }
    }

    /// Prints a sentence that stays, folded between words.
    fn say(&self, text: &str) {
        self.print(&folded(text, terminal::narration().columns));
    }

    /// Prints a line that stays, above the live ones.
    fn print(&self, text: &str) {
        // Without a terminal there is nobody to tell.
        drop(self.multi.println(painted(text, self.color)));
    }
}

impl Line {
    fn erase(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn draw(&self, bar: &ProgressBar, now: Instant, layout: Layout, color: bool) {
        let elapsed = humane::clock(now.saturating_duration_since(self.begun));
        bar.set_message(painted(&self.text(layout), color));
        bar.set_prefix(painted(&format!("{DIM}{elapsed}{DIM:#}"), color));
        bar.tick();
    }

    /// Returns the line's middle, which is cut at the terminal's edge where it is too long.
    fn text(&self, layout: Layout) -> String {
        let label = words::label(&self.subject);
        let Some(progress) = &self.progress else {
            return format!("{BOLD}{label}{BOLD:#}");
        };
        if layout.columns < WIDE {
            // Half the line is for what happens, or a long name would hide it.
            let label = cut(&label, layout.columns / 2);
            return format!("{BOLD}{label}{BOLD:#} {}", words::short(progress));
        }
        let state = words::state(progress);
        let pad = layout.label.saturating_sub(label.chars().count());
        let bar = bar(progress).map(|bar| format!("{bar}  ")).unwrap_or_default();
        format!("{BOLD}{label}{BOLD:#}{:pad$}  {bar}{state}", "")
    }
}

/// How much room there is.
#[derive(Debug, Clone, Copy)]
struct Layout {
    columns: usize,
    /// The width to which labels are aligned.
    label: usize,
}

impl Layout {
    fn new<'a>(columns: usize, lines: impl Iterator<Item = &'a Line>) -> Self {
        let widths = lines.map(|line| words::label(&line.subject).chars().count());
        Self { columns, label: widths.filter(|width| *width <= LABEL).max().unwrap_or(0) }
    }
}

/// Returns a bar where the total is known; of a single step or replica there is nothing to see.
fn bar(progress: &Progress) -> Option<String> {
    let total = progress.total.filter(|total| *total > 1)?;
    let done = u128::from(progress.done.min(total)) * BAR as u128 / u128::from(total);
    let done = usize::try_from(done).unwrap_or(BAR);
    Some(format!("{CYAN}{}{CYAN:#}{DIM}{}{DIM:#}", "━".repeat(done), "─".repeat(BAR - done)))
}

fn ended(subject: &Subject, outcome: &Outcome, took: Duration) -> String {
    let (style, mark) = match outcome {
        Outcome::Done { .. } => (GREEN, '✓'),
        Outcome::Failed => (RED, '✗'),
        Outcome::Cancelled => (DIM, '–'),
    };
    format!("{style}{mark}{style:#} {}", words::ended(subject, outcome, took))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {prefix}")
        .expect("the template is a constant")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

/// Folds a sentence between words; what follows its first line is indented.
fn folded(text: &str, columns: usize) -> String {
    let width = |word: &str| anstream::adapter::strip_str(word).to_string().chars().count();
    let mut folded = String::new();
    for (number, line) in text.split('\n').enumerate() {
        let mut used = 0;
        folded += if number > 0 { "\n" } else { "" };
        for word in line.split(' ') {
            let between = if used == 0 { "" } else { " " };
            if used > 0 && used + 1 + width(word) > columns {
                folded.extend(["\n  ", word]);
                used = 2 + width(word);
            } else {
                folded.extend([between, word]);
                used += between.len() + width(word);
            }
        }
    }
    folded
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn painted(text: &str, color: bool) -> String {
    if color { text.to_owned() } else { anstream::adapter::strip_str(text).to_string() }
}

#[cfg(test)]
mod tests;
