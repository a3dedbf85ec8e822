//! Gets images out of the engine by having it push them to a registry of our own.
//!
//! The engine compares layers with what that registry says it has, which is what the
//! nodes hold, and sends the rest: a change of a megabyte is a megabyte, however large
//! the image. Each image gets one more name for the time of the push, which says where
//! the registry is; those names are taken away again, also when the push fails or is
//! dropped. What a killed process left is `leftover`'s.

mod leftover;
mod untag;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use http_body_util::BodyExt;
use hyper::{Method, Response};
use serde::Deserialize;
use tokio::sync::watch;

pub(super) use self::leftover::sweep_leftovers;
pub(crate) use self::leftover::{is_live, receiver_of};
use self::untag::Untag;
use super::super::engine::Engine;
use super::super::error::Cause;
use super::super::{Error, wire};
use super::receiver::{Blob, Fault, Options, Place, Receiver, Scratch};
use super::{known, named};
use crate::session::Session;

/// `{}` in base64: the engine wants the header, and there is nothing to say.
const NO_ACCOUNT: &str = "e30=";
/// How long neither the engine nor what it sends may stay silent.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of one line of what the engine tells of a push.
const LINE: usize = 1 << 20;
/// The engine's API that can push one platform of several.
const PLATFORM: (u32, u32) = (1, 46);

/// What every node that is loaded already holds: blob digest (`sha256:…`) → size in bytes.
pub(super) type Held = BTreeMap<String, u64>;

/// An image as it was pushed.
#[derive(Debug, Clone)]
pub(super) struct Pushed {
    /// The configuration's blob.
    pub(super) config: Bytes,
    /// `sha256:…`
    pub(super) config_digest: String,
    /// From the configuration; base first.
    pub(super) diff_ids: Vec<String>,
    /// In the order of `diff_ids`.
    pub(super) layers: Vec<Layer>,
}

/// A layer as the engine names it.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// `sha256:…`, of the compressed form where it is compressed.
    pub(super) digest: String,
    /// Bytes.
    pub(super) size: u64,
    /// In the words of the OCI image specification.
    pub(super) media_type: String,
    /// None: every node holds it, so it was not sent.
    pub(super) data: Option<Blob>,
}

/// An image that is to be pushed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// `coracle.local/shop/web:0123456789ab`.
    pub(super) tag: &'a str,
    /// What the engine calls it.
    pub(super) id: &'a str,
    pub(super) in_containerd: bool,
}

/// Pushes images (local tags) out of the engine into a receiver of our own, all at once.
/// Returns one result per image, in order. `held` becomes `Some` once the nodes have
/// answered. Dropping the future ends everything.
pub(super) async fn push(
    session: &Session,
    engine: &Engine,
    images: &[Source<'_>],
    architecture: &str,
    held: watch::Receiver<Option<Arc<Held>>>,
) -> Result<Vec<Pushed>, Error> {
    let configs = configs(images);
    let images: Vec<String> = images.iter().map(|image| image.tag.to_owned()).collect();
    let failed = |fault: &dyn std::fmt::Display| Error::Push {
        what: format!("the push of {}", named(&images)),
        cause: Cause::new(fault.to_string()),
    };
    let place = Place::find().await.map_err(|error| failed(&error))?;
    let names: Vec<String> = (0..images.len()).map(|image| format!("{}:latest", place.repository(image))).collect();
    let untag = Untag::new(engine, names.clone());
    let tags = images.iter().zip(&names).map(async |(image, name)| engine.tag(image, name).await);
    try_join_all(tags).await?;
    let one_platform = (configs.is_none() && engine.api >= PLATFORM).then_some(architecture);
    let scratch = Scratch::new(&session.surroundings.cache);
    let receiver = Receiver::open(place, Options { images: images.len(), configs, held, scratch });
    let all = images.iter().enumerate().map(async |(number, image)| {
        let ended = push_one(engine, &receiver, image, &push_path(&names[number], one_platform)).await;
        receiver.ended(number);
        ended
    });
    let ended = tokio::select! {
        // The engine would try a refused blob again for most of a minute.
        biased;
        fault = receiver.fault() => Err(failed(&fault)),
        ended = try_join_all(all) => ended.map(drop),
    };
    untag.now().await;
    ended?;
    let arrived = (0..images.len()).map(|number| receiver.pushed(number, architecture));
    let arrived: Vec<Pushed> = arrived.collect::<Result<_, Fault>>().map_err(|fault| failed(&fault))?;
    learn(session, &arrived).await;
    Ok(arrived)
}

/// Returns the digests of the images' configurations where the engine names images by them. One
/// that is another image by now brings a configuration that is none of these, and is refused.
fn configs(images: &[Source<'_>]) -> Option<BTreeSet<String>> {
    let classic = !images.iter().any(|image| image.in_containerd);
    classic.then(|| images.iter().map(|image| image.id.to_owned()).collect())
}

/// Remembers the layers' diff ids. A memory that cannot be written costs time, not the load.
async fn learn(session: &Session, pushed: &[Pushed]) {
    let pairs = pushed.iter().flat_map(|image| image.layers.iter().zip(&image.diff_ids));
    let layers: Vec<_> = pairs.map(|(layer, id)| (layer.digest.clone(), id.clone(), layer.size)).collect();
    let cache = session.surroundings.cache.clone();
    match tokio::task::spawn_blocking(move || known::learn(&cache, &layers)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => session.events.detail(format!("the pushed layers could not be remembered: {error}")),
        Err(error) => tracing::debug!("remembering layers: {error}"),
    }
}

async fn push_one(engine: &Engine, receiver: &Receiver, image: &str, path: &str) -> Result<(), Error> {
    let what = || format!("the push of image `{image}`");
    let lost = |error: &dyn std::fmt::Display| engine.lost(what(), error.to_string());
    let mut connection = wire::connect(&engine.endpoint).await.map_err(|error| lost(&error))?;
    let request = wire::request(Method::POST, path)
        .header("x-registry-auth", NO_ACCOUNT)
        .body(wire::empty())
        .expect("the path is made of digits and letters");
    let answer = match tokio::time::timeout(PATIENCE, connection.send(request)).await {
        Ok(answer) => answer.map_err(|error| lost(&error))?,
        Err(_) => return Err(lost(&format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    match said(answer, receiver).await {
        Ok(()) => Ok(()),
        Err(Said::Refused(words)) => Err(engine.said(what(), &words).await),
        Err(Said::Lost(words)) => Err(engine.lost(what(), words)),
    }
}

/// Returns the request's path and query. Engines that hold several platforms of an image
/// would push them all, or fail for those that they do not hold: `architecture` picks one.
fn push_path(name: &str, architecture: Option<&str>) -> String {
    let repository = name.strip_suffix(":latest").unwrap_or(name);
    let mut query = vec![("tag", "latest".to_owned())];
    if let Some(architecture) = architecture {
        query.push(("platform", serde_json::json!({ "os": "linux", "architecture": architecture }).to_string()));
    }
    format!("/images/{repository}/push?{}", wire::query(&query))
}

/// How a push ended badly.
#[derive(Debug)]
enum Said {
    /// The engine's reason.
    Refused(String),
    /// What happened to the connection.
    Lost(String),
}

/// Reads to the end what the engine says of a push.
async fn said(answer: Response<hyper::body::Incoming>, receiver: &Receiver) -> Result<(), Said> {
    let (head, mut body) = answer.into_parts();
    let mut reader = Lines::default();
    let mut refusal = BytesMut::new();
    let mut activity = receiver.activity();
    loop {
        let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Ok(Some(frame)) => frame.map_err(|error| Said::Lost(error.to_string()))?,
            Ok(None) => break,
            Err(_) if receiver.activity() != activity => {
                activity = receiver.activity();
                continue;
            }
            Err(_) => return Err(Said::Lost(format!("nothing happened for {} s", PATIENCE.as_secs()))),
        };
        let Ok(chunk) = frame.into_data() else { continue };
        if head.status.is_success() {
            reader.hear(&chunk)?;
        } else if refusal.len() < LINE {
            refusal.extend_from_slice(&chunk);
        }
    }
    if head.status.is_success() { reader.end() } else { Err(Said::Refused(wire::message(&refusal))) }
}

/// The engine's lines, of which only an error matters.
#[derive(Debug, Default)]
struct Lines(BytesMut);

impl Lines {
    fn hear(&mut self, chunk: &[u8]) -> Result<(), Said> {
        self.0.extend_from_slice(chunk);
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            line(&self.0.split_to(end + 1))?;
        }
        if self.0.len() > LINE { Err(Said::Lost("it sent a line without an end".to_owned())) } else { Ok(()) }
    }

    /// The last line need not end.
    fn end(self) -> Result<(), Said> {
        line(&self.0)
    }
}

fn line(text: &[u8]) -> Result<(), Said> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Line {
        error_detail: Option<Detail>,
        error: Option<String>,
    }
    #[derive(Deserialize)]
    struct Detail {
        message: Option<String>,
    }
    // What is no JSON is no error either; whether all was pushed, the receiver knows.
    let Ok(line) = serde_json::from_slice::<Line>(text) else { return Ok(()) };
    match line.error_detail.and_then(|detail| detail.message).or(line.error) {
        Some(words) => Err(Said::Refused(words)),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod raw;
#[cfg(test)]
mod tests;
