//! `Session`: what every verb's work is handed: events, cancellation, paths, and the
//! surroundings (environment, folder, terminal) as they were when the command began.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::event::Events;

/// Clients, event sender and cancellation token, handed down to all work. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) events: Events,
    /// Cancelled by the first Ctrl-C.
    pub(crate) cancel: CancellationToken,
    pub(crate) surroundings: std::sync::Arc<Surroundings>,
}

/// The process's environment, captured once in `cli`, so that nothing else reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) folder: PathBuf,
    pub(crate) home: PathBuf,
    /// `$XDG_STATE_HOME/coracle`: private kubeconfigs, locks, trust.
    pub(crate) state: PathBuf,
    /// `$XDG_CACHE_HOME/coracle`: what is known of contexts and layers; safe to delete.
    pub(crate) cache: PathBuf,
    /// The name of the user who runs this.
    pub(crate) user: String,
    /// Standard input is a terminal, so that a question can be asked.
    pub(crate) can_ask: bool,
}

impl Surroundings {
    /// Returns a variable's value; one that is set but empty counts as absent.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns `path` made absolute from the folder that the command began in.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}
