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
    Syncing,
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
