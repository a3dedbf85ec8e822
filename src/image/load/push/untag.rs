//! Takes the names away that images got for a push.
//!
//! In the good case it is awaited. When the push is dropped, as when the user interrupts
//! it, it is done there and then: the process may end before any task would run.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;

use crate::image::engine::Engine;
use crate::image::wire;

/// How long an engine may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long when nobody waits any more.
const AT_DROP: Duration = Duration::from_secs(1);

/// Names that are to go.
#[derive(Debug)]
pub(super) struct Untag {
    engine: Engine,
    names: Vec<String>,
}

impl Untag {
    pub(super) fn new(engine: &Engine, names: Vec<String>) -> Self {
        Self { engine: engine.clone(), names }
    }

    /// Takes the names away, all at once.
    pub(super) async fn now(mut self) {
        let names = self.names.clone();
        join_all(names.iter().map(|name| untag(&self.engine, name))).await;
        self.names.clear();
    }
}

/// Takes one name away. One that is not there any more, or was never given, is as good;
/// one that the engine keeps is found by a later run.
pub(super) async fn untag(engine: &Engine, name: &str) {
    let work = async {
        let mut connection = wire::connect(&engine.endpoint).await?;
        let request = wire::request(Method::DELETE, &path(name)).body(wire::empty()).map_err(std::io::Error::other)?;
        connection.send(request).await.map(|answer| answer.status()).map_err(std::io::Error::other)
    };
    let work = tokio::time::timeout(ANSWER, work).await;
    match work.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(status) => tracing::debug!("untagged `{name}`: {status}"),
        Err(error) => tracing::debug!("untagging `{name}`: {error}"),
    }
}

/// `noprune`: a name goes, and nothing that only it named.
fn path(name: &str) -> String {
    format!("/images/{name}?noprune=1")
}

impl Drop for Untag {
    fn drop(&mut self) {
        // Images are pushed by engines on this machine only.
        let Some(socket) = self.engine.endpoint.socket().map(PathBuf::from) else { return };
        // All are asked before the first answer is waited for.
        let asked: Vec<_> = self.names.iter().map(|name| ask(&socket, name)).collect();
        for (name, answer) in self.names.iter().zip(asked) {
            // The answer's first byte comes when it is done.
            if let Err(error) = answer.and_then(|mut stream| stream.read(&mut [0])) {
                return tracing::debug!("untagging `{name}`: {error}");
            }
        }
    }
}

fn ask(socket: &Path, name: &str) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(AT_DROP))?;
    stream.set_write_timeout(Some(AT_DROP))?;
    write!(stream, "DELETE {} HTTP/1.0\r\nHost: docker\r\n\r\n", path(name))?;
    Ok(stream)
}
