//! containerd's own API in a node, over one command that stays open.
//!
//! Each start of `ctr` costs a node ten milliseconds of its processor, and a load needs eight;
//! here it is one `socat` between its socket and us, and the questions are gRPC calls at the same
//! time. It is the quick way, never the only one: where there is no `socat`, or containerd
//! answers otherwise than expected, the callers go on with a shell and `ctr`.

mod api;
mod import;

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio_util::io::StreamReader;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::super::Error;
use super::super::engine::{Attached, Engine, Input};
use super::inventory::Inventory;
use super::shell::ANSWER;

/// The command in the node; its buffer holds a few of HTTP/2's frames.
const ARGV: [&str; 4] = ["socat", "-b65536", "STDIO", "UNIX-CONNECT:/run/containerd/containerd.sock"];
/// What kind's nodes unpack with, and what `ctr` asks for where nothing else is said.
const SNAPSHOTTER: &str = "overlayfs";
/// Where Kubernetes keeps its images.
const NAMESPACE: &str = "k8s.io";
/// Bytes of one answer: a list of all images is one.
const MOST: usize = 64 * 1024 * 1024;

/// How a node's containerd is spoken to, as far as this run knows.
#[derive(Default)]
pub(super) enum Link {
    #[default]
    Untried,
    Open(Client),
    /// It was tried and did not answer as it should.
    Closed,
}

/// A connection to a node's containerd. Clones share it.
#[derive(Clone)]
pub(super) struct Client(Channel);

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

/// Asks a node's containerd for something, within `deadline`. `None`: it cannot be asked this
/// way, now or later in this run.
pub(super) async fn ask<T>(
    engine: &Engine,
    node: &str,
    deadline: Duration,
    question: impl AsyncFnOnce(Client) -> Result<T, Status>,
) -> Result<Option<T>, Error> {
    let Some(client) = client(engine, node).await? else { return Ok(None) };
    match tokio::time::timeout(deadline, question(client)).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(status)) => {
            close(engine, node, &status).await;
            Ok(None)
        }
        Err(_) => Err(silent(node, deadline)),
    }
}

/// Returns the connection to a node's containerd, opened when it is first needed.
pub(super) async fn client(engine: &Engine, node: &str) -> Result<Option<Client>, Error> {
    let slot = engine.nodes.node(node);
    let mut link = slot.link.lock().await;
    if let Link::Untried = *link {
        let open = tokio::time::timeout(ANSWER, open(engine, node));
        *link = match open.await.unwrap_or_else(|_| Err(silent(node, ANSWER)))? {
            Some(client) => Link::Open(client),
            None => Link::Closed,
        };
    }
    Ok(match &*link {
        Link::Open(client) => Some(client.clone()),
        _ => None,
    })
}

/// Gives the connection up for the rest of the run.
pub(super) async fn close(engine: &Engine, node: &str, status: &Status) {
    tracing::debug!("containerd of {node} is asked with ctr from now on: {status}");
    *engine.nodes.node(node).link.lock().await = Link::Closed;
}

fn silent(node: &str, time: Duration) -> Error {
    Error::NodeSilent { node: node.to_owned(), command: "socat".to_owned(), seconds: time.as_secs() }
}

async fn open(engine: &Engine, node: &str) -> Result<Option<Client>, Error> {
    let (attached, input) = engine.attach(node, ARGV.map(str::to_owned).to_vec(), true).await?;
    match connected(attached, input).await {
        Ok(channel) => Ok(Some(Client(channel))),
        Err(error) => {
            tracing::debug!("containerd of {node} does not answer over socat: {error}");
            Ok(None)
        }
    }
}

/// Makes a channel of a command's input and output. There is one connection: the second that is
/// asked for, after the first broke, is an error.
async fn connected(attached: Attached, input: Input) -> Result<Channel, tonic::transport::Error> {
    let output = attached.output().map_err(std::io::Error::other).try_filter_map(async |said| match said {
        LogOutput::StdErr { message } => {
            tracing::debug!("socat: {}", String::from_utf8_lossy(&message).trim_end());
            Ok(None)
        }
        other => Ok(Some(other.into_bytes())),
    });
    let output: Pin<Box<dyn futures_util::Stream<Item = std::io::Result<Bytes>> + Send>> = output.boxed();
    let mut once = Some(TokioIo::new(tokio::io::join(StreamReader::new(output), input)));
    let connector = tower::service_fn(move |_| {
        let stream = once.take().ok_or_else(|| std::io::Error::other("the connection is gone"));
        std::future::ready(stream)
    });
    // The authority is nobody's: there is one socket at the other end.
    Endpoint::from_static("http://containerd").connect_with_connector(connector).await
}

impl Client {
    /// Returns all that the node holds.
    pub(super) async fn inventory(self) -> Result<Inventory, Status> {
        let (images, contents, snapshots) = tokio::try_join!(self.images(), self.contents(), self.snapshots())?;
        let mut inventory = Inventory::default();
        for image in images {
            inventory.add_image(&image.name, &image.target.unwrap_or_default().digest);
        }
        for content in contents.into_iter().flat_map(|contents| contents.info) {
            let size = u64::try_from(content.size).unwrap_or(0);
            inventory.add_blob(&content.digest, size, content.labels.iter().map(|(key, value)| (&**key, &**value)));
        }
        let snapshots = snapshots.into_iter().flat_map(|snapshots| snapshots.info);
        inventory.chains =
            snapshots.filter(|snapshot| snapshot.kind == api::COMMITTED).map(|snapshot| snapshot.name).collect();
        Ok(inventory)
    }

    async fn images(&self) -> Result<Vec<api::Image>, Status> {
        let images: api::Images =
            self.unary("/containerd.services.images.v1.Images/List", api::ListRequest::default()).await?;
        Ok(images.images)
    }

    async fn contents(&self) -> Result<Vec<api::Contents>, Status> {
        self.list("/containerd.services.content.v1.Content/List", api::ListRequest::default()).await
    }

    async fn snapshots(&self) -> Result<Vec<api::Snapshots>, Status> {
        let request = api::ListSnapshots { snapshotter: SNAPSHOTTER.to_owned() };
        self.list("/containerd.services.snapshots.v1.Snapshots/List", request).await
    }

    /// Gives the image `from` the further name `to`, whatever had it before.
    pub(super) async fn tag(&self, from: &str, to: &str) -> Result<(), Status> {
        const GET: &str = "/containerd.services.images.v1.Images/Get";
        const CREATE: &str = "/containerd.services.images.v1.Images/Create";
        const UPDATE: &str = "/containerd.services.images.v1.Images/Update";
        let mut one: api::OneImage = self.unary(GET, api::GetImage { name: from.to_owned() }).await?;
        if let Some(image) = &mut one.image {
            to.clone_into(&mut image.name);
        }
        let created: Result<api::OneImage, Status> = self.unary(CREATE, one.clone()).await;
        match created {
            Err(status) if status.code() == Code::AlreadyExists => {
                self.unary::<_, api::OneImage>(UPDATE, one).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Removes names, and the CRI's records of images that lose their last name by that; what
    /// nothing refers to any more is collected before it returns. A name that is not there is fine.
    pub(super) async fn remove(self, names: &[String]) -> Result<(), Status> {
        let all = pinned(&self.images().await?, names);
        for (at, name) in all.iter().enumerate() {
            let request = api::DeleteImage { name: name.clone(), sync: at + 1 == all.len() };
            let deleted: Result<api::Empty, Status> =
                self.unary("/containerd.services.images.v1.Images/Delete", request).await;
            match deleted {
                Err(status) if status.code() != Code::NotFound => return Err(status),
                _ => {}
            }
        }
        Ok(())
    }

    async fn unary<M, N>(&self, path: &'static str, message: M) -> Result<N, Status>
    where
        M: Message + 'static,
        N: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::default();
        Ok(grpc.unary(request(message), PathAndQuery::from_static(path), codec).await?.into_inner())
    }

    async fn list<M, N>(&self, path: &'static str, message: M) -> Result<Vec<N>, Status>
    where
        M: Message + 'static,
        N: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::default();
        let answer = grpc.server_streaming(request(message), PathAndQuery::from_static(path), codec).await?;
        answer.into_inner().try_collect().await
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.0.clone()).max_decoding_message_size(MOST);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
    request
}

/// Returns these names that are there, and after them the `sha256:CONFIG` records that CRI made
/// of images which no other name is left for.
fn pinned(images: &[api::Image], names: &[String]) -> Vec<String> {
    let target = |image: &api::Image| image.target.clone().unwrap_or_default().digest;
    let goes = |image: &&api::Image| names.contains(&image.name);
    let is_pin = |image: &&api::Image| image.name.starts_with("sha256:");
    let lost: BTreeSet<String> = images.iter().filter(goes).map(target).collect();
    let kept: BTreeSet<String> = images.iter().filter(|image| !goes(image) && !is_pin(image)).map(target).collect();
    let pins = images.iter().filter(|image| !goes(image) && is_pin(image));
    let pins = pins.filter(|image| lost.contains(&target(image)) && !kept.contains(&target(image)));
    images.iter().filter(goes).chain(pins).map(|image| image.name.clone()).collect()
}

#[cfg(test)]
mod tests;
