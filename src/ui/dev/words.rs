//! What is said while `dev` watches, for every display alike. Pure.
//!
//! Sentences without colour and line breaks. A service's name is not in them: each display
//! puts it where its reader looks.

use std::path::PathBuf;
use std::time::Duration;

use crate::dev::machine::How;
use crate::dev::shown::{ServiceShown, State};
use crate::event::{Progress, Subject, Unit};
use crate::ui::{humane, sanitize, words};

/// How many paths a line names.
const NAMED: usize = 3;

/// What arrived, as [`crate::dev::shown::Shown::Updated`] tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update<'a> {
    pub(super) how: How,
    pub(super) files: usize,
    pub(super) paths: &'a [PathBuf],
    pub(super) took: Duration,
    pub(super) reason: Option<&'a str>,
    pub(super) replicas: (u32, u32),
}

/// Returns `synced 1 file in 6 ms: app.py`.
pub(super) fn updated(update: Update<'_>) -> String {
    let Update { how, files, paths, took, reason, replicas: (have, wanted) } = update;
    let because = reason.map(sanitize::line);
    if how == How::Nothing {
        return format!("nothing to do: {}", because.unwrap_or_else(|| named(paths, files)));
    }
    let synced = if files == 1 { "synced 1 file".to_owned() } else { format!("synced {files} files") };
    let what = match (how, files) {
        (How::Rebuild, _) => "rebuilt".to_owned(),
        (How::Restart, 0) => "restarted".to_owned(),
        (How::Restart, _) => format!("{synced} and restarted"),
        (How::Run, 0) => "ran its commands".to_owned(),
        (How::Run, _) => format!("{synced} and ran its commands"),
        (How::Sync | How::Nothing, _) => synced,
    };
    let mut text = format!("{what} in {}", milliseconds(took));
    let names = named(paths, files);
    if !names.is_empty() {
        text = format!("{text}: {names}");
    }
    if let Some(because) = because {
        text = format!("{text}, {because}");
    }
    if have < wanted { format!("{text} (in {have} of {wanted} replicas)") } else { text }
}

/// Returns the first few paths and how many more there are.
fn named(paths: &[PathBuf], files: usize) -> String {
    let names: Vec<_> = paths.iter().take(NAMED).map(|path| sanitize::line(&path.to_string_lossy())).collect();
    let more = files.saturating_sub(names.len());
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// Returns `rebuilding, REASON`.
pub(super) fn began(how: How, reason: &str) -> String {
    let doing = match how {
        How::Rebuild => "rebuilding",
        How::Restart => "restarting",
        How::Run => "running its commands",
        How::Sync => "syncing",
        How::Nothing => "nothing to do",
    };
    let reason = sanitize::line(reason);
    if reason.is_empty() { doing.to_owned() } else { format!("{doing}, {reason}") }
}

/// Returns what a service has become, where that is worth a line of its own.
pub(super) fn turned(service: &ServiceShown) -> Option<String> {
    let detail = |text: &str| match &service.detail {
        Some(detail) => format!("{text}: {}", sanitize::line(detail)),
        None => text.to_owned(),
    };
    match service.state {
        State::Ready if service.urls.is_empty() => Some("is ready".to_owned()),
        State::Ready => Some(format!("is ready: {}", sanitize::line(&service.urls.join("  ")))),
        State::Failing => Some(detail("fails")),
        State::Behind => Some(detail("is behind, and what ran before still runs")),
        State::Starting | State::Building | State::Deploying => None,
    }
}

/// Returns the word of a state.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Ready => "ready",
        State::Building => "building",
        State::Deploying => "deploying",
        State::Failing => "failing",
        State::Behind => "behind",
    }
}

/// Returns what goes on, in a few words: `building 3/7: RUN pip install flask`.
pub(super) fn activity(subject: &Subject, progress: Option<&Progress>) -> String {
    let begun = match subject {
        Subject::Build { .. } => "building".to_owned(),
        Subject::Workload { .. } => "rolling out".to_owned(),
        subject => lower(&words::begun(subject)),
    };
    let Some(progress) = progress else { return begun };
    let state = match progress {
        Progress { unit: Unit::Steps, detail, .. } => {
            let step = words::instruction(detail).unwrap_or_else(|| sanitize::line(detail));
            let measure = words::measure(progress);
            if step.is_empty() || step.starts_with('[') {
                format!("{measure}{step}")
            } else {
                format!("{measure}: {step}")
            }
        }
        progress => words::short(progress),
    };
    if state.is_empty() { begun } else { format!("{begun} {state}") }
}

/// Returns the service that a piece of work is of.
pub(super) fn service_of(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::Build { service } => Some(service),
        Subject::Workload { name } => Some(name),
        _ => None,
    }
}

/// Returns that something went away or came back.
pub(super) fn link(what: &str, up: bool, detail: &str) -> String {
    let (what, detail) = (sanitize::line(what), sanitize::line(detail));
    let text = if up { format!("{what} is back") } else { format!("{what} has gone away, waiting for it") };
    if detail.is_empty() { text } else { format!("{text}: {detail}") }
}

pub(super) fn paused(on: bool) -> &'static str {
    if on { "paused: changes wait until you go on" } else { "going on: catching up with what has changed" }
}

/// What stands before the address of the page.
pub(super) const PAGE: &str = "the same is on a page, for browsers of this machine:";

/// Returns what stays on the terminal after `dev`: what runs, where, and what to do about it.
pub(super) fn left<'a>(services: impl Iterator<Item = &'a ServiceShown>) -> String {
    let rows: Vec<_> = services
        .map(|service| {
            let ready = format!("{} {}/{}", state(service.state), service.ready, service.wanted);
            vec![format!("  {}", service.service), ready, sanitize::line(&service.urls.join("  "))]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let table = crate::ui::table::lines(&rows);
    format!(
        "Nobody watches your files any more; what runs stays:\n{}\n\
         `coracle up` puts the plain images back, `coracle dev` watches again, `coracle down` removes it all.",
        table.trim_end()
    )
}

/// Returns a short time as people read it beside a save: `6 ms`, `3.1s`.
fn milliseconds(took: Duration) -> String {
    if took < Duration::from_secs(1) { format!("{} ms", took.as_millis()) } else { humane::duration(took) }
}

/// Returns the time of day of an RFC 3339 time, as it was where it was written.
pub(super) fn time_of_day(at: &str) -> &str {
    at.get(11..19).unwrap_or(at)
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(how: How, files: usize, names: &[&str]) -> String {
        let paths: Vec<_> = names.iter().map(PathBuf::from).collect();
        let took = Duration::from_millis(6);
        updated(Update { how, files, paths: &paths, took, reason: None, replicas: (2, 2) })
    }

    #[test]
    fn an_update_says_what_and_how_fast() {
        assert_eq!(update(How::Sync, 1, &["app.py"]), "synced 1 file in 6 ms: app.py");
        assert_eq!(update(How::Sync, 9, &["a", "b", "c", "d"]), "synced 9 files in 6 ms: a, b, c and 6 more");
        assert_eq!(update(How::Restart, 0, &[]), "restarted in 6 ms");
        assert_eq!(update(How::Restart, 1, &["app.py"]), "synced 1 file and restarted in 6 ms: app.py");
        assert_eq!(update(How::Run, 2, &["a", "b"]), "synced 2 files and ran its commands in 6 ms: a, b");
        assert_eq!(update(How::Sync, 1, &["\u{1b}[2Jx\n"]), "synced 1 file in 6 ms: x ");
    }

    #[test]
    fn what_is_missing_is_said() {
        let took = Duration::from_millis(3_100);
        let reason = Some("`app.py` is read by `RUN x`");
        let update = |how, replicas| updated(Update { how, files: 0, paths: &[], took, reason, replicas });
        assert_eq!(update(How::Rebuild, (1, 3)), "rebuilt in 3.1s, `app.py` is read by `RUN x` (in 1 of 3 replicas)");
        assert_eq!(update(How::Nothing, (1, 3)), "nothing to do: `app.py` is read by `RUN x`");
        assert_eq!(began(How::Rebuild, "`Dockerfile` changed"), "rebuilding, `Dockerfile` changed");
    }

    #[test]
    fn work_fits_into_a_header() {
        let build = Subject::Build { service: "web".into() };
        let step = |detail: &str| Progress { done: 3, total: Some(7), unit: Unit::Steps, detail: detail.into() };
        assert_eq!(activity(&build, None), "building");
        assert_eq!(activity(&build, Some(&step("RUN pip install"))), "building 3/7: RUN pip install");
        let load = Subject::Load { node: "n".into() };
        let half = Progress { done: 50, total: Some(100), unit: Unit::Bytes, detail: String::new() };
        assert_eq!(activity(&load, Some(&half)), "loading images into `n` 50%");
    }

    #[test]
    fn links_go_and_come() {
        assert_eq!(link("the engine", false, "refused"), "the engine has gone away, waiting for it: refused");
        assert_eq!(link("the engine", true, ""), "the engine is back");
    }
}
