//! The four profiles of the repository, as a reader of the README would use them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::checks;
use crate::http;
use crate::sandbox::Sandbox;

/// Up, checks, up again, down: the whole life of a profile.
#[track_caller]
fn lives(sandbox: &Sandbox, folder: &Path, name: &str) {
    sandbox.coracle(folder, &["up"]).exits(0);
    run_checks(sandbox, folder);

    let before = sandbox.settled_objects(name);
    assert!(before.keys().any(|key| key.starts_with("Pod ")), "no pods in {before:?}");
    let again = sandbox.coracle(folder, &["-o", "json", "up"]).exits(0).within(Duration::from_secs(10));
    let answer: Value = serde_json::from_str(&again.stdout).unwrap_or_else(|error| panic!("{error}\n{again}"));
    assert_eq!(answer["changed"], json!({"built": [], "loaded": [], "applied": 0, "removed": 0}), "{again}");
    assert_eq!(before, sandbox.settled_objects(name), "the second `up` wrote something");
    run_checks(sandbox, folder);

    sandbox.coracle(folder, &["down"]).exits(0);
    sandbox.check_gone(name);
    sandbox.coracle(folder, &["down"]).exits(0); // twice is fine
}

#[track_caller]
pub(crate) fn run_checks(sandbox: &Sandbox, folder: &Path) {
    let mut urls = BTreeMap::new();
    for check in checks::of_profile(folder) {
        let url = urls.entry(check.service.clone()).or_insert_with(|| sandbox.url(folder, &check.service));
        check.run(url);
    }
}

#[test]
#[ignore = "needs docker and kind"]
fn add_two_lives() {
    let sandbox = Sandbox::shared();
    lives(&sandbox, &sandbox.profile("add-two"), "k8s-demo");
}

#[test]
#[ignore = "needs docker and kind"]
fn api_gateway_lives() {
    let sandbox = Sandbox::shared();
    lives(&sandbox, &sandbox.profile("api-gateway"), "apigatewaydemo");
}

#[test]
#[ignore = "needs docker and kind"]
fn flask_redis_lives() {
    let sandbox = Sandbox::shared();
    lives(&sandbox, &sandbox.profile("flask-redis"), "flask-redis");
}

#[test]
#[ignore = "needs docker and kind"]
fn timber_lives() {
    let sandbox = Sandbox::shared();
    lives(&sandbox, &sandbox.profile("timber"), "timber-tutorial");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_value_in_redis_survives_down_and_up() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("flask-redis", "e2e-survives");
    sandbox.coracle(&folder, &["up"]).exits(0);
    let json = BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
    let set = format!("{}/set", sandbox.url(&folder, "flask").trim_end_matches('/'));
    let answer = http::request("POST", &set, &json, Some(r#"{"key": "kept", "value": "through it all"}"#)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");

    sandbox.coracle(&folder, &["down"]).exits(0);
    sandbox.check_gone("e2e-survives");
    sandbox.coracle(&folder, &["up"]).exits(0);
    let kept = format!("{}/get/kept", sandbox.url(&folder, "flask").trim_end_matches('/'));
    assert!(http::get(&kept).unwrap().body.contains("through it all"));

    sandbox.coracle(&folder, &["down", "--volumes", "--yes"]).exits(0);
    let left = sandbox.objects("e2e-survives");
    assert!(!left.keys().any(|name| name.starts_with("PersistentVolumeClaim")), "{left:?}");
}

#[test]
#[ignore = "needs docker and kind"]
fn two_profiles_stand_side_by_side() {
    let sandbox = Sandbox::shared();
    let one = sandbox.renamed_profile("timber", "e2e-left");
    let other = sandbox.renamed_profile("add-two", "e2e-right");
    sandbox.coracle(&one, &["up"]).exits(0);
    sandbox.coracle(&other, &["up"]).exits(0);
    run_checks(&sandbox, &one);
    run_checks(&sandbox, &other);

    let before = sandbox.settled_objects("e2e-left");
    sandbox.coracle(&other, &["down"]).exits(0);
    assert_eq!(before, sandbox.settled_objects("e2e-left"), "one profile's `down` touched the other");
    run_checks(&sandbox, &one);
    sandbox.coracle(&one, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn a_dry_run_prints_the_plan_and_touches_nothing() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("timber", "e2e-dry");
    let first = sandbox.coracle(&folder, &["--dry-run", "up"]).exits(0);
    assert!(first.stdout.contains("timber-tutorial"), "{first}");
    let again = sandbox.coracle(&folder, &["--dry-run", "up"]).exits(0);
    assert_eq!(first.stdout, again.stdout, "the plan changed, so something was touched");
}

#[test]
#[ignore = "needs docker and kind"]
fn answers_are_on_stdout_and_json_on_request() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("timber", "e2e-answers");
    sandbox.coracle(&folder, &["up"]).exits(0);
    let url = sandbox.url(&folder, "timber-tutorial");
    for verb in ["url", "status"] {
        let outcome = sandbox.coracle(&folder, &["-o", "json", verb]).exits(0);
        let answer: serde_json::Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"));
        assert!(answer.to_string().contains(url.trim_end_matches('/')), "{verb} does not name {url}\n{outcome}");
    }
    assert_eq!(http::get(&format!("{}/index", url.trim_end_matches('/'))).unwrap().status, 200);
    let logs = sandbox.coracle(&folder, &["logs", "timber-tutorial"]).exits(0);
    assert!(logs.stdout.contains("GET /index"), "{logs}");
    sandbox.coracle(&folder, &["down"]).exits(0);
}
