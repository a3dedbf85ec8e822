use serde_json::json;

use super::super::manifest::tests::{profile, service};
use super::super::object::{INSTANCE, SELF};
use super::*;

/// An object of service `of`, which names itself.
fn object(api_version: &str, kind: &str, name: &str, of: &str, mut rest: Value) -> Value {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut object = json!({"apiVersion": api_version, "kind": kind});
    object.as_object_mut().unwrap().append(rest.as_object_mut().unwrap());
    let metadata = &mut object["metadata"];
    metadata["name"] = name.into();
    metadata["namespace"] = "demo".into();
    metadata["labels"] = json!({INSTANCE: "0123456789ab", SERVICE: of});
    metadata["annotations"] = json!({SELF: format!("{group}/{kind}/demo/{name}")});
    object
}

fn seen(objects: Vec<Value>) -> Seen {
    let mut seen = Seen::default();
    for object in objects {
        let kind = text(&object["kind"]).to_owned();
        seen.apply(&kind, Step::Changed(object));
    }
    seen
}

/// Returns `service state ready/wanted image`.
fn line(status: &ServiceStatus) -> String {
    format!("{} {} {}/{} {}", status.service, status.state, status.ready, status.wanted, status.image)
}

fn pod_spec(image: &str) -> Value {
    json!({"spec": {"containers": [{"name": "a", "image": image}]}})
}

fn job(name: &str, day: &str, condition: &str) -> Value {
    let rest = json!({"metadata": {"creationTimestamp": format!("2026-01-{day}T00:00:00Z")},
        "spec": {"template": pod_spec(day)},
        "status": {"succeeded": i64::from(condition == "Complete"), "conditions": [{"type": condition, "status": "True"}]}});
    object("batch/v1", "Job", name, "seed", rest)
}

#[test]
fn a_job_is_its_newest() {
    let mut seed = service("seed");
    seed.kind = WorkloadKind::Job;
    let of = |objects| line(&of_service(&seen(objects), &seed, &Facts::default()));
    assert_eq!(of(vec![]), "seed absent 0/1 ");
    assert_eq!(of(vec![job("seed-b", "01", "Failed"), job("seed-a", "02", "Complete")]), "seed done 1/1 02");
    assert_eq!(of(vec![job("seed-b", "03", "Failed"), job("seed-a", "02", "Complete")]), "seed failing 0/1 03");
}

#[test]
fn a_cron_job_is_as_well_as_its_last_job() {
    let mut cron = service("tidy");
    cron.kind = WorkloadKind::Cron { schedule: "@daily".to_owned() };
    let rest = json!({"spec": {"jobTemplate": {"spec": {"template": pod_spec("tool:1")}}}});
    let object = object("batch/v1", "CronJob", &fit(&cron.name, 52), "tidy", rest);
    let run = |condition: &str| {
        let mut job = job("tidy-1", "01", condition);
        job["metadata"]["ownerReferences"] = json!([{"kind": "CronJob", "name": cron.name, "controller": true}]);
        job
    };
    let of = |objects| of_service(&seen(objects), &cron, &Facts::default());
    assert_eq!(line(&of(vec![object.clone()])), "tidy ready 0/0 tool:1");
    assert_eq!(line(&of(vec![object.clone(), run("Complete")])), "tidy ready 0/0 tool:1");
    let failed = of(vec![object, run("Failed")]);
    assert_eq!(line(&failed), "tidy failing 0/0 tool:1");
    assert_eq!(failed.reasons.len(), 1);
}

#[test]
fn workloads_of_manifests_have_their_rows() {
    let mut job_service = service("seed");
    job_service.kind = WorkloadKind::Job;
    let profile = profile(vec![job_service, service("web")]);
    let set = object(
        "apps/v1",
        "DaemonSet",
        "agent",
        "agent",
        json!({"spec": {"template": pod_spec("agent:1")},
        "status": {"numberReady": 1, "desiredNumberScheduled": 2}}),
    );
    let pod = object(
        "v1",
        "Pod",
        "tool",
        "tool",
        json!({"spec": pod_spec("tool:1")["spec"], "status": {"phase": "Succeeded"}}),
    );
    let mut made = object("v1", "Pod", "agent-x", "agent", json!({}));
    made["metadata"]["ownerReferences"] = json!([{"kind": "DaemonSet", "name": "agent", "controller": true}]);
    let mut copy = object("apps/v1", "Deployment", "copy", "copy", json!({}));
    copy["metadata"]["annotations"][SELF] = "apps/Deployment/demo/other".into();
    let seen = seen(vec![set, pod, made, copy, job("seed-old", "01", "Complete")]);
    let rows = of_manifests(&seen, &profile, &Facts::default());
    let lines: Vec<String> = rows.iter().map(line).collect();
    assert_eq!(lines, ["agent starting 1/2 agent:1", "tool done 1/1 tool:1"]);
    assert_eq!(rows[0].pods.len(), 1);
}
