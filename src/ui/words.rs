//! What is said about each subject and state, for plain lines and the live display alike. Pure.
//!
//! Everything here is a sentence or a part of one, without colour, bullets or line breaks.

use std::time::Duration;

use super::{humane, sanitize};
use crate::event::{Level, Outcome, Progress, Subject, Unit};

/// Participles that work may begin its `what` with; the sentence takes it as its verb.
const VERBS: [&str; 18] = [
    "applied",
    "built",
    "changed",
    "created",
    "deleted",
    "kept",
    "loaded",
    "prepared",
    "pruned",
    "pulled",
    "ready",
    "recreated",
    "remade",
    "removed",
    "replaced",
    "reused",
    "started",
    "stopped",
];

/// Returns that old images stay, and why.
pub(crate) fn not_swept(why: &str) -> String {
    format!("images that nothing uses any more stay for now: {why}")
}

/// What a cleaning calls the engine's cache of build steps.
pub(crate) const BUILD_CACHE: &str = "build cache";

/// Returns that something was left out of a cleaning, and why.
pub(crate) fn not_looked_at(what: &str, why: &str) -> String {
    format!("`{what}` is left as it is: {}", sanitize::line(why))
}

/// Returns that a stopped cluster's nodes keep their images.
pub(crate) fn left_alone(cluster: &str) -> String {
    format!(
        "The cluster `{cluster}` is stopped: what its nodes hold stays (`coracle cluster delete` gives it all back)"
    )
}

pub(crate) fn being_made(cluster: &str) -> String {
    format!("The cluster `{cluster}` is being made at this moment, and stays")
}

pub(crate) fn nothing_to_prune(all: bool) -> String {
    let more = if all { "" } else { " (`coracle prune --all` removes the last two images of each service too)" };
    format!("Nothing to remove: Coracle keeps only what is needed{more}")
}

pub(crate) fn would_come_back(bytes: u64) -> String {
    format!("About {} would come back", humane::bytes(bytes))
}

pub(crate) fn came_back(bytes: u64) -> String {
    format!("About {} came back", humane::bytes(bytes))
}

/// Returns the question before things are removed; `table` lists them, where there is room.
pub(crate) fn prune_question(table: &str, count: usize, bytes: u64) -> String {
    let things = if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") };
    let question = format!("{things} removed, and about {} come back. Go on?", humane::bytes(bytes));
    if table.is_empty() { question } else { format!("{}\n{question}", table.trim_end()) }
}

/// Returns that something stays, and why, in its own words.
pub(crate) fn kept(image: &str, why: &str) -> String {
    format!("{image} stays: {}", sanitize::line(why))
}

/// The most characters of a step's text in a line that stays.
const STEP_WIDTH: usize = 100;

/// Returns the subject as the short beginning of a line: `build web`, `cluster coracle`.
pub(crate) fn label(subject: &Subject) -> String {
    match subject {
        Subject::Cluster { name } | Subject::StopCluster { name } | Subject::DeleteCluster { name } => {
            format!("cluster {name}")
        }
        Subject::Build { service } => format!("build {service}"),
        Subject::Pull { image } => format!("pull {image}"),
        Subject::Load { node } => format!("load {node}"),
        Subject::Apply { namespace } => format!("apply {namespace}"),
        Subject::Workload { name } => name.clone(),
        Subject::Remove { namespace } => format!("remove {namespace}"),
    }
}

/// Returns what begins.
pub(crate) fn begun(subject: &Subject) -> String {
    capital(&doing(subject))
}

/// Returns what still goes on, and how far it is.
pub(crate) fn going(subject: &Subject, progress: Option<&Progress>) -> String {
    let doing = match subject {
        // Nothing is asked of a service's name here, so the back quotes may go.
        Subject::Workload { name } => format!("waiting for {name}"),
        subject => doing(subject),
    };
    match progress.map(state).filter(|state| !state.is_empty()) {
        Some(state) => format!("still {doing}: {state}"),
        None => format!("still {doing}"),
    }
}

/// Returns a build's new step: `build web: [2/4] RUN pip install flask`.
/// None for what is no instruction of a Dockerfile: a build's own housekeeping is not worth a line.
pub(crate) fn step(subject: &Subject, progress: &Progress) -> Option<String> {
    if progress.unit != Unit::Steps {
        return None;
    }
    let text = instruction(&progress.detail)?;
    let number = match progress.total {
        Some(total) if !text.starts_with('[') => format!("[{}/{total}] ", progress.done),
        _ => String::new(),
    };
    Some(format!("{}: {number}{text}", label(subject)))
}

/// Returns what stays the same while a step goes on: its instruction without number, digest and byte counts.
pub(crate) fn instruction(detail: &str) -> Option<String> {
    let word = detail.rsplit_once("] ").filter(|_| detail.starts_with('[')).map_or(detail, |(_, text)| text);
    let keyword = word.split(' ').next().filter(|keyword| keyword.len() > 1)?;
    if !keyword.chars().all(|character| character.is_ascii_uppercase()) {
        return None;
    }
    let counted = |(_, count): &(&str, &str)| count.ends_with(')') && count.contains(" of ");
    let text = detail.rsplit_once(" (").filter(counted).map_or(detail, |(text, _)| text);
    let text = text.split_once("@sha256:").map_or(text, |(image, _)| image);
    if text.chars().count() <= STEP_WIDTH {
        return Some(text.to_owned());
    }
    Some(text.chars().take(STEP_WIDTH - 1).chain(['…']).collect())
}

/// Returns how it ended, and after how long.
pub(crate) fn ended(subject: &Subject, outcome: &Outcome, took: Duration) -> String {
    let took = humane::duration(took);
    match outcome {
        Outcome::Done { what } => done(subject, what, &took),
        Outcome::Failed => format!("{} failed after {took}", capital(&doing(subject))),
        Outcome::Cancelled => format!("{} was stopped after {took}", capital(&doing(subject))),
    }
}

/// Returns how far it is, in numbers: `2/4`, `12.4/30.1 MB`, `1/3 ready`. Empty where there is nothing to count.
pub(crate) fn measure(progress: &Progress) -> String {
    let Progress { done, total, unit, .. } = progress;
    match (unit, total) {
        (Unit::Steps, Some(total)) => format!("{done}/{total}"),
        (Unit::Replicas, Some(total)) => format!("{done}/{total} ready"),
        (Unit::Replicas, None) => format!("{done} ready"),
        (Unit::Bytes, Some(total)) => format!("{} of {}", humane::bytes(*done), humane::bytes(*total)),
        (Unit::Bytes, None) if *done > 0 => humane::bytes(*done),
        (Unit::Steps | Unit::Bytes, None) => String::new(),
    }
}

/// Returns the state where there is little room: a share instead of two sizes.
pub(crate) fn short(progress: &Progress) -> String {
    match (progress.unit, progress.total) {
        (Unit::Bytes, Some(total)) if total > 0 => {
            let share = u128::from(progress.done.min(total)) * 100 / u128::from(total);
            format!("{share}% {}", progress.detail).trim_end().to_owned()
        }
        _ => state(progress),
    }
}

/// Returns numbers and what happens now: `1/3 ready: ContainerCreating`.
pub(crate) fn state(progress: &Progress) -> String {
    let measure = measure(progress);
    let detail = progress.detail.as_str();
    if detail.is_empty() {
        return measure;
    }
    // BuildKit numbers its steps itself, and a detail may repeat the count.
    let told = detail.starts_with(&measure) || (progress.unit == Unit::Steps && detail.starts_with('['));
    if told {
        return detail.to_owned();
    }
    let between = if progress.unit == Unit::Steps { " " } else { ": " };
    format!("{measure}{between}{detail}")
}

/// Returns the word that a notice begins with, if it needs one.
pub(crate) fn prefix(level: Level) -> &'static str {
    match level {
        Level::Warning => "warning: ",
        Level::Info | Level::Detail => "",
    }
}

fn doing(subject: &Subject) -> String {
    match subject {
        Subject::Cluster { name } => format!("preparing cluster `{name}`"),
        Subject::StopCluster { name } => format!("stopping cluster `{name}`"),
        Subject::DeleteCluster { name } => format!("deleting cluster `{name}`"),
        Subject::Build { service } => format!("building `{service}`"),
        Subject::Pull { image } => format!("pulling `{image}`"),
        Subject::Load { node } => format!("loading images into `{node}`"),
        Subject::Apply { namespace } => format!("applying to namespace `{namespace}`"),
        Subject::Workload { name } => format!("waiting for `{name}`"),
        Subject::Remove { namespace } => format!("removing from namespace `{namespace}`"),
    }
}

fn done(subject: &Subject, what: &str, took: &str) -> String {
    let (verb, detail) = split_verb(what);
    let verb = |usual: &str| capital(verb.filter(|verb| *verb != "ready").unwrap_or(usual));
    let sentence = match subject {
        Subject::Cluster { name } => format!("{} cluster `{name}` in {took}", verb("prepared")),
        Subject::StopCluster { name } => format!("{} cluster `{name}` in {took}", verb("stopped")),
        Subject::DeleteCluster { name } => format!("{} cluster `{name}` in {took}", verb("deleted")),
        Subject::Build { service } => format!("{} `{service}` in {took}", verb("built")),
        Subject::Pull { image } => format!("{} `{image}` in {took}", verb("pulled")),
        Subject::Load { node } => format!("{} images into `{node}` in {took}", verb("loaded")),
        Subject::Apply { namespace } => format!("{} to namespace `{namespace}` in {took}", verb("applied")),
        Subject::Workload { name } => format!("`{name}` is ready after {took}"),
        Subject::Remove { namespace } => format!("{} from namespace `{namespace}` in {took}", verb("removed")),
    };
    if detail.is_empty() { sentence } else { format!("{sentence} ({detail})") }
}

/// Splits "built 12 steps, 7 cached" into its verb and the rest; what begins with none is all rest.
fn split_verb(what: &str) -> (Option<&str>, &str) {
    let what = what.trim();
    let end = what.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(what.len());
    let (first, rest) = what.split_at(end);
    match VERBS.iter().find(|verb| verb.eq_ignore_ascii_case(first)) {
        Some(verb) => (Some(verb), rest.trim_start_matches([',', ':', ';', ' '])),
        None => (None, what),
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> Subject {
        Subject::Build { service: "web".into() }
    }

    fn progress(done: u64, total: Option<u64>, unit: Unit, detail: &str) -> Progress {
        Progress { done, total, unit, detail: detail.into() }
    }

    fn done(subject: &Subject, what: &str) -> String {
        ended(subject, &Outcome::Done { what: what.into() }, Duration::from_millis(3_100))
    }

    #[test]
    fn each_subject_begins() {
        let subjects = [
            Subject::Cluster { name: "coracle".into() },
            build(),
            Subject::Pull { image: "redis:7".into() },
            Subject::Load { node: "coracle-worker".into() },
            Subject::Apply { namespace: "shop".into() },
            Subject::Workload { name: "web".into() },
            Subject::Remove { namespace: "shop".into() },
        ];
        let said: Vec<_> = subjects.iter().map(begun).collect();
        assert_eq!(
            said,
            [
                "Preparing cluster `coracle`",
                "Building `web`",
                "Pulling `redis:7`",
                "Loading images into `coracle-worker`",
                "Applying to namespace `shop`",
                "Waiting for `web`",
                "Removing from namespace `shop`",
            ]
        );
    }

    #[test]
    fn a_success_takes_the_verb_of_the_work() {
        assert_eq!(done(&build(), "built 7 steps, 4 cached"), "Built `web` in 3.1s (7 steps, 4 cached)");
        assert_eq!(done(&build(), "7 steps, 4 cached"), "Built `web` in 3.1s (7 steps, 4 cached)");
        let cluster = Subject::Cluster { name: "coracle".into() };
        assert_eq!(done(&cluster, "created"), "Created cluster `coracle` in 3.1s");
        assert_eq!(done(&cluster, "started, 3 nodes"), "Started cluster `coracle` in 3.1s (3 nodes)");
        assert_eq!(done(&cluster, "ready"), "Prepared cluster `coracle` in 3.1s");
        assert_eq!(done(&Subject::Pull { image: "redis:7".into() }, ""), "Pulled `redis:7` in 3.1s");
        let load = Subject::Load { node: "coracle-worker".into() };
        assert_eq!(done(&load, "loaded 2 images"), "Loaded images into `coracle-worker` in 3.1s (2 images)");
        let apply = Subject::Apply { namespace: "shop".into() };
        assert_eq!(done(&apply, "5 objects, 2 changed"), "Applied to namespace `shop` in 3.1s (5 objects, 2 changed)");
        let workload = Subject::Workload { name: "web".into() };
        assert_eq!(done(&workload, "ready: 3/3"), "`web` is ready after 3.1s (3/3)");
        let remove = Subject::Remove { namespace: "shop".into() };
        assert_eq!(done(&remove, "removed 5 objects"), "Removed from namespace `shop` in 3.1s (5 objects)");
    }

    #[test]
    fn a_failure_and_a_stop_say_how_long_it_took() {
        let took = Duration::from_secs(130);
        assert_eq!(ended(&build(), &Outcome::Failed, took), "Building `web` failed after 2m10s");
        assert_eq!(ended(&build(), &Outcome::Cancelled, took), "Building `web` was stopped after 2m10s");
    }

    #[test]
    fn progress_is_numbers_and_what_happens() {
        let web = Subject::Workload { name: "web".into() };
        let waiting = progress(1, Some(3), Unit::Replicas, "ContainerCreating");
        assert_eq!(going(&web, Some(&waiting)), "still waiting for web: 1/3 ready: ContainerCreating");
        assert_eq!(going(&web, None), "still waiting for web");
        let pull = progress(12_400_000, Some(30_100_000), Unit::Bytes, "");
        assert_eq!(state(&pull), "12.4 MB of 30.1 MB");
        assert_eq!(short(&pull), "41%");
        assert_eq!(short(&waiting), "1/3 ready: ContainerCreating");
        assert_eq!(state(&progress(0, None, Unit::Bytes, "connecting")), "connecting");
        assert_eq!(state(&progress(5_000, None, Unit::Bytes, "extracting")), "5.0 kB: extracting");
        assert_eq!(state(&progress(3, Some(6), Unit::Steps, "Starting control-plane")), "3/6 Starting control-plane");
        assert_eq!(state(&progress(2, Some(2), Unit::Replicas, "2/2 ready, draining")), "2/2 ready, draining");
    }

    #[test]
    fn a_step_is_numbered_once() {
        let step = |detail: &str| step(&build(), &progress(2, Some(4), Unit::Steps, detail));
        assert_eq!(step("RUN pip install flask").unwrap(), "build web: [2/4] RUN pip install flask");
        assert_eq!(step("[2/4] RUN pip install flask").unwrap(), "build web: [2/4] RUN pip install flask");
        assert_eq!(step("[run 1/2] COPY . .").unwrap(), "build web: [run 1/2] COPY . .");
        assert_eq!(
            step("FROM docker.io/library/python:3@sha256:0123").unwrap(),
            "build web: [2/4] FROM docker.io/library/python:3"
        );
        assert_eq!(step("RUN fetch (1.0 MB of 3.0 MB)").unwrap(), "build web: [2/4] RUN fetch");
        assert_eq!(step(&format!("RUN {}", "é".repeat(200))).unwrap().chars().count(), "build web: [2/4] ".len() + 100);
        for housekeeping in ["", "[internal] load build definition", "exporting to image", "2/4 done"] {
            assert_eq!(step(housekeeping), None, "{housekeeping}");
        }
    }
}
