//! The import of an archive by containerd's transfer service: the call itself, and beside it the
//! stream that it reads the archive from (containerd's `docs/transfer.md`, `docs/streaming.md`).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::super::shell::{ANSWER, Feed, STALLED, UNPACKED, mark};
use super::{Client, api, request};

const STREAM: &str = "/containerd.services.streaming.v1.Streaming/Stream";
const TRANSFER: &str = "/containerd.services.transfer.v1.Transfer/Transfer";
/// Bytes of one message: containerd's own clients send no more at once.
const PIECE: usize = 32 * 1024;

impl Client {
    /// Imports an archive, whose layers are unpacked for these architectures. Names are those in
    /// the archive; one that is there already is moved.
    pub(in super::super) async fn import(&self, architectures: &BTreeSet<&str>, feed: Feed) -> Result<(), Status> {
        let id = mark();
        let (sender, messages) = mpsc::channel(4);
        let init = api::Any::of("containerd.services.streaming.v1.StreamInit", &api::StreamInit { id: id.clone() });
        sender.try_send(init).expect("the channel is new");
        let opened = tokio::time::timeout(ANSWER, self.stream(messages)).await;
        let mut stream = opened.map_err(|_| Status::deadline_exceeded("containerd opened no stream"))??;
        let window = Arc::new(Semaphore::new(0));
        let transfer = self.unary::<_, api::Empty>(TRANSFER, transfer(&id, architectures));
        let sent = sent(feed, sender, &window);
        let given = async {
            tokio::select! {
                sent = sent => sent?,
                // Why the stream ended is said by the call.
                _ended = updated(&mut stream, &window) => {}
            }
            tokio::time::sleep(UNPACKED).await;
            Err::<(), _>(Status::deadline_exceeded(format!("no answer within {} s", UNPACKED.as_secs())))
        };
        tokio::select! {
            biased;
            done = transfer => done.map(drop),
            ended = given => ended,
        }
    }

    /// Opens the stream that begins with `messages`.
    async fn stream(&self, messages: mpsc::Receiver<api::Any>) -> Result<Streaming<api::Any>, Status> {
        let mut grpc = self.ready().await?;
        let messages = request(ReceiverStream::new(messages));
        let stream = grpc.streaming(messages, PathAndQuery::from_static(STREAM), ProstCodec::default()).await?;
        let mut stream: Streaming<api::Any> = stream.into_inner();
        // The first answer says that the stream can be named.
        match stream.message().await? {
            Some(_) => Ok(stream),
            None => Err(Status::aborted("containerd closed the stream of the archive")),
        }
    }
}

fn transfer(id: &str, architectures: &BTreeSet<&str>) -> api::Transfer {
    let platform = |name: &&str| api::Platform { os: "linux".to_owned(), architecture: (*name).to_owned() };
    let platforms: Vec<_> = architectures.iter().map(platform).collect();
    let unpacks = platforms.iter().cloned().map(|platform| api::Unpack { platform: Some(platform) }).collect();
    // Without a reference that may be overwritten, names in the archive do not count.
    let named = api::ImageReference { name: "coracle-import".to_owned(), is_prefix: true, allow_overwrite: true };
    let store = api::ImageStore { platforms, extra_references: vec![named], unpacks };
    let source = api::ImageImportStream { stream: id.to_owned() };
    api::Transfer {
        source: Some(api::Any::of("containerd.types.transfer.ImageImportStream", &source)),
        destination: Some(api::Any::of("containerd.types.transfer.ImageStore", &store)),
    }
}

/// Hears how much more may be sent, until the stream ends.
async fn updated(stream: &mut Streaming<api::Any>, window: &Semaphore) -> Result<(), Status> {
    while let Some(said) = stream.message().await? {
        let update = api::WindowUpdate::decode(&*said.value).map_err(|error| Status::internal(error.to_string()))?;
        window.add_permits(usize::try_from(update.update).unwrap_or(0));
    }
    Ok(())
}

/// Sends the archive, piece by piece, as far as it may.
async fn sent(mut feed: Feed, sender: mpsc::Sender<api::Any>, window: &Semaphore) -> Result<(), Status> {
    let stalled = || Status::deadline_exceeded(format!("it took nothing for {} s", STALLED.as_secs()));
    while let Some(chunk) = feed.recv().await {
        let mut chunk: Bytes = chunk.map_err(Status::aborted)?;
        while !chunk.is_empty() {
            let piece = chunk.split_to(PIECE.min(chunk.len()));
            let permits = u32::try_from(piece.len()).expect("at most a piece");
            let may = tokio::time::timeout(STALLED, window.acquire_many(permits)).await.map_err(|_| stalled())?;
            may.expect("it is never closed").forget();
            let data = api::Any::of("containerd.types.transfer.Data", &api::Data { data: piece.into() });
            if tokio::time::timeout(STALLED, sender.send(data)).await.map_err(|_| stalled())?.is_err() {
                // The call says why.
                return Ok(());
            }
        }
    }
    Ok(())
}
