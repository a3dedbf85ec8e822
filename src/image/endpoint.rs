//! Which engine: the Docker context and `DOCKER_HOST`, resolved as the docker CLI does it.
//!
//! The order is `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext` of config.json, the
//! default socket. It is resolved once and given to every child, so that kind talks to
//! the same engine. Two answers of the docker CLI are not taken over: a `DOCKER_HOST`
//! that `minikube docker-env` left behind is left out, because a cluster made inside a
//! cluster is never meant; and `ssh://` is refused, because a cluster's ports would open
//! on the other machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::engine::Error;
use super::error::Cause;
use crate::session::Surroundings;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// One engine's address, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `unix:///var/run/docker.sock`, `tcp://127.0.0.1:2376`.
    pub(crate) host: String,
    /// Folder with ca.pem, cert.pem, key.pem, where the endpoint wants TLS.
    pub(crate) certificates: Option<PathBuf>,
    /// "`DOCKER_HOST`", "context `colima`", "the default": for messages.
    pub(crate) source: String,
    /// A sentence about a source that was left out.
    pub(crate) notice: Option<String>,
}

#[derive(Deserialize, Default)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: BTreeMap<String, MetaEndpoint>,
}

#[derive(Deserialize)]
struct MetaEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// Returns the endpoint that the docker CLI would use here.
pub(crate) fn resolve(surroundings: &Surroundings) -> Result<Endpoint, Error> {
    resolve_with(surroundings, Path::new(DEFAULT_SOCKET))
}

/// Returns the folder that the docker CLI keeps its configuration in.
pub(super) fn config_folder(surroundings: &Surroundings) -> PathBuf {
    match surroundings.variable("DOCKER_CONFIG") {
        Some(folder) => surroundings.absolute(Path::new(folder)),
        None => surroundings.home.join(".docker"),
    }
}

fn resolve_with(surroundings: &Surroundings, socket: &Path) -> Result<Endpoint, Error> {
    let mut notice = None;
    let from_variables = match (surroundings.variable("DOCKER_HOST"), surroundings.variable("MINIKUBE_ACTIVE_DOCKERD"))
    {
        (Some(host), Some(cluster)) => {
            notice = Some(format!(
                "DOCKER_HOST={host} is the engine inside the cluster `{cluster}` (from `minikube docker-env`) and is \
                 left out; `eval $(minikube -p {cluster} docker-env --unset)` clears it"
            ));
            surroundings.variable("MINIKUBE_EXISTING_DOCKER_HOST").map(|host| (host, "MINIKUBE_EXISTING_DOCKER"))
        }
        (Some(host), None) => Some((host, "DOCKER")),
        (None, _) => None,
    };
    let mut endpoint = match from_variables {
        Some((host, prefix)) => from_host(surroundings, host, prefix),
        None => match context_name(surroundings)? {
            Some((name, source)) => from_context(surroundings, &name, source)?,
            None => default_endpoint(surroundings, socket),
        },
    };
    endpoint.notice = notice;
    endpoint.checked()
}

fn from_host(surroundings: &Surroundings, host: &str, prefix: &str) -> Endpoint {
    let host = if host.contains("://") { host.to_owned() } else { format!("tcp://{host}") };
    let wants_tls = surroundings.variable(&format!("{prefix}_TLS_VERIFY")).is_some() || host.starts_with("https://");
    let certificates = (wants_tls && !host.starts_with("unix://")).then(|| {
        match surroundings.variable(&format!("{prefix}_CERT_PATH")) {
            Some(folder) => surroundings.absolute(Path::new(folder)),
            None => config_folder(surroundings),
        }
    });
    Endpoint { host, certificates, source: format!("{prefix}_HOST"), notice: None }
}

/// Returns the name of the context to use and where it is chosen; none is the default one.
fn context_name(surroundings: &Surroundings) -> Result<Option<(String, &'static str)>, Error> {
    if let Some(name) = surroundings.variable("DOCKER_CONTEXT") {
        return Ok((name != "default").then(|| (name.to_owned(), "DOCKER_CONTEXT")));
    }
    let path = config_folder(surroundings).join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Config { path, cause: Cause::new(error.to_string()) }),
    };
    let config: Config = if text.iter().all(u8::is_ascii_whitespace) {
        Config::default()
    } else {
        serde_json::from_slice(&text).map_err(|error| Error::Config { path, cause: Cause::new(error.to_string()) })?
    };
    Ok(config
        .current_context
        .filter(|name| !name.is_empty() && name != "default")
        .map(|name| (name, "`docker context use`")))
}

fn from_context(surroundings: &Surroundings, name: &str, chosen: &'static str) -> Result<Endpoint, Error> {
    let contexts = config_folder(surroundings).join("contexts");
    let folder = super::digest::hex(&Sha256::digest(name.as_bytes()));
    let path = contexts.join("meta").join(&folder).join("meta.json");
    let unknown = || Error::UnknownContext {
        name: name.to_owned(),
        chosen: chosen.to_owned(),
        known: known_contexts(&contexts).join(", "),
    };
    let text = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unknown(),
        _ => Error::Config { path: path.clone(), cause: Cause::new(error.to_string()) },
    })?;
    let meta: Meta = serde_json::from_slice(&text)
        .map_err(|error| Error::Config { path: path.clone(), cause: Cause::new(error.to_string()) })?;
    let host = meta.endpoints.get("docker").and_then(|endpoint| endpoint.host.clone()).ok_or_else(unknown)?;
    let certificates = Some(contexts.join("tls").join(folder).join("docker")).filter(|folder| folder.is_dir());
    Ok(Endpoint { host, certificates, source: format!("context `{name}`"), notice: None })
}

fn known_contexts(contexts: &Path) -> Vec<String> {
    let mut names = vec!["`default`".to_owned()];
    for folder in std::fs::read_dir(contexts.join("meta")).into_iter().flatten().flatten() {
        let text = std::fs::read(folder.path().join("meta.json")).unwrap_or_default();
        if let Ok(meta) = serde_json::from_slice::<Meta>(&text) {
            names.push(format!("`{}`", crate::ui::sanitize::line(&meta.name)));
        }
    }
    names.sort();
    names
}

fn default_endpoint(surroundings: &Surroundings, socket: &Path) -> Endpoint {
    let rootless = surroundings.variable("XDG_RUNTIME_DIR").map(|folder| Path::new(folder).join("docker.sock"));
    let (path, source) = match rootless {
        Some(rootless) if !socket.exists() && rootless.exists() => (rootless, "the rootless default"),
        _ => (socket.to_owned(), "the default"),
    };
    Endpoint { host: format!("unix://{}", path.display()), certificates: None, source: source.to_owned(), notice: None }
}

impl Endpoint {
    fn checked(self) -> Result<Self, Error> {
        let scheme = self.host.split_once("://").map_or("", |(scheme, _)| scheme);
        match scheme {
            "unix" | "tcp" | "http" | "https" => Ok(self),
            "ssh" => Err(Error::Ssh { host: self.host, origin: self.source }),
            _ => Err(Error::Scheme { host: self.host, origin: self.source }),
        }
    }

    /// Returns the socket's path, where the endpoint is a unix socket.
    pub(super) fn socket(&self) -> Option<&Path> {
        self.host.strip_prefix("unix://").map(Path::new)
    }

    /// Returns `host:port` of an endpoint that is no unix socket.
    pub(super) fn authority(&self) -> String {
        let rest = self.host.split_once("://").map_or(self.host.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        let port = if self.certificates.is_some() { 2376 } else { 2375 };
        let has_port = authority.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
        if has_port { authority.to_owned() } else { format!("{authority}:{port}") }
    }

    /// Returns what a child process must have in its environment to use this endpoint.
    pub(crate) fn child_environment(&self) -> BTreeMap<String, Option<String>> {
        let certificates = self.certificates.as_ref().map(|folder| folder.display().to_string());
        let mut variables = BTreeMap::from([
            ("DOCKER_HOST".to_owned(), Some(self.host.clone())),
            ("DOCKER_TLS_VERIFY".to_owned(), certificates.as_ref().map(|_| "1".to_owned())),
            ("DOCKER_CERT_PATH".to_owned(), certificates),
            ("DOCKER_CONTEXT".to_owned(), None),
            ("MINIKUBE_ACTIVE_DOCKERD".to_owned(), None),
        ]);
        for name in ["HOST", "TLS_VERIFY", "CERT_PATH"] {
            variables.insert(format!("MINIKUBE_EXISTING_DOCKER_{name}"), None);
        }
        variables
    }
}

#[cfg(test)]
mod tests;
