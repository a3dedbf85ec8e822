//! What a failure says, and its exit code, where no engine is needed to find out.

use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

const WEB: &str = "name: shop\nservices:\n  web:\n    image: busybox\n    ports: [80]\n";

#[test]
fn without_a_profile() {
    let run = Sandbox::new().run(&["up"]);
    assert_eq!(run.code, Some(2), "{run}");
    insta::assert_snapshot!("no_profile", run);
}

#[test]
fn every_problem_of_a_profile_at_once() {
    let profile = "name: Shop\nservices:\n  web:\n    imge: busybox\n    ports: [80, 70000]\n    replicas: -1\n";
    let run = Sandbox::new().file("coracle.yaml", profile).run(&["up"]);
    assert_eq!(run.code, Some(2), "{run}");
    insta::assert_snapshot!("bad_profile", run);
}

#[test]
fn without_an_engine() {
    let start = Instant::now();
    let run = Sandbox::new().file("coracle.yaml", WEB).run(&["up"]);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(run.code, Some(3), "{run}");
    insta::assert_snapshot!("no_engine", run);
}

#[test]
fn the_same_failure_as_json() {
    let run = Sandbox::new().file("coracle.yaml", WEB).run(&["up", "--output", "json"]);
    assert_eq!(run.code, Some(3), "{run}");
    assert_eq!(run.stdout, "");
    let last: serde_json::Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["exit"], 3);
    assert!(last["id"].as_str().unwrap().starts_with("coracle::"), "{last}");
}

#[test]
fn an_unknown_service() {
    let run = Sandbox::new().file("coracle.yaml", WEB).run(&["logs", "wbe"]);
    assert_eq!(run.code, Some(2), "{run}");
    insta::assert_snapshot!("unknown_service", run);
}

/// Needs neither profile nor engine, and its answer is one for programs, too.
#[test]
fn an_error_is_explained() {
    let run = Sandbox::new().run(&["explain", "coracle::load::node_full"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.starts_with("coracle::load::node_full\n\nNodes keep images"), "{run}");
    let run = Sandbox::new().run(&["explain", "coracle::load::node_ful"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("did you mean `coracle::load::node_full`?"), "{run}");
    let run = Sandbox::new().run(&["explain", "-o", "json"]);
    let all: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(all["errors"].as_array().unwrap().len() > 100);
}

#[test]
fn checks_that_are_not_there_are_told() {
    let run = Sandbox::new().file("coracle.yaml", WEB).run(&["test"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("coracle::test::no_checks"), "{run}");
}

#[test]
fn nothing_is_written_to_the_project() {
    let sandbox = Sandbox::new().file("coracle.yaml", WEB);
    sandbox.run(&["up"]);
    let names: Vec<_> = std::fs::read_dir(sandbox.project()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["coracle.yaml"]);
}
