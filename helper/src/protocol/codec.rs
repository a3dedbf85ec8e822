//! How values become bytes: numbers big-endian, what has a length after a `u32` that says it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Bytes that are no message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "what arrived is not of this protocol: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A value that can be sent.
pub(super) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    /// Takes the value off the front.
    fn take(from: &mut &[u8]) -> Result<Self, Malformed>;
}

fn cut<'a>(from: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (front, rest) = from.split_at_checked(length).ok_or(Malformed("it ends too early"))?;
    *from = rest;
    Ok(front)
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
                let bytes = cut(from, size_of::<Self>())?;
                Ok(Self::from_be_bytes(bytes.try_into().expect("as many as were asked for")))
            }
        }
    )*};
}
numbers!(u8, u32, u64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }
}

impl Wire for [u8; 32] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(cut(from, 32)?.try_into().expect("as many as were asked for"))
    }
}

/// A run of bytes; a newtype, so that it is not sent as a list of numbers.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        u32::try_from(self.0.len()).expect("a frame's part is short").put(out);
        out.extend_from_slice(self.0);
    }
    pub(super) fn take(from: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
        let length = u32::take(from)? as usize;
        Ok(cut(from, length)?.to_vec())
    }
}

impl Wire for PathBuf {
    fn put(&self, out: &mut Vec<u8>) {
        Bytes(self.as_os_str().as_bytes()).put(out);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(OsString::from_vec(Bytes::take(from)?).into())
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        Bytes(self.as_bytes()).put(out);
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        Self::from_utf8(Bytes::take(from)?).map_err(|_| Malformed("words that are no text"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        u32::try_from(self.len()).expect("a frame's part is short").put(out);
        for value in self {
            value.put(out);
        }
    }
    fn take(from: &mut &[u8]) -> Result<Self, Malformed> {
        let length = u32::take(from)?;
        // Nothing is reserved for a length that was only claimed.
        let mut values = Self::new();
        for _ in 0..length {
            values.push(T::take(from)?);
        }
        Ok(values)
    }
}
