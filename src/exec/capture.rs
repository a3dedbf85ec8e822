//! A process's output: read line by line, kept within bounds.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::ui::sanitize;

/// How much is kept of each end.
const KEPT: usize = 256 * 1024;
/// A longer line is told in pieces.
const LINE: usize = 16 * 1024;

/// The first and the last 256 KiB of a stream.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    first: Vec<u8>,
    last: VecDeque<u8>,
    left_out: usize,
}

impl Bounded {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(KEPT - self.first.len()));
        self.first.extend_from_slice(head);
        self.last.extend(rest);
        let over = self.last.len().saturating_sub(KEPT);
        self.last.drain(..over);
        self.left_out += over;
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.first;
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n… {} bytes left out …\n", self.left_out).as_bytes());
        }
        bytes.extend(self.last);
        bytes
    }
}

/// Reads a stream to its end into `kept`, telling each line, sanitised.
pub(super) async fn read(
    stream: Option<impl AsyncRead + Unpin>,
    kept: &mut Bounded,
    on_line: &mut (dyn FnMut(&str) + Send),
) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 8 * 1024];
    let mut line = Vec::new();
    let mut tell = |line: &mut Vec<u8>| {
        let text = sanitize::line(&String::from_utf8_lossy(line));
        if !text.trim().is_empty() {
            on_line(text.trim_end());
        }
        line.clear();
    };
    // A pipe that breaks is a pipe that ended: the exit status tells what happened.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.push(&buffer[..count]);
        for &byte in &buffer[..count] {
            if byte == b'\n' || byte == b'\r' || line.len() >= LINE {
                tell(&mut line);
            }
            if byte != b'\n' && byte != b'\r' {
                line.push(byte);
            }
        }
    }
    tell(&mut line);
}
