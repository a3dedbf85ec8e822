//! `ports:` and `expose:` — how a service is reached.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;

/// A port: `5000`, `"80:5000"` (the service's port, then the container's), or a section.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "port")]
pub(crate) enum PortFile {
    Number(#[schemars(range(min = 1))] u16),
    Pair(String),
    Section(PortSection),
}

/// A port with all that can be said of one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "port-section")]
pub(crate) struct PortSection {
    /// The port's name, at most 15 characters.
    pub(crate) name: Option<String>,
    /// The service's port.
    #[schemars(range(min = 1))]
    pub(crate) port: u16,
    /// The container's port. Without it, the same as `port`.
    #[schemars(range(min = 1))]
    pub(crate) target: Option<u16>,
    /// The protocol.
    #[schemars(extend("default" = "tcp"))]
    pub(crate) protocol: Option<ProtocolFile>,
    /// A chosen node port of the local band. Without it, a free one, kept for life.
    #[schemars(range(min = 30000, max = 30031))]
    pub(crate) node_port: Option<u16>,
    /// `coracle dev` also listens on this port of localhost.
    #[schemars(range(min = 1))]
    pub(crate) local: Option<u16>,
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ProtocolFile {
    Tcp,
    Udp,
}

/// From where a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ExposeFile {
    Cluster,
    NodePort,
    LoadBalancer,
}

/// A duration in seconds, or with a unit: `10`, `90s`, `5m`.
pub(crate) type DurationFile = Text;
