//! `init` and `new`: what is written for the folders that people have, and what is said of it.

use std::path::{Path, PathBuf};

use crate::sandbox::Sandbox;

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut samples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    samples
}

fn copy(source: &Path, target: &Path) {
    std::fs::create_dir_all(target).unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let path = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &path);
        } else {
            std::fs::copy(entry.path(), path).unwrap();
        }
    }
}

/// A sandbox whose project has a folder with a sample, and that folder.
fn sample(path: &Path) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new().variable("HOME_PAGE", "x");
    let folder = sandbox.project().join(path.file_name().unwrap());
    copy(path, &folder);
    (sandbox, folder)
}

/// Up to the engine that is not there: the profile is read, its files are there.
#[test]
fn every_sample_gives_a_profile() {
    let schema = Sandbox::new().run(&["schema"]).stdout;
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(samples().len() >= 12);
    for path in samples() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (sandbox, folder) = sample(&path);
        let init = sandbox.run_in(&folder, &["init", "--yes"]);
        assert_eq!(init.code, Some(0), "{name}: {init}");
        let text = std::fs::read_to_string(folder.join("coracle.yaml")).unwrap();
        let dockerfile = if path.join("Dockerfile").exists() {
            None
        } else {
            std::fs::read_to_string(folder.join("Dockerfile")).ok()
        };
        let dockerfile = dockerfile.map(|text| format!("--- Dockerfile\n{text}")).unwrap_or_default();
        insta::assert_snapshot!(format!("init_{name}"), format!("{text}{dockerfile}--- said\n{}", init.stderr));
        let profile: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let problems: Vec<_> = schema.iter_errors(&profile).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
        let up = sandbox.run_in(&folder, &["up"]);
        assert_eq!(up.code, Some(3), "{name}: {up}");
    }
}

#[test]
fn a_dry_run_prints_and_writes_nothing() {
    for path in samples() {
        let (sandbox, folder) = sample(&path);
        let before = std::fs::read_dir(&folder).unwrap().count();
        let run = sandbox.run_in(&folder, &["init", "--dry-run"]);
        assert_eq!(run.code, Some(0), "{run}");
        assert!(run.stdout.contains("services:") || run.stdout.contains("FROM "), "{run}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), before);
    }
}

#[test]
fn a_profile_that_is_there_stays() {
    let sandbox = Sandbox::new().file("coracle.yaml", "mine").file("Dockerfile", "FROM busybox\n");
    let run = sandbox.run(&["init"]);
    assert_eq!(run.code, Some(4), "{run}");
    insta::assert_snapshot!("init_exists", run);
    assert_eq!(std::fs::read_to_string(sandbox.project().join("coracle.yaml")).unwrap(), "mine");
}

#[test]
fn without_a_dockerfile_and_without_a_terminal_it_says_how() {
    let sandbox = Sandbox::new().file("index.html", "hello");
    let run = sandbox.run(&["init"]);
    assert_eq!(run.code, Some(4), "{run}");
    insta::assert_snapshot!("init_offers", run);
    assert_eq!(std::fs::read_dir(sandbox.project()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_says_nothing() {
    let run = Sandbox::new().file("notes.txt", "milk").run(&["init"]);
    assert_eq!(run.code, Some(2), "{run}");
    insta::assert_snapshot!("init_nothing", run);
}

#[test]
fn a_broken_compose_file_is_named_with_its_line() {
    let run = Sandbox::new().file("compose.yaml", "services:\n  web: {image: [\n").run(&["init"]);
    assert_eq!(run.code, Some(2), "{run}");
    insta::assert_snapshot!("init_broken", run);
}

#[test]
fn templates_are_listed_and_each_is_accepted() {
    let sandbox = Sandbox::new();
    let list = sandbox.run(&["new"]);
    insta::assert_snapshot!("new_list", list);
    for template in list.stdout.lines().filter_map(|line| line.split_whitespace().next()) {
        let run = sandbox.run(&["new", template]);
        assert_eq!(run.code, Some(0), "{run}");
        let folder = sandbox.project().join(template);
        assert!(folder.join("coracle.yaml").exists());
        let up = sandbox.run_in(&folder, &["up"]);
        assert_eq!(up.code, Some(3), "{template}: {up}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let sandbox = Sandbox::new().file("go/mine", "");
    let run = sandbox.run(&["new", "go"]);
    assert_eq!(run.code, Some(4), "{run}");
    insta::assert_snapshot!("new_not_empty", run);
    assert_eq!(sandbox.run(&["new", "rails"]).code, Some(2));
}
