//! Plain HTTP/1.1 to the engine, for what bollard cannot do: a build with a session of our
//! own, an export for one platform. One connection per request, no timeouts: the caller
//! has them, and dropping what is returned here closes the connection.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::Endpoint;

/// What is sent: nothing, or a stream that may fail on our side.
pub(super) type Body = BoxBody<Bytes, std::io::Error>;

/// A byte stream to the engine.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Opens a connection to the endpoint.
pub(super) async fn dial(endpoint: &Endpoint) -> std::io::Result<Pin<Box<dyn Stream>>> {
    if let Some(path) = endpoint.socket() {
        return Ok(Box::pin(UnixStream::connect(path).await?));
    }
    let authority = endpoint.authority();
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let Some(folder) = &endpoint.certificates else {
        return Ok(Box::pin(stream));
    };
    let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(std::io::Error::other)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls(folder)?));
    Ok(Box::pin(connector.connect(name, stream).await?))
}

fn tls(folder: &std::path::Path) -> std::io::Result<rustls::ClientConfig> {
    let broken = |file: &str, error: &dyn std::fmt::Display| {
        std::io::Error::other(format!("{}: {error}", folder.join(file).display()))
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(folder.join("ca.pem")).map_err(|error| broken("ca.pem", &error))? {
        let certificate = certificate.map_err(|error| broken("ca.pem", &error))?;
        roots.add(certificate).map_err(|error| broken("ca.pem", &error))?;
    }
    let own = CertificateDer::pem_file_iter(folder.join("cert.pem"))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| broken("cert.pem", &error))?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).map_err(|error| broken("key.pem", &error))?;
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(own, key)
        .map_err(|error| broken("cert.pem", &error))
}

/// One connection; dropping it closes it, and with it whatever the engine does for it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Body>,
    _task: AbortOnDropHandle<()>,
}

/// Connects and shakes hands.
pub(super) async fn connect(endpoint: &Endpoint) -> std::io::Result<Connection> {
    let stream = dial(endpoint).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let task = tokio::spawn(async move { drop(connection.with_upgrades().await) });
    Ok(Connection { sender, _task: AbortOnDropHandle::new(task) })
}

impl Connection {
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.send_request(request).await
    }
}

/// Returns a request for `path` with the headers that the engine expects.
pub(super) fn request(method: hyper::Method, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header(hyper::header::HOST, "docker")
}

/// Asks for `path` and returns the whole answer, whatever its status.
pub(super) async fn get(endpoint: &Endpoint, path: &str) -> std::io::Result<Response<Bytes>> {
    let mut connection = connect(endpoint).await?;
    let request = request(hyper::Method::GET, path).body(empty()).map_err(std::io::Error::other)?;
    let answer = connection.send(request).await.map_err(odd)?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(odd)?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// Tells an answer that is no HTTP from a connection that broke.
fn odd(error: hyper::Error) -> std::io::Error {
    let kind = if error.is_parse() { std::io::ErrorKind::InvalidData } else { std::io::ErrorKind::Other };
    std::io::Error::new(kind, error)
}

/// Returns the engine's own words from the body of an answer that is an error.
pub(super) fn message(body: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| value.get("message").and_then(|text| text.as_str().map(str::to_owned)))
        .unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

/// Returns a query string: each name and value percent-encoded.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}
