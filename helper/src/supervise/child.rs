//! The program that is supervised.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    pub(super) began: Instant,
    /// It leads a group of its own.
    leads: bool,
}

/// The program and what it started, as far as that stayed together.
#[derive(Debug)]
pub(super) struct Group {
    pid: Pid,
    leads: bool,
}

/// A process that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pid: Pid,
    status: WaitStatus,
}

impl Child {
    /// Starts the program. It gets this process's standard streams, environment and folder, no
    /// signal blocked and none ignored.
    pub(super) fn start(program: &[OsString]) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "to start a process is what it is for")]
        let mut command = std::process::Command::new(&program[0]);
        command.args(&program[1..]);
        // On a terminal a group in the background could not read.
        let leads = !io::IsTerminal::is_terminal(&io::stdin());
        if leads {
            command.process_group(0);
        }
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process has a number");
        // Not waited for here: `ended` does it for all processes.
        Ok(Self { pid, began: Instant::now(), leads })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(super) fn is(&self, ended: &Ended) -> bool {
        self.pid == ended.pid
    }

    pub(super) fn group(&self) -> Group {
        Group { pid: self.pid, leads: self.leads }
    }

    pub(super) fn signal(&self, signal: Signal) {
        // It may have ended a moment ago; that is told by SIGCHLD.
        let _ = rustix::process::kill_process(self.pid, signal);
    }
}

impl Group {
    pub(super) fn signal(&self, signal: Signal) {
        // As above.
        let _ = if self.leads {
            rustix::process::kill_process_group(self.pid, signal)
        } else {
            rustix::process::kill_process(self.pid, signal)
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        let test = if self.leads {
            rustix::process::test_kill_process_group(self.pid)
        } else {
            rustix::process::test_kill_process(self.pid)
        };
        test == Err(rustix::io::Errno::SRCH)
    }
}

impl Ended {
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(super) fn signal(&self) -> Option<i32> {
        self.status.terminating_signal()
    }

    /// Returns the exit code as a shell counts: 128 and the signal.
    pub(super) fn code(&self) -> u8 {
        let code = self.status.exit_status().or_else(|| self.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }
}

/// Returns all processes that ended: the program, and orphans that came here.
pub(super) fn ended() -> Vec<Ended> {
    let next = || match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Some(Ended { pid, status }),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}
