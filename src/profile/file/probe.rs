//! `health:`, its longer forms, and `rollout:`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use super::port::DurationFile;
use super::service::CommandFile;

/// How to see that a service is well: an HTTP path (`/healthz`), `tcp`, `grpc`, `none`, or a
/// section.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "health")]
pub(crate) enum ProbeFile {
    Word(String),
    Section(Box<ProbeSection>),
}

/// A probe with all that can be said of one. At most one of `path`, `tcp`, `grpc` and `exec`;
/// without any it is `tcp`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "health-section")]
pub(crate) struct ProbeSection {
    /// An HTTP GET of this path answers with 200 to 399.
    pub(crate) path: Option<String>,
    /// The port accepts a connection.
    pub(crate) tcp: Option<bool>,
    /// The standard gRPC health service answers SERVING.
    pub(crate) grpc: Option<bool>,
    /// This command in the container ends with 0.
    pub(crate) exec: Option<CommandFile>,
    /// The container's port. Without it, the first of `ports`.
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
    /// Between two probes.
    #[schemars(extend("default" = "1s"))]
    pub(crate) period: Option<DurationFile>,
    /// How long an answer may take.
    #[schemars(extend("default" = "2s"))]
    pub(crate) timeout: Option<DurationFile>,
    /// Before the first probe.
    #[schemars(extend("default" = "0s"))]
    pub(crate) delay: Option<DurationFile>,
    /// So many failures in a row count.
    #[schemars(range(min = 1), extend("default" = 3))]
    pub(crate) failures: Option<u32>,
    /// So many successes in a row count.
    #[schemars(range(min = 1), extend("default" = 1))]
    pub(crate) successes: Option<u32>,
}

/// How a new version replaces the old one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "rollout")]
pub(crate) struct RolloutFile {
    /// `rolling`, or `recreate` (the old one stops first). Without it, rolling, unless a
    /// `ReadWriteOnce` volume forces the other.
    pub(crate) strategy: Option<StrategyFile>,
    /// How many pods more than wanted there may be: `1` or `25%`.
    pub(crate) max_surge: Option<Text>,
    /// How many pods fewer than wanted there may be: `0` or `25%`.
    #[schemars(extend("default" = 0))]
    pub(crate) max_unavailable: Option<Text>,
    /// How long it may take to become ready.
    #[schemars(extend("default" = "180s"))]
    pub(crate) deadline: Option<DurationFile>,
}

/// How a new version replaces the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum StrategyFile {
    Rolling,
    Recreate,
}
