//! The Docker engine: connected, asked, and its faults told apart.
//!
//! Absent, forbidden, refusing and hung are four messages, because they have four mends.
//! Nothing here starts or restarts an engine.

mod exec;
mod fault;

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::query_parameters::TagImageOptionsBuilder;
use futures_util::future::join_all;

pub(super) use exec::{Attached, Input};
pub(crate) use exec::{Ran, keep_last};
pub(crate) use fault::Error;
pub(super) use fault::{cause_of, is_disk_full};

use super::endpoint::{self, Endpoint};
use super::error::Cause;
use super::sweep::survey;
use super::{reference, wire};
use crate::session::Session;

/// How long an engine may take for its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(5);
/// How long it may take for a question about images.
const ANSWER: Duration = Duration::from_secs(120);

/// A connected engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) docker: bollard::Docker,
    pub(crate) endpoint: Endpoint,
    /// The newest API that the engine speaks: `(1, 51)`.
    pub(crate) api: (u32, u32),
    /// Builds go to `BuildKit`; false: the classic builder is all that there is.
    pub(crate) buildkit: bool,
    /// Shells in its nodes.
    pub(crate) nodes: super::load::Nodes,
}

/// What the engine knows of an image that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalImage {
    /// `sha256:…` of its configuration (or, in the containerd store, of its manifest).
    pub(crate) id: String,
    /// `amd64`.
    pub(crate) architecture: String,
    /// TCP ports of its EXPOSE, base images included; sorted.
    pub(crate) exposed: Vec<u16>,
    /// Its ENTRYPOINT; empty if it has none.
    pub(crate) entrypoint: Vec<String>,
    /// Its CMD; empty if it has none.
    pub(crate) command: Vec<String>,
    /// `NAME=value`, base images included.
    pub(crate) environment: Vec<String>,
    /// Its STOPSIGNAL, such as `SIGQUIT` or `3`.
    pub(crate) stop_signal: Option<String>,
    /// Bytes.
    pub(crate) size: u64,
    /// Digests of its layers, uncompressed, base first.
    pub(crate) diff_ids: Vec<String>,
    /// It is in containerd's store: with its own compressed layers, and the digest of its
    /// manifest or index as id; false: in the classic one (overlay2).
    pub(crate) in_containerd: bool,
}

impl LocalImage {
    /// Whether a container of it runs something without being told what.
    pub(crate) fn has_command(&self) -> bool {
        !self.entrypoint.is_empty() || !self.command.is_empty()
    }
}

/// Connects to the engine: at most 5 s, then the reason (absent, no permission, hung).
pub(crate) async fn connect(session: &Session) -> Result<Engine, Error> {
    let endpoint = endpoint::resolve(&session.surroundings)?;
    if let Some(notice) = &endpoint.notice {
        session.events.warn(notice.clone());
    }
    connect_to(endpoint, FIRST_ANSWER).await
}

pub(super) async fn connect_to(endpoint: Endpoint, patience: Duration) -> Result<Engine, Error> {
    let hung = || Error::Hung { endpoint: endpoint.host.clone(), origin: endpoint.source.clone(), patience };
    tokio::time::timeout(patience, probe(&endpoint)).await.unwrap_or_else(|_| Err(hung()))
}

async fn probe(endpoint: &Endpoint) -> Result<Engine, Error> {
    let ping = wire::get(endpoint, "/_ping").await;
    let ping = ping.map_err(|error| fault::unreachable(endpoint, &error))?;
    let header = |name: &str| ping.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(api) = header("api-version").as_deref().and_then(parse_api) else {
        return Err(Error::NoEngine { endpoint: endpoint.host.clone(), origin: endpoint.source.clone() });
    };
    // Podman answers like Docker but builds without BuildKit; so do engines before 18.09.
    let buildkit = header("libpod-api-version").is_none() && api >= (1, 39);
    let docker = client(endpoint)?;
    Ok(Engine { docker, endpoint: endpoint.clone(), api, buildkit, nodes: super::load::Nodes::default() })
}

fn client(endpoint: &Endpoint) -> Result<bollard::Docker, Error> {
    let (host, seconds, version) = (&endpoint.host, ANSWER.as_secs(), bollard::API_DEFAULT_VERSION);
    match (&endpoint.certificates, endpoint.socket()) {
        (_, Some(_)) => bollard::Docker::connect_with_unix(host, seconds, version),
        (Some(folder), None) => bollard::Docker::connect_with_ssl(
            &format!("tcp://{}", endpoint.authority()),
            &folder.join("key.pem"),
            &folder.join("cert.pem"),
            &folder.join("ca.pem"),
            seconds,
            version,
        ),
        (None, None) => {
            bollard::Docker::connect_with_http(&format!("http://{}", endpoint.authority()), seconds, version)
        }
    }
    .map_err(|error| fault::refused(endpoint, &error))
}

fn parse_api(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns Go's name of a machine that the kernel calls `name`, as image platforms use it.
pub(crate) fn go_architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "aarch64" | "arm64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
}

#[cfg(test)]
impl Engine {
    /// Returns an engine at `host` (`unix://…`, `tcp://…`) that was never asked what it is.
    pub(crate) fn unasked(host: &str) -> Self {
        let endpoint =
            Endpoint { host: host.to_owned(), certificates: None, source: "a test".to_owned(), notice: None };
        Self {
            docker: client(&endpoint).expect("an endpoint without certificates"),
            endpoint,
            api: (1, 51),
            buildkit: true,
            nodes: super::load::Nodes::default(),
        }
    }
}

impl Engine {
    /// Whether 127.0.0.1 is the same for the engine and for us, so that it can push to a port of
    /// ours. One in a virtual machine or with a network of its own is found out by trying.
    pub(crate) fn shares_loopback(&self) -> bool {
        self.endpoint.socket().is_some() && cfg!(target_os = "linux")
    }

    /// Returns what an image for this engine's nodes must be: `amd64`. Takes a tenth of a second.
    pub(crate) async fn architecture(&self) -> Result<String, super::Error> {
        match self.docker.info().await {
            Ok(info) => Ok(go_architecture(info.architecture.as_deref().unwrap_or("x86_64")).to_owned()),
            Err(error) => Err(self.failed("asking the engine what it is".to_owned(), &error).await),
        }
    }

    /// Returns what the engine has of `names`, by name; absent ones are left out.
    pub(crate) async fn local_images(&self, names: &[String]) -> Result<BTreeMap<String, LocalImage>, super::Error> {
        let asked = names.iter().map(async |name| (name, self.docker.inspect_image(name).await));
        let mut images = BTreeMap::new();
        for (name, answer) in join_all(asked).await {
            match answer {
                Ok(image) => drop(images.insert(name.clone(), local_image(&image))),
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => return Err(self.failed(format!("looking for image `{name}`"), &error).await),
            }
        }
        Ok(images)
    }

    /// Gives the image `source` the further name `target` (`REPOSITORY:TAG`).
    pub(crate) async fn tag(&self, source: &str, target: &str) -> Result<(), super::Error> {
        let (repository, tag) = reference::repository_and_tag(target);
        let options = TagImageOptionsBuilder::default().repo(&repository).tag(&tag).build();
        match self.docker.tag_image(source, Some(options)).await {
            Ok(()) => Ok(()),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                Err(super::Error::NotLocal { image: source.to_owned() })
            }
            Err(error) => Err(self.failed(format!("naming image `{source}` `{target}`"), &error).await),
        }
    }

    /// Returns an error of the engine's as ours: lost, disk full, or its own words.
    pub(super) async fn failed(&self, what: String, error: &bollard::errors::Error) -> super::Error {
        let cause = cause_of(error);
        let said = matches!(
            error,
            bollard::errors::Error::DockerResponseServerError { .. } | bollard::errors::Error::DockerStreamError { .. }
        );
        if said { self.said(what, &cause).await } else { self.lost(what, cause) }
    }

    /// Returns what the engine said went wrong as an error of ours.
    pub(super) async fn said(&self, what: String, text: &str) -> super::Error {
        if is_disk_full(text) {
            // Boxed: what it asks may itself meet the full disk.
            let reclaimable = Box::pin(survey::reclaimable(self)).await;
            return super::Error::DiskFull { what, reclaimable, cause: Cause::new(text) };
        }
        super::Error::Engine { what, cause: Cause::new(text) }
    }

    pub(super) fn lost(&self, what: String, cause: impl AsRef<str>) -> super::Error {
        super::Error::EngineLost { what, endpoint: self.endpoint.host.clone(), cause: Cause::new(cause) }
    }
}

/// The store is not asked for: `/info` tells it too, but takes a tenth of a second. An engine
/// with containerd's describes the image's target since API 1.48, and names a snapshotter of
/// containerd's where a classic one names its driver.
fn in_containerd(image: &ImageInspect) -> bool {
    let driver = image.graph_driver.as_ref().map(|driver| driver.name.as_str());
    image.descriptor.is_some() || matches!(driver, None | Some("" | "overlayfs" | "native" | "stargz" | "nydus"))
}

fn local_image(image: &ImageInspect) -> LocalImage {
    let config = image.config.clone().unwrap_or_default();
    let mut exposed: Vec<u16> = config
        .exposed_ports
        .iter()
        .flatten()
        .filter_map(|port| port.strip_suffix("/tcp").unwrap_or(port).parse().ok())
        .collect();
    exposed.sort_unstable();
    LocalImage {
        id: image.id.clone().unwrap_or_default(),
        architecture: image.architecture.clone().unwrap_or_default(),
        exposed,
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        stop_signal: config.stop_signal,
        size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        diff_ids: image.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default(),
        in_containerd: in_containerd(image),
    }
}

#[cfg(test)]
mod tests;
