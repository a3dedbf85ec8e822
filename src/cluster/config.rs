//! kind's configuration and the choice of a node image, computed from the profile. No I/O.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{Band, node};
use crate::profile;

/// Kubernetes takes a ready pod into its routes once a second; ten times as often costs nothing
/// on a laptop's cluster and lets a printed URL answer that much earlier. The field that the
/// cluster's mode does not use is left alone by kube-proxy.
/// Source: <https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/>.
const PROXY: &str = "kubeadmConfigPatches:
- |
  kind: KubeProxyConfiguration
  iptables: {minSyncPeriod: 100ms}
  nftables: {minSyncPeriod: 100ms}
";

/// Returns the configuration that `kind create cluster` reads from standard input. `mark` is
/// the folder whose mount says that the cluster is ours; without `image` kind takes its own.
pub(super) fn render(wanted: &profile::Cluster, image: Option<&str>, band: &Band, mark: &Path) -> String {
    let mut text = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n".to_owned();
    text += "networking:\n  apiServerAddress: \"127.0.0.1\"\n";
    text += PROXY;
    text += "nodes:\n";
    for index in 0..wanted.nodes.max(1) {
        let role = if index == 0 { "control-plane" } else { "worker" };
        line(&mut text, format_args!("- role: {role}"));
        if let Some(image) = image {
            line(&mut text, format_args!("  image: {}", quoted(image)));
        }
        let mark = quoted(&mark.to_string_lossy());
        line(&mut text, format_args!("  extraMounts:"));
        line(&mut text, format_args!("  - {{hostPath: {mark}, containerPath: {}, readOnly: true}}", node::MARK));
        if index == 0 && !band.0.is_empty() {
            line(&mut text, format_args!("  extraPortMappings:"));
            for (inside, outside) in &band.0 {
                line(
                    &mut text,
                    format_args!(
                        "  - {{containerPort: {inside}, hostPort: {outside}, listenAddress: \"127.0.0.1\", protocol: TCP}}"
                    ),
                );
            }
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes all that is written");
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns the node image: the profile's own, else `variable` (`KIND_NODE_IMAGE`) unless it is
/// of another Kubernetes than the profile wants, else the one of the wanted Kubernetes. `None`
/// is kind's own default.
///
/// kind needs an exact tag. Of a minor version (`v1.33`) the newest patch that the engine has
/// (`local`: `kindest/node:v1.33.4`, …) is taken, else `.0`, which kind has published for
/// every minor version.
pub(super) fn node_image(
    wanted: &profile::Cluster,
    variable: Option<&str>,
    local: &BTreeSet<String>,
) -> Option<String> {
    if let Some(image) = &wanted.image {
        return Some(image.clone());
    }
    let Some(version) = wanted.kubernetes.as_deref() else {
        return variable.map(str::to_owned);
    };
    let version = if version.starts_with('v') { version.to_owned() } else { format!("v{version}") };
    let of_version = |image: &&str| image_version(image).is_none_or(|tag| matches(tag, &version));
    if let Some(image) = variable.filter(of_version) {
        return Some(image.to_owned());
    }
    if version.matches('.').count() >= 2 {
        return Some(format!("kindest/node:{version}"));
    }
    let patch = |image: &&String| {
        let tag = image_version(image).filter(|tag| matches(tag, &version))?;
        tag.strip_prefix(&version)?.strip_prefix('.')?.parse::<u32>().ok()
    };
    let newest = local.iter().filter(|image| patch(image).is_some()).max_by_key(patch);
    Some(newest.cloned().unwrap_or_else(|| format!("kindest/node:{version}.0")))
}

/// Returns whether a tag (`v1.33.4`) is of a version (`v1.33`).
pub(super) fn matches(tag: &str, version: &str) -> bool {
    tag.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns the Kubernetes version that a node image's tag tells: `v1.33.4`.
pub(super) fn image_version(image: &str) -> Option<&str> {
    let (name, _digest) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = name.rsplit_once(':')?;
    let version = tag.strip_prefix('v')?;
    (version.starts_with(|first: char| first.is_ascii_digit()) && version.contains('.')).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn one_node() {
        let band = Band([(30000, 30032), (30001, 30033)].into());
        let text = render(&wanted(1, None, None), None, &band, Path::new("/home/u/my \"state\"/mark"));
        assert_eq!(
            text,
            r#"kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  apiServerAddress: "127.0.0.1"
kubeadmConfigPatches:
- |
  kind: KubeProxyConfiguration
  iptables: {minSyncPeriod: 100ms}
  nftables: {minSyncPeriod: 100ms}
nodes:
- role: control-plane
  extraMounts:
  - {hostPath: "/home/u/my \"state\"/mark", containerPath: /etc/coracle, readOnly: true}
  extraPortMappings:
  - {containerPort: 30000, hostPort: 30032, listenAddress: "127.0.0.1", protocol: TCP}
  - {containerPort: 30001, hostPort: 30033, listenAddress: "127.0.0.1", protocol: TCP}
"#
        );
    }

    #[test]
    fn three_nodes() {
        let band = Band([(30000, 30000)].into());
        let text = render(&wanted(3, None, None), Some("kindest/node:v1.33.4"), &band, Path::new("/s/mark"));
        assert_eq!(
            text,
            r#"kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  apiServerAddress: "127.0.0.1"
kubeadmConfigPatches:
- |
  kind: KubeProxyConfiguration
  iptables: {minSyncPeriod: 100ms}
  nftables: {minSyncPeriod: 100ms}
nodes:
- role: control-plane
  image: "kindest/node:v1.33.4"
  extraMounts:
  - {hostPath: "/s/mark", containerPath: /etc/coracle, readOnly: true}
  extraPortMappings:
  - {containerPort: 30000, hostPort: 30000, listenAddress: "127.0.0.1", protocol: TCP}
- role: worker
  image: "kindest/node:v1.33.4"
  extraMounts:
  - {hostPath: "/s/mark", containerPath: /etc/coracle, readOnly: true}
- role: worker
  image: "kindest/node:v1.33.4"
  extraMounts:
  - {hostPath: "/s/mark", containerPath: /etc/coracle, readOnly: true}
"#
        );
    }

    #[test]
    fn the_node_image_is_chosen() {
        let local: BTreeSet<String> =
            ["v1.33.4", "v1.33.13", "v1.3.9", "v1.34.0"].map(|tag| format!("kindest/node:{tag}")).into();
        let chosen = |kubernetes, image, variable| node_image(&wanted(1, kubernetes, image), variable, &local);
        let is = |tag: &str| Some(format!("kindest/node:{tag}"));
        assert_eq!(chosen(None, None, None), None);
        assert_eq!(chosen(Some("v1.33"), Some("own:1"), Some("other:2")), Some("own:1".to_owned()));
        assert_eq!(chosen(None, None, Some("own")), Some("own".to_owned()));
        assert_eq!(chosen(Some("v1.33"), None, None), is("v1.33.13"));
        assert_eq!(chosen(Some("1.33"), None, None), is("v1.33.13"));
        assert_eq!(chosen(Some("v1.33.4"), None, None), is("v1.33.4"));
        assert_eq!(chosen(Some("v1.36"), None, None), is("v1.36.0"));
        assert_eq!(chosen(Some("v1.36"), None, Some("kindest/node:v1.33.13")), is("v1.36.0"));
        assert_eq!(chosen(Some("v1.33"), None, Some("kindest/node:v1.33.2@sha256:00")), is("v1.33.2@sha256:00"));
        assert_eq!(chosen(Some("v1.33"), None, Some("lab:5000/node")), Some("lab:5000/node".to_owned()));
    }
}
