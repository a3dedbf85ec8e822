//! A receiver for tests: it talks to the session's own server over a pipe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_client::FileSyncClient;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::super::{Offer, serve};
use super::Files;

/// Asks for the context.
pub(super) const CONTEXT: (&str, &str) = ("dir-name", "context");

/// Hands the one end of a pipe out, once.
struct Pipe(Option<DuplexStream>);

impl tonic::codegen::Service<hyper::Uri> for Pipe {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = std::future::Ready<std::io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: hyper::Uri) -> Self::Future {
        std::future::ready(self.0.take().map(TokioIo::new).ok_or_else(|| std::io::ErrorKind::NotConnected.into()))
    }
}

async fn connect(files: &Arc<Files>) -> (FileSyncClient<Channel>, DropGuard) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let end = CancellationToken::new();
    serve(ours, Offer { files: Some(files.clone()), ..Offer::default() }, end.clone());
    let endpoint = tonic::transport::Endpoint::from_static("http://session");
    let channel = endpoint.connect_with_connector(Pipe(Some(theirs))).await.unwrap();
    (FileSyncClient::new(channel), end.drop_guard())
}

/// What a receiver got.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) stats: Vec<Stat>,
    /// Of files that were completed.
    pub(super) content: BTreeMap<String, Vec<u8>>,
    /// What the sender ended it with.
    pub(super) error: Option<String>,
    pub(super) status: Option<Status>,
}

impl Got {
    pub(super) fn paths(&self) -> Vec<&str> {
        self.stats.iter().map(|stat| stat.path.as_str()).collect()
    }
}

pub(super) fn request(kind: PacketType, id: u32) -> Packet {
    Packet { r#type: kind.into(), id, ..Packet::default() }
}

/// Receives the local that `metadata` names, with the content of what `wants` says.
pub(super) async fn receive(
    files: &Arc<Files>,
    metadata: &[(&'static str, &str)],
    wants: impl Fn(&Stat) -> bool,
) -> Got {
    let (mut client, _end) = connect(files).await;
    let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
    let mut call = Request::new(tokio_stream::wrappers::UnboundedReceiverStream::new(asked));
    for (key, value) in metadata {
        call.metadata_mut().append(*key, value.parse().unwrap());
    }
    let mut got = Got::default();
    let mut packets = match client.diff_copy(call).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Got { status: Some(status), ..got },
    };
    let mut open: BTreeMap<u32, (String, Vec<u8>)> = BTreeMap::new();
    let mut told = false;
    loop {
        let packet = match packets.message().await {
            Ok(Some(packet)) => packet,
            Ok(None) => return got,
            Err(status) => return Got { status: Some(status), ..got },
        };
        match (packet.r#type(), packet.stat) {
            (PacketType::PacketStat, Some(stat)) => {
                let id = u32::try_from(got.stats.len()).unwrap();
                if wants(&stat) {
                    open.insert(id, (stat.path.clone(), Vec::new()));
                    ask.send(request(PacketType::PacketReq, id)).unwrap();
                }
                got.stats.push(stat);
            }
            (PacketType::PacketStat, None) => told = true,
            (PacketType::PacketData, _) if packet.data.is_empty() => {
                let (path, content) = open.remove(&packet.id).expect("asked for once");
                got.content.insert(path, content);
            }
            (PacketType::PacketData, _) => open.get_mut(&packet.id).expect("asked for").1.extend(packet.data),
            (PacketType::PacketErr, _) => got.error = Some(String::from_utf8(packet.data).unwrap()),
            (PacketType::PacketFin, _) => assert!(told && open.is_empty()),
            (PacketType::PacketReq, _) => panic!("a sender asks for nothing"),
        }
        if told && open.is_empty() && got.error.is_none() {
            told = true;
            drop(ask.send(request(PacketType::PacketFin, 0)));
        }
    }
}

/// Says `packets` and returns how the sender ends.
pub(super) async fn say(files: &Arc<Files>, packets: Vec<Packet>) -> Option<Status> {
    let (mut client, _end) = connect(files).await;
    let stay_open = futures_util::StreamExt::chain(tokio_stream::iter(packets), tokio_stream::pending());
    let mut call = Request::new(stay_open);
    call.metadata_mut().append(CONTEXT.0, CONTEXT.1.parse().unwrap());
    let mut answers = client.diff_copy(call).await.unwrap().into_inner();
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(status) => return Some(status),
        }
    }
}
