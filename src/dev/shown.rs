//! What the screen of `dev` is told, and what it asks for: the contract between the loop and
//! whatever draws it (a terminal, plain lines, `--output json`, the page of `--ui`).

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::machine::How;

/// One thing to show. All text is sanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Shown {
    /// How a service is now; each replaces the one before.
    Service(ServiceShown),
    /// A change arrived in the containers.
    Updated {
        service: String,
        /// RFC 3339 with the local offset.
        at: String,
        how: How,
        /// How many files; `paths` names the first few.
        files: usize,
        #[serde(serialize_with = "readable")]
        paths: Vec<PathBuf>,
        #[serde(serialize_with = "crate::event::milliseconds")]
        took: Duration,
        reason: Option<String>,
        /// Containers that have it, of those that there shall be.
        replicas: (u32, u32),
    },
    /// Work began that takes longer than a sync, and why.
    Began {
        service: String,
        how: How,
        reason: String,
    },
    /// A line of a service's output.
    Log {
        service: String,
        pod: String,
        line: String,
    },
    /// The engine, the cluster or the watcher went away or came back.
    Link {
        what: String,
        up: bool,
        detail: String,
    },
    Paused {
        on: bool,
    },
    /// Something is wrong that the user mends: a build that fails, a broken profile.
    /// It is shown until [`Shown::Mended`] names the same `of`; a second one replaces the first.
    Problem {
        /// What it is about: a service, or `profile`.
        of: String,
        /// The report as lines, without colour.
        text: String,
        /// The same for programs: the fields of `ui::report::json`.
        report: serde_json::Value,
    },
    Mended {
        of: String,
    },
    /// The answer to [`Wish::Status`].
    Pods {
        pods: Vec<PodShown>,
    },
    /// The page of `--ui` can be opened here. The address holds this run's token.
    Page {
        url: String,
    },
}

/// One pod, as the status panel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PodShown {
    pub(crate) service: String,
    pub(crate) pod: String,
    pub(crate) node: String,
    /// What `kubectl get pods` would say: `Running`, `CrashLoopBackOff`.
    pub(crate) status: String,
    pub(crate) ready: bool,
    pub(crate) restarts: u32,
    /// Whether it has every change, where files are synced at all.
    pub(crate) in_sync: Option<bool>,
}

/// Writes paths as text; what is no UTF-8 is replaced, as JSON can hold nothing else.
fn readable<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// The header line of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ServiceShown {
    pub(crate) service: String,
    pub(crate) state: State,
    pub(crate) urls: Vec<String>,
    /// Replicas that are ready, and that there shall be.
    pub(crate) ready: u32,
    pub(crate) wanted: u32,
    /// Replicas that have every change, where files are synced at all.
    pub(crate) in_sync: Option<u32>,
    /// Why it is not well: `CrashLoopBackOff: exit 1`.
    pub(crate) detail: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    #[default]
    Starting,
    Ready,
    Building,
    Deploying,
    Failing,
    /// The last change could not be brought there; what ran before still runs.
    Behind,
}

/// What the user asks for while `dev` runs. `None` means every service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Rebuild(Option<String>),
    Restart(Option<String>),
    Open(Option<String>),
    Status,
    Pause,
    Leave,
}
