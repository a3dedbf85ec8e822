//! What rolls out: `Deployment`, `StatefulSet`, `Job` or `CronJob` around the pod template.

use serde_json::{Value, json};

use super::seal::UNSEALED;
use super::{Scope, patch, pod, storage};
use crate::deploy::object::{Object, fit};
use crate::profile::{Strategy, WorkloadKind};

/// How many old templates are kept to go back to.
const HISTORY: u32 = 3;
/// How often a job's pod is tried again.
const RETRIES: u32 = 3;

/// Returns the service's workload, patched as the profile says.
pub(super) fn workload(scope: &Scope) -> Object {
    let service = scope.service;
    let mut object = match &service.kind {
        WorkloadKind::Deployment => deployment(scope),
        WorkloadKind::Stateful => stateful(scope),
        WorkloadKind::Job => job(scope),
        WorkloadKind::Cron { schedule } => cron(scope, schedule),
    };
    if let Some(patch) = &service.patch {
        patch::apply(&mut object.0, patch);
    }
    object
}

fn deployment(scope: &Scope) -> Object {
    let service = scope.service;
    let spec = json!({
        "replicas": service.replicas,
        "revisionHistoryLimit": HISTORY,
        "progressDeadlineSeconds": service.rollout.deadline.as_secs().max(1),
        "selector": {"matchLabels": scope.selector()},
        "strategy": strategy(scope),
        "template": pod::template(scope),
    });
    scope.annotated("apps/v1", "Deployment", &service.name, json!({"spec": spec}))
}

/// A `ReadWriteOnce` volume goes from one pod to the next: the old one must be gone first.
fn strategy(scope: &Scope) -> Value {
    let rollout = &scope.service.rollout;
    let forced = if storage::single_writer(scope) { Strategy::Recreate } else { Strategy::Rolling };
    match rollout.strategy.unwrap_or(forced) {
        Strategy::Recreate => json!({"type": "Recreate"}),
        Strategy::Rolling => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {
                "maxSurge": count_or_share(rollout.max_surge.as_deref().unwrap_or("25%")),
                "maxUnavailable": count_or_share(rollout.max_unavailable.as_deref().unwrap_or("0")),
            },
        }),
    }
}

/// `1` is a number to Kubernetes, `25%` a text.
fn count_or_share(text: &str) -> Value {
    text.parse::<u32>().map_or_else(|_| text.into(), Into::into)
}

/// Its pods do not wait for each other: else one that never gets ready would keep the set from
/// replacing it with a mended one
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>).
fn stateful(scope: &Scope) -> Object {
    let service = scope.service;
    let spec = json!({
        "replicas": service.replicas,
        "revisionHistoryLimit": HISTORY,
        "serviceName": service.service_name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": scope.selector()},
        "template": pod::template(scope),
    });
    // Its pods carry the name and a revision in one label.
    scope.annotated("apps/v1", "StatefulSet", &fit(&service.name, 52), json!({"spec": spec}))
}

/// A job cannot be changed: its name carries the template's digest, so that another template
/// is another job.
fn job(scope: &Scope) -> Object {
    let name = format!("{}-{UNSEALED}", fit(&scope.service.name, 50));
    let spec = json!({"backoffLimit": RETRIES, "template": pod::template(scope)});
    scope.annotated("batch/v1", "Job", &name, json!({"spec": spec}))
}

fn cron(scope: &Scope, schedule: &str) -> Object {
    let spec = json!({
        "schedule": schedule,
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {
            "metadata": {"labels": scope.labels()},
            "spec": {"backoffLimit": RETRIES, "template": pod::template(scope)},
        },
    });
    // Its jobs' names end in eleven more characters.
    scope.annotated("batch/v1", "CronJob", &fit(&scope.service.name, 52), json!({"spec": spec}))
}
