//! `environments:` — where else the application runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::service::CommandFile;
use super::{ExposeFile, ServiceFile, Text};

/// A cluster and a registry that are not the laptop's. `context` or `kubeconfig` names the
/// cluster.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "environment")]
pub(crate) struct EnvironmentFile {
    /// The context of a kubeconfig. The current one is never used unnamed.
    pub(crate) context: Option<String>,
    /// A kubeconfig other than the user's own.
    pub(crate) kubeconfig: Option<String>,
    /// The namespace, used as it is. Without it, the profile's name.
    pub(crate) namespace: Option<String>,
    /// Make the namespace if it is absent.
    #[schemars(extend("default" = false))]
    pub(crate) create_namespace: Option<bool>,
    /// Where images are pushed to.
    pub(crate) registry: Option<RegistryFile>,
    /// What the target runs, such as `linux/amd64`. Stated, never guessed from nodes.
    pub(crate) platform: Option<String>,
    /// The target's fingerprint, for machines that cannot ask.
    pub(crate) bind: Option<String>,
    /// Labels for every object, beside the profile's.
    pub(crate) labels: Option<BTreeMap<String, Text>>,
    /// How objects are named there. Without it, as the profile says.
    pub(crate) name_template: Option<String>,
    /// What the target pulls images with.
    pub(crate) pull_secret: Option<PullSecretFile>,
    /// The storage class of claims.
    pub(crate) storage_class: Option<String>,
    /// How services with ports are reached.
    pub(crate) expose: Option<ExposeFile>,
    /// Annotations for Services, by how they are exposed.
    pub(crate) annotations: Option<AnnotationsFile>,
    /// The URL of a service, such as `http://{service}.{namespace}.example.org`.
    pub(crate) url: Option<String>,
    /// Any key of a service but `build` and `image`, laid over the profile's.
    pub(crate) services: Option<BTreeMap<String, ServiceFile>>,
}

/// A registry: `host/project`, or its parts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "registry")]
pub(crate) enum RegistryFile {
    Reference(String),
    Parts(RegistryParts),
}

/// A registry's parts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "registry-parts")]
pub(crate) struct RegistryParts {
    /// The host, with its port if it has one.
    pub(crate) host: String,
    /// The project or path below it.
    pub(crate) project: Option<String>,
}

/// The Secret that the target pulls images with.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "pull-secret")]
pub(crate) struct PullSecretFile {
    /// The Secret's name.
    pub(crate) name: String,
    /// Where the login comes from. Without it, the Secret is there already.
    pub(crate) from: Option<PullSecretSource>,
    /// With `from: env`: the variable with the login, `USER:TOKEN`.
    pub(crate) env: Option<String>,
    /// With `from: file`: the file, such as Harbor's JSON of a robot account.
    pub(crate) file: Option<String>,
    /// With `from: command`: what prints the login. Runs only once it is trusted.
    pub(crate) command: Option<CommandFile>,
}

/// Where a login comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum PullSecretSource {
    DockerConfig,
    Env,
    File,
    Command,
}

/// Annotations for Services, by how they are exposed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "annotations")]
pub(crate) struct AnnotationsFile {
    /// For `expose: cluster`.
    pub(crate) cluster: Option<BTreeMap<String, Text>>,
    /// For `expose: node-port`.
    pub(crate) node_port: Option<BTreeMap<String, Text>>,
    /// For `expose: load-balancer`.
    pub(crate) load_balancer: Option<BTreeMap<String, Text>>,
}
