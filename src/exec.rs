//! The one place that starts a process.
//!
//! Children get their own process group, closed standard input unless something is to
//! be fed to them, a deadline, and on cancellation a polite signal, a grace period, then
//! SIGKILL to the whole group. Their output is bounded and sanitised before it is shown.
//! What an exit code means is the caller's to judge; [`Failed`] words it for an error.

mod capture;
mod group;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use miette::Diagnostic;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio_util::sync::CancellationToken;

use crate::error::{Classified, Kind};
use crate::ui::sanitize;

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is still read after the process ended: a grandchild may hold the pipe open.
const AFTERGLOW: Duration = Duration::from_secs(1);
/// How many of the last lines an error shows.
const LAST_LINES: usize = 20;

/// A process to run: argv, never a shell line.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// A program's name, looked up on PATH (never in the current folder), an absolute path, or,
    /// where there is a `folder`, a path from there: `./get.sh`.
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    /// Set on top of the inherited environment; `None` removes the variable.
    pub(crate) env: BTreeMap<String, Option<String>>,
    pub(crate) stdin: Option<Vec<u8>>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) deadline: Duration,
}

impl Command {
    /// Returns the command line as text that a shell takes back. The environment is not part of it.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| quoted(&sanitize::line(word))).collect::<Vec<_>>().join(" ")
    }
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:=,@+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a process left behind. A non-zero exit is not an error here: the caller judges.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Absent where a signal ended it.
    pub(crate) code: Option<i32>,
    /// The first and the last 256 KiB, with a line between that counts what was left out.
    pub(crate) stdout: Vec<u8>,
    /// Bounded as `stdout`.
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// A process that ended badly, worded for an error's cause: the command line to paste,
/// how it ended, its last lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) command: String,
    pub(crate) code: Option<i32>,
    /// At most 20 lines, sanitised.
    pub(crate) last: String,
}

impl Failed {
    pub(crate) fn new(command: &Command, output: &Output) -> Self {
        let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
        let said = sanitize::block(&String::from_utf8_lossy(said));
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        Self { command: command.line(), code: output.code, last }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(formatter, "`{}` exited with {code}", self.command)?,
            None => write!(formatter, "`{}` was ended by a signal", self.command)?,
        }
        if self.last.is_empty() { Ok(()) } else { write!(formatter, "\n{}", self.last) }
    }
}

impl std::error::Error for Failed {}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("`{program}` is not on PATH")]
    #[diagnostic(code(coracle::exec::missing), help("{mend}"))]
    Missing { program: String, mend: String },

    #[error("`{program}` was not started: PATH finds it in the current folder, as `{}`", path.display())]
    #[diagnostic(
        code(coracle::exec::current_folder),
        help("take `.` and empty entries out of PATH, so that a folder cannot choose what runs")
    )]
    CurrentFolder { program: String, path: PathBuf },

    #[error("there is no program `{program}` in `{}`", folder.display())]
    #[diagnostic(
        code(coracle::exec::no_file),
        help("a program with a `/` in its name is looked for from that folder; others on PATH")
    )]
    NoFile { program: String, folder: PathBuf },

    #[error("`{command}` could not be started")]
    #[diagnostic(code(coracle::exec::spawn))]
    Spawn { command: String, source: std::io::Error },

    #[error("`{command}` did not end within {} s and was stopped", time.as_secs())]
    #[diagnostic(code(coracle::exec::deadline), help("run it yourself to see where it hangs"))]
    Deadline { command: String, time: Duration },

    #[error("`{command}` was stopped")]
    #[diagnostic(code(coracle::interrupted), help("run the same command again to continue"))]
    Cancelled { command: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. } | Self::NoFile { .. } | Self::Spawn { .. } => Kind::Absent,
            Self::CurrentFolder { .. } => Kind::Refused,
            Self::Deadline { .. } => Kind::Work,
            Self::Cancelled { .. } => Kind::Interrupted,
        }
    }
}

/// Returns where a program is to be had.
fn mend(program: &str) -> String {
    match program {
        "kind" => {
            "install kind (https://kind.sigs.k8s.io/docs/user/quick-start/#installation) and try again".to_owned()
        }
        "docker" => "install the docker command line (https://docs.docker.com/engine/install/); kind works through it"
            .to_owned(),
        "minikube" => "install minikube (https://minikube.sigs.k8s.io/docs/start/) and try again".to_owned(),
        other => format!("install `{other}`, or put its folder on PATH"),
    }
}

/// Returns where a command's program is.
fn locate(command: &Command) -> Result<PathBuf, Error> {
    let path = command.env.get("PATH").and_then(Option::as_deref);
    match &command.folder {
        // As a shell does: a name with a slash is a path. From the folder that the command
        // names, never from wherever this process happens to be.
        Some(folder) if command.program.contains('/') => {
            let program = folder.join(&command.program);
            let missing = || Error::NoFile { program: command.program.clone(), folder: folder.clone() };
            if program.is_file() { Ok(program) } else { Err(missing()) }
        }
        _ => find(&command.program, path),
    }
}

/// Returns where `program` is. `path` is what to search instead of PATH.
pub(crate) fn find(program: &str, path: Option<&str>) -> Result<PathBuf, Error> {
    let found = match path {
        Some(path) => which::which_in_global(program, Some(path)).map(|mut all| all.next()),
        None => which::which_global(program).map(Some),
    };
    let missing = || Error::Missing { program: program.to_owned(), mend: mend(program) };
    let found = found.ok().flatten().ok_or_else(missing)?;
    // Relative results come from `.` or an empty entry. An absolute entry that happens to lie
    // below the current folder (`~/bin`, run from `~`) is the user's own choice.
    if found.is_absolute() { Ok(found) } else { Err(Error::CurrentFolder { program: program.to_owned(), path: found }) }
}

/// Kills every process that runs, with its whole group: for who insists on leaving at once.
/// What waits for them here sees them end.
pub(crate) fn end_all() {
    group::kill_all();
}

/// Runs a command to its end. `on_line` sees each line of stderr as it comes, sanitised.
pub(crate) async fn run(
    command: &Command,
    cancel: &CancellationToken,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<Output, Error> {
    let mut child = spawn(command)?;
    let mut group = group::Group::of(&child);
    let collected = collect(&mut child, command.stdin.as_deref(), on_line);
    tokio::pin!(collected);
    let stopped = tokio::select! {
        biased;
        () = cancel.cancelled() => Error::Cancelled { command: command.line() },
        () = tokio::time::sleep(command.deadline) =>
            Error::Deadline { command: command.line(), time: command.deadline },
        output = &mut collected => {
            group.let_go();
            return output.map_err(|source| Error::Spawn { command: command.line(), source });
        }
    };
    // Its output is read on, so that it can say its last words without a broken pipe.
    group.terminate();
    let start = tokio::time::Instant::now();
    drop(tokio::time::timeout(GRACE, &mut collected).await);
    group.gone(GRACE.saturating_sub(start.elapsed())).await;
    group.kill();
    Err(stopped)
}

#[expect(clippy::disallowed_methods, reason = "this is the place that starts processes")]
fn spawn(command: &Command) -> Result<Child, Error> {
    let program = locate(command)?;
    let mut process = tokio::process::Command::new(program);
    process.args(&command.args).process_group(0).kill_on_drop(true);
    process.stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in &command.env {
        match value {
            Some(value) => process.env(name, value),
            None => process.env_remove(name),
        };
    }
    if let Some(folder) = &command.folder {
        process.current_dir(folder);
    }
    process.spawn().map_err(|source| Error::Spawn { command: command.line(), source })
}

async fn collect(
    child: &mut Child,
    input: Option<&[u8]>,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> std::io::Result<Output> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (capture::Bounded::default(), capture::Bounded::default());
    let mut ignored = |_: &str| ();
    let status = {
        let reading = async {
            tokio::join!(capture::read(stdout, &mut out, &mut ignored), capture::read(stderr, &mut err, on_line));
        };
        let ending = async {
            let ((), status) = tokio::join!(feed(stdin, input), child.wait());
            status
        };
        tokio::pin!(reading, ending);
        tokio::select! {
            status = &mut ending => {
                drop(tokio::time::timeout(AFTERGLOW, reading).await);
                status?
            }
            () = &mut reading => ending.await?,
        }
    };
    Ok(Output { code: status.code(), stdout: out.into_bytes(), stderr: err.into_bytes() })
}

/// Writes the input and closes the pipe. A process that does not read it to the end is no fault.
async fn feed(stdin: Option<ChildStdin>, input: Option<&[u8]>) {
    if let (Some(mut stdin), Some(input)) = (stdin, input) {
        drop(stdin.write_all(input).await);
        drop(stdin.shutdown().await);
    }
}

#[cfg(test)]
mod tests;
