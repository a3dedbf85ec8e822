//! Help texts, word for word: a change of the interface is seen in review.

use crate::sandbox::Sandbox;

#[test]
fn help_is_what_the_snapshot_says() {
    let run = Sandbox::new().run(&["--help"]);
    assert_eq!(run.code, Some(0));
    insta::assert_snapshot!("help", run.stdout);
}

#[test]
fn every_verb_has_help() {
    let sandbox = Sandbox::new();
    for verb in [
        "up",
        "dev",
        "down",
        "status",
        "url",
        "logs",
        "events",
        "top",
        "open",
        "test",
        "exec",
        "debug",
        "restart",
        "scale",
        "explain",
        "build",
        "load",
        "deploy",
        "render",
        "diff",
        "cluster",
        "prune",
        "init",
        "new",
        "kubeconfig",
        "schema",
        "completions",
    ] {
        let run = sandbox.run(&[verb, "--help"]);
        assert_eq!(run.code, Some(0), "{verb}");
        insta::assert_snapshot!(format!("help_{verb}"), run.stdout);
    }
}

#[test]
fn a_wrong_flag_exits_with_2() {
    assert_eq!(Sandbox::new().run(&["up", "--nonsense"]).code, Some(2));
}

#[test]
fn completions_name_the_program() {
    let run = Sandbox::new().run(&["completions", "bash"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains("_coracle"), "{}", run.stdout);
}
