//! A command in a running container, with this process's own input and output.
//!
//! Over a WebSocket, version 5 of the protocol where the server offers it: only that one can
//! say that the input has ended. What passes through is the command's and is not looked at; its
//! exit code is the answer. With a terminal, keys are bytes and the size follows the window's.

use std::time::Duration;

use futures_util::{Sink, SinkExt as _};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use miette::Diagnostic;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::Error as DeployError;
use super::error::Words;
use crate::error::{Classified, Failure, Kind, chain};
use crate::session::Session;
use crate::ui::{raw, terminal};

/// How long the API server and the node may take to begin.
const BEGIN: Duration = Duration::from_secs(20);
/// How long what the command has written may take to arrive after its end.
const REST: Duration = Duration::from_secs(10);
/// Of each pipe between the socket and this process.
const BUFFER: usize = 64 * 1024;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("no command can be run in `{service}`: {why}")]
    #[diagnostic(code(coracle::remote::no_pod), help("`coracle status {service}` says why; `coracle up` starts it"))]
    NoPod { service: String, why: String },

    #[error("`{service}` has no container `{container}`")]
    #[diagnostic(code(coracle::remote::no_container), help("its containers: {known}"))]
    NoContainer { service: String, container: String, known: String },

    #[error("the image of container `{container}` has no shell")]
    #[diagnostic(
        code(coracle::remote::no_shell),
        help("`coracle debug` opens one beside it; a program that the image has can be run with `-- PROGRAM`")
    )]
    NoShell { container: String, source: Words },

    #[error("`{command}` cannot be started in container `{container}`")]
    #[diagnostic(
        code(coracle::remote::not_started),
        help("see that the image has it; `coracle exec SERVICE` opens a shell there")
    )]
    NotStarted { command: String, container: String, source: Words },

    #[error("the connection to `{command}` in pod `{pod}` broke")]
    #[diagnostic(
        code(coracle::remote::lost),
        help("`coracle status` shows whether its pod is still there; then run it again")
    )]
    Lost { command: String, pod: String },

    #[error("this terminal cannot be used")]
    #[diagnostic(code(coracle::remote::terminal), help("give the command its input and output through pipes"))]
    Terminal { source: std::io::Error },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoPod { .. } | Self::NoShell { .. } => Kind::Absent,
            Self::NoContainer { .. } | Self::NotStarted { .. } => Kind::Request,
            Self::Lost { .. } | Self::Terminal { .. } => Kind::Work,
        }
    }
}

/// A command and where it runs.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) container: &'a str,
    /// Empty: the shell that is there.
    pub(crate) command: &'a [String],
    /// This process's terminal becomes the command's.
    pub(crate) tty: bool,
}

/// Takes bash where the image has it; `sh` is ash, dash or whatever else.
const SHELL: [&str; 3] = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh"];

/// Runs the command; returns its exit code.
pub(crate) async fn run(session: &Session, client: &kube::Client, wish: &Wish<'_>) -> Result<u8, Failure> {
    let mut process = begin(client, wish).await?;
    let status = process.take_status().expect("it is taken once");
    let _raw = if wish.tty { Some(raw::Raw::enter().map_err(|source| Error::Terminal { source })?) } else { None };
    let _sizes = process.terminal_size().map(|sizes| AbortOnDropHandle::new(tokio::spawn(follow_size(sizes))));
    let input = process.stdin().expect("the input was asked for");
    let _input = AbortOnDropHandle::new(tokio::spawn(send(tokio::io::stdin(), input)));
    let copying = async {
        let output = show(process.stdout(), tokio::io::stdout());
        let errors = show(process.stderr(), tokio::io::stderr());
        tokio::try_join!(output, errors).map(drop)
    };
    let mut copying = std::pin::pin!(copying);
    let mut status = std::pin::pin!(status);
    let mut copied = false;
    let ended = loop {
        tokio::select! {
            result = &mut copying, if !copied => match result {
                Ok(()) => copied = true,
                // Nobody reads any more (`| head`): that is an end, not a fault.
                Err(_) => return Ok(0),
            },
            ended = &mut status => break ended,
            () = session.cancel.cancelled() => {
                return Err(Failure::interrupted(format!("the command in pod {} may still run", wish.pod)));
            }
        }
    };
    if !copied {
        // What it wrote last is on its way; a reader that went away loses nothing that it wanted.
        drop(tokio::time::timeout(REST, copying).await);
    }
    Ok(judge(ended.as_ref(), wish)?)
}

async fn begin(client: &kube::Client, wish: &Wish<'_>) -> Result<AttachedProcess, DeployError> {
    let api = Api::<Pod>::namespaced(client.clone(), wish.namespace);
    let parameters = AttachParams::default()
        .container(wish.container)
        .stdin(true)
        .stdout(true)
        .stderr(!wish.tty)
        .tty(wish.tty)
        .max_stdin_buf_size(BUFFER)
        .max_stdout_buf_size(BUFFER)
        .max_stderr_buf_size(BUFFER);
    let shell: Vec<String> = SHELL.iter().map(ToString::to_string).collect();
    let command = if wish.command.is_empty() { shell } else { wish.command.to_vec() };
    let what = || format!("running a command in pod {}", crate::ui::sanitize::line(wish.pod));
    match tokio::time::timeout(BEGIN, api.exec(wish.pod, command, &parameters)).await {
        Ok(Ok(process)) => Ok(process),
        Ok(Err(error)) => Err(DeployError::Api { what: what(), source: Words::new(&chain(&error)) }),
        Err(_) => Err(DeployError::NoAnswer { what: what(), seconds: BEGIN.as_secs() }),
    }
}

/// Sends all there is, then says that it was all.
async fn send(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    // A command that has ended takes no more, and an input that cannot be read has ended.
    drop(tokio::io::copy(&mut from, &mut to).await);
    drop(to.shutdown().await);
}

/// Writes what arrives at once; ends with it.
async fn show(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut bytes = vec![0; BUFFER];
    loop {
        let count = from.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
        to.flush().await?;
    }
}

/// Tells the size of the window, now and whenever it changes.
async fn follow_size(mut sizes: impl Sink<TerminalSize> + Unpin) {
    use tokio::signal::unix::{SignalKind, signal};
    // Without the signal the size stays what it was.
    let mut changes = signal(SignalKind::window_change()).ok();
    loop {
        let Some(size) = terminal::answer() else { return };
        let number = |cells: usize| u16::try_from(cells).unwrap_or(u16::MAX);
        if sizes.send(TerminalSize { width: number(size.columns), height: number(size.rows) }).await.is_err() {
            return;
        }
        match &mut changes {
            Some(changes) => drop(changes.recv().await),
            None => return,
        }
    }
}

/// Returns the exit code that the node's last word tells.
fn judge(status: Option<&Status>, wish: &Wish<'_>) -> Result<u8, Error> {
    let command = crate::ui::sanitize::line(&wish.command.join(" "));
    let spoken = if command.is_empty() { "a shell".to_owned() } else { command };
    let Some(status) = status else {
        return Err(Error::Lost { command: spoken, pod: crate::ui::sanitize::line(wish.pod) });
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.as_ref().and_then(|details| details.causes.as_deref()).unwrap_or_default();
    let code = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"));
    if let Some(code) = code.and_then(|cause| cause.message.as_deref()?.parse::<i32>().ok()) {
        // What a shell would make of it: its lowest eight bits.
        return Ok(u8::try_from(code & 0xff).expect("eight bits fit"));
    }
    let message = status.message.as_deref().unwrap_or_default();
    let source = Words::new(innermost(message));
    let container = wish.container.to_owned();
    let absent = ["executable file not found", "no such file or directory"];
    if wish.command.is_empty() && absent.iter().any(|words| message.contains(words)) {
        return Err(Error::NoShell { container, source });
    }
    Err(Error::NotStarted { command: spoken, container, source })
}

/// Returns what the container's runtime said: each program before it adds its own preface.
fn innermost(message: &str) -> &str {
    let said = message.rsplit_once("unable to start container process: ").map_or(message, |(_, said)| said);
    said.trim_end_matches(": unknown")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: serde_json::Value, command: &[&str]) -> Result<u8, Error> {
        let status: Status = serde_json::from_value(value).unwrap();
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        let wish = Wish { namespace: "shop", pod: "web-1", container: "web", command: &command, tty: false };
        judge(Some(&status), &wish)
    }

    #[test]
    fn the_exit_code_is_the_commands() {
        assert_eq!(said(json!({"status": "Success"}), &["true"]).unwrap(), 0);
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with non-zero exit code",
            "details": {"causes": [{"reason": "ExitCode", "message": "42"}]}});
        assert_eq!(said(failed, &["false"]).unwrap(), 42);
    }

    /// As kubelet 1.33 with containerd 2.1 says it.
    const ABSENT: &str = "Internal error occurred: Internal error occurred: error executing command in container: failed \
        to exec in container: failed to start exec \"3fe1\": OCI runtime exec failed: exec failed: unable to start container \
        process: exec: \"sh\": executable file not found in $PATH: unknown";

    #[test]
    fn an_image_without_a_shell_is_told_so_and_another_command_by_name() {
        let error = said(json!({"status": "Failure", "message": ABSENT}), &[]).unwrap_err();
        assert_eq!(error.to_string(), "the image of container `web` has no shell");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "exec: \"sh\": executable file not found in $PATH");
        let error = said(json!({"status": "Failure", "message": ABSENT}), &["nmap", "-v"]).unwrap_err();
        assert_eq!(error.to_string(), "`nmap -v` cannot be started in container `web`");
    }

    #[test]
    fn a_connection_that_ends_without_a_word_is_no_success() {
        let wish = Wish { namespace: "shop", pod: "web-1", container: "web", command: &[], tty: true };
        assert!(matches!(judge(None, &wish), Err(Error::Lost { .. })));
    }

    #[tokio::test]
    async fn the_end_of_the_input_is_passed_on() {
        let (reader, writer) = tokio::io::simplex(16);
        send(&b"all of it"[..], writer).await;
        let mut got = Vec::new();
        let mut reader = reader;
        reader.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"all of it");
    }
}
