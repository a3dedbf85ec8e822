//! `coracle test`: the profile's own checks, against the real URLs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, status, target};
use crate::check::{self, Outcome};
use crate::deploy;
use crate::error::{Classified, Failure, Kind};
use crate::profile::Profile;
use crate::session::Session;
use crate::ui;

/// How long a service that has just started may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// With `--watch`: how long until everything is asked again.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the profile `{profile}` has no checks")]
#[diagnostic(
    code(coracle::test::no_checks),
    help("add some, such as:\nchecks:\n  - {{service: {service}, get: /, expect: {{status: 200}}}}")
)]
struct NoChecks {
    profile: String,
    service: String,
}

impl Classified for NoChecks {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

pub(crate) async fn test(session: &Session, global: &Global, flags: &args::Test) -> Result<(Answer, u8), Failure> {
    let profile = target::profile(session, global)?;
    if profile.checks.is_empty() {
        let service = profile.services.first().map_or("web", |service| &service.key).to_owned();
        return Err(NoChecks { profile: profile.name.clone(), service }.into());
    }
    if global.dry_run {
        let line = |check: &crate::profile::Check| format!("ask {} {} of {}", check.method, check.path, check.service);
        let text = ui::answer::lines(profile.checks.iter().map(line).map(|line| ui::sanitize::line(&line)));
        return Ok((Answer { text, json: json!({"checks": profile.checks.len()}) }, 0));
    }
    let running = target::running(session, &profile).await?;
    let patience = flags.waiting.timeout.unwrap_or(PATIENCE);
    let mut before = None;
    loop {
        let outcomes = round(session, &profile, &running, patience).await?;
        let failed = outcomes.iter().filter(|outcome| !outcome.ok()).count();
        let answer = answer(&profile, &outcomes);
        if !flags.watch {
            return Ok((answer, u8::from(failed > 0)));
        }
        let now: Vec<_> = outcomes.iter().map(|outcome| (outcome.status, outcome.wrong.clone())).collect();
        if before.replace(now.clone()).is_none_or(|before| before != now) {
            let text = if global.json() { answer.json.to_string() } else { answer.text };
            // Nobody reads any more (`| head`): that is an end, not a fault.
            if !matches!(ui::answer::print(&text), Ok(true)) {
                return Ok((Answer::default(), u8::from(failed > 0)));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = session.cancel.cancelled() => return Ok((Answer::default(), u8::from(failed > 0))),
        }
    }
}

/// Asks all checks, one after the other: one may make what the next asks for.
async fn round(
    session: &Session,
    profile: &Profile,
    running: &target::Running,
    patience: Duration,
) -> Result<Vec<Outcome>, Failure> {
    let services = deploy::status::observe(&running.client, profile).await?;
    let deadline = Instant::now() + patience;
    let mut outcomes = Vec::new();
    for asked in &profile.checks {
        let found = services.iter().find(|service| service.service == asked.service);
        let urls = found.map(|service| status::urls(profile, service, &running.band)).unwrap_or_default();
        let url = urls.into_iter().find(|url| url.starts_with("http"));
        let outcome = match (found, url) {
            (Some(found), Some(url)) if found.state != "absent" => {
                tokio::select! {
                    outcome = check::run(asked, &url, deadline) => outcome,
                    () = session.cancel.cancelled() => return Err(Failure::interrupted("not all checks were asked")),
                }
            }
            (Some(found), _) if found.state != "absent" => {
                Outcome::unasked(asked, "the service has no URL on this machine")
            }
            _ => Outcome::unasked(asked, "the service is not deployed; `coracle up` deploys it"),
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn answer(profile: &Profile, outcomes: &[Outcome]) -> Answer {
    let rows: Vec<Vec<String>> = outcomes.iter().map(row).collect();
    let heads = ui::table::lines(&rows);
    let mut text = String::new();
    for (head, outcome) in heads.lines().zip(outcomes) {
        text += &[head, "\n"].concat();
        if outcome.ok() {
            continue;
        }
        let sent = outcome.request.iter().map(|request| format!("sent: {request}"));
        let came = outcome.body.iter().filter(|body| !body.is_empty()).map(|body| format!("answer: {body}"));
        for part in outcome.wrong.iter().cloned().chain(sent).chain(came) {
            for line in part.lines() {
                text += &["    ", line, "\n"].concat();
            }
        }
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.ok()).count();
    let count = outcomes.len();
    let total = match failed {
        0 => format!("all {count} checks passed\n"),
        failed => format!("{failed} of {count} checks failed\n"),
    };
    text += &total;
    Answer { text, json: json!({"profile": profile.name, "failed": failed, "checks": outcomes}) }
}

fn row(outcome: &Outcome) -> Vec<String> {
    vec![
        if outcome.ok() { "ok" } else { "failed" }.to_owned(),
        outcome.service.clone(),
        format!("{} {}", outcome.method, outcome.url),
        outcome.status.map_or("-".to_owned(), |status| status.to_string()),
        ui::humane::duration(Duration::from_millis(outcome.took)),
    ]
}
