//! What `dev` adds to a pod: a mark, and the helper around the process.
//!
//! The mark makes the template another one than that of `up`, so that the first `up` after a
//! `dev` replaces pods into which files were synced, whatever has become of them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Scope, pod};
use crate::profile::Supervised;

/// Annotation of pod templates: `dev` syncs files into these pods.
const MARK: &str = "coracle.dev/development";
/// The pod volume that holds the helper.
const VOLUME: &str = "coracle-helper";
/// Where a container has the helper.
const HELPER: &str = "/.coracle/helper";

/// How long a process that is restarted in place may take to end: somebody waits for it.
const RESTART: Duration = Duration::from_secs(2);

/// Adds the mark to a template's annotations.
pub(super) fn mark(scope: &Scope, annotations: &mut Map<String, Value>) {
    if let Some(development) = &scope.service.development {
        let how = if development.supervised.is_some() { "supervised" } else { "synced" };
        annotations.insert(MARK.to_owned(), how.into());
    }
}

/// Returns the volume that brings the helper, which is on every node, into the pod.
pub(super) fn volume(scope: &Scope) -> Option<Value> {
    let supervised = supervised(scope)?;
    Some(json!({"name": VOLUME, "hostPath": {"path": supervised.helper, "type": "File"}}))
}

pub(super) fn mount(scope: &Scope) -> Option<Value> {
    supervised(scope)?;
    Some(json!({"name": VOLUME, "mountPath": HELPER, "readOnly": true}))
}

/// Returns the main container's `command` and `args`.
pub(super) fn command(scope: &Scope) -> (Value, Value) {
    let service = scope.service;
    let Some(supervised) = supervised(scope) else {
        return (pod::literal(service.command.as_deref()), pod::literal(service.args.as_deref()));
    };
    let grace = service.grace.min(RESTART).as_millis().to_string();
    let signal = supervised.stop_signal.to_string();
    let before = [HELPER, "supervise", "--stop-signal", &signal, "--grace-ms", &grace, "--"];
    let words: Vec<String> = before.into_iter().map(str::to_owned).chain(supervised.argv.iter().cloned()).collect();
    (pod::literal(Some(&words)), Value::Null)
}

fn supervised<'a>(scope: &Scope<'a>) -> Option<&'a Supervised> {
    scope.service.development.as_ref()?.supervised.as_ref()
}
