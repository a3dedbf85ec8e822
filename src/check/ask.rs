//! One HTTP request of a check, and its answer. Plain HTTP/1.1 to this machine; no redirects are followed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::error::chain;
use crate::profile::{Check, CheckBody};

const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const LIMIT: usize = 4 * 1024 * 1024;

/// What came back. Names of headers are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

#[derive(Debug)]
pub(super) enum Error {
    /// It may pass.
    Connection(String),
    /// What the profile asks for cannot be sent, or took too long.
    Request(String),
}

/// Sends the check's request to `http://HOST:PORT`.
pub(super) async fn ask(check: &Check, origin: &str) -> Result<Answer, Error> {
    match tokio::time::timeout(PATIENCE, exchange(check, origin)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Request(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn exchange(check: &Check, origin: &str) -> Result<Answer, Error> {
    let lost = |error: &(dyn std::error::Error + 'static)| Error::Connection(chain(error));
    let authority = origin.trim_start_matches("http://");
    let request = request(check, authority)?;
    let stream = TcpStream::connect(authority).await.map_err(|error| lost(&error))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| lost(&error))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(|error| lost(&error))?;
    let (head, body) = answer.into_parts();
    let whole = Limited::new(body, LIMIT).collect().await;
    let body = whole.map_err(|error| Error::Request(format!("the answer could not be read: {error}")))?.to_bytes();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    Ok(Answer { status: head.status.as_u16(), headers: headers.collect(), body: text(&body) })
}

fn request(check: &Check, authority: &str) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::builder().method(check.method.as_str()).uri(&check.path);
    let has = |wanted: &str| check.headers.keys().any(|name| name.eq_ignore_ascii_case(wanted));
    if !has("host") {
        request = request.header(HOST, authority);
    }
    if matches!(check.body, CheckBody::Json(_)) && !has("content-type") {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in &check.headers {
        request = request.header(name, value);
    }
    let body = Full::from(body(check).unwrap_or_default());
    request.body(body).map_err(|error| Error::Request(format!("the request cannot be sent: {error}")))
}

/// Returns what the request carries.
pub(super) fn body(check: &Check) -> Option<String> {
    match &check.body {
        CheckBody::None => None,
        CheckBody::Json(json) => Some(json.to_string()),
        CheckBody::Text(text) => Some(text.clone()),
    }
}
