//! Why a workload is not ready: pure, from what the watches have seen.
//!
//! [`troubles`] reads the pods of the awaited template only, so that an older rollout's faults
//! are not this one's. A trouble is fatal when waiting cannot mend it, and slow when it might;
//! the thresholds are beside each. What needs asking (logs, sockets, storage classes) is handed
//! in as [`Facts`]; nothing here talks to a cluster.

mod container;
mod pod;
mod probe;
pub(crate) mod report;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::listening::Socket;
use super::seen::{Seen, name, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Might pass: shown at the deadline and by `status`.
    Slow,
    /// Waiting cannot mend it.
    Fatal,
}

/// Why a container's log is worth reading: it ended, and so the one before matters too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogWish {
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) previous: bool,
}

/// One reason why a workload is not ready. All text is sanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) severity: Severity,
    /// The last part of the error's ID: `image_pull`.
    pub(crate) code: &'static str,
    /// "container `web` crashed 3 times (exit code 1)"
    pub(crate) headline: String,
    /// The cause's own words, a line each.
    pub(crate) cause: Vec<String>,
    pub(crate) pod: Option<String>,
    pub(crate) container: Option<String>,
    pub(crate) help: String,
    pub(crate) log: Option<LogWish>,
    /// The log's last lines, filled in by who can ask.
    pub(crate) lines: Vec<String>,
    /// A permission or a quota, not the work.
    pub(crate) refused: bool,
}

impl Trouble {
    fn new(severity: Severity, code: &'static str, headline: impl AsRef<str>) -> Self {
        Self {
            severity,
            code,
            headline: crate::ui::sanitize::line(headline.as_ref()),
            cause: Vec::new(),
            pod: None,
            container: None,
            help: String::new(),
            log: None,
            lines: Vec::new(),
            refused: false,
        }
    }

    /// Adds the cause's words, if there are any.
    fn because(mut self, words: &str) -> Self {
        let lines = words.lines().map(crate::ui::sanitize::line).filter(|line| !line.trim().is_empty());
        self.cause.extend(lines);
        self
    }

    fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = crate::ui::sanitize::line(help.as_ref());
        self
    }

    fn at(mut self, pod: &Value, container: Option<&str>) -> Self {
        self.pod = Some(crate::ui::sanitize::line(name(pod)));
        self.container = container.map(crate::ui::sanitize::line);
        self
    }

    fn with_log(mut self, pod: &Value, container: &str, previous: bool) -> Self {
        self.log = Some(LogWish { pod: name(pod).to_owned(), container: container.to_owned(), previous });
        self
    }

    fn refused(mut self) -> Self {
        self.refused = true;
        self
    }
}

/// The workload in question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// Digest of the awaited pod template; empty: any.
    pub(crate) template: &'a str,
}

/// What cannot be seen in objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Seconds since the epoch.
    pub(crate) now: i64,
    /// Another workload is still on its way, and this one may wait for it.
    pub(crate) others_pending: bool,
    /// Pod → its listening sockets. Absent: not known.
    pub(crate) listening: BTreeMap<String, Vec<Socket>>,
    /// Absent: not known.
    pub(crate) storage_classes: Option<BTreeSet<String>>,
}

/// Returns the reasons why the workload is not ready, fatal ones first, each once.
pub(crate) fn troubles(seen: &Seen, subject: Subject<'_>, facts: &Facts) -> Vec<Trouble> {
    let mut found = workload::troubles(seen, subject, facts);
    for pod in seen.pods(subject.kind, subject.name, subject.template) {
        found.extend(pod::troubles(seen, pod, subject, facts));
    }
    found.sort_by_key(|trouble| std::cmp::Reverse(trouble.severity));
    let mut said = BTreeSet::new();
    // Replicas fail alike; one of them is enough.
    found.retain(|trouble| said.insert((trouble.code, trouble.container.clone())));
    found
}

/// Returns (pod, node, container ID) of running containers whose probe fails, and whose sockets
/// would tell why.
pub(crate) fn wants_listening(seen: &Seen, subject: Subject<'_>) -> Vec<(String, String, String)> {
    let pods = seen.pods(subject.kind, subject.name, subject.template);
    let failing = pods.into_iter().filter_map(|pod| {
        let container = probe::failing(seen, pod)?;
        let node = text(&pod["spec"]["nodeName"]);
        Some((name(pod).to_owned(), node.to_owned(), text(&container["containerID"]).to_owned()))
    });
    failing.filter(|(_, node, id)| !node.is_empty() && !id.is_empty()).take(2).collect()
}

/// Returns what the newest pod is doing, in a few words.
pub(crate) fn doing(seen: &Seen, subject: Subject<'_>) -> String {
    let pods = seen.pods(subject.kind, subject.name, subject.template);
    let Some(pod) = pods.iter().find(|pod| !pod::is_ready(pod)).or(pods.first()) else {
        return "waiting for its pod".to_owned();
    };
    crate::ui::sanitize::line(&pod::doing(pod))
}

pub(crate) use pod::is_ready;
