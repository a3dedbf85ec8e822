//! `ProfileFile`: what a profile may say, key by key.
//!
//! These types are the one description of the format. Their doc comments become the JSON
//! Schema and `docs/profile.md` (`schema.rs`); the schema in turn is what `structure.rs`
//! checks a file against, node by node, so that every structural mistake is reported at
//! once with its place. Serde only fills the types from what passed; its own messages are
//! never seen by a user, which is why `untagged` is harmless here.
//!
//! Nothing here knows a default beyond the word in `extend("default" = …)`, which is for
//! readers; `resolve.rs` fills them in.

mod check;
mod environment;
mod port;
mod probe;
mod service;
mod storage;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use check::CheckFile;
pub(crate) use environment::{EnvironmentFile, PullSecretSource, RegistryFile};
pub(crate) use port::{ExposeFile, PortFile, PortSection, ProtocolFile};
pub(crate) use probe::{ProbeFile, ProbeSection, RolloutFile, StrategyFile};
pub(crate) use service::{
    BuildFile, BuildSection, ContainerFile, KindFile, ResourcesFile, SecretFile, SecurityFile, ServiceFile, SyncFile,
    SyncRuleFile,
};
pub(crate) use storage::{MountFile, VolumeFile};

/// One file that says what an application is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "Coracle profile", rename = "profile")]
pub(crate) struct ProfileFile {
    /// The application's name, a DNS label: namespace, labels and image names derive from
    /// it. Without it, the name of the folder.
    pub(crate) name: Option<String>,
    /// Labels for every object.
    pub(crate) labels: Option<BTreeMap<String, Text>>,
    /// How objects are named. Other services still reach a service by its key.
    #[schemars(extend("default" = "{service}"))]
    pub(crate) name_template: Option<String>,
    /// Any key of a service: what services say that do not say otherwise.
    pub(crate) defaults: Option<Box<ServiceFile>>,
    /// The local cluster. One serves many profiles, a namespace each.
    pub(crate) cluster: Option<ClusterFile>,
    /// The services by name. The name is a DNS label, and other services reach it by it.
    pub(crate) services: Option<BTreeMap<String, ServiceFile>>,
    /// Files or patterns of Kubernetes manifests, beside or instead of services. Images that
    /// this profile builds are substituted.
    pub(crate) manifests: Option<Vec<String>>,
    /// Requests that show whether the application works.
    pub(crate) checks: Option<Vec<CheckFile>>,
    /// Where else the application runs, by name.
    pub(crate) environments: Option<BTreeMap<String, EnvironmentFile>>,
}

/// The local cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "cluster")]
pub(crate) struct ClusterFile {
    /// What runs the cluster.
    #[schemars(extend("default" = "kind"))]
    pub(crate) provider: Option<ProviderFile>,
    /// The cluster's name.
    #[schemars(extend("default" = "coracle"))]
    pub(crate) name: Option<String>,
    /// All nodes, the control plane included.
    #[schemars(range(min = 1, max = 64), extend("default" = 1))]
    pub(crate) nodes: Option<u32>,
    /// The version of Kubernetes: `v1.33` or `v1.33.4`. Without it, the provider's newest.
    pub(crate) kubernetes: Option<String>,
    /// A node image of your own, for kind. Without it the variable `KIND_NODE_IMAGE` counts,
    /// unless it is of another version than `kubernetes`.
    pub(crate) image: Option<String>,
}

/// What runs the local cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum ProviderFile {
    Kind,
    Minikube,
}

/// A text; numbers and booleans are taken as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text(pub(crate) String);

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "text".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A command: a list, or a text that is split at blanks as a shell would split it (quotes
/// count, nothing else does). For a shell write `[sh, -c, "…"]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "command")]
pub(crate) enum CommandFile {
    Line(String),
    List(Vec<Text>),
}
