//! Commands in a container of the engine's, such as a node: always with an end.
//!
//! They run through the engine's exec, never through the cluster's API, so a node can be asked
//! before Kubernetes is up. What an exit code means is the caller's to judge.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWrite;

use super::super::Error;
use super::super::error::Cause;
use super::{Engine, cause_of};

/// How much of a command's standard error is kept, in bytes.
const KEPT: usize = 16 * 1024;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i64,
    /// Standard output.
    pub(crate) out: Vec<u8>,
    /// The last words on standard error.
    pub(crate) words: String,
}

/// A command that runs.
pub(crate) struct Attached {
    id: String,
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>,
}

/// Where a command reads its standard input from.
pub(crate) type Input = Pin<Box<dyn AsyncWrite + Send>>;

impl Attached {
    /// Returns what the command says while it runs.
    pub(crate) fn output(self) -> Pin<Box<dyn Stream<Item = Result<LogOutput, String>> + Send>> {
        Box::pin(self.output.map(|item| item.map_err(|error| cause_of(&error))))
    }
}

impl Engine {
    /// Runs a command in a container to its end, which must come within `deadline`.
    pub(crate) async fn exec(&self, container: &str, argv: Vec<String>, deadline: Duration) -> Result<Ran, Error> {
        let command = argv.join(" ");
        let run = async {
            let (attached, _input) = self.attach(container, argv, false).await?;
            self.ended(container, attached).await
        };
        let silent = || Error::NodeSilent { node: container.to_owned(), command, seconds: deadline.as_secs() };
        tokio::time::timeout(deadline, run).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Starts a command in a container. One that is `fed` reads what is written to its input.
    pub(crate) async fn attach(
        &self,
        container: &str,
        argv: Vec<String>,
        fed: bool,
    ) -> Result<(Attached, Input), Error> {
        let options = CreateExecOptions {
            attach_stdin: Some(fed),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            privileged: Some(fed),
            cmd: Some(argv),
            ..CreateExecOptions::default()
        };
        let failed = |error| self.exec_failed(container, &error);
        let id = self.docker.create_exec(container, options).await.map_err(failed)?.id;
        match self.docker.start_exec(&id, None).await.map_err(failed)? {
            StartExecResults::Attached { output, input } => Ok((Attached { id, output }, input)),
            StartExecResults::Detached => {
                Err(self.lost(format!("a command on node `{container}`"), "the engine did not attach to it"))
            }
        }
    }

    /// Reads a command's output to its end.
    pub(crate) async fn ended(&self, container: &str, mut attached: Attached) -> Result<Ran, Error> {
        let failed = |error| self.exec_failed(container, &error);
        let (mut out, mut words) = (Vec::new(), Vec::new());
        while let Some(item) = attached.output.next().await {
            match item.map_err(failed)? {
                LogOutput::StdErr { message } => keep_last(&mut words, &message),
                other => out.extend_from_slice(&other.into_bytes()),
            }
        }
        let code = self.docker.inspect_exec(&attached.id).await.map_err(failed)?.exit_code.unwrap_or(-1);
        Ok(Ran { code, out, words: String::from_utf8_lossy(&words).into_owned() })
    }

    fn exec_failed(&self, container: &str, error: &bollard::errors::Error) -> Error {
        let cause = cause_of(error);
        match error {
            bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. } => {
                Error::NodeDown { node: container.to_owned(), cause: Cause::new(cause) }
            }
            _ => self.lost(format!("a command on node `{container}`"), cause),
        }
    }
}

/// Keeps the last of what was said.
pub(crate) fn keep_last(words: &mut Vec<u8>, more: &[u8]) {
    words.extend_from_slice(more);
    if words.len() > KEPT {
        words.drain(..words.len() - KEPT);
    }
}
