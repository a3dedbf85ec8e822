//! A registry inside this process, that the engine pushes images to.
//!
//! It is for one run of one command: it listens on a random address of 127.0.0.0/8 and a
//! random port, knows nothing without the token in the path, and is gone when it is
//! dropped. Of the OCI distribution specification 1.1 it has what a push asks for, and no
//! more: what it took cannot be pulled. What the nodes hold it calls present, so that the
//! engine sends only the rest.
//!
//! Start with [`Receiver`]; `registry` answers requests, `uploads` takes blobs.

mod answer;
mod blob;
mod manifest;
mod registry;
mod route;
mod uploads;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::blob::{Blob, Scratch};
pub(super) use self::registry::Options;
use self::registry::Registry;
pub(super) use self::route::{is_digest, is_hex};
use super::super::digest;
use super::push::Pushed;

/// Connections at once; the engine makes a few for each image.
const CONNECTIONS: usize = 256;
/// How long a connection may be silent before its first byte, and in a request's head.
const HEAD: Duration = Duration::from_secs(60);
/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// Hex digits of a token.
pub(super) const TOKEN: usize = 32;

/// Why what the engine pushed could not be taken. Once there is one, the push is over.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl Fault {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Where a receiver will be. Connections wait until it opens.
#[derive(Debug)]
pub(super) struct Place {
    listener: TcpListener,
    address: SocketAddr,
    token: String,
}

impl Place {
    /// Takes a random port of a random loopback address, and makes a token.
    pub(super) async fn find() -> std::io::Result<Self> {
        let mut random = [0; TOKEN / 2 + 3];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut random)
            .map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
        let (token, host) = random.split_at(TOKEN / 2);
        // Neither 127.0.0.1, where people look, nor an address that ends like a network's.
        let part = |byte: u8| 1 + byte % 254;
        let host = Ipv4Addr::new(127, part(host[0]), part(host[1]), part(host[2]));
        let listener = TcpListener::bind((host, 0)).await?;
        Ok(Self { address: listener.local_addr()?, listener, token: digest::hex(token) })
    }

    /// Returns the repository that image number `image` is pushed to, without a tag.
    pub(super) fn repository(&self, image: usize) -> String {
        format!("{}/{}/{image}", self.address, self.token)
    }
}

/// A registry that listens; dropping it ends it and every connection to it.
#[derive(Debug)]
pub(super) struct Receiver {
    registry: Arc<Registry>,
    _accepting: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Begins to answer.
    pub(super) fn open(place: Place, options: Options) -> Self {
        let registry = Arc::new(Registry::new(place.token, options));
        let accepting = tokio::spawn(accept(place.listener, Arc::clone(&registry)));
        Self { registry, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Returns once something was pushed that could not be taken.
    pub(super) async fn fault(&self) -> Fault {
        self.registry.fault().await
    }

    /// Says that the push of an image is over, so that no other waits for its layers.
    pub(super) fn ended(&self, image: usize) {
        self.registry.ended(image);
    }

    /// Returns a number that grows while something happens here.
    pub(super) fn activity(&self) -> u64 {
        self.registry.activity()
    }

    /// Returns an image that was pushed under the tag `latest`.
    pub(super) fn pushed(&self, image: usize, architecture: &str) -> Result<Pushed, Fault> {
        self.registry.pushed(image, architecture)
    }
}

async fn accept(listener: TcpListener, registry: Arc<Registry>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) if is_near(peer.ip()) && connections.len() < CONNECTIONS => {
                let registry = Arc::clone(&registry);
                connections.spawn(async move {
                    if let Err(error) = serve(stream, registry).await {
                        tracing::debug!("a connection to the receiver ended: {error}");
                    }
                });
            }
            Ok((_, peer)) => tracing::debug!("the receiver turned {peer} away"),
            Err(error) => {
                // Too many open files, mostly; others may close theirs.
                tracing::debug!("the receiver could not accept: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Whether a peer is on this machine: in 127.0.0.0/8.
fn is_near(peer: IpAddr) -> bool {
    matches!(peer, IpAddr::V4(peer) if peer.is_loopback())
}

async fn serve(mut stream: TcpStream, registry: Arc<Registry>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if tokio::time::timeout(HEAD, stream.peek(&mut first)).await?? == 1 && first[0] == TLS_HANDSHAKE {
        return Ok(tokio::time::timeout(HEAD, decline_tls(&mut stream)).await??);
    }
    let service = service_fn(move |request| {
        let registry = Arc::clone(&registry);
        async move { Ok::<_, std::convert::Infallible>(registry.answer(request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    Ok(server.serve_connection(TokioIo::new(stream), service).await?)
}

/// Answers a TLS handshake like a plain HTTP server does. Engines try TLS first, and know
/// from exactly this that they must try without.
async fn decline_tls(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nplain HTTP only\n").await?;
    stream.shutdown().await?;
    // Closing over unread bytes would reset the connection, and the answer with it.
    let mut unread = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut unread).await? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
