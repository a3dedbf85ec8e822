//! The working examples: each passes the schema that editors use.

use std::path::Path;

use crate::sandbox::Sandbox;

fn examples() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("coracle.yaml"))
        .filter(|path| path.exists())
        .collect();
    files.sort();
    files
}

#[test]
fn every_example_passes_the_schema() {
    let run = Sandbox::new().run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let examples = examples();
    assert!(examples.len() >= 4, "{examples:?}");
    for file in examples {
        let text = std::fs::read_to_string(&file).unwrap();
        let profile: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let problems: Vec<_> = validator.iter_errors(&profile).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{}: {problems:?}", file.display());
    }
}

#[test]
fn the_schema_refuses_an_unknown_key() {
    let run = Sandbox::new().run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong = serde_json::json!({"name": "x", "services": {"web": {"imge": "busybox"}}});
    assert!(!validator.is_valid(&wrong));
}

/// Beyond the schema: the program itself accepts each one, up to the engine that is not there.
#[test]
fn every_example_is_accepted() {
    for file in examples() {
        let run = Sandbox::new().run(&["--profile", file.to_str().unwrap(), "up"]);
        assert_eq!(run.code, Some(3), "{}: {run}", file.display());
    }
}
