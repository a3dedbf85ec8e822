//! Objects of Kubernetes: rendered from the profile, compared, applied, watched, removed.
//!
//! Rendering and comparing are pure (`manifest.rs`, `raw.rs`, `compare.rs`); the rest talks to
//! one named cluster. `live.rs` reads, `apply.rs` and `remove.rs` write, `rollout.rs` watches.
//! What the watches have seen is plain data (`seen.rs`), and `explain/` reads from it why a
//! workload is not ready. Read [`object::Object`] first.

pub(crate) mod adjust;
pub(crate) mod apply;
mod backoff;
pub(crate) mod client;
pub(crate) mod compare;
pub(crate) mod debug;
mod error;
pub(crate) mod events;
pub(crate) mod explain;
mod leftover;
pub(crate) mod listening;
pub(crate) mod live;
pub(crate) mod logs;
pub(crate) mod manifest;
pub(crate) mod object;
pub(crate) mod pick;
pub(crate) mod raw;
pub(crate) mod release;
pub(crate) mod remote;
pub(crate) mod remove;
mod request;
pub(crate) mod rollout;
pub(crate) mod seen;
pub(crate) mod status;
#[cfg(test)]
mod testing;
pub(crate) mod top;
pub(crate) mod usage;

pub(crate) use error::Error;
#[cfg(test)]
pub(crate) use error::Words;
