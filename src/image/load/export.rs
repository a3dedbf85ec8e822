//! The engine's archive of some images, handed to several nodes at once.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::super::engine::Engine;
use super::super::wire;
use super::filter::Filter;
use super::full::Group;
use super::node::{self, Fault};
use super::{TELL_EVERY, named};
use crate::event::{Progress, Subject, Unit};
use crate::session::Session;

/// How many chunks may wait for one node: a slow one does not hold up the others at once,
/// and memory stays bounded.
const QUEUE: usize = 64;

/// Streams a group's images into its nodes; returns how it went on each.
pub(super) async fn stream(session: &Session, engine: &Engine, group: &Group) -> Vec<(String, Result<(), Fault>)> {
    let mut feeds = Vec::new();
    let imports = group.nodes.iter().map(|name| {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let subject = Subject::Load { node: name.clone() };
        feeds.push(NodeFeed { sender: Some(sender), subject, done: 0 });
        async move { (name.clone(), node::import(engine, name, &group.architecture, receiver).await) }
    });
    let imports: Vec<_> = imports.collect();
    let (results, said) = tokio::join!(join_all(imports), export(session, engine, group, feeds));
    match said {
        Ok(()) => results,
        // The engine had a reason; what the nodes say of an empty stream is not the cause.
        Err(error) => {
            let node = group.nodes.first().cloned().unwrap_or_default();
            vec![(node, Err(Fault::Lost(error)))]
        }
    }
}

/// How long the engine may say nothing: a classic store writes the whole archive to its disk first.
const SILENT: Duration = Duration::from_secs(600);

struct NodeFeed {
    /// None once the node no longer takes anything.
    sender: Option<mpsc::Sender<Result<Bytes, String>>>,
    subject: Subject,
    done: u64,
}

/// Tells how far each node is that still takes chunks.
fn tell(session: &Session, feeds: &[NodeFeed], group: &Group, left_out: u64) {
    for feed in feeds.iter().filter(|feed| feed.sender.is_some()) {
        session.events.progress(&feed.subject, progress(feed.done, left_out, group));
    }
}

async fn export(
    session: &Session,
    engine: &Engine,
    group: &Group,
    mut feeds: Vec<NodeFeed>,
) -> Result<(), super::super::Error> {
    let what = || format!("the export of {}", named(&group.images));
    let opened = tokio::time::timeout(SILENT, open(engine, group)).await;
    let (_connection, mut body) = match opened.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(Ok(opened)) => opened,
        Ok(Err(words)) => {
            give(&mut feeds, &Err(words.clone())).await;
            return Err(engine.said(what(), &words).await);
        }
        Err(error) => {
            give(&mut feeds, &Err(error.to_string())).await;
            return Err(engine.lost(what(), error.to_string()));
        }
    };
    let mut told = Instant::now();
    let mut filter = Filter::new(group.without.clone());
    while let Some(frame) = tokio::time::timeout(SILENT, body.frame()).await.transpose() {
        let chunk = match frame
            .map_err(|_| "it said nothing for minutes".to_owned())
            .and_then(|frame| frame.map_err(|error| error.to_string()))
        {
            Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
            Err(error) => Err(format!("the engine's stream broke off: {error}")),
        };
        let broken = chunk.is_err();
        let pieces =
            chunk.map_or_else(|error| vec![Err(error)], |chunk| filter.take(chunk).into_iter().map(Ok).collect());
        hand(&mut feeds, pieces).await;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(session, &feeds, group, filter.left_out);
        }
        if broken || feeds.iter().all(|feed| feed.sender.is_none()) {
            break;
        }
    }
    hand(&mut feeds, filter.end().into_iter().map(Ok).collect()).await;
    tell(session, &feeds, group, filter.left_out);
    Ok(())
}

fn progress(done: u64, left_out: u64, group: &Group) -> Progress {
    let size = group.size.saturating_sub(left_out);
    let count = group.images.len();
    Progress {
        done,
        // The archive is a little larger than the images, and smaller where they share layers.
        total: (size > 0).then_some(size.max(done)),
        unit: Unit::Bytes,
        detail: if count == 1 { "1 image".to_owned() } else { format!("{count} images") },
    }
}

/// Gives pieces to every node, and counts them.
async fn hand(feeds: &mut [NodeFeed], pieces: Vec<Result<Bytes, String>>) {
    for piece in pieces {
        give(feeds, &piece).await;
        let size = piece.map_or(0, |piece| piece.len() as u64);
        feeds.iter_mut().filter(|feed| feed.sender.is_some()).for_each(|feed| feed.done += size);
    }
}

/// Gives a chunk to every node that still takes them.
async fn give(feeds: &mut [NodeFeed], chunk: &Result<Bytes, String>) {
    join_all(feeds.iter_mut().map(async |feed| {
        if let Some(sender) = &feed.sender
            && sender.send(chunk.clone()).await.is_err()
        {
            feed.sender = None;
        }
    }))
    .await;
}

/// Opens the archive's stream; the inner error is the engine's own words.
async fn open(engine: &Engine, group: &Group) -> std::io::Result<Result<(wire::Connection, Incoming), String>> {
    let mut connection = wire::connect(&engine.endpoint).await?;
    let request = wire::request(hyper::Method::GET, &path(&group.images, &group.architecture, engine.api))
        .body(wire::empty())
        .map_err(std::io::Error::other)?;
    let answer = connection.send(request).await.map_err(std::io::Error::other)?;
    if answer.status().is_success() {
        return Ok(Ok((connection, answer.into_body())));
    }
    let body = answer.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok(Err(wire::message(&body)))
}

/// Returns the question for the archive; engines before API 1.48 know no platform there.
pub(super) fn path(images: &[String], architecture: &str, api: (u32, u32)) -> String {
    let mut pairs: Vec<(&str, String)> = images.iter().map(|image| ("names", image.clone())).collect();
    if api >= (1, 48) {
        pairs.push(("platform", serde_json::json!({"os": "linux", "architecture": architecture}).to_string()));
    }
    format!("/images/get?{}", wire::query(&pairs))
}
