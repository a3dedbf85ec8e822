//! Leaves blobs out of an image layout while it streams by.
//!
//! It takes chunks of any size, keeps at most a header and what extends it, and passes on what
//! it does not understand. Only `blobs/sha256/…` entries are ever left out.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes, BytesMut};

const BLOCK: usize = 512;
/// How long an extended header may be before it is passed on unread.
const EXTENSION: u64 = 1024 * 1024;

/// The state between two chunks.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Digests of what is left out: `sha256:…`.
    without: BTreeSet<String>,
    /// An incomplete header, or an extension that is being read.
    head: BytesMut,
    /// Extended headers that belong to the next entry.
    extensions: Vec<Bytes>,
    state: State,
    /// Bytes that were left out.
    pub(super) left_out: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    /// Bytes of an entry's content and padding that are still to come.
    Pass(u64),
    Drop(u64),
    /// Bytes of an extension that are still to come.
    Extension(u64),
    /// The archive's end, or nothing that could be understood: all passes.
    Rest,
}

impl Filter {
    pub(super) fn new(without: BTreeSet<String>) -> Self {
        let state = if without.is_empty() { State::Rest } else { State::Header };
        Self { without, state, ..Self::default() }
    }

    /// Takes a chunk and returns what is to be passed on, in order.
    pub(super) fn take(&mut self, mut chunk: Bytes) -> Vec<Bytes> {
        let mut passed = Vec::new();
        while !chunk.is_empty() {
            match self.state {
                State::Rest => passed.push(std::mem::take(&mut chunk)),
                State::Pass(left) => {
                    let part = chunk.split_to(part(left, chunk.len()));
                    self.state = next(left - part.len() as u64, State::Pass);
                    passed.push(part);
                }
                State::Drop(left) => {
                    let count = part(left, chunk.len());
                    chunk.advance(count);
                    self.left_out += count as u64;
                    self.state = next(left - count as u64, State::Drop);
                }
                State::Extension(left) => {
                    let part = chunk.split_to(part(left, chunk.len()));
                    self.head.extend_from_slice(&part);
                    self.state = next(left - part.len() as u64, State::Extension);
                    if self.state == State::Header {
                        self.extensions.push(self.head.split().freeze());
                    }
                }
                State::Header => {
                    let part = chunk.split_to((BLOCK - self.head.len()).min(chunk.len()));
                    self.head.extend_from_slice(&part);
                    if self.head.len() == BLOCK {
                        let block = self.head.split().freeze();
                        self.header(block, &mut passed);
                    }
                }
            }
        }
        passed
    }

    /// Returns what is still kept when the stream has ended; an archive that is whole leaves
    /// nothing.
    pub(super) fn end(&mut self) -> Vec<Bytes> {
        let head = self.head.split().freeze();
        let kept = std::mem::take(&mut self.extensions).into_iter().chain([head]);
        kept.filter(|bytes| !bytes.is_empty()).collect()
    }

    fn header(&mut self, block: Bytes, passed: &mut Vec<Bytes>) {
        let header = tar::Header::from_byte_slice(&block);
        let kind = header.entry_type();
        let extends = kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink();
        let readable = is_sound(&block) && self.extensions.len() < 8;
        let size = header.entry_size().ok().filter(|_| readable);
        let Some(size) = size.filter(|size| !extends || *size <= EXTENSION) else {
            // Two empty blocks are the end; anything else is not for this filter to judge.
            passed.append(&mut self.extensions);
            passed.push(block);
            self.state = State::Rest;
            return;
        };
        let padded = size.next_multiple_of(BLOCK as u64);
        if extends {
            self.head.extend_from_slice(&block);
            self.state = next(padded, State::Extension);
            if self.state == State::Header {
                self.extensions.push(self.head.split().freeze());
            }
            return;
        }
        // An extension may say another name or size: such an entry is not one of the engine's blobs.
        let renamed = self.extensions.iter().any(|extension| says(extension, &[b"path"]));
        let resized = self.extensions.iter().any(|extension| says(extension, &[b"size"]));
        if !renamed && !resized && kind.is_file() && self.leaves_out(&header.path_bytes()) {
            self.left_out += BLOCK as u64;
            self.extensions.clear();
            self.state = next(padded, State::Drop);
        } else {
            passed.append(&mut self.extensions);
            passed.push(block);
            self.state = if resized { State::Rest } else { next(padded, State::Pass) };
        }
    }

    fn leaves_out(&self, path: &[u8]) -> bool {
        let path = std::str::from_utf8(path).unwrap_or_default();
        let hex = path.strip_prefix("./").unwrap_or(path).strip_prefix("blobs/sha256/");
        hex.is_some_and(|hex| self.without.contains(&format!("sha256:{hex}")))
    }
}

/// Returns whether an extended header says, or may say, one of these of its entry. GNU's are
/// about names alone.
fn says(extension: &[u8], keys: &[&[u8]]) -> bool {
    let header = tar::Header::from_byte_slice(&extension[..BLOCK]);
    if !header.entry_type().is_pax_local_extensions() {
        return keys.contains(&&b"path"[..]);
    }
    let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let content = extension.get(BLOCK..BLOCK + size).unwrap_or_default();
    tar::PaxExtensions::new(content).any(|pair| pair.map_or(true, |pair| keys.contains(&pair.key_bytes())))
}

/// Returns whether a block is a header: its sum is right. An empty block is none.
fn is_sound(block: &[u8]) -> bool {
    let header = tar::Header::from_byte_slice(block);
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let spaces = 8 * u32::from(b' ');
    header.cksum().is_ok_and(|stated| stated == sum(&block[..148]) + spaces + sum(&block[156..]))
}

fn part(left: u64, there: usize) -> usize {
    usize::try_from(left).unwrap_or(there).min(there)
}

fn next(left: u64, state: fn(u64) -> State) -> State {
    if left == 0 { State::Header } else { state(left) }
}

#[cfg(test)]
mod tests;
