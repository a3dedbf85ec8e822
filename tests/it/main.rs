//! The binary without Docker and without a cluster: help, profiles, messages, exit codes.
#![cfg(test)]

mod help;
mod init;
mod messages;
mod profiles;
mod readme;
mod sandbox;
