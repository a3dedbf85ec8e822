//! `dev` on a terminal: what `up` shows until watching begins, then a full screen.
//!
//! It is drawn when something has changed, at most 30 times a second, and nothing wakes up
//! while nothing happens. Once the user leaves, the terminal is as it was and plain lines
//! go on, so that Ctrl-C means again what it always means.

mod draw;
mod guard;
mod header;
mod logs;
mod view;

use std::io::{self, Stdout};
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use crossterm::terminal::{Clear, ClearType};
use futures_util::StreamExt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use self::guard::Guard;
pub(crate) use self::guard::restore;
use self::view::{Heard, View};
use super::{Settings, Shared, stream};
use crate::dev::shown::Wish;
use crate::event::Event;
use crate::ui::{answer, tty};

/// The shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(33);
/// So many events are taken before the screen is looked at again.
const AT_ONCE: usize = 512;

/// Draws until the senders are gone.
pub(super) async fn show(
    settings: Settings,
    board: &Shared,
    wishes: UnboundedSender<Wish>,
    mut events: UnboundedReceiver<Event>,
) {
    let begins = |event: &Event| {
        board.hear(event);
        matches!(event, Event::Dev(_))
    };
    if tty::show_until(settings.verbose, &mut events, begins).await.is_none() {
        return;
    }
    match Screen::open(settings, board, wishes.clone()) {
        Ok(mut screen) => {
            let end = screen.run(&mut events).await;
            drop(screen);
            if let Err(error) = end {
                answer::narrate(&format!("the screen could not be drawn, so that lines follow: {error}"));
            }
        }
        Err(error) => answer::narrate(&format!("this terminal has no full screen, so that lines follow: {error}")),
    }
    stream::plain(settings, board, &wishes, events).await;
}

/// Why the screen is looked at again.
enum Wake {
    Event(Option<Event>),
    Input(Option<io::Result<Input>>),
    /// It is time to draw.
    Draw,
    Resized,
}

struct Screen<'a> {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    /// None where standard input is no terminal.
    keys: Option<EventStream>,
    resized: Signal,
    continued: Signal,
    board: &'a Shared,
    wishes: UnboundedSender<Wish>,
    view: View,
    color: bool,
    /// When it is to be drawn; none while nothing has changed.
    due: Option<Instant>,
    /// Last: it gives the terminal back after everything else is gone.
    guard: Guard,
}

impl<'a> Screen<'a> {
    fn open(settings: Settings, board: &'a Shared, wishes: UnboundedSender<Wish>) -> io::Result<Self> {
        let resized = signal(SignalKind::window_change())?;
        let continued = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
        let guard = Guard::enter(settings.keys)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let keys = settings.keys.then(EventStream::new);
        let (view, due) = (View { deaf: !settings.keys, ..View::default() }, Some(Instant::now()));
        Ok(Self { terminal, keys, resized, continued, board, wishes, view, color: settings.color, due, guard })
    }

    /// Returns when the user leaves or the senders are gone; both are followed by plain lines.
    async fn run(&mut self, events: &mut UnboundedReceiver<Event>) -> io::Result<()> {
        loop {
            match self.wake(events).await {
                // The end; or keys cannot be read any more, and Ctrl-C comes as a signal once the terminal is left.
                Wake::Event(None) | Wake::Input(Some(Err(_)) | None) => return Ok(()),
                Wake::Event(Some(event)) => self.hear(&event, events),
                Wake::Input(Some(Ok(input))) => {
                    if self.input(&input).await? {
                        return Ok(());
                    }
                }
                Wake::Resized => self.soon(Duration::ZERO),
                Wake::Draw => {
                    // A panic elsewhere has given the terminal back: nothing may be drawn over its words.
                    if !self.guard.holds() {
                        return Ok(());
                    }
                    self.draw()?;
                }
            }
        }
    }

    async fn wake(&mut self, events: &mut UnboundedReceiver<Event>) -> Wake {
        let due = self.due;
        let draw = async move {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let keys = &mut self.keys;
        let input = async move {
            match keys {
                Some(keys) => keys.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = draw => Wake::Draw,
            input = input => Wake::Input(input),
            _ = self.resized.recv() => Wake::Resized,
            event = events.recv() => Wake::Event(event),
        }
    }

    /// Takes an event, and what else has arrived meanwhile.
    fn hear(&mut self, event: &Event, events: &mut UnboundedReceiver<Event>) {
        self.board.hear(event);
        for _ in 0..AT_ONCE {
            match events.try_recv() {
                Ok(event) => self.board.hear(&event),
                // The end is seen by the next `recv`.
                Err(_) => break,
            }
        }
        self.soon(FRAME);
    }

    /// Returns whether the screen is left.
    async fn input(&mut self, input: &Input) -> io::Result<bool> {
        let heard = match input {
            Input::Key(key) if key.kind != KeyEventKind::Release => self.view.key(*key, &self.board.read()),
            Input::Resize(..) => Heard::Changed,
            _ => Heard::Nothing,
        };
        match heard {
            Heard::Nothing => {}
            Heard::Changed => self.soon(Duration::ZERO),
            Heard::Repaint => {
                crossterm::execute!(io::stdout(), Clear(ClearType::All))?;
                self.anew()?;
            }
            Heard::Wish(wish) => {
                let leave = wish == Wish::Leave;
                // A loop that has ended needs no wishes; its end is on the way.
                drop(self.wishes.send(wish));
                self.soon(Duration::ZERO);
                return Ok(leave);
            }
            Heard::Suspend => self.suspend().await?,
        }
        Ok(false)
    }

    /// Ctrl-Z: the shell has its terminal back until `fg`.
    async fn suspend(&mut self) -> io::Result<()> {
        // The reader would take what is typed at the shell.
        let keys = self.keys.take().is_some();
        restore();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        // The stop may come a moment after the call; what follows it is always this signal.
        self.continued.recv().await;
        self.guard.again(keys)?;
        self.keys = keys.then(EventStream::new);
        self.anew()
    }

    /// Draws on a terminal that is known to be empty. (To clear the old one would ask the
    /// terminal where its cursor is, and its answer would come among the keys.)
    fn anew(&mut self) -> io::Result<()> {
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        self.soon(Duration::ZERO);
        Ok(())
    }

    /// Has it drawn after `delay`, unless it will be earlier.
    fn soon(&mut self, delay: Duration) {
        let due = Instant::now() + delay;
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    fn draw(&mut self) -> io::Result<()> {
        self.due = None;
        let board = self.board.read();
        let (view, color) = (&mut self.view, self.color);
        self.terminal.draw(|frame| draw::draw(frame, &board, view, color))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::event::Events;
    use crate::ui::ProgressFlag;
    use crate::ui::dev::{Stage, script};

    /// Plays a session at its own pace, with the page, until `q` is pressed or SIGTERM comes.
    /// SIGUSR1 has it panic: the terminal is given back then, too.
    #[tokio::test]
    #[ignore = "to be looked at, on a terminal"]
    async fn play_on_this_terminal() {
        let (sender, receiver) = Events::channel();
        let (wishes, mut asked) = mpsc::unbounded_channel();
        let settings = Settings::choose(ProgressFlag::Auto, false, Some("xterm"));
        let mut stage = Stage::new(settings, wishes);
        let url = stage.serve().await.unwrap();
        let shown = tokio::spawn(stage.show(receiver));
        let player = tokio::spawn(async move {
            let mut shock = signal(SignalKind::user_defined1()).unwrap();
            sender.send(script::dev(crate::dev::shown::Shown::Page { url }));
            for (pause, event) in script::session() {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                sender.send(event);
            }
            shock.recv().await;
            panic!("SIGUSR1 asked for it");
        });
        let mut end = signal(SignalKind::terminate()).unwrap();
        loop {
            tokio::select! {
                wish = asked.recv() => if matches!(wish, None | Some(Wish::Leave)) { break },
                _ = end.recv() => break,
            }
        }
        player.abort();
        shown.await.unwrap();
    }
}
