//! `coracle events`: what the cluster said about the services' objects in the last hour.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::events::{self, Line};
use crate::deploy::rollout::Watch;
use crate::deploy::status;
use crate::error::Failure;
use crate::profile::Profile;
use crate::session::Session;
use crate::ui;

pub(crate) async fn events(session: &Session, global: &Global, flags: &args::Events) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let client = target::running(session, &profile).await?.client;
    let lines = events::of_seen(&status::see(&client, &profile).await?, &profile, &flags.services);
    if flags.follow {
        return follow(session, global, flags, &client, &profile).await;
    }
    if lines.is_empty() {
        session.events.info("No events: Kubernetes keeps them for an hour");
    }
    let now = jiff::Timestamp::now().as_second();
    let rows: Vec<Vec<String>> = lines.iter().map(|line| row(line, now)).collect();
    let text = if rows.is_empty() {
        String::new()
    } else {
        ui::table::table(&["AGE", "TYPE", "SERVICE", "OBJECT", "REASON", "MESSAGE"], &rows)
    };
    Ok(Answer { text, json: json!({"profile": profile.name, "events": lines}) })
}

/// Prints each event as it comes, those that are there first, until Ctrl-C.
async fn follow(
    session: &Session,
    global: &Global,
    flags: &args::Events,
    client: &kube::Client,
    profile: &Profile,
) -> Result<Answer, Failure> {
    let mut watch = Watch::open(client, &profile.namespace, &profile.instance).await?;
    let first = status::see(client, profile).await?;
    let mut told = BTreeMap::new();
    let mut lines = events::of_seen(&first, profile, &flags.services);
    loop {
        for line in
            lines.into_iter().filter(|line| told.insert(line.key(), line.count).is_none_or(|was| was < line.count))
        {
            let now = jiff::Timestamp::now().as_second();
            let text = if global.json() { json!(line).to_string() } else { row(&line, now).join("  ") };
            // Nobody reads any more (`| head`): that is an end, not a fault.
            if !matches!(ui::answer::print(&text), Ok(true)) {
                return Ok(Answer::default());
            }
        }
        tokio::select! {
            changed = watch.changed() => changed?,
            () = session.cancel.cancelled() => return Ok(Answer::default()),
        }
        lines = events::of_seen(watch.seen(), profile, &flags.services);
    }
}

fn row(line: &Line, now: i64) -> Vec<String> {
    let age = Duration::from_secs(u64::try_from(now - line.time).unwrap_or_default());
    let times = if line.count > 1 { format!(" ({} times)", line.count) } else { String::new() };
    vec![
        ui::humane::age(age),
        if line.warning { "warning" } else { "normal" }.to_owned(),
        if line.service.is_empty() { "-" } else { &line.service }.to_owned(),
        line.object.clone(),
        line.reason.clone(),
        format!("{}{times}", line.message),
    ]
}
