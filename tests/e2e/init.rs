//! What `init` and `new` write, on a real cluster: it passes `up` as it is, and answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::http;
use crate::sandbox::{Sandbox, copy_folder};

/// Names the sandbox's cluster in a profile that was just written, and a namespace of the test's own.
fn own(sandbox: &Sandbox, folder: &Path, name: &str) {
    let path = folder.join("coracle.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text
        .lines()
        .map(|line| if line.starts_with("name: ") { format!("name: {name}\n") } else { format!("{line}\n") });
    let text: String = lines.collect();
    std::fs::write(&path, format!("{text}cluster: {{name: {}}}\n", sandbox.cluster)).unwrap();
}

fn sample(sandbox: &Sandbox, name: &str) -> PathBuf {
    let folder = sandbox.path().join(name);
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name), &folder);
    sandbox.coracle(&folder, &["init", "--yes"]).exits(0);
    own(sandbox, &folder, &format!("e2e-{name}"));
    folder
}

/// `up`, an answer of each of these services, `down`.
#[track_caller]
fn answers(sandbox: &Sandbox, folder: &Path, services: &[&str], expected: &str) {
    sandbox.coracle(folder, &["up"]).exits(0);
    for service in services {
        let answer = http::get_within(&sandbox.url(folder, service), Duration::from_secs(5));
        assert!(answer.body.to_lowercase().contains(expected), "{service}: {answer:?}");
    }
    sandbox.coracle(folder, &["down", "--volumes", "--yes"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn a_compose_file_runs() {
    let sandbox = Sandbox::shared();
    let folder = sample(&sandbox, "flask-redis");
    answers(&sandbox, &folder, &["web"], "hello ");
}

#[test]
#[ignore = "needs docker and kind"]
fn three_dockerfiles_run() {
    let sandbox = Sandbox::shared();
    let folder = sample(&sandbox, "monorepo");
    answers(&sandbox, &folder, &["frontend", "orders", "users"], "hello");
}

#[test]
#[ignore = "needs docker and kind"]
fn manifests_run_what_is_built_here() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.path().join("manifests");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/kubernetes"), &folder);
    sandbox.coracle(&folder, &["init"]).exits(0);
    // Its manifests ask for the namespace that the profile is named after.
    let text = std::fs::read_to_string(folder.join("coracle.yaml")).unwrap();
    std::fs::write(folder.join("coracle.yaml"), format!("{text}cluster: {{name: {}}}\n", sandbox.cluster)).unwrap();
    sandbox.coracle(&folder, &["up"]).exits(0);
    sandbox.coracle(&folder, &["down", "--volumes", "--yes"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn a_folder_without_a_dockerfile_runs() {
    let sandbox = Sandbox::shared();
    let folder = sample(&sandbox, "static-site");
    answers(&sandbox, &folder, &["static-site"], "hello");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_template_runs_as_it_is() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.path().join("static");
    sandbox.coracle(sandbox.path(), &["new", "static"]).exits(0);
    own(&sandbox, &folder, "e2e-static");
    answers(&sandbox, &folder, &["site"], "hello");
}
