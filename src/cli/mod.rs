//! The command line: arguments, surroundings, one file per verb.
//!
//! Each verb finds its profile, observes, plans, executes and returns an [`Answer`]; this file
//! is what they share: the session, the display, Ctrl-C and the exit code.

mod args;
mod ask;
mod cluster;
mod completions;
mod debug;
mod deploy;
mod dev;
mod down;
mod events;
mod exec;
mod explain;
mod init;
mod kubeconfig;
mod logs;
mod new;
mod open;
mod prune;
mod render;
mod restart;
mod schema;
mod span;
mod status;
mod surroundings;
mod target;
mod test;
mod top;
mod up;
mod url;

use std::io::IsTerminal;
use std::sync::Arc;

use clap::Parser;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::args::{Cli, Global, Verb};
use crate::dev::shown::Wish;
use crate::error::Failure;
use crate::event::{Event, Events};
use crate::session::Session;
use crate::ui::{self, Display};

/// What a verb answers on standard output.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// For people; empty: nothing is printed.
    pub(crate) text: String,
    /// For `--output json`; null: nothing is printed.
    pub(crate) json: serde_json::Value,
}

/// Parses arguments, runs the verb, prints its answer or its failure; returns the exit code.
pub(crate) fn run() -> u8 {
    let arguments = Cli::parse();
    // One provider of cryptography for every TLS connection; a second call would be a mistake.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(verb(arguments));
            // A read of standard input or a slow lookup must not keep the process alive.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            ui::answer::narrate(&format!("coracle: the runtime did not start: {error}"));
            1
        }
    }
}

/// Runs one verb with its display beside it.
async fn verb(arguments: Cli) -> u8 {
    let Cli { global, verb } = arguments;
    ui::answer::choose_color(global.no_color);
    let (events, receiver) = Events::channel();
    let cancel = CancellationToken::new();
    let events = events.cut_short_by(cancel.clone());
    let session = Session { events, cancel, surroundings: Arc::new(surroundings::capture()) };
    let (wish, wishes) = mpsc::unbounded_channel();
    let shown = match show(&session, &global, &verb, wish, receiver).await {
        Ok(shown) => shown,
        Err(failure) => return report(&global, &failure),
    };
    let signals = tokio::spawn(watch_signals(session.clone()));

    let result = dispatch(&session, &global, verb, wishes).await;

    signals.abort();
    drop(signals.await);
    drop(session);
    // The display ends when the last sender is gone: everything that was said is shown first.
    drop(shown.await);
    match result {
        Ok((answer, code)) => {
            let text = if global.json() { json_line(&answer.json) } else { answer.text };
            match ui::answer::print(&text) {
                Ok(_) => code,
                Err(error) => {
                    ui::answer::narrate(&format!("coracle: the answer could not be written: {error}"));
                    1
                }
            }
        }
        Err(failure) => report(&global, &failure),
    }
}

/// Says what failed; returns the exit code.
fn report(global: &Global, failure: &Failure) -> u8 {
    let text = if global.json() {
        ui::json::failure(failure)
    } else {
        ui::report::text(failure, ui::terminal::narration().columns, ui::answer::narrates_in_color())
    };
    ui::answer::narrate(&text);
    failure.kind.exit_code()
}

/// Starts what shows the events of the verb; `wish` is where `dev`'s screen sends its keys.
async fn show(
    session: &Session,
    global: &Global,
    verb: &Verb,
    wish: mpsc::UnboundedSender<Wish>,
    events: mpsc::UnboundedReceiver<Event>,
) -> Result<JoinHandle<()>, Failure> {
    if let Verb::Dev(flags) = verb
        && !global.dry_run
    {
        return Ok(tokio::spawn(dev::stage(session, global, flags, wish).await?.show(events)));
    }
    let display = display(global, session.surroundings.variable("TERM"));
    Ok(tokio::spawn(ui::show(display, global.verbose, events)))
}

fn json_line(value: &serde_json::Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}

fn display(global: &Global, term: Option<&str>) -> Display {
    Display::choose(global.progress, global.json(), std::io::stderr().is_terminal(), term)
}

/// Returns the verb's answer, and the exit code of one that did what it was asked: 0, or what a command in
/// the cluster ended with.
async fn dispatch(
    session: &Session,
    global: &Global,
    verb: Verb,
    wishes: mpsc::UnboundedReceiver<Wish>,
) -> Result<(Answer, u8), Failure> {
    let answer = match verb {
        Verb::Dev(flags) if global.dry_run => up::up(session, global, &flags.as_up()).await,
        Verb::Dev(flags) => dev::dev(session, global, &flags, wishes).await,
        Verb::Up(flags) => up::up(session, global, &flags).await,
        Verb::Exec(flags) => return exec::exec(session, global, &flags).await,
        Verb::Debug(flags) => return debug::debug(session, global, &flags).await,
        Verb::Test(flags) => return test::test(session, global, &flags).await,
        Verb::Open(flags) => open::open(session, global, &flags).await,
        Verb::Events(flags) => events::events(session, global, &flags).await,
        Verb::Top(flags) => top::top(session, global, &flags).await,
        Verb::Explain(flags) => Ok(explain::explain(&flags)?),
        Verb::Restart(flags) => restart::restart(session, global, &flags).await,
        Verb::Scale(flags) => restart::scale(session, global, &flags).await,
        Verb::Build(flags) => up::build(session, global, &flags).await,
        Verb::Load => up::load(session, global).await,
        Verb::Deploy(flags) => deploy::deploy(session, global, &flags).await,
        Verb::Down(flags) => down::down(session, global, &flags).await,
        Verb::Status(flags) => status::status(session, global, &flags).await,
        Verb::Url(flags) => url::url(session, global, &flags).await,
        Verb::Logs(flags) => logs::logs(session, global, &flags).await,
        Verb::Render(flags) => render::render(session, global, &flags).await,
        Verb::Diff => render::diff(session, global).await,
        Verb::Cluster { verb } => cluster::cluster(session, global, &verb).await,
        Verb::Prune(flags) => prune::prune(session, global, &flags).await,
        Verb::Kubeconfig(flags) => kubeconfig::kubeconfig(session, global, &flags).await,
        Verb::Init(flags) => init::init(session, global, &flags).await,
        Verb::New(flags) => new::new(session, global, &flags),
        Verb::Schema(flags) => Ok(schema::schema(&flags)),
        Verb::Completions(flags) => Ok(completions::completions(&flags)),
    }?;
    Ok((answer, 0))
}

/// The first Ctrl-C (or SIGTERM) asks the work to stop at a safe point; the second leaves at once.
async fn watch_signals(session: Session) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        session.events.warn("signals cannot be caught here: Ctrl-C ends the command at once");
        return;
    };
    for presses in 1.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if presses > 1 {
            leave();
        }
        session.events.warn("stopping; press Ctrl-C again to leave at once");
        session.cancel.cancel();
    }
}

#[expect(clippy::exit, reason = "the user insists: nothing may hold the process back")]
fn leave() -> ! {
    ui::dev::restore();
    ui::raw::restore();
    crate::exec::end_all();
    std::process::exit(130)
}
