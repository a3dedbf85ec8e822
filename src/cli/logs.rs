//! `coracle logs`: the services' output, prefixed, on standard output.

use serde_json::json;
use tokio::sync::mpsc;

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::logs::{self, Line, Options};
use crate::error::Failure;
use crate::profile::Profile;
use crate::session::Session;
use crate::ui;

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
    let prefixes = Prefixes::new(&profile);
    let printing = async {
        while let Some(line) = lines.recv().await {
            let text = if global.json() { json!(line).to_string() } else { prefixes.line(&line) };
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

/// The services' names as prefixes of equal width, each in a colour of its own.
struct Prefixes {
    width: usize,
    services: Vec<String>,
}

impl Prefixes {
    fn new(profile: &Profile) -> Self {
        let services: Vec<String> = profile.services.iter().map(|service| service.key.clone()).collect();
        let width = services.iter().map(String::len).max().unwrap_or_default();
        Self { width, services }
    }

    fn line(&self, line: &Line) -> String {
        const COLORS: [anstyle::AnsiColor; 6] = [
            anstyle::AnsiColor::Cyan,
            anstyle::AnsiColor::Magenta,
            anstyle::AnsiColor::Green,
            anstyle::AnsiColor::Yellow,
            anstyle::AnsiColor::Blue,
            anstyle::AnsiColor::Red,
        ];
        let prefix = format!("{:width$} │", line.service, width = self.width);
        let at = self.services.iter().position(|service| *service == line.service).unwrap_or_default();
        let style = anstyle::Style::new().fg_color(Some(COLORS[at % COLORS.len()].into()));
        format!("{style}{prefix}{style:#} {}", line.text)
    }
}
