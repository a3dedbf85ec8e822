//! The sending half of fsutil's protocol (<https://github.com/tonistiigi/fsutil>).
//!
//! A STAT packet for every entry, in order, and an empty one; a REQ for each file that the
//! engine lacks, by its number in that order; its content in DATA packets, and an empty
//! one; FIN from the engine, FIN back. Either side ends it early with ERR.
//!
//! Content is hashed as it is read, and the empty DATA packet that completes a file is only
//! sent if it is what was recorded: a file that changed ends the transfer, and with it the
//! build. Queues are bounded, so memory does not grow with the context.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use futures_util::{Stream, StreamExt};
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::context::Error;
use super::files::Record;
use super::tree::{Item, ItemKind, Tree};

/// Most bytes of content in one packet.
const CHUNK: u64 = 128 * 1024;
/// How many packets may wait for the connection.
const QUEUE: usize = 32;
/// How many files are read at the same time.
const READERS: usize = 2;
/// How much is read by one go of a reader, unless a file is larger.
const BATCH: u64 = 1024 * 1024;
const BATCH_FILES: usize = 64;

type Out = mpsc::Sender<Result<Packet, Status>>;

/// One transfer.
struct Transfer {
    tree: Arc<Tree>,
    /// The items told of; a place in here is the file's number in the protocol.
    selected: Vec<usize>,
    record: Arc<Record>,
}

/// Why content was not sent to its end.
enum Stop {
    /// Nobody listens any more.
    Gone,
    Fault(Error),
}

/// Talks with a receiver and returns what is said to it. The talk ends when the returned
/// stream is dropped.
pub(super) fn send<R>(
    tree: Arc<Tree>,
    selected: Vec<usize>,
    record: Arc<Record>,
    requests: R,
) -> impl Stream<Item = Result<Packet, Status>> + Send + use<R>
where
    R: Stream<Item = Result<Packet, Status>> + Send + Unpin + 'static,
{
    let (out, packets) = mpsc::channel(QUEUE);
    let (ask, asked) = mpsc::unbounded_channel();
    let asked = Arc::new(Mutex::new(asked));
    let counted = record.clone();
    let transfer = Arc::new(Transfer { tree, selected, record });
    for _ in 0..READERS {
        tokio::spawn(answer(transfer.clone(), asked.clone(), out.clone()));
    }
    tokio::spawn(listen(transfer.clone(), requests, ask, out.clone()));
    tokio::spawn(tell(transfer, out));
    ReceiverStream::new(packets).inspect(move |packet| {
        if let Ok(packet) = packet {
            counted.bytes.fetch_add(packet.encoded_len() as u64, Ordering::Relaxed);
        }
    })
}

/// Tells of every entry.
async fn tell(transfer: Arc<Transfer>, out: Out) {
    for &index in &transfer.selected {
        let stat = transfer.tree.items[index].stat();
        if out.send(Ok(Packet { stat: Some(stat), ..packet(PacketType::PacketStat, 0) })).await.is_err() {
            return;
        }
    }
    // Nobody who listens is nobody to tell.
    drop(out.send(Ok(packet(PacketType::PacketStat, 0))).await);
}

/// Hears what the receiver wants, until it has all.
async fn listen<R>(transfer: Arc<Transfer>, mut requests: R, ask: mpsc::UnboundedSender<u32>, out: Out)
where
    R: Stream<Item = Result<Packet, Status>> + Unpin,
{
    let mut wanted = vec![false; transfer.selected.len()];
    while let Some(Ok(heard)) = requests.next().await {
        let answer = match heard.r#type() {
            PacketType::PacketReq => match transfer.item(heard.id).filter(|item| item.is_file()) {
                Some(_) if !std::mem::replace(&mut wanted[heard.id as usize], true) => {
                    // The readers are gone only if the transfer has failed.
                    let _failed = ask.send(heard.id).is_err();
                    continue;
                }
                _ => Err(Status::invalid_argument(format!("invalid file id {}", heard.id))),
            },
            PacketType::PacketFin => Ok(packet(PacketType::PacketFin, 0)),
            PacketType::PacketErr => {
                let words = crate::ui::sanitize::line(&String::from_utf8_lossy(&heard.data));
                transfer.record.complain(words.clone());
                Err(Status::aborted(format!("error from receiver: {words}")))
            }
            PacketType::PacketStat | PacketType::PacketData => continue,
        };
        drop(out.send(answer).await);
        return;
    }
}

/// Reads what is asked for, a batch at a time, until nothing more can be asked for.
async fn answer(transfer: Arc<Transfer>, asked: Arc<Mutex<mpsc::UnboundedReceiver<u32>>>, out: Out) {
    loop {
        let batch = next_batch(&transfer, &mut *asked.lock().await).await;
        if batch.is_empty() {
            return;
        }
        let (reader, to) = (transfer.clone(), out.clone());
        let read = tokio::task::spawn_blocking(move || batch.iter().try_for_each(|id| reader.content(*id, &to))).await;
        match read {
            Ok(Ok(())) => {}
            Ok(Err(Stop::Fault(error))) => return transfer.fail(error, &out).await,
            // Nobody is left to send to, or the runtime ends.
            Ok(Err(Stop::Gone)) | Err(_) => return,
        }
    }
}

async fn next_batch(transfer: &Transfer, asked: &mut mpsc::UnboundedReceiver<u32>) -> Vec<u32> {
    let mut batch: Vec<u32> = asked.recv().await.into_iter().collect();
    let size = |id: &u32| transfer.item(*id).map_or(0, Item::size);
    let mut bytes: u64 = batch.iter().map(size).sum();
    while !batch.is_empty() && batch.len() < BATCH_FILES && bytes < BATCH {
        let Ok(next) = asked.try_recv() else { break };
        bytes += size(&next);
        batch.push(next);
    }
    batch
}

impl Transfer {
    fn item(&self, id: u32) -> Option<&Item> {
        self.selected.get(id as usize).map(|index| &self.tree.items[*index])
    }

    /// Ends the transfer with an error of ours.
    async fn fail(&self, error: Error, out: &Out) {
        let words = error.to_string();
        // First the record: the build fails as soon as the engine hears of it.
        self.record.fail(error);
        let told = Packet { data: words.clone().into_bytes(), ..packet(PacketType::PacketErr, 0) };
        drop(out.send(Ok(told)).await);
        drop(out.send(Err(Status::aborted(words))).await);
    }

    /// Sends one file's content, and that it is complete if it is what was recorded.
    fn content(&self, id: u32, out: &Out) -> Result<(), Stop> {
        let say = |data: Vec<u8>| {
            let packet = Packet { data, ..packet(PacketType::PacketData, id) };
            out.blocking_send(Ok(packet)).map_err(|_| Stop::Gone)
        };
        match self.item(id) {
            Some(Item { kind: ItemKind::Text(text), .. }) => {
                text.chunks(usize::try_from(CHUNK).expect("a chunk fits")).try_for_each(|chunk| say(chunk.to_vec()))?;
            }
            Some(item @ Item { kind: ItemKind::File { digest, size, .. }, .. }) => {
                self.file(item, *size, digest, &say)?;
            }
            _ => {}
        }
        self.record.files.fetch_add(1, Ordering::Relaxed);
        say(Vec::new())
    }

    fn file(
        &self,
        item: &Item,
        size: u64,
        digest: &[u8; 32],
        say: &dyn Fn(Vec<u8>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let full = self.tree.full(item);
        let changed = || Stop::Fault(Error::Changed { path: full.clone() });
        let unreadable = |source| Stop::Fault(Error::Unreadable { path: full.clone(), source });
        // Before it is opened: a FIFO in its place would never answer.
        let found = fs::symlink_metadata(&full).map_err(|_| changed())?;
        let is_same_mode = found.permissions().mode() & 0o7777 == item.mode;
        if !found.is_file() || !is_same_mode || found.len() != size {
            return Err(changed());
        }
        let mut file = File::open(&full).map_err(unreadable)?;
        let mut hasher = Sha256::new();
        let mut left = size;
        while left > 0 {
            let mut chunk = vec![0; usize::try_from(left.min(CHUNK)).expect("a chunk fits")];
            let read = fill(&mut file, &mut chunk).map_err(unreadable)?;
            if read < chunk.len() {
                return Err(changed());
            }
            hasher.update(&chunk);
            left -= read as u64;
            say(chunk)?;
        }
        let is_longer = fill(&mut file, &mut [0]).map_err(unreadable)? > 0;
        if is_longer || hasher.finalize().as_slice() != digest { Err(changed()) } else { Ok(()) }
    }
}

/// Reads until `buffer` is full or the file ends; returns how much was read.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

fn packet(kind: PacketType, id: u32) -> Packet {
    Packet { r#type: kind.into(), id, ..Packet::default() }
}
