//! Whether a workload is ready: generation observed, all replicas of the awaited template, no
//! others. Pure. A healthy older rollout never counts.

use serde_json::Value;

use super::super::explain::{Subject, is_ready};
use super::super::object::Object;
use super::super::seen::{Seen, condition, is_true, template_of};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) ready: bool,
    pub(super) have: u64,
    pub(super) wanted: u64,
    job: bool,
}

impl State {
    pub(super) fn what(&self) -> String {
        match (self.job, self.wanted) {
            (true, _) => "done".to_owned(),
            (false, 0) => "ready, no replicas wanted".to_owned(),
            (false, 1) => "ready".to_owned(),
            (false, wanted) => format!("ready, {wanted} replicas"),
        }
    }
}

pub(super) fn state(seen: &Seen, subject: Subject<'_>, generation: i64) -> State {
    let none = State { ready: false, have: 0, wanted: 1, job: subject.kind == "Job" };
    if subject.kind == "Pod" {
        return bare_pod(seen.get("Pod", subject.name));
    }
    if !matches!(subject.kind, "Deployment" | "StatefulSet" | "DaemonSet" | "Job") {
        // Kinds that run nothing at once (a CronJob) are ready when they are applied.
        return State { ready: true, have: 0, wanted: 0, job: false };
    }
    let Some(workload) = seen.get(subject.kind, subject.name) else { return none };
    let status = &workload["status"];
    let number = |name: &str| status[name].as_i64().unwrap_or(0);
    let pods = seen.pods(subject.kind, subject.name, subject.template);
    let ready_pods = pods.iter().filter(|pod| is_ready(pod)).count();
    let have = ready_pods as u64;
    if subject.kind == "Job" {
        let wanted = count(workload["spec"]["completions"].as_i64().unwrap_or(1));
        let done = is_true(condition(workload, "Complete")) || number("succeeded") >= signed(wanted);
        return State {
            ready: is_awaited(workload, subject) && done,
            have: count(number("succeeded")),
            wanted,
            job: true,
        };
    }
    let wanted = match subject.kind {
        "DaemonSet" => number("desiredNumberScheduled"),
        _ => workload["spec"]["replicas"].as_i64().unwrap_or(1),
    };
    let own = workload["metadata"]["generation"].as_i64().unwrap_or(0);
    let settled = own >= generation && is_settled(subject.kind, workload, wanted);
    let ready = settled && is_awaited(workload, subject) && have >= count(wanted);
    State { ready, have: have.min(count(wanted)), wanted: count(wanted), job: false }
}

/// A pod that no workload made is ready when it says so, or has done what it was for.
fn bare_pod(pod: Option<&Value>) -> State {
    let done = pod.is_some_and(|pod| pod["status"]["phase"] == "Succeeded");
    let ready = done || pod.is_some_and(is_ready);
    State { ready, have: u64::from(ready), wanted: 1, job: done }
}

/// Whether a live workload has nothing more to do: its own status says so, without its pods.
pub(crate) fn is_ready_by_status(workload: &Object) -> bool {
    let value = &workload.0;
    match workload.kind() {
        "Pod" => bare_pod(Some(value)).ready,
        "Job" => is_true(condition(value, "Complete")),
        "Deployment" | "StatefulSet" => {
            let wanted = value["spec"]["replicas"].as_i64().unwrap_or(1);
            is_settled(workload.kind(), value, wanted)
        }
        "DaemonSet" => {
            let wanted = value["status"]["desiredNumberScheduled"].as_i64().unwrap_or(0);
            is_settled("DaemonSet", value, wanted)
        }
        _ => true,
    }
}

/// Whether the controller has seen the newest generation and all its replicas are available.
fn is_settled(kind: &str, workload: &Value, wanted: i64) -> bool {
    let status = &workload["status"];
    let number = |name: &str| status[name].as_i64().unwrap_or(0);
    let own = workload["metadata"]["generation"].as_i64().unwrap_or(0);
    let rolled_out = match kind {
        "DaemonSet" => number("updatedNumberScheduled") == wanted && number("numberAvailable") == wanted,
        "StatefulSet" => stateful(status, wanted),
        _ => ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|name| number(name) == wanted),
    };
    number("observedGeneration") >= own && rolled_out
}

fn stateful(status: &Value, wanted: i64) -> bool {
    let number = |name: &str| status[name].as_i64().unwrap_or(0);
    let rolled = status["updateRevision"].is_null() || status["currentRevision"] == status["updateRevision"];
    let updated = number("updatedReplicas") == wanted || rolled;
    updated && number("replicas") == wanted && number("readyReplicas") == wanted
}

fn is_awaited(workload: &Value, subject: Subject<'_>) -> bool {
    subject.template.is_empty() || template_of(&workload["spec"]["template"]["metadata"]) == subject.template
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::object::TEMPLATE;
    use super::super::super::seen::Step;
    use super::*;

    const WEB: Subject<'static> = Subject { kind: "Deployment", name: "web", template: "new" };

    fn deployment(generation: i64, observed: i64, template: &str) -> Value {
        json!({
            "metadata": {"name": "web", "generation": generation},
            "spec": {"replicas": 1, "template": {"metadata": {"annotations": {TEMPLATE: template}}}},
            "status": {"observedGeneration": observed, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        })
    }

    fn pod(template: &str, ready: &str) -> Value {
        json!({
            "metadata": {"name": format!("web-1-{template}"), "annotations": {TEMPLATE: template},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    fn seen(objects: Vec<(&str, Value)>) -> Seen {
        let mut seen = Seen::default();
        for (kind, object) in objects {
            seen.apply(kind, Step::Changed(object));
        }
        seen
    }

    #[test]
    fn healthy_before_the_apply_is_not_ready() {
        // The watch is behind: all is well, with the template of before.
        let stale = seen(vec![("Deployment", deployment(1, 1, "old")), ("Pod", pod("old", "True"))]);
        assert!(!state(&stale, WEB, 2).ready);
        // The spec is new, the controller has not looked at it.
        let unobserved = seen(vec![("Deployment", deployment(2, 1, "new")), ("Pod", pod("old", "True"))]);
        assert!(!state(&unobserved, WEB, 2).ready);
        // Same template, but the watch is behind a change of replicas.
        let behind = seen(vec![("Deployment", deployment(1, 1, "new")), ("Pod", pod("new", "True"))]);
        assert!(!state(&behind, WEB, 2).ready);
    }

    #[test]
    fn ready_when_the_awaited_pods_are() {
        let waiting = seen(vec![("Deployment", deployment(2, 2, "new")), ("Pod", pod("new", "False"))]);
        assert!(!state(&waiting, WEB, 2).ready);
        let done = seen(vec![("Deployment", deployment(2, 2, "new")), ("Pod", pod("new", "True"))]);
        assert!(state(&done, WEB, 2).ready);
    }

    #[test]
    fn an_old_pod_that_is_still_there_is_waited_for() {
        let mut two = deployment(2, 2, "new");
        two["status"]["replicas"] = 2.into();
        let rolling = seen(vec![("Deployment", two), ("Pod", pod("new", "True"))]);
        assert!(!state(&rolling, WEB, 2).ready);
    }

    #[test]
    fn a_bare_pod_is_waited_for() {
        let subject = Subject { kind: "Pod", name: "tool", template: "" };
        let pod = |phase: &str, ready: &str| {
            json!({"kind": "Pod", "metadata": {"name": "tool"},
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}})
        };
        assert!(!state(&seen(vec![]), subject, 0).ready);
        for (pod, ready) in
            [(pod("Running", "False"), false), (pod("Running", "True"), true), (pod("Succeeded", "False"), true)]
        {
            assert_eq!(state(&seen(vec![("Pod", pod.clone())]), subject, 0).ready, ready);
            assert_eq!(is_ready_by_status(&Object(pod)), ready);
        }
    }

    #[test]
    fn a_job_is_ready_when_it_succeeded() {
        let job =
            |succeeded: i64| json!({"metadata": {"name": "seed"}, "spec": {}, "status": {"succeeded": succeeded}});
        let subject = Subject { kind: "Job", name: "seed", template: "" };
        assert!(!state(&seen(vec![("Job", job(0))]), subject, 0).ready);
        assert!(state(&seen(vec![("Job", job(1))]), subject, 0).ready);
    }
}
