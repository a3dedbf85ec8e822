//! `coracle logs`: the services' output, prefixed, on standard output.

use serde_json::json;
use tokio::sync::mpsc;

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::logs::{self, Line, Options};
use crate::error::Failure;
use crate::session::Session;
use crate::ui;
use crate::ui::prefixes::Prefixes;

pub(crate) async fn logs(session: &Session, global: &Global, flags: &args::Logs) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let running = target::running(session, &profile).await?;
    let options = Options {
        services: flags.services.clone(),
        follow: flags.follow,
        previous: flags.previous,
        since: flags.since,
        tail: flags.tail.map(i64::from),
    };
    let (sender, mut lines) = mpsc::channel::<Line>(1024);
    let prefixes = Prefixes::new(profile.services.iter().map(|service| service.key.clone()));
    let printing = async {
        while let Some(line) = lines.recv().await {
            let text = if global.json() { json!(line).to_string() } else { prefixes.line(&line.service, &line.text) };
            // Nobody reads any more (`| head`): that is an end, not a fault.
            if !matches!(ui::answer::print(&text), Ok(true)) {
                session.cancel.cancel();
                break;
            }
        }
    };
    let (result, ()) = tokio::join!(logs::stream(session, &running.client, &profile, &options, sender), printing);
    result?;
    Ok(Answer::default())
}
