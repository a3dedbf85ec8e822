//! The engine's faults, told apart.

use std::path::PathBuf;
use std::time::Duration;

use miette::Diagnostic;

use super::super::endpoint::Endpoint;
use super::super::error::Cause;
use crate::error::{Classified, Kind};

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("no Docker engine at `{endpoint}` ({origin})")]
    #[diagnostic(code(coracle::engine::absent), help("{}", start_help()))]
    Absent {
        endpoint: String,
        origin: String,
        #[source]
        cause: Cause,
    },

    #[error("the Docker engine at `{endpoint}` ({origin}) does not accept connections")]
    #[diagnostic(code(coracle::engine::refused), help("{}", start_help()))]
    Refused {
        endpoint: String,
        origin: String,
        #[source]
        cause: Cause,
    },

    #[error("no permission to use the Docker engine at `{endpoint}` ({origin})")]
    #[diagnostic(
        code(coracle::engine::permission),
        help(
            "add yourself to the group that owns the socket: `sudo usermod -aG docker \"$USER\"`, then log in anew \
             (or `newgrp docker`)"
        )
    )]
    Permission {
        endpoint: String,
        origin: String,
        #[source]
        cause: Cause,
    },

    #[error("the Docker engine at `{endpoint}` ({origin}) did not answer within {} s", patience.as_secs())]
    #[diagnostic(
        code(coracle::engine::hung),
        help("it may still be starting; else restart it: `sudo systemctl restart docker`, or Docker Desktop's menu")
    )]
    Hung { endpoint: String, origin: String, patience: Duration },

    #[error("what answers at `{endpoint}` ({origin}) is no Docker engine")]
    #[diagnostic(
        code(coracle::engine::not_docker),
        help("check the address; `docker context ls` lists those that Docker knows")
    )]
    NoEngine { endpoint: String, origin: String },

    #[error("the Docker engine at `{endpoint}` ({origin}) could not be asked")]
    #[diagnostic(code(coracle::engine::failed), help("`docker info` asks the same"))]
    Failed {
        endpoint: String,
        origin: String,
        #[source]
        cause: Cause,
    },

    #[error("Docker context `{name}`, chosen by {chosen}, does not exist")]
    #[diagnostic(
        code(coracle::engine::unknown_context),
        help("these do: {known}; choose one with `docker context use NAME` or DOCKER_CONTEXT")
    )]
    UnknownContext { name: String, chosen: String, known: String },

    #[error("Docker's configuration `{}` could not be read", path.display())]
    #[diagnostic(code(coracle::engine::config), help("mend the file, or name the engine with DOCKER_HOST"))]
    Config {
        path: PathBuf,
        #[source]
        cause: Cause,
    },

    #[error("the Docker engine `{host}` ({origin}) is reached over ssh, which Coracle cannot use")]
    #[diagnostic(
        code(coracle::engine::ssh),
        help(
            "a cluster made there would open its ports on that machine's loopback, not on yours; choose an engine of \
             this machine (`docker context use default`), or run Coracle there"
        )
    )]
    Ssh { host: String, origin: String },

    #[error("the Docker engine's address `{host}` ({origin}) is of no kind that Coracle knows")]
    #[diagnostic(code(coracle::engine::address), help("it knows unix:///PATH and tcp://HOST:PORT"))]
    Scheme { host: String, origin: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Permission { .. } => Kind::Refused,
            Self::Absent { .. }
            | Self::Refused { .. }
            | Self::Hung { .. }
            | Self::NoEngine { .. }
            | Self::Failed { .. }
            | Self::UnknownContext { .. }
            | Self::Config { .. }
            | Self::Ssh { .. }
            | Self::Scheme { .. } => Kind::Absent,
        }
    }
}

fn start_help() -> &'static str {
    if cfg!(target_os = "macos") {
        "start it: `open -a Docker` (or `colima start`, `orb start`); `docker context ls` lists other engines"
    } else {
        "start it: `sudo systemctl start docker` (not installed: https://docs.docker.com/engine/install/); `docker \
         context ls` lists other engines"
    }
}

/// Returns why no connection came about.
pub(super) fn unreachable(endpoint: &Endpoint, error: &std::io::Error) -> Error {
    let (host, origin) = (endpoint.host.clone(), endpoint.source.clone());
    let cause = Cause::new(words(error));
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::Absent { endpoint: host, origin, cause },
        std::io::ErrorKind::PermissionDenied => Error::Permission { endpoint: host, origin, cause },
        std::io::ErrorKind::ConnectionRefused => Error::Refused { endpoint: host, origin, cause },
        std::io::ErrorKind::InvalidData => Error::NoEngine { endpoint: host, origin },
        _ => Error::Failed { endpoint: host, origin, cause },
    }
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => crate::error::chain(error),
    }
}

/// Returns the error of an engine that is connected but does not do its part.
pub(super) fn refused(endpoint: &Endpoint, error: &bollard::errors::Error) -> Error {
    Error::Failed {
        endpoint: endpoint.host.clone(),
        origin: endpoint.source.clone(),
        cause: Cause::new(cause_of(error)),
    }
}

/// Returns the cause's own words, without the library's around them.
pub(in crate::image) fn cause_of(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        bollard::errors::Error::DockerStreamError { error } => error.trim().to_owned(),
        other => crate::error::chain(other),
    }
}

/// Returns whether `text` is about a full disk.
pub(in crate::image) fn is_disk_full(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    // The kernel's words (ENOSPC, EDQUOT) and Go's and Python's names of them; apt's and SQLite's own.
    let signs = [
        "no space left on device",
        "disk quota exceeded",
        "enospc",
        "edquot",
        "not enough space on the disk",
        "enough free space in /",
        "database or disk is full",
    ];
    signs.iter().any(|sign| text.contains(sign))
}
