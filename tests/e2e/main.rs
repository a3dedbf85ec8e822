//! The binary on real kind clusters: what a user would do, and what they would see.
//!
//! `scripts/test e2e` runs these; they are ignored by default, as they need Docker and
//! kind. [`sandbox::Sandbox`] is the type to read first: a home, a kubeconfig and a cluster
//! of the tests' own. The tests take turns, whatever `--test-threads` says, because most of
//! them share one cluster. Clusters are gone when the run ends, also one that was killed.
#![cfg(test)]

mod checks;
mod concurrent;
mod dev;
mod disk;
mod engine;
mod explained;
mod folders;
mod http;
mod images;
mod init;
mod interrupted;
mod killed;
mod kubernetes;
mod memory;
mod node;
mod nodes;
mod process;
mod profiles;
mod quick;
mod random;
mod receiver;
mod refused;
mod rollout;
mod sandbox;
mod service;
mod snapshot;
mod soak;
mod tree;
