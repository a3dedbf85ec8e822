//! What `coracle` and the helper say to each other.
//!
//! Frames of a length (`u32`, big-endian) and a body; a body is the number of the request that
//! it belongs to (`u32`) and a [`Request`] or an [`Answer`]. Every request is answered once, in
//! any order. The helper speaks first: [`Answer::Hello`], with the number 0.
//!
//! A batch is one [`Request::Sync`], then [`Request::Ops`] until all are told, then the contents
//! of its files in the order of the ops, one after the other without gaps, in any number of
//! [`Request::Data`]. When the last byte is there the batch is carried out, and answered. So
//! neither side ever holds more than a frame of it.

mod codec;
mod frames;
mod messages;

pub use codec::Malformed;
pub use frames::{Frames, Message, encode};
pub use messages::{Answer, Found, Kind, Node, Op, Process, Refusal, Request, Thing};

/// Changes with every change of the messages.
pub const VERSION: u32 = 1;
/// The longest body of a frame, in bytes.
pub const LONGEST: usize = 4 * 1024 * 1024;
/// How much of a file's content is best put into one [`Request::Data`], in bytes.
pub const PIECE: usize = 128 * 1024;
/// How many targets are best put into one [`Request::Look`], or ops into one [`Request::Ops`]:
/// with the longest paths that there are, a frame stays below [`LONGEST`].
pub const MANY: usize = 400;
