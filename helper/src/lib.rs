//! What Coracle runs beside the user's containers, so that a saved file is in them at once.
//!
//! One program, two commands. `serve` runs in a node: it takes [`protocol`] messages on its
//! standard input and writes into containers through their root as the kernel shows it, so it
//! needs nothing of the image (no shell, no tar, no user). `supervise` runs in a container as
//! its first process and starts the service's own program, again whenever it is asked to.
//!
//! The program is static, so it runs in any image. The `coracle` binary carries it and uses
//! [`protocol`] to talk to it; both are always of the same version.

pub mod protocol;
#[cfg(target_os = "linux")]
pub mod serve;
#[cfg(target_os = "linux")]
pub mod supervise;
