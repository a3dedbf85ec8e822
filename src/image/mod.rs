//! Images: what goes into one, building it, and getting it onto the nodes.
//!
//! Read [`engine::Engine`] first: `endpoint` finds it, `wire` speaks to it where bollard
//! cannot (a streamed build with a session of our own, an export for one platform), and
//! `build`, `pull` and `load` have it work. `reference`, `ignore`, `context`, `dockerfile`
//! and `tag` never talk to it.

pub(crate) mod build;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod digest;
pub(crate) mod dockerfile;
pub(crate) mod endpoint;
pub(crate) mod engine;
mod error;
pub(crate) mod ignore;
pub(crate) mod load;
pub(crate) mod own;
pub(crate) mod pull;
pub(crate) mod reference;
pub(crate) mod session;
pub(crate) mod sweep;
pub(crate) mod tag;
mod wire;

pub(crate) use error::Error;
