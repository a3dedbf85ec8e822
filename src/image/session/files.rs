//! The context offered to the engine: `moby.filesync.v1.FileSync/DiffCopy`.
//!
//! One call is one transfer: the engine names a local (`context`, `dockerfile`) and what it
//! needs of it, hears of every entry, and asks for the files that it has not from the build
//! before. `tree` is what is offered, `select` what a call wants of it, `send` the talk.
//! What came of all calls is kept here, for the build's verdict and its report.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSync;
use tonic::{Request, Status, Streaming};

use super::super::context;
use super::select::Wish;
use super::send;
use super::tree::Tree;
use super::{Answer, Answers};

/// A context on offer, and what became of it.
#[derive(Debug)]
pub(in super::super) struct Files {
    pub(super) tree: Arc<Tree>,
    pub(super) record: Arc<Record>,
}

/// What became of the transfers.
#[derive(Debug, Default)]
pub(super) struct Record {
    called: AtomicBool,
    /// Bytes of all packets sent.
    pub(super) bytes: AtomicU64,
    /// Files of which the content was sent.
    pub(super) files: AtomicU64,
    fault: Mutex<Option<context::Error>>,
    complaint: Mutex<Option<String>>,
}

impl Record {
    /// Keeps the first reason on our side why a transfer ended.
    pub(super) fn fail(&self, error: context::Error) {
        self.fault.lock().expect("no holder panics").get_or_insert(error);
    }

    /// Keeps what the engine had against a transfer.
    pub(super) fn complain(&self, words: String) {
        self.complaint.lock().expect("no holder panics").get_or_insert(words);
    }
}

impl Files {
    /// Offers a context and `extra` files (path, content) that only the Dockerfile's local
    /// has; `None` if a name is not UTF-8, which the protocol cannot say.
    pub(in super::super) fn offer(context: &context::Context, extra: Vec<(String, Vec<u8>)>) -> Option<Self> {
        Some(Self { tree: Arc::new(Tree::new(context, extra)?), record: Arc::default() })
    }

    /// Returns why the context could not be read, once.
    pub(in super::super) fn error(&self) -> Option<context::Error> {
        self.record.fault.lock().expect("no holder panics").take()
    }

    /// Returns why a build that failed might go well with the context sent another way:
    /// the engine never asked for it, or did not like how it was told.
    pub(in super::super) fn refusal(&self) -> Option<String> {
        if !self.record.called.load(Ordering::Relaxed) {
            return Some("it never asked for a file".to_owned());
        }
        let complaint = self.record.complaint.lock().expect("no holder panics").clone();
        // A transfer that is cut short because something else failed is no complaint.
        complaint.filter(|words| !words.contains("cancel") && !words.contains("no space left"))
    }

    /// Returns the bytes sent, and the files of which content was sent.
    pub(in super::super) fn sent(&self) -> (u64, u64) {
        (self.record.bytes.load(Ordering::Relaxed), self.record.files.load(Ordering::Relaxed))
    }

    /// Returns what is the same for all trees of which the engine may make this one.
    pub(super) fn identity(&self) -> Vec<u8> {
        self.tree.identity()
    }
}

#[tonic::async_trait]
impl FileSync for Files {
    type DiffCopyStream = Answers<Packet>;
    type TarStreamStream = Answers<Packet>;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Answer<Self::DiffCopyStream> {
        self.record.called.store(true, Ordering::Relaxed);
        let wish = Wish::read(request.metadata());
        tracing::debug!(?wish, "the engine asks for files");
        let selected = wish.select(&self.tree)?;
        let packets = send::send(self.tree.clone(), selected, self.record.clone(), request.into_inner());
        Ok(tonic::Response::new(Box::pin(packets)))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Answer<Self::TarStreamStream> {
        Err(Status::unimplemented("only DiffCopy is served"))
    }
}

#[cfg(test)]
mod receiver;
#[cfg(test)]
mod tests;
