//! A cluster's nodes as the engine sees them: containers, found by kind's label.
//!
//! Whether a cluster is ours is a mount that its containers have from birth; whether its
//! creation came to an end is a file in the control plane, written last. Both are read
//! through the Docker API, so they are known for stopped clusters too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Container, PortMap};
use bollard::query_parameters as query;

use super::{Band, Error};
use crate::image::engine::Engine;

/// Names the cluster that a container belongs to.
pub(super) const LABEL: &str = "io.x-k8s.kind.cluster";
const ROLE: &str = "io.x-k8s.kind.role";
/// Where our mount is in each node.
pub(super) const MARK: &str = "/etc/coracle";
/// Its folder is in every kind node.
const READY: &str = "/kind/coracle-ready";
/// kind's own grace for its nodes; systemd in them is quicker.
const STOP_GRACE: i32 = 10;

/// One node's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) cluster: String,
    pub(super) control_plane: bool,
    pub(super) running: bool,
    pub(super) paused: bool,
    pub(super) ours: bool,
    /// The node image as the engine names it.
    pub(super) image: String,
}

/// Returns the nodes of the cluster `name`, or of all clusters, the control plane first.
pub(super) async fn nodes(engine: &Engine, name: Option<&str>) -> Result<Vec<Node>, Error> {
    let label = name.map_or_else(|| LABEL.to_owned(), |name| format!("{LABEL}={name}"));
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = query::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let found = engine.docker.list_containers(Some(options)).await.map_err(Error::engine("list its containers"))?;
    Ok(sorted(found.into_iter().filter_map(node).collect()))
}

fn sorted(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by(|a, b| (!a.control_plane, &a.name).cmp(&(!b.control_plane, &b.name)));
    nodes
}

fn node(container: ContainerSummary) -> Option<Node> {
    let labels = container.labels.unwrap_or_default();
    let role = labels.get(ROLE).map(String::as_str);
    let state = container.state.unwrap_or(Container::EMPTY);
    let ours = container.mounts.unwrap_or_default().iter().any(|mount| mount.destination.as_deref() == Some(MARK));
    Some(Node {
        name: container.names?.into_iter().next()?.trim_start_matches('/').to_owned(),
        cluster: labels.get(LABEL)?.clone(),
        control_plane: role == Some("control-plane"),
        running: state == Container::RUNNING,
        paused: state == Container::PAUSED,
        ours,
        image: container.image.unwrap_or_default(),
    })
}

/// Returns the control plane's port bindings: container port → port of the host.
pub(super) async fn bindings(engine: &Engine, node: &str) -> Result<BTreeMap<u16, u16>, Error> {
    let doing = format!("inspect node `{node}`");
    let found = engine.docker.inspect_container(node, None).await.map_err(Error::engine(doing))?;
    Ok(parse_bindings(&found.host_config.and_then(|host| host.port_bindings).unwrap_or_default()))
}

fn parse_bindings(bindings: &PortMap) -> BTreeMap<u16, u16> {
    let pair = |(inside, outside): (&String, &Option<Vec<bollard::models::PortBinding>>)| {
        let inside = inside.strip_suffix("/tcp")?.parse().ok()?;
        let outside = outside.as_ref()?.iter().find_map(|binding| binding.host_port.as_ref()?.parse().ok())?;
        Some((inside, outside))
    };
    bindings.iter().filter_map(pair).collect()
}

/// Returns the part of `bindings` that is the band.
pub(super) fn band(bindings: &BTreeMap<u16, u16>) -> Band {
    Band(bindings.range(super::ports::inside()).map(|(&inside, &outside)| (inside, outside)).collect())
}

/// Returns the ports of the host that containers hold or, if they are stopped nodes, will
/// hold when they are started again. Those of the cluster `except` are left out.
pub(super) async fn published(engine: &Engine, except: &str) -> Result<BTreeMap<u16, String>, Error> {
    let options = query::ListContainersOptionsBuilder::default().all(true).build();
    let found = engine.docker.list_containers(Some(options)).await.map_err(Error::engine("list containers"))?;
    let mut ports = BTreeMap::new();
    for container in found {
        let name = container.names.iter().flatten().next().map(|name| name.trim_start_matches('/').to_owned());
        let Some(name) = name else { continue };
        let cluster = container.labels.as_ref().and_then(|labels| labels.get(LABEL));
        if cluster.is_some_and(|cluster| cluster == except) {
            continue;
        }
        let open = container.ports.iter().flatten().filter_map(|port| port.public_port);
        ports.extend(open.map(|port| (port, name.clone())));
        if cluster.is_some() && container.state != Some(Container::RUNNING) {
            // It may have been deleted since it was listed.
            let bound = bindings(engine, &name).await.unwrap_or_default();
            ports.extend(bound.into_values().map(|port| (port, name.clone())));
        }
    }
    Ok(ports)
}

/// Returns whether the creation of the cluster came to its end.
pub(super) async fn is_ready(engine: &Engine, control_plane: &str) -> Result<bool, Error> {
    let options = query::ContainerArchiveInfoOptionsBuilder::default().path(READY).build();
    match engine.docker.get_container_archive_info(control_plane, Some(options)).await {
        Ok(_) => Ok(true),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(source) => Err(Error::engine(format!("look into node `{control_plane}`"))(source)),
    }
}

/// Writes the mark that [`is_ready`] reads.
pub(super) async fn mark_ready(engine: &Engine, control_plane: &str) -> Result<(), Error> {
    let path = std::path::Path::new(READY);
    let (folder, file) = (path.parent().expect("READY has a folder"), path.file_name().expect("READY names a file"));
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o444);
    header.set_size(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, file, std::io::empty()).expect("memory takes all that is written");
    let archive = archive.into_inner().expect("memory takes all that is written");
    let options = query::UploadToContainerOptionsBuilder::default().path(&folder.to_string_lossy()).build();
    let body = bollard::body_full(archive.into());
    let doing = format!("mark node `{control_plane}` as ready");
    engine.docker.upload_to_container(control_plane, Some(options), body).await.map_err(Error::engine(doing))
}

/// Removes containers and what is in them. One that is gone already is fine.
pub(super) async fn remove(engine: &Engine, nodes: &[Node]) -> Result<(), Error> {
    let options = query::RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    for node in nodes {
        match engine.docker.remove_container(&node.name, Some(options.clone())).await {
            Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
            Err(source) => return Err(Error::engine(format!("remove node `{}`", node.name))(source)),
        }
    }
    Ok(())
}

/// Starts one node, whatever keeps it from running.
pub(super) async fn start(engine: &Engine, node: &Node) -> Result<(), bollard::errors::Error> {
    if node.paused {
        engine.docker.unpause_container(&node.name).await
    } else {
        engine.docker.start_container(&node.name, None).await
    }
}

/// Stops nodes, all at once.
pub(super) async fn stop(engine: &Engine, nodes: &[Node]) -> Result<(), Error> {
    let options = query::StopContainerOptionsBuilder::default().t(STOP_GRACE).build();
    let one = |node: &Node| {
        let (docker, options, name) = (engine.docker.clone(), options.clone(), node.name.clone());
        async move {
            let doing = format!("stop node `{name}`");
            docker.stop_container(&name, Some(options)).await.map_err(Error::engine(doing))
        }
    };
    futures_util::future::try_join_all(nodes.iter().filter(|node| node.running).map(one)).await?;
    Ok(())
}

/// Returns the tags of `kindest/node` that the engine has.
pub(super) async fn local_images(engine: &Engine) -> Result<BTreeSet<String>, Error> {
    let filters = HashMap::from([("reference".to_owned(), vec!["kindest/node".to_owned()])]);
    let options = query::ListImagesOptionsBuilder::default().filters(&filters).build();
    let found = engine.docker.list_images(Some(options)).await.map_err(Error::engine("list its images"))?;
    Ok(found.into_iter().flat_map(|image| image.repo_tags).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(json: serde_json::Value) -> Option<Node> {
        node(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn a_node_is_ours_by_its_mount() {
        let listed = |destination: &str, state: &str| {
            container(serde_json::json!({
                "Names": ["/shop-control-plane"], "Image": "kindest/node:v1.33.13", "State": state,
                "Labels": {"io.x-k8s.kind.cluster": "shop", "io.x-k8s.kind.role": "control-plane"},
                "Mounts": [{"Type": "volume", "Destination": "/var"}, {"Type": "bind", "Destination": destination}],
            }))
            .unwrap()
        };
        let node = listed("/etc/coracle", "running");
        assert!(node.ours && node.running && node.control_plane);
        assert_eq!((node.name.as_str(), node.cluster.as_str()), ("shop-control-plane", "shop"));
        assert!(!listed("/etc/coracle/x", "running").ours);
        assert!(!listed("/etc/coracle", "exited").running);
        assert!(listed("/etc/coracle", "paused").paused);
    }

    #[test]
    fn what_has_no_label_is_no_node() {
        assert_eq!(container(serde_json::json!({"Names": ["/x"], "Labels": {}})), None);
    }

    #[test]
    fn bindings_are_read_and_the_band_is_cut_out() {
        let map: PortMap = serde_json::from_value(serde_json::json!({
            "6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "41183"}],
            "30000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30032"}],
            "30031/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30063"}],
            "30032/tcp": [{"HostIp": "127.0.0.1", "HostPort": "31000"}],
            "30001/udp": [{"HostIp": "127.0.0.1", "HostPort": "30033"}],
            "30002/tcp": null,
        }))
        .unwrap();
        let bindings = parse_bindings(&map);
        assert_eq!(bindings[&6443], 41183);
        assert_eq!(band(&bindings), Band([(30000, 30032), (30031, 30063)].into()));
    }
}
