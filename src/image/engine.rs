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

pub(super) use exec::{Input, Ran, keep_last};
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
    /// `amd64`: what an image for this engine's nodes must be.
    pub(crate) architecture: String,
    /// Logical cores of the engine's machine.
    pub(crate) cores: usize,
    /// The newest API that the engine speaks: `(1, 51)`.
    pub(crate) api: (u32, u32),
    /// Builds go to `BuildKit`; false: the classic builder is all that there is.
    pub(crate) buildkit: bool,
    /// Images are in containerd's store: with their own compressed layers, and ids that are
    /// digests of manifests; false: in the classic one (overlay2).
    pub(crate) containerd_store: bool,
    /// 127.0.0.1 is the same for the engine and for us: it can push to a port of ours.
    pub(crate) shares_loopback: bool,
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
    /// It has a CMD or an ENTRYPOINT.
    pub(crate) has_command: bool,
    /// Bytes.
    pub(crate) size: u64,
    /// Digests of its layers, uncompressed, base first.
    pub(crate) diff_ids: Vec<String>,
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
    // Both at once; what is wrong with the endpoint itself is the ping's to say.
    let (ping, info) = tokio::join!(wire::get(endpoint, "/_ping"), async {
        let docker = client(endpoint)?;
        let info = docker.info().await.map_err(|error| fault::refused(endpoint, &error))?;
        Ok((docker, info))
    });
    let ping = ping.map_err(|error| fault::unreachable(endpoint, &error))?;
    let header = |name: &str| ping.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(api) = header("api-version").as_deref().and_then(parse_api) else {
        return Err(Error::NoEngine { endpoint: endpoint.host.clone(), origin: endpoint.source.clone() });
    };
    // Podman answers like Docker but builds without BuildKit; so do engines before 18.09.
    let buildkit = header("libpod-api-version").is_none() && api >= (1, 39);
    let (docker, info) = info?;
    Ok(Engine {
        docker,
        endpoint: endpoint.clone(),
        architecture: go_architecture(info.architecture.as_deref().unwrap_or("x86_64")),
        cores: info.ncpu.and_then(|cores| usize::try_from(cores).ok()).unwrap_or(1).max(1),
        api,
        buildkit,
        containerd_store: has_containerd_store(&info),
        shares_loopback: shares_loopback(endpoint, &info),
        nodes: super::load::Nodes::default(),
    })
}

/// Whether 127.0.0.1 is the same for the engine and for us: not with one elsewhere, not with
/// Docker Desktop (a virtual machine), not with a rootless one (a network of its own).
fn shares_loopback(endpoint: &Endpoint, info: &bollard::models::SystemInfo) -> bool {
    let desktop = info.operating_system.as_deref().is_some_and(|name| name.contains("Docker Desktop"));
    let rootless = info.security_options.iter().flatten().any(|option| option.contains("rootless"));
    endpoint.socket().is_some() && !desktop && !rootless && cfg!(target_os = "linux")
}

/// Whether images are in containerd's store, as the driver's status says.
fn has_containerd_store(info: &bollard::models::SystemInfo) -> bool {
    let mut status = info.driver_status.iter().flatten();
    status.any(|pair| pair.iter().any(|word| word.starts_with("io.containerd.snapshotter")))
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
fn go_architecture(name: &str) -> String {
    match name {
        "x86_64" => "amd64",
        "aarch64" | "arm64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
    .to_owned()
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
            architecture: "amd64".to_owned(),
            cores: 2,
            api: (1, 51),
            buildkit: true,
            containerd_store: false,
            shares_loopback: false,
            nodes: super::load::Nodes::default(),
        }
    }
}

impl Engine {
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
        has_command: [config.cmd, config.entrypoint].into_iter().flatten().any(|words| !words.is_empty()),
        size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        diff_ids: image.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
