//! `run:` hooks: a command in a service's container, through the cluster's API, so that it
//! runs as the container's own user, with its environment and in its folder.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use miette::Diagnostic;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

/// How long a hook may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// How much of its output is shown, in bytes.
const SHOWN: u64 = 64 * 1024;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("`{command}` in pod `{pod}` failed: {status}\n{said}")]
    #[diagnostic(code(coracle::dev::hook_failed), help("it is the `run:` of a sync rule of `{service}`"))]
    Failed { service: String, pod: String, command: String, status: String, said: String },

    #[error("`{command}` could not be run in pod `{pod}`")]
    #[diagnostic(code(coracle::dev::hook_not_run), help("it is the `run:` of a sync rule of `{service}`"))]
    NotRun { service: String, pod: String, command: String, source: Box<kube::Error> },

    #[error("`{command}` in pod `{pod}` did not end within {seconds} s")]
    #[diagnostic(code(coracle::dev::hook_late), help("it is the `run:` of a sync rule of `{service}`"))]
    Late { service: String, pod: String, command: String, seconds: u64 },
}

/// Runs a command in the main container of a pod; returns what it said, sanitised.
pub(crate) async fn run(
    client: &kube::Client,
    namespace: &str,
    pod: &str,
    service: &str,
    command: &[String],
    cancel: &CancellationToken,
) -> Result<String, Error> {
    let (service, pod) = (service.to_owned(), pod.to_owned());
    let words = crate::ui::sanitize::line(&command.join(" "));
    let work = async {
        let api = Api::<Pod>::namespaced(client.clone(), namespace);
        let params = AttachParams::default().container(&service).stdin(false).stdout(true).stderr(true);
        let not_run = |source| {
            let source = Box::new(source);
            Error::NotRun { service: service.clone(), pod: pod.clone(), command: words.clone(), source }
        };
        let mut attached = api.exec(&pod, command.iter().cloned(), &params).await.map_err(not_run)?;
        let (out, err) = (attached.stdout(), attached.stderr());
        let status = attached.take_status();
        let (out, err) = tokio::join!(read(out), read(err));
        let said = crate::ui::sanitize::block(&(out + &err));
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        match status {
            Some(status) if status.status.as_deref() != Some("Success") => {
                let status = status.message.unwrap_or_else(|| "it ended with an error".to_owned());
                Err(Error::Failed { service: service.clone(), pod: pod.clone(), command: words.clone(), status, said })
            }
            _ => Ok(said),
        }
    };
    let seconds = DEADLINE.as_secs();
    tokio::select! {
        ran = tokio::time::timeout(DEADLINE, work) => ran.unwrap_or_else(|_| {
            Err(Error::Late { service: service.clone(), pod: pod.clone(), command: words.clone(), seconds })
        }),
        () = cancel.cancelled() => Ok(String::new()),
    }
}

/// Reads a stream to its end, and keeps its beginning.
async fn read(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    // What cannot be read is output that is not shown; how the command ended comes apart.
    drop((&mut stream).take(SHOWN).read_to_end(&mut kept).await);
    drop(tokio::io::copy(&mut stream, &mut tokio::io::sink()).await);
    String::from_utf8_lossy(&kept).into_owned()
}
