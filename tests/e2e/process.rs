//! Runs programs with a deadline and keeps all that they said.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// No single step of any test takes longer than this unless something hangs.
const DEADLINE: Duration = Duration::from_secs(300);

/// A program that ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    what: String,
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Panics with everything the program said, unless it ended with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "unexpected exit\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "took longer than {limit:?}\n{self}");
        self
    }

    /// Panics unless the report is, word for word, the snapshot `name`.
    #[track_caller]
    pub(crate) fn reports(self, name: &str) -> Self {
        crate::snapshot::assert_failure(name, &self);
        self
    }

    /// Returns the report that ends the narration: from the failure's ID on.
    #[track_caller]
    pub(crate) fn failure(&self) -> String {
        let lines: Vec<_> = self.stderr.lines().collect();
        let found = lines.iter().position(|line| line.starts_with("coracle::"));
        lines[found.unwrap_or_else(|| panic!("no failure is reported\n{self}"))..].join("\n")
    }

    /// Panics unless the narration has each of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "does not say {part:?}\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, code, stdout, stderr, took } = self;
        write!(f, "$ {what}\nexit: {code:?} after {took:?}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}

/// Returns a command for `program`, with the environment of this process.
#[expect(clippy::disallowed_methods, reason = "tests stand outside the crate and its `exec`")]
pub(crate) fn program(program: impl AsRef<Path>) -> Command {
    Command::new(program.as_ref())
}

/// Runs to the end; a program that does not end in time is killed, and the test fails.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Outcome {
    let started = Instant::now();
    let what = format!("{command:?}");
    let child = spawn(command);
    finish(child, what, started)
}

/// Starts with its output kept, for [`finish`] or a kill.
#[track_caller]
pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{command:?} did not start: {error}"))
}

#[track_caller]
pub(crate) fn finish(mut child: Child, what: String, started: Instant) -> Outcome {
    let stdout = read_aside(child.stdout.take());
    let stderr = read_aside(child.stderr.take());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what} did not end within {DEADLINE:?}\n{}", stderr.join().unwrap());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = started.elapsed();
    Outcome { what, code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), took }
}

/// Reads beside the wait: a full pipe would stop the program.
fn read_aside(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut source = source.expect("the output is piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
