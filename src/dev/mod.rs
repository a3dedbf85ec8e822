//! `coracle dev`: a saved file runs in its container before anybody has looked up.
//!
//! The work is cut so that all judgement is pure. [`machine`] is a state machine: it takes
//! [`machine::Input`]s (a file changed, a container came, a batch was taken) and answers with
//! [`machine::Effect`]s (read these files, send this batch, build that service). It knows no
//! clock, disk or cluster, so a simulation can put it through storms that nobody could type.
//! `session` is the only loop: it carries effects out and brings their results back as inputs.
//!
//! File events are hints; the digests of what a container was seen to hold decide.

pub(crate) mod agent;
pub(crate) mod bring;
pub(crate) mod decide;
pub(crate) mod hook;
pub(crate) mod infer;
pub(crate) mod local;
pub(crate) mod machine;
pub(crate) mod passing;
pub(crate) mod pods;
pub(crate) mod rules;
pub(crate) mod scan;
pub(crate) mod session;
pub(crate) mod shown;
pub(crate) mod sieve;
pub(crate) mod tree;
pub(crate) mod watch;
