//! Frames: cut out of a stream that comes in pieces.

use super::codec::{Malformed, Wire};
use super::{Answer, LONGEST, Request};

/// Returns the frame of a message.
#[must_use]
pub fn encode(number: u32, message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0; 4];
    number.put(&mut frame);
    message.write(&mut frame);
    let length = u32::try_from(frame.len() - 4).expect("messages are shorter than 4 GiB");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A [`Request`] or an [`Answer`].
pub trait Message: Sized {
    /// Appends the message.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads a message that fills `body`.
    fn read(body: &[u8]) -> Result<Self, Malformed>;
}

macro_rules! messages {
    ($($message:ty),*) => {$(
        impl Message for $message {
            fn write(&self, out: &mut Vec<u8>) {
                self.put(out);
            }
            fn read(mut body: &[u8]) -> Result<Self, Malformed> {
                let message = Self::take(&mut body)?;
                if body.is_empty() { Ok(message) } else { Err(Malformed("it has more than it should")) }
            }
        }
    )*};
}
messages!(Request, Answer);

/// What has arrived and is not read yet.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// How much of it has been read.
    read: usize,
}

impl Frames {
    /// Takes what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        } else if self.read > LONGEST {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next message and its number, if all of it is there.
    pub fn message<M: Message>(&mut self) -> Result<Option<(u32, M)>, Malformed> {
        let waiting = &self.bytes[self.read..];
        let Some(length) = waiting.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST {
            return Err(Malformed("a frame is too long"));
        }
        let Some(mut body) = waiting.get(4..4 + length) else { return Ok(None) };
        let number = u32::take(&mut body)?;
        let message = M::read(body)?;
        self.read += 4 + length;
        Ok(Some((number, message)))
    }

    /// Returns whether nothing is left over: the stream may end here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Found, Kind, Node, Op, Process, Refusal, Thing};
    use super::*;

    fn path() -> impl Strategy<Value = std::path::PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| std::ffi::OsString::from_vec(bytes).into())
    }

    fn node() -> impl Strategy<Value = Node> {
        let thing = prop_oneof![
            Just(Thing::Folder),
            Just(Thing::Other),
            path().prop_map(Thing::Link),
            (any::<[u8; 32]>(), any::<u64>()).prop_map(|(digest, size)| Thing::File { digest, size }),
        ];
        (any::<u32>(), thing).prop_map(|(mode, thing)| Node { mode, thing })
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            path().prop_map(|target| Op::Remove { target }),
            (path(), node()).prop_map(|(target, node)| Op::Put { target, node }),
        ]
    }

    fn request() -> impl Strategy<Value = Request> {
        let many = proptest::collection::vec(path(), 0..5);
        prop_oneof![
            (".*", many).prop_map(|(container, targets)| Request::Look { container, targets }),
            (".*", any::<u32>()).prop_map(|(container, ops)| Request::Sync { container, ops }),
            proptest::collection::vec(op(), 0..5).prop_map(Request::Ops),
            proptest::collection::vec(any::<u8>(), 0..50).prop_map(Request::Data),
            ".*".prop_map(|container| Request::Restart { container }),
            Just(Request::Withdraw),
            Just(Request::Leave),
        ]
    }

    fn answer() -> impl Strategy<Value = Answer> {
        let process = (any::<u32>(), proptest::collection::vec(any::<Vec<u8>>(), 0..3), any::<bool>())
            .prop_map(|(pid, argv, reloads)| Process { pid, argv, reloads });
        prop_oneof![
            proptest::collection::vec(proptest::option::of(node()), 0..5).prop_map(Answer::Looked),
            (path(), ".*", any::<bool>()).prop_map(|(path, words, partly)| {
                Answer::Refused(Refusal { path, kind: Kind::ReadOnly, words, partly })
            }),
            proptest::collection::vec(process, 0..3).prop_map(Answer::Processes),
            any::<u32>().prop_map(|pid| Answer::Found(Found { pid, supervised: true })),
        ]
    }

    proptest! {
        #[test]
        fn messages_arrive_as_they_were_sent_however_the_stream_is_cut(
            sent in proptest::collection::vec((any::<u32>(), request()), 1..6), cut in 1_usize..40,
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|(number, request)| encode(*number, request)).collect();
            let (mut frames, mut arrived) = (Frames::default(), Vec::new());
            for piece in stream.chunks(cut) {
                frames.push(piece);
                while let Some(message) = frames.message::<Request>().unwrap() {
                    arrived.push(message);
                }
            }
            prop_assert!(frames.is_empty());
            prop_assert_eq!(arrived, sent);
        }

        #[test]
        fn answers_arrive_as_they_were_sent(sent in answer()) {
            let mut frames = Frames::default();
            frames.push(&encode(7, &sent));
            prop_assert_eq!(frames.message::<Answer>().unwrap(), Some((7, sent)));
        }

        /// Whatever comes is a message, an incomplete one or an error: never a panic, and no
        /// memory for lengths that are only claimed.
        #[test]
        fn bytes_of_any_kind_are_borne(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), honest in any::<bool>()) {
            if honest && bytes.len() >= 4 {
                let length = u32::try_from(bytes.len() - 4).unwrap();
                bytes[..4].copy_from_slice(&length.to_be_bytes());
            }
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(_)) = frames.message::<Request>() {}
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_arrives() {
        let mut frames = Frames::default();
        frames.push(&u32::MAX.to_be_bytes());
        assert_eq!(frames.message::<Request>(), Err(Malformed("a frame is too long")));
    }
}
