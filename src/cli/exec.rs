//! `coracle exec`: a command, or a shell, in a running container of a service.

use std::io::IsTerminal;

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::pick::{self, Picked};
use crate::deploy::remote::{self, Wish};
use crate::error::Failure;
use crate::session::Session;
use crate::ui::{self, ProgressFlag, sanitize};

pub(crate) async fn exec(session: &Session, global: &Global, flags: &args::Exec) -> Result<(Answer, u8), Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, std::slice::from_ref(&flags.service))?;
    let running = target::running(session, &profile).await?;
    let picked = pick::pick(&running.client, &profile, &flags.service, flags.container.as_deref()).await?;
    let Picked { pod, container, .. } = &picked;
    if global.dry_run {
        let command = if flags.command.is_empty() { "a shell".to_owned() } else { flags.command.join(" ") };
        let text = sanitize::line(&format!("run {command} in pod {pod}, container {container}"));
        let json = json!({"pod": pod, "container": container, "command": flags.command});
        return Ok((Answer { text, json }, 0));
    }
    let tty = is_interactive();
    if let Some(sentence) = picked.sentence(&flags.service) {
        say(session, global, tty, &sentence);
    }
    let wish = Wish { namespace: &profile.namespace, pod, container, command: &flags.command, tty };
    let code = remote::run(session, &running.client, &wish).await?;
    Ok((Answer::default(), code))
}

/// Whether this process's terminal can become the command's.
pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Says a sentence before a terminal is given away: the display, which runs beside this, might draw
/// it into the command's screen.
pub(super) fn say(session: &Session, global: &Global, tty: bool, sentence: &str) {
    if !tty {
        session.events.info(sentence);
    } else if global.progress != ProgressFlag::Quiet {
        ui::answer::narrate(sentence);
    }
}
