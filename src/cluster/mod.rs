//! The local cluster: found, made, started, stopped, deleted.
//!
//! Read [`State`] and [`Provider`] first. What is there is asked of the engine, not kept in
//! files: a cluster is ours by a mount that its nodes have from birth, and whole by a mark
//! that is written last. A cluster that is not ours is never touched. Nothing here reads or
//! writes the user's own kubeconfig, but for [`merge`], on request.

mod config;
mod differences;
mod error;
pub(crate) mod kind;
pub(crate) mod kubeconfig;
pub(crate) mod lock;
mod making;
pub(crate) mod merge;
mod node;
mod output;
mod ports;
pub(crate) mod reach;
pub(crate) mod wait;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use differences::differences;
pub(crate) use error::Error;
use node::Node;

use crate::deploy::client;
use crate::error::Failure;
use crate::image::engine::Engine;
use crate::profile;
use crate::session::Session;

/// What is known of the cluster that a profile names, before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not there; `band` is the free block of host ports it would get.
    Absent {
        /// Empty where no block is free; [`Provider::create`] looks again, and says so.
        band: Band,
    },
    /// Ours, but without the *ready* mark: a creation was cut short.
    HalfMade {
        band: Band,
    },
    /// At least one node does not run.
    Stopped {
        nodes: Vec<String>,
        band: Band,
    },
    Running {
        nodes: Vec<String>,
        band: Band,
    },
}

/// The node ports reserved when the cluster was made, each with its port on 127.0.0.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Band(pub(crate) BTreeMap<u16, u16>);

/// A closed set of ways to make a local cluster.
#[derive(Debug, Clone)]
pub(crate) enum Provider {
    Kind(kind::Kind),
}

/// Returns what is there of the profile's cluster. Reads only.
pub(crate) async fn observe(_session: &Session, engine: &Engine, wanted: &profile::Cluster) -> Result<State, Error> {
    let nodes = ours(&wanted.name, node::nodes(engine, Some(&wanted.name)).await?)?;
    let Some(first) = control_plane(&nodes) else {
        let band = free_band(engine, &wanted.name).await?;
        return Ok(if nodes.is_empty() { State::Absent { band } } else { State::HalfMade { band } });
    };
    let (ready, bindings) = tokio::try_join!(node::is_ready(engine, &first.name), node::bindings(engine, &first.name))?;
    let band = node::band(&bindings);
    if !ready {
        // What its own nodes hold is free once they are removed.
        let whole = first.running && band.0.len() == usize::from(ports::SIZE);
        let band = if whole { band } else { free_band(engine, &wanted.name).await? };
        return Ok(State::HalfMade { band });
    }
    let running = nodes.iter().all(|node| node.running);
    let nodes = names(&nodes);
    Ok(if running { State::Running { nodes, band } } else { State::Stopped { nodes, band } })
}

/// Returns the band that a cluster would get; an empty one where none is free, which is no
/// fault of the verbs that make nothing.
async fn free_band(engine: &Engine, cluster: &str) -> Result<Band, Error> {
    ports::or_none(ports::free_band(&node::published(engine, cluster).await?))
}

/// Returns a client for a running cluster of ours. Its private kubeconfig is written again
/// where it is missing or stale. An API server that does not answer yet, as after a start of
/// the machine, is waited for.
pub(crate) async fn client(
    session: &Session,
    engine: &Engine,
    wanted: &profile::Cluster,
) -> Result<kube::Client, Failure> {
    Provider::new(wanted)?.ensure_kubeconfig(session, engine).await?;
    wait::answering(session, &wanted.name).await?;
    let client = client::connect(&kubeconfig_path(session, &wanted.name), &kubeconfig::context(&wanted.name)).await?;
    Ok(client)
}

/// Returns the names of the nodes of a cluster of ours.
pub(crate) async fn node_names(engine: &Engine, name: &str) -> Result<Vec<String>, Error> {
    Ok(names(&ours(name, node::nodes(engine, Some(name)).await?)?))
}

/// Returns the names of the nodes that run, of all clusters of ours.
pub(crate) async fn running_nodes(engine: &Engine) -> Result<Vec<String>, Error> {
    let mut nodes = node::nodes(engine, None).await?;
    nodes.retain(|node| node.ours && node.running);
    Ok(names(&nodes))
}

/// Returns the nodes of the cluster `name` if all of them are ours.
fn ours(name: &str, nodes: Vec<Node>) -> Result<Vec<Node>, Error> {
    if nodes.iter().all(|node| node.ours) { Ok(nodes) } else { Err(Error::Foreign { name: name.to_owned() }) }
}

fn control_plane(nodes: &[Node]) -> Option<&Node> {
    nodes.iter().find(|node| node.control_plane)
}

fn names(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

impl Provider {
    pub(crate) fn new(wanted: &profile::Cluster) -> Result<Self, Error> {
        match wanted.provider {
            profile::ProviderName::Kind => Ok(Self::Kind(kind::Kind { wanted: wanted.clone() })),
            profile::ProviderName::Minikube => Err(Error::Unsupported { name: "minikube".to_owned() }),
        }
    }

    /// Makes the cluster: its nodes' containerd answers and its API server is up when this
    /// returns. Writes the private kubeconfig; does not write the ready mark. Returns the
    /// nodes and their band, which is another than `band` where a port of it was taken meanwhile.
    /// Half-made nodes are removed first; those of a failed or cancelled creation afterwards.
    pub(crate) async fn create(
        &self,
        session: &Session,
        engine: &Engine,
        band: &Band,
    ) -> Result<(Vec<String>, Band), Error> {
        match self {
            Self::Kind(kind) => kind.create(session, engine, band).await,
        }
    }

    /// Removes the nodes that a creation of ours left when it was cut short. `create` does it
    /// too; who runs [`wait::nodes_up`] beside it calls this before both.
    pub(crate) async fn clear_half_made(&self, engine: &Engine) -> Result<(), Error> {
        match self {
            Self::Kind(kind) => kind.clear_half_made(engine).await,
        }
    }

    /// Writes the ready mark: from here on the cluster is whole.
    pub(crate) async fn mark_ready(&self, _session: &Session, engine: &Engine) -> Result<(), Error> {
        match self {
            Self::Kind(kind) => kind.mark_ready(engine).await,
        }
    }

    /// Starts stopped nodes and waits for the API server, and for all nodes to be ready.
    pub(crate) async fn start(&self, session: &Session, engine: &Engine) -> Result<(), Error> {
        match self {
            Self::Kind(kind) => kind.start(session, engine).await,
        }
    }

    pub(crate) async fn stop(&self, _session: &Session, engine: &Engine) -> Result<(), Error> {
        match self {
            Self::Kind(kind) => kind.stop(engine).await,
        }
    }

    /// Writes the private kubeconfig of a cluster that is there, where it is missing or stale.
    pub(crate) async fn ensure_kubeconfig(&self, session: &Session, engine: &Engine) -> Result<(), Error> {
        match self {
            Self::Kind(kind) => kind.ensure_kubeconfig(session, engine).await,
        }
    }

    /// Deletes the cluster and its kubeconfig. Absent is success (`false`).
    pub(crate) async fn delete(&self, session: &Session, engine: &Engine) -> Result<bool, Error> {
        match self {
            Self::Kind(kind) => kind.delete(session, engine).await,
        }
    }
}

/// One line of `coracle cluster list`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) provider: String,
    /// `running`, `stopped`, `half-made`.
    pub(crate) state: String,
    pub(crate) nodes: usize,
    pub(crate) kubernetes: Option<String>,
    /// `30000-30031`, host side.
    pub(crate) ports: String,
}

/// Returns Coracle's clusters by name; others are left out.
pub(crate) async fn list(_session: &Session, engine: &Engine) -> Result<Vec<Listed>, Error> {
    let mut clusters: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for node in node::nodes(engine, None).await? {
        clusters.entry(node.cluster.clone()).or_default().push(node);
    }
    clusters.retain(|_, nodes| nodes.iter().all(|node| node.ours));
    let mut all = Vec::new();
    for (name, nodes) in clusters {
        all.push(listed(engine, name, &nodes).await?);
    }
    Ok(all)
}

async fn listed(engine: &Engine, name: String, nodes: &[Node]) -> Result<Listed, Error> {
    let (mut state, mut ports, mut kubernetes) = ("half-made", String::new(), None);
    if let Some(first) = control_plane(nodes) {
        let (ready, bindings) =
            tokio::try_join!(node::is_ready(engine, &first.name), node::bindings(engine, &first.name))?;
        let outside = node::band(&bindings).0;
        if let (Some(first), Some(last)) = (outside.values().min(), outside.values().max()) {
            ports = format!("{first}-{last}");
        }
        kubernetes = config::image_version(&first.image).map(str::to_owned);
        if ready {
            state = if nodes.iter().all(|node| node.running) { "running" } else { "stopped" };
        }
    }
    let (provider, state) = ("kind".to_owned(), state.to_owned());
    Ok(Listed { name, provider, state, nodes: nodes.len(), kubernetes, ports })
}

/// Returns the path of the cluster's private kubeconfig.
pub(crate) fn kubeconfig_path(session: &Session, cluster: &str) -> PathBuf {
    session.surroundings.state.join("clusters").join(cluster).join("kubeconfig")
}

/// Makes a folder, and those above it, that only the user can enter.
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests;
