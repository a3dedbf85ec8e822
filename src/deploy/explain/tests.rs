//! Each trouble from the objects and events that a cluster really has then, as the user sees it.

use serde_json::{Value, json};

use super::super::object::TEMPLATE;
use super::super::seen::Step;
use super::report::NotReady;
use super::*;

const WEB: Subject<'static> = Subject { kind: "Deployment", name: "web", template: "new" };
/// 2026-11-21T10:00:00Z, when everything here began.
const BEGAN: i64 = 1_795_255_200;
const TIME: &str = "2026-11-21T10:00:00Z";

#[expect(clippy::needless_pass_by_value, reason = "called with what `json!` has just made")]
fn pod(status: Value) -> Value {
    json!({
        "metadata": {"name": "web-1-a", "uid": "u1", "annotations": {TEMPLATE: "new"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "controller": true}]},
        "spec": {"nodeName": "coracle-control-plane", "containers": [{
            "name": "web", "image": "shop/web:1",
            "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "64"}},
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
        }]},
        "status": status,
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    pod(json!({"phase": "Pending", "containerStatuses": [{"name": "web", "image": "shop/web:1", "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}}}]}))
}

fn crashed(code: i64, reason: &str, restarts: i64) -> Value {
    pod(json!({"phase": "Running", "containerStatuses": [{"name": "web", "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": code, "reason": reason}}}]}))
}

fn running() -> Value {
    pod(json!({"phase": "Running", "containerStatuses": [{"name": "web", "restartCount": 0, "ready": false,
        "containerID": "containerd://abc", "state": {"running": {"startedAt": TIME}}}]}))
}

fn event(kind: &str, name: &str, reason: &str, message: &str) -> Value {
    json!({"metadata": {"name": format!("{name}.{reason}")}, "reason": reason, "message": message,
        "involvedObject": {"kind": kind, "name": name, "fieldPath": "spec.containers{web}"},
        "firstTimestamp": TIME, "lastTimestamp": TIME})
}

fn unhealthy(message: &str) -> Value {
    event("Pod", "web-1-a", "Unhealthy", message)
}

fn seen(objects: Vec<(&str, Value)>) -> Seen {
    let mut seen = Seen::default();
    for (kind, object) in objects {
        seen.apply(kind, Step::Changed(object));
    }
    seen
}

fn after(seconds: i64) -> Facts {
    Facts { now: BEGAN + seconds, ..Facts::default() }
}

fn only(seen: &Seen, facts: &Facts) -> Trouble {
    let mut found = troubles(seen, WEB, facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn render(troubles: Vec<Trouble>, late: Option<(u64, String)>) -> String {
    let report = NotReady::new("web", "deployment web", troubles, late);
    let mut text = String::new();
    let theme = miette::GraphicalTheme::unicode_nocolor();
    miette::GraphicalReportHandler::new_themed(theme).with_width(80).render_report(&mut text, &report).unwrap();
    text
}

#[test]
fn the_clock_of_these_tests_is_right() {
    assert_eq!(TIME.parse::<jiff::Timestamp>().unwrap().as_second(), BEGAN);
}

#[test]
fn image_that_cannot_be_pulled_has_the_registrys_words() {
    let words = "Failed to pull image \"shop/web:1\": docker.io/shop/web:1: not found";
    let seen = seen(vec![
        ("Pod", waiting("ImagePullBackOff", "Back-off pulling image \"shop/web:1\"")),
        ("Event", event("Pod", "web-1-a", "Failed", words)),
    ]);
    let trouble = only(&seen, &after(1));
    assert_eq!(trouble.severity, Severity::Fatal);
    insta::assert_snapshot!(render(vec![trouble], None), @r#"
    coracle::deploy::image_pull

      × deployment web cannot become ready: image `shop/web:1` cannot be pulled
      ├─▶ Failed to pull image "shop/web:1": docker.io/shop/web:1: not found
      ╰─▶ in pod web-1-a, container web
      help: mend the image's name or tag, or let Coracle build it with `build:`
    "#);
}

#[test]
fn image_that_is_on_no_node() {
    let trouble = only(&seen(vec![("Pod", waiting("ErrImageNeverPull", "is not present"))]), &after(1));
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "image_absent"));
    assert_eq!(trouble.headline, "image `shop/web:1` is not on its node");
}

#[test]
fn crash_shows_exit_code_and_last_lines() {
    let seen = seen(vec![("Pod", crashed(1, "Error", 1))]);
    let mut trouble = only(&seen, &after(5));
    assert_eq!(trouble.severity, Severity::Fatal);
    assert_eq!(trouble.log, Some(LogWish { pod: "web-1-a".into(), container: "web".into(), previous: false }));
    trouble.lines = vec!["Traceback (most recent call last):".into(), "KeyError: 'REDIS_HOST'".into()];
    insta::assert_snapshot!(render(vec![trouble], None), @r"
    coracle::deploy::crash

      × deployment web cannot become ready: container `web` crashed 2 times (exit
      │ code 1)
      ├─▶ the last lines of its log:
      │   Traceback (most recent call last):
      │   KeyError: 'REDIS_HOST'
      ╰─▶ in pod web-1-a, container web
      help: mend what its last lines say, then run `coracle up` again; `coracle
            logs --previous` shows all
    ");
}

#[test]
fn a_crash_may_be_waiting_for_another_workload() {
    let others = Facts { others_pending: true, ..after(5) };
    assert_eq!(only(&seen(vec![("Pod", crashed(1, "Error", 1))]), &others).severity, Severity::Slow);
    assert_eq!(only(&seen(vec![("Pod", crashed(1, "Error", 3))]), &others).severity, Severity::Fatal);
    // Once is no loop.
    assert_eq!(only(&seen(vec![("Pod", crashed(1, "Error", 0))]), &after(5)).severity, Severity::Slow);
}

#[test]
fn a_container_that_runs_again_has_its_reason_in_the_log_before() {
    let mut again = running();
    again["status"]["containerStatuses"][0]["restartCount"] = 2.into();
    again["status"]["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 3}});
    let trouble = only(&seen(vec![("Pod", again)]), &after(5));
    assert!(trouble.log.unwrap().previous);
}

#[test]
fn out_of_memory_names_the_limit() {
    let trouble = only(&seen(vec![("Pod", crashed(137, "OOMKilled", 1))]), &after(5));
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "out_of_memory"));
    assert_eq!(trouble.headline, "container `web` was killed because it used too much memory (its limit is 64Mi)");
}

#[test]
fn a_server_that_ends_with_zero() {
    let trouble = only(&seen(vec![("Pod", crashed(0, "Completed", 1))]), &after(5));
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "ended"));
    assert_eq!(trouble.headline, "container `web` ends with exit code 0, and should keep running");
    assert!(trouble.help.contains("kind: job"), "{}", trouble.help);
}

#[test]
fn a_failing_init_container_is_named_as_one() {
    let pod = pod(json!({"phase": "Pending", "initContainerStatuses": [{"name": "migrate", "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 127}}}]}));
    let trouble = only(&seen(vec![("Pod", pod)]), &after(5));
    assert_eq!(trouble.headline, "init container `migrate` crashed 3 times (exit code 127: a command was not found)");
}

#[test]
fn missing_secret_and_missing_key_differ() {
    let secret =
        only(&seen(vec![("Pod", waiting("CreateContainerConfigError", "secret \"token\" not found"))]), &after(1));
    assert_eq!(secret.severity, Severity::Fatal);
    assert_eq!(secret.headline, "container `web` needs a Secret or ConfigMap that does not exist");
    let words = "couldn't find key PASSWORD in Secret shop/token";
    let key = only(&seen(vec![("Pod", waiting("CreateContainerConfigError", words))]), &after(1));
    assert_eq!(key.headline, "container `web` needs a key that is missing");
    assert_eq!(key.cause, [words]);
}

#[test]
fn a_command_that_is_not_in_the_image() {
    let words = "exec: \"gunicorn\": executable file not found in $PATH";
    let trouble = only(&seen(vec![("Pod", waiting("RunContainerError", words))]), &after(1));
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "command"));
    // containerd tells of it as an end: restarted, it looks like a crash.
    let mut again = crashed(128, "StartError", 1);
    again["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"] = words.into();
    let trouble = only(&seen(vec![("Pod", again)]), &after(1));
    assert_eq!(trouble.headline, "the command of container `web` is not in its image");
    assert_eq!(trouble.cause, [words]);
}

#[test]
fn a_probe_on_a_port_that_nobody_serves() {
    let refused = "Readiness probe failed: Get \"http://10.244.0.5:8080/healthz\": dial tcp 10.244.0.5:8080: connect: connection refused";
    let seen = seen(vec![("Pod", running()), ("Event", unhealthy(refused))]);
    // Without knowing the sockets it may just be slow.
    assert_eq!(only(&seen, &after(60)).severity, Severity::Slow);
    let listening = BTreeMap::from([("web-1-a".to_owned(), vec![Socket { port: 5000, loopback: false }])]);
    let early = Facts { listening: listening.clone(), ..after(9) };
    assert_eq!(only(&seen, &early).severity, Severity::Slow);
    let trouble = only(&seen, &Facts { listening, ..after(10) });
    assert_eq!(trouble.severity, Severity::Fatal);
    insta::assert_snapshot!(render(vec![trouble], None), @r#"
    coracle::deploy::wrong_port

      × deployment web cannot become ready: nothing listens on port 8080;
      │ container `web` listens on 5000
      ├─▶ readiness probe GET /healthz on port 8080: Get "http://10.244.0.5:8080/
      │   healthz": dial tcp 10.244.0.5:8080: connect: connection refused
      ╰─▶ in pod web-1-a, container web
      help: set the port of the probe (`health:`), or of the container (`ports:`),
            to 5000, or make the server listen on 8080
    "#);
}

#[test]
fn a_server_on_loopback() {
    let refused = "Readiness probe failed: dial tcp 10.244.0.5:8080: connect: connection refused";
    let seen = seen(vec![("Pod", running()), ("Event", unhealthy(refused))]);
    let listening = BTreeMap::from([("web-1-a".to_owned(), vec![Socket { port: 8080, loopback: true }])]);
    let trouble = only(&seen, &Facts { listening, ..after(10) });
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "loopback"));
    assert!(trouble.headline.contains("listens on 127.0.0.1:8080 only"), "{}", trouble.headline);
    assert_eq!(trouble.help, "make the server listen on 0.0.0.0");
}

#[test]
fn a_server_that_listens_nowhere_yet_is_slow() {
    let refused = "Startup probe failed: dial tcp 10.244.0.5:8080: connect: connection refused";
    let seen = seen(vec![("Pod", running()), ("Event", unhealthy(refused))]);
    let listening = BTreeMap::from([("web-1-a".to_owned(), Vec::new())]);
    let trouble = only(&seen, &Facts { listening, ..after(30) });
    assert_eq!(trouble.severity, Severity::Slow);
    assert_eq!(trouble.headline, "the startup probe of container `web` has failed for 30 s");
}

#[test]
fn http_404_is_fatal_and_500_is_not() {
    let answer = |code: u16| format!("Readiness probe failed: HTTP probe failed with statuscode: {code}");
    let missing = seen(vec![("Pod", running()), ("Event", unhealthy(&answer(404)))]);
    assert_eq!(only(&missing, &after(9)).severity, Severity::Slow);
    let trouble = only(&missing, &after(10));
    assert_eq!(trouble.severity, Severity::Fatal);
    assert_eq!(trouble.headline, "container `web` answers its readiness probe with 404");
    let broken = seen(vec![("Pod", running()), ("Event", unhealthy(&answer(500)))]);
    assert_eq!(only(&broken, &after(60)).severity, Severity::Slow);
}

#[test]
fn a_probe_that_failed_in_an_earlier_life_is_no_trouble_of_this_one() {
    let mut later = running();
    later["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-11-21T10:00:30Z".into();
    let seen = seen(vec![
        ("Pod", later),
        ("Event", unhealthy("Readiness probe failed: HTTP probe failed with statuscode: 404")),
    ]);
    assert!(troubles(&seen, WEB, &after(60)).is_empty());
}

fn unscheduled(message: &str) -> Value {
    pod(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": message, "lastTransitionTime": TIME}]}))
}

#[test]
fn no_node_has_enough() {
    let seen = seen(vec![("Pod", unscheduled("0/1 nodes are available: 1 Insufficient cpu."))]);
    assert_eq!(only(&seen, &after(7)).severity, Severity::Slow);
    let trouble = only(&seen, &after(8));
    assert_eq!(trouble.severity, Severity::Fatal);
    assert_eq!(trouble.cause, ["0/1 nodes are available: 1 Insufficient cpu.", "the pod asks for cpu 64"]);
}

fn with_claim(message: &str, class: &str) -> Seen {
    let mut pod = unscheduled(message);
    pod["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}}]);
    let claim =
        json!({"metadata": {"name": "data"}, "spec": {"storageClassName": class}, "status": {"phase": "Pending"}});
    seen(vec![("Pod", pod), ("PersistentVolumeClaim", claim)])
}

#[test]
fn a_claim_of_a_class_that_does_not_exist() {
    let seen = with_claim("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "rdb");
    let facts = Facts { storage_classes: Some(BTreeSet::from(["standard".to_owned()])), ..after(0) };
    let trouble = only(&seen, &facts);
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "storage_class"));
    assert_eq!(trouble.headline, "claim `data` stays pending: the cluster has no storage class `rdb`");
    assert!(trouble.help.starts_with("storage classes that exist: `standard`;"), "{}", trouble.help);
}

#[test]
fn a_claim_that_waits_for_its_first_consumer_is_normal() {
    let mut pod = pod(json!({"phase": "Pending"}));
    pod["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}}]);
    let claim =
        json!({"metadata": {"name": "data"}, "spec": {"storageClassName": "standard"}, "status": {"phase": "Pending"}});
    let event = event("PersistentVolumeClaim", "data", "WaitForFirstConsumer", "waiting for first consumer");
    let seen = seen(vec![("Pod", pod), ("PersistentVolumeClaim", claim), ("Event", event)]);
    assert!(troubles(&seen, WEB, &after(60)).is_empty());
}

#[test]
fn a_claim_that_does_not_exist() {
    let mut pod = unscheduled("0/1 nodes are available: persistentvolumeclaim \"data\" not found.");
    pod["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data"}}]);
    let trouble = only(&seen(vec![("Pod", pod)]), &after(3));
    assert_eq!((trouble.severity, trouble.code), (Severity::Fatal, "claim_missing"));
}

#[test]
fn a_quota_is_refused_at_once() {
    let message =
        "pods \"web-1-x\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2";
    let set = json!({
        "metadata": {"name": "web-1", "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": true}]},
        "spec": {"replicas": 1, "template": {"metadata": {"annotations": {TEMPLATE: "new"}}}},
        "status": {"replicas": 0, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]},
    });
    let trouble = only(&seen(vec![("ReplicaSet", set)]), &after(0));
    assert_eq!((trouble.severity, trouble.refused), (Severity::Fatal, true));
    let report = NotReady::new("web", "deployment web", vec![trouble], None);
    assert_eq!(report.kind(), crate::error::Kind::Refused);
}

#[test]
fn a_job_that_gave_up() {
    let subject = Subject { kind: "Job", name: "seed", template: "" };
    let job = json!({"metadata": {"name": "seed"}, "status": {"conditions": [
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]}});
    let found = troubles(&seen(vec![("Job", job)]), subject, &after(0));
    assert_eq!(found[0].severity, Severity::Fatal);
    assert_eq!(found[0].cause, ["BackoffLimitExceeded: Job has reached the specified backoff limit"]);
}

#[test]
fn pods_of_another_template_are_not_blamed() {
    let mut old = crashed(1, "Error", 9);
    old["metadata"]["annotations"][TEMPLATE] = "old".into();
    assert!(troubles(&seen(vec![("Pod", old)]), WEB, &after(60)).is_empty());
}

#[test]
fn replicas_that_fail_alike_are_one_trouble() {
    let mut other = crashed(1, "Error", 2);
    other["metadata"]["name"] = "web-1-b".into();
    only(&seen(vec![("Pod", crashed(1, "Error", 1)), ("Pod", other)]), &after(5));
}

#[test]
fn a_deadline_names_what_was_waited_for_and_the_last_state() {
    let text = render(Vec::new(), Some((60, "container is being created".to_owned())));
    insta::assert_snapshot!(text, @r"
    coracle::deploy::late

      × deployment web did not become ready within 60 s
      ╰─▶ last state: container is being created
      help: `coracle status web` and `coracle logs web` show more
    ");
}
