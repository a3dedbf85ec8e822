//! Coracle takes a folder of services from a laptop to a cluster. This page is its map.
//!
//! Every verb flows one way, `profile → observe → plan → execute → report`:
//!
//! 1. [`cli`] reads arguments and surroundings (the only code that does) and finds the
//!    [`profile`]: what is wanted, checked as a whole, every default filled in.
//! 2. [`observe`] asks every area what is there: build contexts and secrets on disk, images in
//!    the engine and on the nodes, objects in the cluster. It reads only.
//! 3. [`plan`] compares the two and says what would change: a graph of actions, plain data, no
//!    I/O. `--dry-run` prints it, tests snapshot it.
//! 4. [`execute`] runs the actions, whatever is independent at the same time: one `match` from
//!    an action to a function of [`cluster`], [`image`] or [`deploy`], the areas that talk to
//!    daemons. [`converge`](mod@converge) goes round these three until nothing is left to do.
//! 5. [`ui`] words and draws what happens ([`event`]), what went wrong ([`error`]) and the answer.
//!
//! The cluster is the state: what must be found again is a label, a mount or a mark on the thing
//! itself. The laptop keeps private kubeconfigs, locks that the kernel drops, and caches.
//!
//! [`init`] is beside that way: it makes a profile of what a folder has, for somebody who has none.
//!
//! [`exec`] is the one place that starts a process, [`trust`] guards those that a profile asks for.

mod browser;
mod check;
mod cli;
mod cluster;
mod converge;
mod deploy;
mod dev;
mod error;
mod event;
mod exec;
mod execute;
mod explain;
mod image;
mod init;
mod observe;
mod plan;
mod ports;
mod profile;
mod session;
mod trust;
mod ui;

use std::process::ExitCode;

/// Runs the command that the process's arguments ask for and returns its exit code.
pub fn run() -> ExitCode {
    ExitCode::from(cli::run())
}
