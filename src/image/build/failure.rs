//! A build that failed, explained: the step, what it printed, the line that asked for it.
//!
//! Only what the user's Dockerfile did is a [`BuildFailed`]. A base image that cannot be
//! had, a full disk and a broken build engine are errors of their own.

use miette::{Diagnostic, NamedSource, SourceSpan};

use super::super::dockerfile::ca::CA_SECRET;
use super::super::engine::{Engine, is_disk_full};
use super::super::error::Cause;
use super::super::{Error, credentials, pull, reference};
use super::progress::{FailedStep, Told};
use super::{Request, what};
use crate::session::Session;
use crate::ui::sanitize;

/// The user's Dockerfile failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("image `{service}` could not be built")]
#[diagnostic(code(coracle::image::build_failed))]
pub(crate) struct BuildFailed {
    pub(crate) service: String,
    /// The step as the Dockerfile has it: `RUN pip install flask`.
    pub(crate) step: Option<String>,
    /// Of the step's command.
    pub(crate) exit_code: Option<i64>,
    #[source]
    pub(crate) cause: Cause,
    #[source_code]
    pub(crate) dockerfile: NamedSource<String>,
    #[label("{label}")]
    pub(crate) span: Option<SourceSpan>,
    pub(crate) label: String,
    #[help]
    pub(crate) help: String,
}

/// Returns the error for what the engine said, with all that is known of the step.
pub(super) async fn explain(
    session: &Session,
    engine: &Engine,
    request: &Request,
    told: &Told,
    message: &str,
) -> Error {
    if is_disk_full(message) {
        return engine.said(what(request), message).await;
    }
    let failed = told.failed_step();
    // What a command of the Dockerfile's says of the disk, the engine does not repeat.
    let full = failed.iter().flat_map(|step| &step.output).find(|line| is_disk_full(line));
    if let Some(line) = full {
        return engine.said(what(request), &format!("{message}\n{line}")).await;
    }
    // The classic builder names no image, but stands at its FROM.
    let at_from = || failed.as_ref().and_then(|step| step.text.strip_prefix("FROM ")).filter(|_| !engine.buildkit);
    let base = base_image(message).or_else(|| Some(sanitize::line(at_from()?.split_whitespace().next()?)));
    if let Some(image) = base {
        let registry = reference::registry_of(&image);
        let account = credentials::lookup(&session.surroundings, &registry).await;
        let account = account.unwrap_or(credentials::Account::Anonymous);
        let role =
            if is_syntax(&request.dockerfile.text, &image) { "the image of its `# syntax=`" } else { "its base image" };
        let subject = format!("image `{}` could not be built: {role} `{image}` could not be pulled", request.service);
        return Box::new(pull::failed(subject, &image, &account, message)).into();
    }
    if !is_users(message) {
        return engine.said(what(request), message).await;
    }
    Box::new(describe(request, failed, message)).into()
}

/// Returns whether a Dockerfile's comments at the top name `image` as what reads it.
fn is_syntax(text: &str, image: &str) -> bool {
    let comments = text.lines().map(str::trim).take_while(|line| line.starts_with('#'));
    let mut pairs = comments.filter_map(|line| line.trim_start_matches('#').split_once('='));
    pairs.any(|(key, value)| key.trim().eq_ignore_ascii_case("syntax") && value.trim().ends_with(image))
}

/// Returns whether a message is about what the Dockerfile does, not about the builder.
fn is_users(message: &str) -> bool {
    const BUILDERS: [&str; 5] =
        ["rpc error: code = Unavailable", "no active session", "session expired", "failed to mount", "runc run failed"];
    !BUILDERS.iter().any(|sign| message.contains(sign))
}

/// Returns the base image that a message says could not be had.
fn base_image(message: &str) -> Option<String> {
    const BEFORE: [&str; 4] = [
        "failed to resolve source metadata for ",
        "pull access denied for ",
        "manifest for ",
        "error getting credentials - ",
    ];
    let start = BEFORE.iter().find_map(|words| message.find(words).map(|at| at + words.len()))?;
    let image = message[start..].split([' ', ',']).next()?.trim_end_matches(':');
    let image = image.strip_prefix("docker.io/library/").or_else(|| image.strip_prefix("docker.io/")).unwrap_or(image);
    Some(sanitize::line(image)).filter(|image| !image.is_empty())
}

fn describe(request: &Request, failed: Option<FailedStep>, message: &str) -> BuildFailed {
    let message = message.trim_start_matches("failed to solve: ");
    let exit_code = exit_code(message);
    let found = failed.as_ref().and_then(|step| request.dockerfile.line_of_step(&step.name));
    let place = found.as_ref().map(|(line, _)| *line).or_else(|| line_in(message));
    let (step, output) = failed.map(|failed| (failed.text, failed.output)).unzip();
    // What was built has mounts that the user never wrote; then the line itself is shown.
    let rewritten = step.as_ref().is_some_and(|step| step.contains(CA_SECRET));
    let step = found.map(|(_, line)| line).filter(|_| rewritten).or(step).map(|step| sanitize::line(step.trim()));
    let cause = match (&step, exit_code) {
        (Some(step), Some(code)) => format!("`{step}` exited with {code}"),
        (Some(step), None) if !message.contains("dockerfile parse error") => format!("`{step}`: {}", short(message)),
        _ => short(message),
    };
    let name = request.dockerfile.path.display().to_string();
    BuildFailed {
        service: request.service.clone(),
        exit_code,
        cause: Cause::new(std::iter::once(cause).chain(output.unwrap_or_default()).collect::<Vec<_>>().join("\n")),
        dockerfile: NamedSource::new(name, request.dockerfile.text.clone()).with_language("Dockerfile"),
        span: place.and_then(|line| span_of(&request.dockerfile.text, line)),
        label: if exit_code.is_some() { "this step failed" } else { "this cannot be built" }.to_owned(),
        help: help(request, message, exit_code),
        step,
    }
}

fn help(request: &Request, message: &str, exit_code: Option<i64>) -> String {
    let dockerfile = request.dockerfile.path.display();
    if message.contains("failed to calculate checksum") || message.contains("file not found in build context") {
        return format!(
            "paths are relative to the build context `{}`, without what its .dockerignore leaves out",
            request.context.root.display()
        );
    }
    if let Some(id) = between(message, "secret ", ": not found") {
        return format!("give it in the profile: `build: {{secrets: {{{id}: {{env: NAME}}}}}}`, or `file: PATH`");
    }
    if message.contains("unset ssh forward key") {
        return "start an ssh agent (`eval $(ssh-agent)`, `ssh-add`) and name it in the profile: `build: {ssh: [default]}`"
            .to_owned();
    }
    match exit_code {
        Some(127) => "127: the command was not found in the image; install it in a step before".to_owned(),
        Some(137) => "137: the step was killed, mostly for want of memory; give the engine more".to_owned(),
        _ if message.contains("target stage") => format!("the stages are named in `{dockerfile}`: `FROM … AS NAME`"),
        _ => format!("mend `{dockerfile}`, then run the same command again: steps before this one are kept"),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found).filter(|found| !found.contains(' '))
}

/// Returns the exit code in `BuildKit`'s or the classic builder's words.
fn exit_code(message: &str) -> Option<i64> {
    const BEFORE: [&str; 2] = ["did not complete successfully: exit code: ", "returned a non-zero code: "];
    let start = BEFORE.iter().find_map(|words| message.find(words).map(|at| at + words.len()))?;
    message[start..].split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
}

/// Returns the line that `BuildKit`'s parser complains of.
fn line_in(message: &str) -> Option<usize> {
    let start = message.find("error on line ")? + "error on line ".len();
    message[start..].split(|byte: char| !byte.is_ascii_digit()).next()?.parse().ok()
}

/// Returns a message without the engine's inner names.
fn short(message: &str) -> String {
    let missing = message.split_once("failed to calculate checksum of ref ").map(|(_, rest)| rest);
    match missing.and_then(|rest| rest.split('"').nth(1)) {
        Some(path) => format!("`{path}` is not in the build context"),
        None => message.to_owned(),
    }
}

/// Returns the span of a line, counted from 1, without the blanks around it.
fn span_of(text: &str, line: usize) -> Option<SourceSpan> {
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let content = text.split('\n').nth(line - 1)?;
    let indent = content.len() - content.trim_start().len();
    Some(SourceSpan::new((before + indent).into(), content.trim().len()))
}

#[cfg(test)]
mod tests;
