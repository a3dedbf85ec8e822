//! `Event`: all that work can say while it runs.
//!
//! Work sends events and never prints; `ui` words and draws them. An event is plain
//! data about the user's things, so that a terminal, a pipe and `--output json` tell
//! the same story. Sending never blocks and never fails: a display that has gone away
//! must not stop a rollout.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The thing that a piece of work is about. Equal subjects are one line on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(tag = "subject", rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// A local cluster that is made or started, by its name.
    Cluster {
        name: String,
    },
    StopCluster {
        name: String,
    },
    DeleteCluster {
        name: String,
    },
    /// The build of a service's image.
    Build {
        service: String,
    },
    /// A pull by the engine, by the reference as the profile writes it.
    Pull {
        image: String,
    },
    /// The load of images into one node.
    Load {
        node: String,
    },
    /// The write of the profile's objects.
    Apply {
        namespace: String,
    },
    /// One workload on its way to ready.
    Workload {
        name: String,
    },
    /// The removal of objects.
    Remove {
        namespace: String,
    },
}

/// How far a piece of work is. `total` is absent where nobody knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Progress {
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
    pub(crate) unit: Unit,
    /// What is happening now, in a few words, sanitised: a step's text, a pod's reason.
    pub(crate) detail: String,
}

/// What `Progress` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Bytes,
    Steps,
    Replicas,
}

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It was done; `what` completes the sentence ("created", "built 12 steps, 7 cached").
    Done {
        what: String,
    },
    Failed,
    Cancelled,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// Shown with `-v` only.
    Detail,
    Info,
    Warning,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    Begin {
        #[serde(flatten)]
        subject: Subject,
    },
    Progress {
        #[serde(flatten)]
        subject: Subject,
        #[serde(flatten)]
        progress: Progress,
    },
    /// A line of somebody else's output (a build step's), already sanitised. Shown with `-v`.
    Output {
        #[serde(flatten)]
        subject: Subject,
        line: String,
    },
    End {
        #[serde(flatten)]
        subject: Subject,
        #[serde(flatten)]
        outcome: Outcome,
        #[serde(serialize_with = "milliseconds")]
        took: Duration,
    },
    /// A whole sentence about the user's things.
    Notice { level: Level, text: String },
    /// Of `dev`, while it watches.
    #[serde(untagged)]
    Dev(crate::dev::shown::Shown),
}

pub(crate) fn milliseconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

/// The sending half that is handed down with the session. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: mpsc::UnboundedSender<Event>,
    /// What fails once this is cancelled was cut short, and is no failure of its own.
    cancel: CancellationToken,
}

impl Events {
    /// Returns a sender and the receiver that a display reads.
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, cancel: CancellationToken::new() }, receiver)
    }

    /// Returns a sender for work that `cancel` cuts short.
    pub(crate) fn cut_short_by(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    pub(crate) fn send(&self, event: Event) {
        // Without a display there is nobody to tell, and the work goes on.
        drop(self.sender.send(event));
    }

    pub(crate) fn info(&self, text: impl Into<String>) {
        self.notice(Level::Info, text);
    }

    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.notice(Level::Warning, text);
    }

    pub(crate) fn detail(&self, text: impl Into<String>) {
        self.notice(Level::Detail, text);
    }

    fn notice(&self, level: Level, text: impl Into<String>) {
        self.send(Event::Notice { level, text: text.into() });
    }

    pub(crate) fn progress(&self, subject: &Subject, progress: Progress) {
        self.send(Event::Progress { subject: subject.clone(), progress });
    }

    /// Tells of the beginning, runs the work, and tells how it ended.
    /// `what` words a success from its value.
    pub(crate) async fn track<T, E>(
        &self,
        subject: Subject,
        work: impl Future<Output = Result<T, E>>,
        what: impl FnOnce(&T) -> String,
    ) -> Result<T, E> {
        self.send(Event::Begin { subject: subject.clone() });
        let start = std::time::Instant::now();
        let result = work.await;
        let outcome = match &result {
            Ok(value) => Outcome::Done { what: what(value) },
            Err(_) if self.cancel.is_cancelled() => Outcome::Cancelled,
            Err(_) => Outcome::Failed,
        };
        self.send(Event::End { subject, outcome, took: start.elapsed() });
        result
    }
}
