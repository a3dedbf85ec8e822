//! `coracle dev`: `up`, then every saved file is brought to where it runs.

use serde_json::Value;
use tokio::sync::mpsc;

use super::args::{self, Global};
use super::{Answer, down, target};
use crate::dev::session::{self, Start};
use crate::dev::shown::{Shown, Wish};
use crate::error::Failure;
use crate::event::Event;
use crate::image::engine;
use crate::session::Session;
use crate::ui::dev::{Settings, Stage};

/// Sets up the screen; its keys go to `wish`. With `--ui` a page is served as long as it stands.
pub(super) async fn stage(
    session: &Session,
    global: &Global,
    flags: &args::Dev,
    wish: mpsc::UnboundedSender<Wish>,
) -> Result<Stage, Failure> {
    let chosen = Settings::choose(global.progress, global.json(), session.surroundings.variable("TERM"));
    let settings = Settings { verbose: global.verbose, down_on_exit: flags.down_on_exit, ..chosen };
    let mut stage = Stage::new(settings, wish);
    if flags.ui {
        let url = stage.serve().await?;
        session.events.send(Event::Dev(Shown::Page { url }));
    }
    Ok(stage)
}

/// Runs until the user leaves. What runs stays, unless `--down-on-exit` says otherwise.
pub(crate) async fn dev(
    session: &Session,
    global: &Global,
    flags: &args::Dev,
    wishes: mpsc::UnboundedReceiver<Wish>,
) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    let lock = target::lock(session, &profile, "dev").await?;
    let engine = engine::connect(session).await?;
    let reload = || target::profile(session, global);
    let ran =
        session::run(Start { session, engine, profile, reload: &reload, wishes, timeout: flags.waiting.timeout }).await;
    drop(lock);
    if flags.down_on_exit {
        // The user has left: what was asked for beforehand is done all the same.
        let session = Session { cancel: tokio_util::sync::CancellationToken::new(), ..session.clone() };
        down::down(&session, global, &args::Down { volumes: false }).await?;
    }
    ran?;
    Ok(Answer { text: String::new(), json: Value::Null })
}
