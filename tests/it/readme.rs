//! The README is read by this test too: its profiles are profiles, its commands and tests exist.

use crate::sandbox::Sandbox;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// Returns the fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a split has a first part").to_owned())
        .collect()
}

/// Up to the engine that is not there, like the working examples.
#[test]
fn every_profile_of_the_readme_is_accepted() {
    let profiles: Vec<_> = blocks(&readme(), "yaml").into_iter().filter(|block| block.starts_with("name:")).collect();
    assert!(!profiles.is_empty());
    for profile in profiles {
        let sandbox = Sandbox::new().file("coracle.yaml", &profile).file("web/Dockerfile", DOCKERFILE);
        let file = sandbox.project().join("coracle.yaml");
        let run = sandbox.run(&["-p", file.to_str().unwrap(), "up"]);
        assert_eq!(run.code, Some(3), "{profile}\n{run}");
    }
}

const DOCKERFILE: &str = "FROM busybox AS base\nFROM base AS tools\nFROM base\nEXPOSE 5000\n";

/// A proof that is named must be there to run.
#[test]
fn every_test_that_the_readme_names_exists() {
    let readme = readme();
    let named: Vec<_> = readme.split("`e2e ").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        let Some((module, test)) = name.split_once("::") else { continue };
        let path = format!("{}/tests/e2e/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let code = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(code.contains(&format!("fn {test}")), "{path} has no test `{test}`");
    }
}

#[test]
fn every_verb_of_the_readme_exists_and_none_is_missing() {
    let readme = readme();
    let table: String = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let help = Sandbox::new().run(&["--help"]).stdout;
    let verbs =
        help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with(char::is_lowercase));
    let verbs: Vec<_> = verbs.filter_map(|line| line.split("  ").next()).filter(|verb| !verb.contains(' ')).collect();
    assert!(verbs.contains(&"up") && verbs.contains(&"cluster"), "{help}");
    for verb in verbs {
        assert!(table.contains(&format!("`{verb}")), "the README's table lacks `{verb}`");
    }
    let console = blocks(&readme, "console").concat();
    for command in console.lines().filter_map(|line| line.strip_prefix("$ coracle ")) {
        let run = Sandbox::new().run(&[command.split(' ').next().expect("a split has a first part"), "--help"]);
        assert_eq!(run.code, Some(0), "{command}");
    }
}
