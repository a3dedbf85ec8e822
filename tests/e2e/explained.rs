//! What cannot be built or become ready: explained in the cause's own words, not at a timeout.

use std::path::PathBuf;
use std::time::Duration;

use crate::process::Outcome;
use crate::sandbox::Sandbox;

const SOON: Duration = Duration::from_secs(30);

/// A profile of one service `web`, with these lines of its own and this Dockerfile.
fn service(sandbox: &Sandbox, name: &str, lines: &str, dockerfile: &str) -> PathBuf {
    let profile = format!("name: {name}\nservices:\n  web:\n    build: .\n{lines}cluster: {{name: CLUSTER}}\n");
    sandbox.folder(name, &[("coracle.yaml", &profile), ("Dockerfile", dockerfile)])
}

/// Runs `up` on a cluster that is there, so that only the failure itself is timed.
fn up_fails(sandbox: &Sandbox, folder: &std::path::Path) -> Outcome {
    sandbox.coracle(folder, &["cluster", "create"]).exits(0);
    let outcome = sandbox.coracle(folder, &["up"]);
    sandbox.coracle(folder, &["down"]).exits(0);
    outcome.exits(1)
}

#[test]
#[ignore = "needs docker and kind"]
fn a_failing_dockerfile_shows_the_step_and_its_last_lines() {
    let sandbox = Sandbox::shared();
    let dockerfile = "FROM python:3-slim\nRUN echo fine\nRUN echo 'the parser is missing' >&2; exit 7\n";
    let folder = service(&sandbox, "e2e-broken-build", "", dockerfile);
    up_fails(&sandbox, &folder).reports("failing_dockerfile");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_crash_loop_shows_exit_code_and_last_line() {
    let sandbox = Sandbox::shared();
    let dockerfile = "FROM busybox\nEXPOSE 80\nCMD [\"sh\", \"-c\", \"echo no configuration found; exit 3\"]\n";
    let folder = service(&sandbox, "e2e-crash", "", dockerfile);
    up_fails(&sandbox, &folder).within(SOON).reports("crash_loop");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_container_that_ends_with_0_is_said_to_have_ended() {
    let sandbox = Sandbox::shared();
    let folder = service(&sandbox, "e2e-ends", "", "FROM busybox\nEXPOSE 80\nCMD [\"echo\", \"all done\"]\n");
    up_fails(&sandbox, &folder).within(SOON).reports("ends_with_0");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_probe_of_a_port_that_nobody_listens_on_names_the_port_that_is() {
    let sandbox = Sandbox::shared();
    let dockerfile = "FROM python:3-slim\nEXPOSE 5000\nCMD [\"python3\", \"-m\", \"http.server\", \"5000\"]\n";
    let lines = "    ports: [5000]\n    health: {path: /, port: 81}\n";
    let folder = service(&sandbox, "e2e-wrong-probe", lines, dockerfile);
    up_fails(&sandbox, &folder).within(SOON).reports("wrong_probe");
}

#[test]
#[ignore = "needs docker and kind"]
fn an_app_that_listens_on_127_0_0_1_only_is_told_so() {
    let sandbox = Sandbox::shared();
    let dockerfile = "FROM python:3-slim\nEXPOSE 5000\nCMD [\"python3\", \"-m\", \"http.server\", \"--bind\", \"127.0.0.1\", \"5000\"]\n";
    let folder = service(&sandbox, "e2e-loopback", "", dockerfile);
    up_fails(&sandbox, &folder).within(SOON).reports("loopback_only");
}

#[test]
#[ignore = "needs docker and kind"]
fn an_image_whose_registry_does_not_answer_is_named() {
    let sandbox = Sandbox::shared();
    let profile = "name: e2e-no-image\nservices:\n  web: {image: \"127.0.0.1:9/no/such:1\", ports: [80]}\ncluster: {name: CLUSTER}\n";
    let folder = sandbox.folder("e2e-no-image", &[("coracle.yaml", profile)]);
    sandbox.coracle(&folder, &["up"]).exits(3).within(SOON).reports("image_without_registry");
}
