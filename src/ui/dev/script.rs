//! A session as it might be: for snapshots, and to be looked at.
//!
//! `cargo test --lib play_on_this_terminal -- --ignored --nocapture` plays it.

use std::path::PathBuf;
use std::time::Duration;

use crate::dev::machine::How;
use crate::dev::shown::{PodShown, ServiceShown, Shown, State};
use crate::event::{Event, Level, Outcome, Progress, Subject, Unit};

const AT: &str = "2026-01-02T14:02:11.042+01:00";

/// Returns events, each with the milliseconds that pass before it. All kinds are there.
pub(super) fn session() -> Vec<(u64, Event)> {
    let build = || Subject::Build { service: "web".into() };
    let step =
        Progress { done: 3, total: Some(7), unit: Unit::Steps, detail: "RUN pip install -r requirements.txt".into() };
    let done = |subject, what: &str, took| Event::End {
        subject,
        outcome: Outcome::Done { what: what.into() },
        took: Duration::from_millis(took),
    };
    vec![
        (0, Event::Begin { subject: build() }),
        (500, done(build(), "built 7 steps, 7 cached", 480)),
        (0, service("web", State::Starting, 0, 3, None)),
        (0, service("api", State::Starting, 0, 1, None)),
        (0, dev(Shown::Page { url: "http://127.0.0.1:1/?token=secret".into() })),
        (500, service("web", State::Ready, 3, 3, None)),
        (100, service("api", State::Ready, 1, 1, None)),
        (100, log("web", " * Running on http://0.0.0.0:8000")),
        (
            100,
            log(
                "api",
                "listening on :9000 with a line that is so long that no narrow terminal has room for it, and a wide one neither, \u{1b}[31mreally\u{1b}[0m",
            ),
        ),
        (1000, updated("web", How::Sync, &["app.py"], 6, None, (3, 3))),
        (200, log("web", "GET / 200 <script>alert(1)</script>")),
        (500, updated("api", How::Nothing, &["README.md"], 0, Some("`README.md` is in no image"), (1, 1))),
        (
            800,
            dev(Shown::Began {
                service: "web".into(),
                how: How::Rebuild,
                reason: "`requirements.txt` is used by `RUN pip install -r requirements.txt`".into(),
            }),
        ),
        (0, service("web", State::Building, 3, 3, None)),
        (0, Event::Begin { subject: build() }),
        (300, Event::Progress { subject: build(), progress: step }),
        (300, Event::Output { subject: build(), line: "Collecting flask".into() }),
        (300, Event::End { subject: build(), outcome: Outcome::Failed, took: Duration::from_millis(3100) }),
        (0, problem()),
        (0, service("web", State::Behind, 3, 3, Some("the build failed"))),
        (1500, dev(Shown::Mended { of: "web".into() })),
        (0, service("web", State::Ready, 3, 3, None)),
        (300, updated("web", How::Restart, &["app.py", "lib/util.py"], 310, None, (3, 3))),
        (300, service("api", State::Failing, 0, 1, Some("CrashLoopBackOff: exit 1"))),
        (0, log("api", "Traceback (most recent call last):")),
        (0, log("api", "SyntaxError: invalid syntax")),
        (500, dev(Shown::Link { what: "the cluster".into(), up: false, detail: "connection refused".into() })),
        (900, dev(Shown::Link { what: "the cluster".into(), up: true, detail: String::new() })),
        (100, Event::Notice { level: Level::Warning, text: "a build writes `out.txt` into its own context".into() }),
        (100, dev(Shown::Paused { on: true })),
        (500, dev(Shown::Paused { on: false })),
        (0, dev(Shown::Pods { pods: pods() })),
    ]
}

/// Has a board hear all of it.
pub(super) fn play(board: &super::Shared) {
    for (_, event) in session() {
        board.hear(&event);
    }
}

pub(super) fn dev(shown: Shown) -> Event {
    Event::Dev(shown)
}

pub(super) fn log(service: &str, line: &str) -> Event {
    dev(Shown::Log {
        service: service.into(),
        pod: format!("{service}-7d9f-x2x"),
        line: crate::ui::sanitize::line(line),
    })
}

pub(super) fn service(service: &str, state: State, ready: u32, wanted: u32, detail: Option<&str>) -> Event {
    let port = if service == "web" { 30001 } else { 30002 };
    let in_sync = (service == "web").then_some(ready);
    let urls = vec![format!("http://localhost:{port}")];
    let detail = detail.map(str::to_owned);
    dev(Shown::Service(ServiceShown { service: service.into(), state, urls, ready, wanted, in_sync, detail }))
}

pub(super) fn updated(
    service: &str,
    how: How,
    paths: &[&str],
    took: u64,
    reason: Option<&str>,
    replicas: (u32, u32),
) -> Event {
    dev(Shown::Updated {
        service: service.into(),
        at: AT.into(),
        how,
        files: paths.len(),
        paths: paths.iter().map(PathBuf::from).collect(),
        took: Duration::from_millis(took),
        reason: reason.map(str::to_owned),
        replicas,
    })
}

fn problem() -> Event {
    let text = "coracle::image::build_failed\n\n  × the image of `web` could not be built\n  ╰─▶ `RUN pip install -r requirements.txt` exited with 1\n      ERROR: No matching distribution found for flaskk\n  help: mend it and save; it is built again by itself\n";
    dev(Shown::Problem {
        of: "web".into(),
        text: text.into(),
        report: serde_json::json!({"id": "coracle::image::build_failed"}),
    })
}

fn pods() -> Vec<PodShown> {
    let pod = |service: &str, pod: &str, status: &str, ready, restarts, in_sync| PodShown {
        service: service.into(),
        pod: pod.into(),
        node: "coracle-worker".into(),
        status: status.into(),
        ready,
        restarts,
        in_sync,
    };
    vec![
        pod("web", "web-7d9f-x2x", "Running", true, 0, Some(true)),
        pod("web", "web-7d9f-q8k", "Running", true, 0, Some(false)),
        pod("api", "api-5c4b-zzz", "CrashLoopBackOff", false, 4, None),
    ]
}
