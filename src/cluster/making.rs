//! Which clusters this process is making: told to those who wait for their nodes.
//!
//! Nodes that a killed run left look like new ones until they are removed. Those count that
//! came after this process has cleared the place.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static BEGUN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From here on the nodes of the cluster are this process' own.
pub(super) fn begin(cluster: &str) {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner).insert(cluster.to_owned());
}

/// What there is of the cluster goes, or went.
pub(super) fn end(cluster: &str) {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner).remove(cluster);
}

pub(super) fn begun(cluster: &str) -> bool {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner).contains(cluster)
}
