use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::image::context::Context;
use crate::image::dockerfile::Dockerfile;
use crate::profile::Build;

fn request(text: &str) -> Request {
    Request {
        service: "api".to_owned(),
        build: Build::of_folder(Path::new("/app")),
        context: Context { root: PathBuf::from("/app"), entries: Vec::new(), size: 0 },
        dockerfile: Dockerfile {
            path: PathBuf::from("/app/Dockerfile"),
            text: text.to_owned(),
            bases: Vec::new(),
            exposed: Vec::new(),
            has_command: false,
            base: None,
            warnings: Vec::new(),
        },
        tag: "coracle.local/shop/api:0".to_owned(),
        labels: BTreeMap::new(),
        secrets: BTreeMap::new(),
        no_cache: false,
    }
}

fn step(text: &str, output: Vec<String>) -> FailedStep {
    FailedStep { name: format!("[2/3] {text}"), text: text.to_owned(), output }
}

fn rendered(failed: &BuildFailed) -> String {
    let mut text = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(80);
    handler.render_report(&mut text, failed).unwrap();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_failing_step_shows_its_output_and_its_line() {
    let request = request("FROM python:3\nRUN pip install flaks\nCMD python app.py\n");
    let output = vec!["ERROR: No matching distribution found for flaks".to_owned()];
    let message =
        "failed to solve: process \"/bin/sh -c pip install flaks\" did not complete successfully: exit code: 1";
    let failed = describe(&request, Some(step("RUN pip install flaks", output)), message);
    insta::assert_snapshot!(rendered(&failed), @r"
    coracle::image::build_failed

      × image `api` could not be built
      ╰─▶ `RUN pip install flaks` exited with 1
          ERROR: No matching distribution found for flaks
       ╭─[/app/Dockerfile:2:1]
     1 │ FROM python:3
     2 │ RUN pip install flaks
       · ──────────┬──────────
       ·           ╰── this step failed
     3 │ CMD python app.py
       ╰────
      help: mend `/app/Dockerfile`, then run the same command again: steps before
            this one are kept
    ");
}

#[test]
fn mounts_that_the_user_never_wrote_are_not_shown() {
    let request = request("FROM python:3\nRUN pip install x\n");
    let text = "RUN --mount=type=secret,id=coracle-ca,target=/run/secrets/coracle-ca.crt,mode=0444,required=true pip install x";
    let failed = describe(&request, Some(step(text, Vec::new())), "did not complete successfully: exit code: 2");
    assert_eq!(failed.cause.to_string(), "`RUN pip install x` exited with 2");
}

#[test]
fn a_missing_file_is_said_in_the_users_terms() {
    let message = "failed to solve: failed to compute cache key: failed to calculate checksum of ref abc::def: \
                   \"/nope\": not found";
    let failed = describe(&request("FROM a\nCOPY nope /x\n"), Some(step("COPY nope /x", Vec::new())), message);
    assert_eq!(failed.cause.to_string(), "`COPY nope /x`: `/nope` is not in the build context");
    assert!(failed.help.contains(".dockerignore"), "{}", failed.help);
    assert_eq!(failed.span.map(|span| span.offset()), Some(7));
}

#[test]
fn a_line_that_does_not_parse_is_underlined() {
    let message = "dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)";
    let failed = describe(&request("FORM a\n"), None, message);
    assert_eq!(failed.cause.to_string(), message);
    assert_eq!(failed.span.map(|span| (span.offset(), span.len())), Some((0, 6)));
}

#[test]
fn a_base_image_that_cannot_be_had_is_no_fault_of_the_dockerfile() {
    for (message, image) in [
        (
            "python:nope: failed to resolve source metadata for docker.io/library/python:nope: not found",
            Some("python:nope"),
        ),
        ("pull access denied for acme/x, repository does not exist", Some("acme/x")),
        ("process \"/bin/sh -c false\" did not complete successfully: exit code: 1", None),
    ] {
        assert_eq!(base_image(message).as_deref(), image);
    }
}

#[test]
fn the_image_that_reads_the_dockerfile_is_told_from_a_base_image() {
    for (text, expected) in [
        ("# syntax=docker/dockerfile:1\nFROM a\n", true),
        ("#escape=`\n#Syntax = docker.io/docker/dockerfile:1\nFROM a\n", true),
        ("FROM docker/dockerfile:1\n# syntax=docker/dockerfile:1\n", false),
        ("# syntax=other/dockerfile:2\n", false),
    ] {
        assert_eq!(is_syntax(text, "docker/dockerfile:1"), expected, "{text}");
    }
}
