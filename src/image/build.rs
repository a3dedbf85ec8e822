//! One build: `BuildKit` through the engine's API, its progress, and its failure explained.
//!
//! The engine asks our session for the files of the context that it has not from the build
//! before; where it cannot, the context is written as a tar straight into the request.
//! Nothing is kept on disk. The connection is the build: dropping it, as cancellation does, ends the build in the
//! engine. `progress` turns what the engine tells into events, `failure` a failed step
//! into an error; `request` words the question. An engine without `BuildKit` gets the
//! classic builder.

pub(crate) mod failure;
mod progress;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use self::progress::{Line, Told};
use self::request::Way;
use super::context::Context;
use super::dockerfile::Dockerfile;
use super::engine::Engine;
use super::session::files::Files;
use super::{Error, session, wire};
use crate::profile;
use crate::session::Session;

/// A build whose every input is known.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) service: String,
    /// `args` are filled in.
    pub(crate) build: profile::Build,
    pub(crate) context: Context,
    pub(crate) dockerfile: Dockerfile,
    /// The tag to give: `coracle.local/PROFILE/SERVICE:DIGEST`.
    pub(crate) tag: String,
    /// Labels for the image.
    pub(crate) labels: BTreeMap<String, String>,
    /// Values of the build's secrets, by id.
    pub(crate) secrets: BTreeMap<String, Vec<u8>>,
    pub(crate) no_cache: bool,
}

/// What a build did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) steps: u64,
    pub(crate) cached: u64,
}

impl Built {
    /// Returns the end of the sentence about a build that went well.
    pub(crate) fn sentence(&self) -> String {
        match (self.steps, self.cached) {
            (0, _) => "built".to_owned(),
            (1, 0) => "built 1 step".to_owned(),
            (steps, 0) => format!("built {steps} steps"),
            (steps, cached) => format!("built {steps} steps, {cached} cached"),
        }
    }
}

/// Builds and tags one image; ends with [`Error::Cancelled`] when the user stops it.
pub(crate) async fn build(session: &Session, engine: &Engine, request: &Request) -> Result<Built, Error> {
    let built = tokio::select! {
        built = run(session, engine, request) => built?,
        () = session.cancel.cancelled() => {
            return Err(Error::Cancelled { what: format!("the build of `{}`", request.service) });
        }
    };
    let tag = std::slice::from_ref(&request.tag);
    if engine.local_images(tag).await?.is_empty() {
        return Err(Error::TagMissing { service: request.service.clone(), tag: request.tag.clone() });
    }
    Ok(built)
}

/// Builds by the best way that the engine takes: file sync; else once more with an archive;
/// without `BuildKit` the classic builder.
async fn run(session: &Session, engine: &Engine, request: &Request) -> Result<Built, Error> {
    if !engine.buildkit {
        session.events.warn(
            "the engine has no BuildKit, so its classic builder is used: no build secrets, no `RUN --mount`, slower",
        );
        return conclude(session, engine, request, &ask(session, engine, request, &Way::Classic).await?).await;
    }
    let whole = |reason: &str| {
        let service = &request.service;
        session.events.detail(format!("The build context of `{service}` is sent as a whole: {reason}."));
    };
    if let Some(files) = request::files(request)?.map(Arc::new) {
        let told = ask(session, engine, request, &Way::Files(files.clone())).await?;
        let Some(refusal) = files.refusal().filter(|_| told.error().is_some()) else {
            report(session, request, &files);
            return conclude(session, engine, request, &told).await;
        };
        whole(&format!("the engine would not take it file by file ({refusal})"));
    } else {
        whole("a name in it is not UTF-8");
    }
    conclude(session, engine, request, &ask(session, engine, request, &Way::Archive).await?).await
}

/// Says what file sync has sent.
fn report(session: &Session, request: &Request, files: &Files) {
    let (bytes, count) = files.sent();
    let files = if count == 1 { "file" } else { "files" };
    let (service, size) = (&request.service, super::error::size(bytes));
    session.events.detail(format!("Build context of `{service}`: sent {size}, with the content of {count} {files}."));
}

/// Asks for the build, one way, and returns what the engine told of it.
async fn ask(session: &Session, engine: &Engine, request: &Request, way: &Way) -> Result<Told, Error> {
    let lost = |error: &dyn std::fmt::Display| engine.lost(what(request), error.to_string());
    let served = if way.has_session() {
        let offer = request::offer(session, request, way)?;
        let opened = session::Session::open(&engine.endpoint, &request.service, offer).await;
        Some(opened.map_err(|error| lost(&error))?)
    } else {
        None
    };
    let path = request::path(session, engine, request, way, served.as_ref().map(|served| served.id.as_str()));
    let (body, written) = request::body(request, way);
    let question = wire::request(hyper::Method::POST, &path)
        .header(hyper::header::CONTENT_TYPE, "application/x-tar")
        .body(body)
        .map_err(|error| lost(&error))?;
    let mut connection = wire::connect(&engine.endpoint).await.map_err(|error| lost(&error))?;
    let answered = match connection.send(question).await {
        Ok(answer) => read(session, request, answer).await,
        Err(error) => Err(crate::error::chain(&error)),
    };
    // What went wrong while the context was read is the cause of whatever the engine says.
    let offered = if let Way::Files(files) = way { files.error().map(Error::from) } else { None };
    if let Some(error) = offered.or_else(|| written.error()) {
        return Err(error);
    }
    answered.map_err(|error| lost(&error))
}

async fn conclude(session: &Session, engine: &Engine, request: &Request, told: &Told) -> Result<Built, Error> {
    match told.error() {
        Some(message) => Err(failure::explain(session, engine, request, told, message).await),
        None => Ok(told.built()),
    }
}

/// Returns what the engine told in all, or why its answer broke off.
async fn read(session: &Session, request: &Request, answer: hyper::Response<Incoming>) -> Result<Told, String> {
    let mut told = Told::new(&request.service);
    let refused = !answer.status().is_success();
    let mut body = answer.into_body();
    let mut lines = Lines::default();
    let mut ended_badly = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else {
            ended_badly = Some("the answer broke off".to_owned());
            break;
        };
        lines.push(&data);
        while let Some(line) = lines.next().filter(|_| !refused) {
            for event in told.hear(&Line::parse(&line)) {
                session.events.send(event);
            }
        }
    }
    if refused {
        told.refused(&wire::message(&lines.rest()));
        return Ok(told);
    }
    if let Some(rest) = Some(lines.rest()).filter(|rest| !rest.is_empty()) {
        for event in told.hear(&Line::parse(&rest)) {
            session.events.send(event);
        }
    }
    match ended_badly {
        Some(reason) if told.error().is_none() && !told.has_image() => Err(reason),
        _ => Ok(told),
    }
}

/// Cuts a byte stream into lines.
#[derive(Default)]
struct Lines(BytesMut);

impl Lines {
    fn push(&mut self, data: &Bytes) {
        self.0.extend_from_slice(data);
    }

    fn next(&mut self) -> Option<Bytes> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        Some(self.0.split_to(end + 1).freeze())
    }

    fn rest(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}

fn what(request: &Request) -> String {
    format!("the build of image `{}`", request.service)
}

#[cfg(test)]
mod tests;
