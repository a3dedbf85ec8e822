//! What a cluster that is there has otherwise than the profile wants: said, never changed.
//!
//! kind cannot change a cluster, and making it anew loses what its volumes hold, so that is
//! the user's to decide.

use super::node::{self, Node};
use super::{Error, config, control_plane};
use crate::image::engine::Engine;
use crate::image::reference::ImageRef;
use crate::profile;

/// Returns a sentence for each thing that the cluster has otherwise than `wanted` says; none
/// where there is no cluster. Reads only.
pub(crate) async fn differences(engine: &Engine, wanted: &profile::Cluster) -> Result<Vec<String>, Error> {
    Ok(compare(&node::nodes(engine, Some(&wanted.name)).await?, wanted))
}

fn compare(nodes: &[Node], wanted: &profile::Cluster) -> Vec<String> {
    let Some(first) = control_plane(nodes).filter(|_| nodes.iter().all(|node| node.ours)) else {
        return Vec::new();
    };
    let name = &wanted.name;
    let mut different = Vec::new();
    let count = |count: usize| format!("{count} {}", if count == 1 { "node" } else { "nodes" });
    let nodes_wanted = usize::try_from(wanted.nodes.max(1)).unwrap_or(usize::MAX);
    if nodes.len() != nodes_wanted {
        different.push(format!("cluster `{name}` has {}, the profile wants {nodes_wanted}", count(nodes.len())));
    }
    match (&wanted.image, &wanted.kubernetes) {
        (Some(image), _) if !is_same(&first.image, image) => {
            different.push(format!("cluster `{name}` is of node image `{}`, the profile wants `{image}`", first.image));
        }
        (None, Some(version)) => {
            if let Some(has) = config::image_version(&first.image).filter(|has| !config::matches(has, version)) {
                different.push(format!("cluster `{name}` has Kubernetes {has}, the profile wants {version}"));
            }
        }
        _ => {}
    }
    for sentence in &mut different {
        *sentence = format!("{sentence}: `coracle cluster delete` and `coracle up` make it anew");
    }
    different
}

/// An image whose name went to a newer one is listed by its id, which tells nothing.
fn is_same(has: &str, wanted: &str) -> bool {
    let whole = |text: &str| text.parse::<ImageRef>().map(|image| image.normalized());
    match (whole(has), whole(wanted)) {
        (Ok(has), Ok(wanted)) => has == wanted,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(index: usize) -> Node {
        Node {
            name: format!("shop-{index}"),
            cluster: "shop".to_owned(),
            control_plane: index == 0,
            running: true,
            paused: false,
            ours: true,
            image: "kindest/node:v1.33.13".to_owned(),
        }
    }

    fn wanted(nodes: u32, kubernetes: Option<&str>, image: Option<&str>) -> profile::Cluster {
        profile::Cluster {
            provider: profile::ProviderName::Kind,
            name: "shop".to_owned(),
            nodes,
            kubernetes: kubernetes.map(str::to_owned),
            image: image.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_as_wanted_is_not_told() {
        let there = [node(0), node(1)];
        assert_eq!(compare(&there, &wanted(2, Some("v1.33"), None)), [""; 0]);
        assert_eq!(compare(&there, &wanted(2, None, Some("docker.io/kindest/node:v1.33.13"))), [""; 0]);
        assert_eq!(compare(&[], &wanted(2, Some("v1.33"), None)), [""; 0]);
        let foreign = Node { ours: false, ..node(0) };
        assert_eq!(compare(&[foreign], &wanted(2, None, None)), [""; 0]);
        let unnamed = Node { image: format!("sha256:{}", "0".repeat(64)), ..node(0) };
        assert_eq!(compare(&[unnamed], &wanted(1, Some("v1.34"), None)), [""; 0]);
    }

    #[test]
    fn each_difference_is_a_sentence_with_its_mend() {
        assert_eq!(
            compare(&[node(0)], &wanted(3, Some("v1.34"), None)),
            [
                "cluster `shop` has 1 node, the profile wants 3: `coracle cluster delete` and `coracle up` make it anew",
                "cluster `shop` has Kubernetes v1.33.13, the profile wants v1.34: `coracle cluster delete` and \
                 `coracle up` make it anew",
            ]
        );
        assert_eq!(
            compare(&[node(0)], &wanted(1, None, Some("lab:5000/node:2"))),
            ["cluster `shop` is of node image `kindest/node:v1.33.13`, the profile wants `lab:5000/node:2`: \
              `coracle cluster delete` and `coracle up` make it anew"]
        );
    }
}
