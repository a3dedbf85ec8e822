//! Received blobs: hashed while they arrive, small ones in memory, the others in unnamed
//! files of the cache folder, which the system removes whatever becomes of this process.
//!
//! The folder for temporary files is not used: it is often memory itself.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use super::super::super::digest;

/// Bytes of one blob that stay in memory.
const IN_MEMORY: usize = 8 << 20;
/// Bytes of all blobs together that stay in memory: a hundred small layers are not small.
const IN_MEMORY_ALL: usize = 32 << 20;
/// Bytes that are written to a file at once.
const PIECE: usize = 512 << 10;

/// Where blobs go, and how much memory they have taken. Cheap to clone.
#[derive(Debug, Clone)]
pub(in super::super) struct Scratch {
    folder: PathBuf,
    taken: Arc<AtomicUsize>,
    most: usize,
}

impl Scratch {
    /// `folder` is made when a blob needs a file.
    pub(in super::super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), taken: Arc::default(), most: IN_MEMORY_ALL }
    }

    #[cfg(test)]
    pub(super) fn with_memory(self, most: usize) -> Self {
        Self { most, ..self }
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = |all: usize| Some(all + bytes).filter(|all| *all <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    fn file(&self) -> std::io::Result<File> {
        super::super::known::make_private(&self.folder)?;
        tempfile::tempfile_in(&self.folder)
    }
}

/// A part of the memory that blobs may take; given back when dropped.
#[derive(Debug)]
struct Share {
    scratch: Scratch,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.bytes + bytes <= IN_MEMORY && self.scratch.take(bytes);
        self.bytes += if grown { bytes } else { 0 };
        grown
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.scratch.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A received blob, verified against its digest. Cheap to clone.
#[derive(Debug, Clone)]
pub(in super::super) struct Blob(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    length: u64,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Memory { bytes: Vec<u8>, _share: Share },
    File(Arc<File>),
}

impl Blob {
    #[cfg(test)]
    pub(in super::super) fn of(bytes: &[u8]) -> Self {
        let share = Share { scratch: Scratch::new(Path::new("/nonexistent")), bytes: 0 };
        Self(Arc::new(Kept { length: bytes.len() as u64, data: Data::Memory { bytes: bytes.to_vec(), _share: share } }))
    }

    /// Bytes.
    pub(in super::super) fn len(&self) -> u64 {
        self.0.length
    }

    /// Returns a reader from its start. Blobs may be read several times, by several nodes
    /// at once.
    #[expect(clippy::unnecessary_wraps, reason = "a file may need opening, where it cannot be shared")]
    pub(in super::super) fn reader(&self) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Reader { kept: Arc::clone(&self.0), at: 0 }))
    }
}

struct Reader {
    kept: Arc<Kept>,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = match &self.kept.data {
            Data::Memory { bytes, .. } => {
                let start = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[start..]).read(buffer)?
            }
            Data::File(file) => file.read_at(buffer, self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// A blob that arrives.
#[derive(Debug)]
pub(super) struct Upload {
    hasher: Sha256,
    length: u64,
    /// In memory, or what the file does not have yet.
    bytes: Vec<u8>,
    file: Option<Arc<File>>,
    share: Share,
    /// A write was begun and not seen to end: what the file holds is not known.
    torn: bool,
}

impl Upload {
    pub(super) fn new(scratch: &Scratch) -> Self {
        Self {
            hasher: Sha256::new(),
            length: 0,
            bytes: Vec::new(),
            file: None,
            share: Share { scratch: scratch.clone(), bytes: 0 },
            torn: false,
        }
    }

    /// Bytes that have arrived.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    pub(super) async fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        if self.torn {
            return Err(std::io::Error::other("an earlier part was cut short"));
        }
        self.hasher.update(chunk);
        self.length += chunk.len() as u64;
        self.bytes.extend_from_slice(chunk);
        if self.file.is_none() && !self.share.grow(chunk.len()) {
            let scratch = self.share.scratch.clone();
            self.share = Share { scratch: scratch.clone(), bytes: 0 };
            self.file = Some(Arc::new(scratch.file()?));
        }
        if self.file.is_some() && self.bytes.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Writes what waits into the file.
    async fn flush(&mut self) -> std::io::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let bytes = std::mem::take(&mut self.bytes);
        let at = self.length - bytes.len() as u64;
        // A caller that is dropped in the wait leaves the mark.
        self.torn = true;
        let write = tokio::task::spawn_blocking(move || file.write_all_at(&bytes, at).map(|()| bytes));
        let mut bytes = write.await.map_err(std::io::Error::other)??;
        bytes.clear();
        // What was kept in memory before there was a file.
        bytes.shrink_to(PIECE);
        self.bytes = bytes;
        self.torn = false;
        Ok(())
    }

    /// Returns the blob and its digest (`sha256:…`).
    pub(super) async fn finish(mut self) -> std::io::Result<(String, Blob)> {
        if self.torn {
            return Err(std::io::Error::other("an earlier part was cut short"));
        }
        self.flush().await?;
        let digest = digest::finished(self.hasher);
        let data = match self.file {
            Some(file) => Data::File(file),
            None => Data::Memory { bytes: self.bytes, _share: self.share },
        };
        Ok((digest, Blob(Arc::new(Kept { length: self.length, data }))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(scratch: &Scratch, bytes: &[u8]) -> (String, Blob) {
        let mut upload = Upload::new(scratch);
        for chunk in bytes.chunks(100_000) {
            upload.write(chunk).await.unwrap();
        }
        upload.finish().await.unwrap()
    }

    fn read(blob: &Blob) -> Vec<u8> {
        let mut bytes = Vec::new();
        blob.reader().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn small_blobs_stay_in_memory_and_large_ones_do_not() {
        let cache = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(cache.path());
        let large: Vec<u8> = (0..IN_MEMORY + 12_345).map(|at| u8::try_from(at % 251).unwrap()).collect();

        let (digest, blob) = received(&scratch, b"hello").await;
        assert_eq!(digest, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!((blob.len(), read(&blob)), (5, b"hello".to_vec()));
        assert!(matches!(blob.0.data, Data::Memory { .. }));

        let (digest, blob) = received(&scratch, &large).await;
        assert_eq!(digest, digest::sha256(&large));
        assert!(matches!(blob.0.data, Data::File(_)));
        // Twice and in step, as two nodes read it.
        let (mut one, mut two) = (blob.reader().unwrap(), blob.reader().unwrap());
        let (mut first, mut second) = (vec![0; large.len()], vec![0; large.len()]);
        for (first, second) in first.chunks_mut(65_000).zip(second.chunks_mut(65_000)) {
            one.read_exact(first).unwrap();
            two.read_exact(second).unwrap();
        }
        assert!(first == large && second == large);
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "the file has a name");
    }

    #[tokio::test]
    async fn all_blobs_together_take_bounded_memory() {
        let cache = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(cache.path()).with_memory(250_000);
        let bytes = vec![7; 200_000];
        let (_, first) = received(&scratch, &bytes).await;
        let (_, second) = received(&scratch, &bytes).await;
        assert!(matches!(first.0.data, Data::Memory { .. }));
        assert!(matches!(second.0.data, Data::File(_)));
        assert!(read(&second) == bytes);
        drop(first);
        assert_eq!(scratch.taken.load(Ordering::Relaxed), 0);
        let (_, third) = received(&scratch, &bytes).await;
        assert!(matches!(third.0.data, Data::Memory { .. }), "memory was not given back");
    }
}
