//! What the engine tells while it builds, as events and as a record for a failure.
//!
//! `BuildKit` tells of *vertices* (steps, and its own errands) in protobuf inside JSON lines;
//! the classic builder prints. Steps are the vertices whose name begins with `[n/m]` or
//! `[stage n/m]`. Only the last lines of each are kept.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex};
use prost::Message;
use serde_json::Value;

use super::Built;
use crate::event::{Event, Progress, Subject, Unit};
use crate::ui::sanitize;

/// How many lines of a step's output a failure shows.
const LAST_LINES: usize = 20;

/// One line of the engine's answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    Status(StatusResponse),
    /// Output of the classic builder.
    Text(String),
    Image,
    Error(String),
    Other,
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            return Self::Other;
        };
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let detail = value.get("errorDetail").and_then(|detail| detail.get("message")).and_then(Value::as_str);
        if let Some(message) = detail.or_else(|| text("error")) {
            return Self::Error(message.to_owned());
        }
        let aux = value.get("aux");
        match (text("id"), aux.and_then(Value::as_str)) {
            (Some("moby.buildkit.trace"), Some(encoded)) => base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .ok()
                .and_then(|bytes| StatusResponse::decode(bytes.as_slice()).ok())
                .map_or(Self::Other, Self::Status),
            _ if aux.is_some_and(|aux| aux.get("ID").is_some()) => Self::Image,
            _ => text("stream").map_or(Self::Other, |text| Self::Text(text.to_owned())),
        }
    }
}

/// The step that made a build fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedStep {
    /// As the engine names it: `[build 2/4] RUN make`.
    pub(super) name: String,
    /// Without what is before it: `RUN make`.
    pub(super) text: String,
    /// The last lines of its output, sanitised.
    pub(super) output: Vec<String>,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    /// Without the `[n/m]` before it.
    text: String,
    /// Counts as a step of the Dockerfile.
    counts: bool,
    cached: bool,
    done: bool,
    error: String,
    last: VecDeque<String>,
    /// A line that has no end yet.
    open: String,
    /// Bytes of what it fetches, by part: done and total.
    parts: BTreeMap<String, (u64, u64)>,
}

/// All that the engine told of one build.
#[derive(Debug)]
pub(super) struct Told {
    subject: Subject,
    /// By digest; of the classic builder by number.
    steps: BTreeMap<String, Step>,
    /// Stage → how many steps it has.
    totals: BTreeMap<String, u64>,
    /// The step that the classic builder is at.
    current: String,
    error: Option<String>,
    image: bool,
}

impl Told {
    pub(super) fn new(service: &str) -> Self {
        Self {
            subject: Subject::Build { service: service.to_owned() },
            steps: BTreeMap::new(),
            totals: BTreeMap::new(),
            current: String::new(),
            error: None,
            image: false,
        }
    }

    /// Takes one line in and returns what the user may hear of it.
    pub(super) fn hear(&mut self, line: &Line) -> Vec<Event> {
        match line {
            Line::Status(status) => self.hear_status(status),
            Line::Text(text) => self.hear_text(text),
            Line::Image => {
                self.image = true;
                Vec::new()
            }
            Line::Error(message) => {
                self.error = Some(message.clone());
                Vec::new()
            }
            Line::Other => Vec::new(),
        }
    }

    /// The engine refused the request as a whole.
    pub(super) fn refused(&mut self, message: &str) {
        self.error = Some(message.to_owned());
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    pub(super) fn has_image(&self) -> bool {
        self.image
    }

    pub(super) fn built(&self) -> Built {
        let count = |cached: bool| {
            let steps = self.steps.values().filter(|step| step.counts && (step.cached || !cached));
            u64::try_from(steps.count()).unwrap_or(u64::MAX)
        };
        Built { steps: count(false), cached: count(true) }
    }

    /// Returns the text and the last output of the step that failed.
    pub(super) fn failed_step(&self) -> Option<FailedStep> {
        // Of several, the others were cancelled because of the one that has its own words.
        let by_error = self.steps.values().filter(|step| !step.error.is_empty());
        let step = by_error
            .min_by_key(|step| step.error.contains("context canceled"))
            .or_else(|| self.steps.get(&self.current).filter(|_| !self.current.is_empty()))?;
        let open = Some(&step.open).filter(|open| !open.trim().is_empty());
        let lines: Vec<String> = step.last.iter().chain(open).cloned().collect();
        let output = lines[lines.len().saturating_sub(LAST_LINES)..].to_vec();
        Some(FailedStep { name: step.name.clone(), text: step.text.clone(), output })
    }

    fn hear_status(&mut self, status: &StatusResponse) -> Vec<Event> {
        let mut events = Vec::new();
        let mut moved = None;
        for vertex in &status.vertexes {
            self.hear_vertex(vertex);
            moved = Some(vertex.digest.clone());
        }
        for part in &status.statuses {
            let step = self.steps.entry(part.vertex.clone()).or_default();
            let bytes = |count: i64| u64::try_from(count).unwrap_or(0);
            // Of the context nobody knows how much the engine will ask for.
            if part.total > 0 || part.id.starts_with("transferring ") {
                step.parts.insert(part.id.clone(), (bytes(part.current), bytes(part.total)));
                moved = Some(part.vertex.clone());
            }
        }
        for log in &status.logs {
            events.extend(self.output(&log.vertex, &String::from_utf8_lossy(&log.msg)));
        }
        events.extend(moved.and_then(|digest| self.progress(&digest)));
        events
    }

    fn hear_vertex(&mut self, vertex: &Vertex) {
        let (label, text) = split_label(&vertex.name);
        let position = label.and_then(position);
        if let Some((stage, _, of)) = &position {
            self.totals.insert((*stage).to_owned(), *of);
        }
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        step.name.clone_from(&vertex.name);
        text.clone_into(&mut step.text);
        step.counts = position.is_some();
        step.cached |= vertex.cached;
        step.done |= vertex.completed.is_some();
        if !vertex.error.is_empty() {
            step.error.clone_from(&vertex.error);
        }
    }

    fn hear_text(&mut self, text: &str) -> Vec<Event> {
        if let Some((number, of, rest)) = classic_step(text) {
            if let Some(before) = self.steps.get_mut(&self.current) {
                before.done = true;
            }
            self.totals.insert(String::new(), of);
            self.current = format!("{number:05}");
            let name = rest.trim().to_owned();
            let step = Step { text: name.clone(), name, counts: true, ..Step::default() };
            self.steps.insert(self.current.clone(), step);
            return self.progress(&self.current).into_iter().collect();
        }
        if text.trim() == "---> Using cache" {
            if let Some(step) = self.steps.get_mut(&self.current) {
                step.cached = true;
            }
            return Vec::new();
        }
        // The builder's own remarks between the output.
        if text.trim().is_empty() || text.starts_with(" ---> ") || text.starts_with("Removed intermediate") {
            return Vec::new();
        }
        if text.starts_with("Successfully built") {
            self.image = true;
        }
        self.output(&self.current.clone(), text)
    }

    /// Takes output of a step in; whole lines become events.
    fn output(&mut self, step: &str, text: &str) -> Vec<Event> {
        let step = self.steps.entry(step.to_owned()).or_default();
        step.open.push_str(text);
        let mut events = Vec::new();
        while let Some(end) = step.open.find('\n') {
            let line: String = step.open.drain(..=end).collect();
            // Of a line that is written over again and again only the last state counts.
            let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
            let line = sanitize::line(line);
            step.last.push_back(line.clone());
            if step.last.len() > LAST_LINES {
                step.last.pop_front();
            }
            events.push(Event::Output { subject: self.subject.clone(), line });
        }
        events
    }

    fn progress(&self, digest: &str) -> Option<Event> {
        let step = self.steps.get(digest)?;
        let total: u64 = self.totals.values().sum();
        let done = self.steps.values().filter(|step| step.counts && step.done).count();
        let (have, want) = step.parts.values().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let size = super::super::error::size;
        let bytes = match (have, want) {
            (0, 0) => String::new(),
            (_, 0) => format!(" ({})", size(have)),
            _ => format!(" ({} of {})", size(have), size(want)),
        };
        let progress = Progress {
            done: u64::try_from(done).unwrap_or(u64::MAX),
            total: (total > 0).then_some(total),
            unit: Unit::Steps,
            detail: format!("{}{bytes}", sanitize::line(&step.name)),
        };
        Some(Event::Progress { subject: self.subject.clone(), progress })
    }
}

/// Splits `[build 2/4] RUN x` into `build 2/4` and `RUN x`.
fn split_label(name: &str) -> (Option<&str>, &str) {
    match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((label, text)) => (Some(label), text.trim()),
        None => (None, name),
    }
}

/// Returns stage, number and count of a label like `2/4` or `build 2/4`.
fn position(label: &str) -> Option<(&str, u64, u64)> {
    let (stage, numbers) = label.rsplit_once(' ').unwrap_or(("", label));
    let (number, of) = numbers.split_once('/')?;
    Some((stage.trim(), number.parse().ok()?, of.parse().ok()?))
}

/// Returns number, count and text of the classic builder's `Step 2/4 : RUN x`.
fn classic_step(text: &str) -> Option<(u64, u64, &str)> {
    let (numbers, rest) = text.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, of) = numbers.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?, rest))
}

#[cfg(test)]
mod tests;
