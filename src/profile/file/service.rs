//! `services:` — what runs, how it is built, what it needs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use super::CommandFile;
use super::port::DurationFile;
use super::{ExposeFile, MountFile, PortFile, ProbeFile, RolloutFile, Text, VolumeFile};

/// One service. It has either `build` or `image`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "service")]
pub(crate) struct ServiceFile {
    /// How the image is built: the folder of the build context, or a section.
    pub(crate) build: Option<BuildFile>,
    /// An image that exists, such as `redis:7`.
    pub(crate) image: Option<String>,
    /// What kind of workload it is.
    #[schemars(extend("default" = "deployment"))]
    pub(crate) kind: Option<KindFile>,
    /// When a `cron` runs, such as `"*/5 * * * *"`.
    pub(crate) schedule: Option<String>,
    /// Instead of the image's ENTRYPOINT.
    pub(crate) command: Option<CommandFile>,
    /// Instead of the image's CMD.
    pub(crate) args: Option<CommandFile>,
    /// Environment variables.
    pub(crate) env: Option<BTreeMap<String, Text>>,
    /// Environment variables that are secret: a Secret is made of them.
    pub(crate) secrets: Option<BTreeMap<String, SecretFile>>,
    /// Files in the container, from files beside the profile: a `ConfigMap` is made of them.
    pub(crate) files: Option<BTreeMap<String, String>>,
    /// The ports. Without this key a built image's EXPOSE decides.
    pub(crate) ports: Option<Vec<PortFile>>,
    /// From where it is reached. Locally `node-port` for a service with ports, else `cluster`.
    pub(crate) expose: Option<ExposeFile>,
    /// The path of its URL.
    #[schemars(extend("default" = "/"))]
    pub(crate) path: Option<String>,
    /// The Service object's name, where it is not the service's own.
    pub(crate) service_name: Option<String>,
    /// No address of its own: its name resolves to the pods.
    #[schemars(extend("default" = false))]
    pub(crate) headless: Option<bool>,
    /// A client stays with one pod.
    #[schemars(extend("default" = false))]
    pub(crate) session_affinity: Option<bool>,
    /// Networks that a load balancer lets in, such as `10.0.0.0/8`.
    pub(crate) source_ranges: Option<Vec<String>>,
    /// How many pods.
    #[schemars(range(min = 0, max = 1000), extend("default" = 1))]
    pub(crate) replicas: Option<u32>,
    /// What a pod reserves and may use at most.
    pub(crate) resources: Option<ResourcesFile>,
    /// How to see that it is well. Without it, its first port accepts a connection.
    pub(crate) health: Option<ProbeFile>,
    /// The same as `health`.
    pub(crate) readiness: Option<ProbeFile>,
    /// Restart a container when this fails. Only on request.
    pub(crate) liveness: Option<ProbeFile>,
    /// Has it started? With `liveness`, the same check until the rollout's deadline.
    pub(crate) startup: Option<ProbeFile>,
    /// How a new version replaces the old one.
    pub(crate) rollout: Option<RolloutFile>,
    /// Between the request to stop and the end.
    #[schemars(extend("default" = "10s"))]
    pub(crate) grace: Option<DurationFile>,
    /// What outlives a pod.
    pub(crate) volumes: Option<Vec<VolumeFile>>,
    /// Claims of others.
    pub(crate) mounts: Option<Vec<MountFile>>,
    /// Services whose readiness is waited for first.
    pub(crate) after: Option<Vec<String>>,
    /// `false`: an image only, for other services to build on.
    #[schemars(extend("default" = true))]
    pub(crate) deploy: Option<bool>,
    /// Containers that run, one after the other, before the service's own.
    pub(crate) init: Option<Vec<ContainerFile>>,
    /// Containers beside the service's own.
    pub(crate) sidecars: Option<Vec<ContainerFile>>,
    /// Labels for its objects.
    pub(crate) labels: Option<BTreeMap<String, Text>>,
    /// Annotations for its objects.
    pub(crate) annotations: Option<BTreeMap<String, Text>>,
    /// Labels that a node must have.
    pub(crate) node_selector: Option<BTreeMap<String, Text>>,
    /// Tolerations, as Kubernetes writes them.
    pub(crate) tolerations: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
    /// The `ServiceAccount` it runs as.
    pub(crate) service_account: Option<String>,
    /// What the container may do. Without it, what it may do under Docker.
    pub(crate) security: Option<SecurityFile>,
    /// Which changed files `coracle dev` copies into the running container.
    pub(crate) sync: Option<SyncFile>,
    /// Restart the process after a sync.
    #[schemars(extend("default" = false))]
    pub(crate) restart: Option<bool>,
    /// A strategic-merge patch on the workload: the way out for whatever has no key.
    pub(crate) patch: Option<serde_json::Map<String, serde_json::Value>>,
}

/// How an image is built: the folder of the build context, or a section.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "build")]
pub(crate) enum BuildFile {
    Context(String),
    Section(Box<BuildSection>),
}

/// How an image is built.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "build-section")]
pub(crate) struct BuildSection {
    /// The folder of the build context, from the profile's folder.
    #[schemars(extend("default" = "."))]
    pub(crate) context: Option<String>,
    /// The Dockerfile, from the context.
    #[schemars(extend("default" = "Dockerfile"))]
    pub(crate) dockerfile: Option<String>,
    /// The stage to build. Without it, the last.
    pub(crate) target: Option<String>,
    /// Build arguments. `{services.NAME.image}` is the image of another service, built first.
    pub(crate) args: Option<BTreeMap<String, Text>>,
    /// Secrets for `RUN --mount=type=secret`, by id.
    pub(crate) secrets: Option<BTreeMap<String, SecretFile>>,
    /// Agents for `RUN --mount=type=ssh`; `default` is `SSH_AUTH_SOCK`.
    pub(crate) ssh: Option<Vec<String>>,
    /// What to build for, such as `linux/amd64`. Without it, what the engine runs on.
    pub(crate) platform: Option<String>,
    /// The network of RUN steps.
    #[schemars(extend("default" = "default"))]
    pub(crate) network: Option<NetworkFile>,
    /// A private certificate authority that RUN steps trust, a PEM file.
    pub(crate) ca: Option<String>,
}

/// The network of RUN steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum NetworkFile {
    Default,
    Host,
    None,
}

/// Where a secret comes from: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "secret")]
pub(crate) struct SecretFile {
    /// A variable of the environment.
    pub(crate) env: Option<String>,
    /// A file, from the profile's folder, or from home with `~/`. It lies in the project or in home.
    pub(crate) file: Option<String>,
    /// What prints it, run in the profile's folder. Runs only once it is trusted.
    pub(crate) command: Option<CommandFile>,
}

/// What kind of workload a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum KindFile {
    Deployment,
    Stateful,
    Job,
    Cron,
}

/// What a pod reserves and may use at most. `cpu` and `memory` are both at once.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "resources")]
pub(crate) struct ResourcesFile {
    /// Processors, such as `500m` or `2`.
    pub(crate) cpu: Option<Text>,
    /// Memory, such as `256Mi`.
    pub(crate) memory: Option<Text>,
    /// What is reserved, by resource.
    pub(crate) requests: Option<BTreeMap<String, Text>>,
    /// What may be used at most, by resource.
    pub(crate) limits: Option<BTreeMap<String, Text>>,
}

/// An init container or a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "container")]
pub(crate) struct ContainerFile {
    /// The container's name, a DNS label.
    pub(crate) name: String,
    /// Its image. Without it, the service's own.
    pub(crate) image: Option<String>,
    /// Instead of the image's ENTRYPOINT.
    pub(crate) command: Option<CommandFile>,
    /// Instead of the image's CMD.
    pub(crate) args: Option<CommandFile>,
    /// Environment variables.
    pub(crate) env: Option<BTreeMap<String, Text>>,
    /// What it reserves and may use at most.
    pub(crate) resources: Option<ResourcesFile>,
}

/// What the container may do: `restricted` (the Pod Security standard), or a section.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "security")]
pub(crate) enum SecurityFile {
    Word(String),
    Section(SecuritySection),
}

/// What the container may do.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "security-section")]
pub(crate) struct SecuritySection {
    /// Meet the `restricted` Pod Security standard.
    #[schemars(extend("default" = false))]
    pub(crate) restricted: Option<bool>,
    /// The user id it runs as.
    #[schemars(range(min = 0))]
    pub(crate) user: Option<i64>,
    /// The group id it runs as.
    #[schemars(range(min = 0))]
    pub(crate) group: Option<i64>,
    /// Nothing may be written to the image's own files.
    #[schemars(extend("default" = false))]
    pub(crate) read_only_root: Option<bool>,
    /// Linux capabilities.
    pub(crate) capabilities: Option<CapabilitiesFile>,
}

/// Linux capabilities beside those that a container has anyway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "capabilities")]
pub(crate) struct CapabilitiesFile {
    /// To add, such as `NET_BIND_SERVICE`.
    pub(crate) add: Option<Vec<String>>,
    /// To take away, such as `ALL`.
    pub(crate) drop: Option<Vec<String>>,
}

/// Which changed files are copied: `infer` (from the Dockerfile's COPY), or rules.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "sync")]
pub(crate) enum SyncFile {
    Word(String),
    Rules(Vec<SyncRuleFile>),
}

/// A rule: `"PATTERN -> PATH"`, or a section.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "sync-rule")]
pub(crate) enum SyncRuleFile {
    Arrow(String),
    Section(SyncSection),
}

/// A rule of `sync`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "sync-section")]
pub(crate) struct SyncSection {
    /// Files of the build context, such as `**/*.py`.
    pub(crate) pattern: String,
    /// The folder in the container, absolute.
    pub(crate) path: String,
    /// Restart the process afterwards.
    #[schemars(extend("default" = false))]
    pub(crate) restart: Option<bool>,
    /// Run this in the container afterwards.
    pub(crate) run: Option<CommandFile>,
}

impl NetworkFile {
    /// Returns the word as the file has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Host => "host",
            Self::None => "none",
        }
    }
}
