//! `supervise`: the first process of a container. It runs the service's own program, and again
//! when it is asked to or when the program ended.
//!
//! One thread waits for signals, the other acts on one after the other. Standard
//! streams, environment and folder are the program's as they would be without a supervisor.

mod arguments;
mod child;
mod page;
mod words;

use std::ffi::OsString;
use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;

use arguments::Arguments;
use child::{Child, Ended, Group};
pub(crate) use page::{NAME as PAGE, Page, State};

/// Asks a supervisor for a restart. The kernel keeps it for power failures, of which a container
/// is never told.
pub(crate) const RESTART: Signal = Signal::POWER;
const SIGPWR: i32 = RESTART.as_raw();

/// A program that ran this long was well: the next pause is the first again.
const WELL: Duration = Duration::from_secs(60);

/// Runs the program in `arguments` until this process is told to end; returns its exit code.
pub fn main(arguments: Vec<OsString>) -> Result<u8, String> {
    let arguments = Arguments::parse(arguments)?;
    let mut signals = vec![SIGCHLD, SIGPWR, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];
    let stop = arguments.stop.as_raw();
    if !signals.contains(&stop) && !signal_hook::consts::FORBIDDEN.contains(&stop) {
        signals.push(stop);
    }
    let mut signals = Signals::new(signals).map_err(|error| format!("signals cannot be received: {error}"))?;
    // Not number 1 where a pod's containers share their numbers; orphans come here nevertheless.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || signals.forever().all(|signal| sender.send(signal).is_ok()));
    Ok(Supervisor::new(arguments).run(&receiver))
}

/// How often a group is killed, a tenth of a second apart, before it is taken for dead.
const KILLS: u8 = 20;

struct Supervisor {
    arguments: Arguments,
    /// Absent where the kernel gives none: then nobody can ask for a restart.
    page: Option<page::Writer>,
    doing: Doing,
    /// How often the program ended by itself, one time right after the other.
    failures: u32,
    /// The exit code of the program that ran last.
    code: u8,
    /// This process was told to end.
    ending: bool,
}

enum Doing {
    Running(Child),
    /// The program is to end for a restart; then its group is.
    Stopping {
        child: Option<Child>,
        group: Group,
        until: Instant,
        kills: u8,
    },
    Waiting {
        until: Instant,
    },
}

impl Supervisor {
    fn new(arguments: Arguments) -> Self {
        let page = page::Writer::new(arguments.grace);
        Self { arguments, page, doing: Doing::Waiting { until: Instant::now() }, failures: 0, code: 0, ending: false }
    }

    fn run(mut self, signals: &mpsc::Receiver<i32>) -> u8 {
        self.start();
        loop {
            let signal = match self.until() {
                None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => signals.recv_timeout(until.saturating_duration_since(Instant::now())),
            };
            match signal {
                Ok(SIGCHLD) => self.reap(),
                Ok(SIGPWR) => self.restart(),
                Ok(signal) => self.forward(signal),
                Err(RecvTimeoutError::Timeout) => self.time_is_up(),
                Err(RecvTimeoutError::Disconnected) => unreachable!("the other thread only ends with this one"),
            }
            if self.ending && matches!(self.doing, Doing::Waiting { .. }) {
                return self.code;
            }
        }
    }

    fn until(&self) -> Option<Instant> {
        match self.doing {
            Doing::Running(_) => None,
            Doing::Stopping { until, .. } | Doing::Waiting { until } => Some(until),
        }
    }

    fn start(&mut self) {
        match Child::start(&self.arguments.program) {
            Ok(child) => {
                self.tell(State::Runs, child.pid(), 0);
                self.doing = Doing::Running(child);
            }
            Err(error) => {
                self.code = words::code(&error);
                let number = error.raw_os_error().map_or(u32::MAX, i32::cast_unsigned);
                let what = words::not_started(&self.arguments.program[0], &error);
                self.pause(&what, number, 0);
            }
        }
    }

    /// Waits a while before the next start: longer each time, as Kubernetes does.
    fn pause(&mut self, what: &str, error: u32, pid: u32) {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = self.arguments.first_pause.saturating_mul(doubled).min(self.arguments.longest_pause);
        self.failures = (self.failures + 1).min(16);
        self.doing = Doing::Waiting { until: Instant::now() + pause };
        if !self.ending {
            say(&words::pause(what, pause));
        }
        self.tell(State::Waits, pid, error);
    }

    fn reap(&mut self) {
        for ended in child::ended() {
            self.ended(&ended);
        }
        // The program is gone, and with it all that it started: nobody holds a port any more.
        if let Doing::Stopping { child: None, group, .. } = &self.doing
            && group.is_empty()
        {
            self.start_anew();
        }
    }

    fn ended(&mut self, ended: &Ended) {
        match &mut self.doing {
            Doing::Running(child) if child.is(ended) => {
                if child.began.elapsed() >= WELL.max(self.arguments.longest_pause) {
                    self.failures = 0;
                }
                self.code = ended.code();
                // Its container would end with it: what it leaves behind must not hold its port.
                child.group().signal(Signal::KILL);
                self.pause(&words::ended(ended), 0, ended.pid());
            }
            Doing::Stopping { child: slot, group, .. } if slot.as_ref().is_some_and(|child| child.is(ended)) => {
                *slot = None;
                self.code = ended.code();
                // What it leaves behind is told, too.
                group.signal(self.arguments.stop);
            }
            _ => {}
        }
    }

    fn restart(&mut self) {
        if self.ending {
            return;
        }
        self.failures = 0;
        match std::mem::replace(&mut self.doing, Doing::Waiting { until: Instant::now() }) {
            Doing::Running(child) => {
                child.signal(self.arguments.stop);
                self.tell(State::Stops, child.pid(), 0);
                let (group, until) = (child.group(), Instant::now() + self.arguments.grace);
                self.doing = Doing::Stopping { child: Some(child), group, until, kills: 0 };
            }
            // On its way already; what has changed since is seen by the program that comes.
            stopping @ Doing::Stopping { .. } => self.doing = stopping,
            Doing::Waiting { .. } => self.start_anew(),
        }
    }

    fn start_anew(&mut self) {
        if self.ending {
            self.doing = Doing::Waiting { until: Instant::now() };
        } else {
            self.start();
        }
    }

    fn time_is_up(&mut self) {
        match &mut self.doing {
            Doing::Running(_) => {}
            Doing::Waiting { .. } => self.start_anew(),
            Doing::Stopping { group, until, kills, .. } => {
                // Nothing but the kernel keeps what was killed; it is told again, and waited for.
                group.signal(Signal::KILL);
                *kills += 1;
                // Something may stay that nobody reaps: it is dead, and holds nothing.
                if *kills > 1 && (group.is_empty() || *kills > KILLS) {
                    self.start_anew();
                } else {
                    *until = Instant::now() + Duration::from_millis(100);
                }
            }
        }
    }

    fn forward(&mut self, signal: i32) {
        let ends = [SIGTERM, SIGINT, SIGQUIT].contains(&signal) || signal == self.arguments.stop.as_raw();
        self.ending |= ends;
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        match &self.doing {
            Doing::Running(child) | Doing::Stopping { child: Some(child), .. } => child.signal(signal),
            Doing::Stopping { child: None, .. } if ends => self.doing = Doing::Waiting { until: Instant::now() },
            _ => {}
        }
    }

    /// Tells on the page. Each start, and each attempt at one that failed, begins a round.
    fn tell(&mut self, state: State, pid: u32, error: u32) {
        if let Some(page) = &mut self.page {
            page.write(state, pid, error, state == State::Runs || error != 0);
        }
    }
}

fn say(line: &str) {
    // Where nobody reads the logs, nobody misses the line.
    let _ = writeln!(std::io::stderr(), "coracle: {line}");
}
