//! The profile: what an application is, from the file to the type that the code uses.
//!
//! The way of a file: `find.rs` names and reads it → `tree.rs` parses it, every value with
//! its place → `structure.rs` checks the tree against the schema of the types in `file/` →
//! `resolve.rs` and the files beside it (`service.rs`, `ports.rs`, …) turn what is sound into
//! [`Profile`], in which every default is filled, every name is checked and every `{…}` that
//! can be known is replaced. Each step collects its problems; they are reported together.
//!
//! Files are read, nothing is written. The network, a daemon and the clock are not touched.

mod build;
mod check;
pub(crate) mod error;
pub(crate) mod file;
mod find;
mod graph;
pub(crate) mod interpolate;
pub(crate) mod names;
mod overlay;
mod ports;
mod probes;
mod reference;
pub(crate) mod resolve;
pub(crate) mod schema;
mod service;
mod storage;
mod structure;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod values;

pub(crate) use self::ports::fill_ports;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What is wanted: one application on the local cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    /// A DNS label; namespace, labels and image names derive from it.
    pub(crate) name: String,
    /// The folder that relative paths start from: absolute, symlinks resolved.
    pub(crate) folder: PathBuf,
    /// The profile file; absent where a folder with a Dockerfile stands for one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) namespace: String,
    /// 12 hex digits: a digest of profile, environment and resolved names. In every
    /// selector and every prune.
    pub(crate) instance: String,
    /// Labels for every object, beside Coracle's own.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) cluster: Cluster,
    /// In the order of the file.
    pub(crate) services: Vec<Service>,
    /// Paths and globs as written, relative to `folder`.
    pub(crate) manifests: Vec<String>,
    pub(crate) checks: Vec<Check>,
    /// Names of the environments that the file describes.
    pub(crate) environments: Vec<String>,
    /// What is allowed and most likely not meant, a sentence each.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) provider: ProviderName,
    pub(crate) name: String,
    /// All nodes, the control plane included; at least 1.
    pub(crate) nodes: u32,
    /// `v1.33` or `v1.33.4`.
    pub(crate) kubernetes: Option<String>,
    /// A node image of the user's own.
    pub(crate) image: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProviderName {
    Kind,
    Minikube,
}

/// One service: what it runs, how it is reached, what it needs.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the words are Kubernetes' own")]
pub(crate) struct Service {
    /// The profile's key. Other services reach it by this name.
    pub(crate) key: String,
    /// The workload's name: `name-template` filled in.
    pub(crate) name: String,
    /// The Service object's name: `service-name`, else `name`.
    pub(crate) service_name: String,
    pub(crate) image: ImageSource,
    pub(crate) kind: WorkloadKind,
    /// False: an image only.
    pub(crate) deploy: bool,
    pub(crate) replicas: u32,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) args: Option<Vec<String>>,
    /// `{services.X.image}` is still unfilled here (`interpolate::fill_images` does it).
    pub(crate) env: Vec<(String, String)>,
    pub(crate) secrets: Vec<(String, SecretSource)>,
    /// Path in the container → path on this machine, absolute.
    pub(crate) files: Vec<(String, PathBuf)>,
    pub(crate) ports: Vec<Port>,
    /// True where the profile says nothing of ports: the image's EXPOSE decides.
    pub(crate) ports_from_image: bool,
    pub(crate) expose: Expose,
    /// The path of its URL.
    pub(crate) path: String,
    pub(crate) headless: bool,
    pub(crate) session_affinity: bool,
    pub(crate) source_ranges: Vec<String>,
    pub(crate) resources: Resources,
    /// Never `None` for a service with ports: TCP on the first port is the default, filled
    /// in by `resolve` (or by the planner, where the ports come from the image).
    pub(crate) readiness: Option<Probe>,
    pub(crate) liveness: Option<Probe>,
    pub(crate) startup: Option<Probe>,
    pub(crate) rollout: Rollout,
    /// Between SIGTERM and SIGKILL, the `preStop` pause included.
    pub(crate) grace: Duration,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) mounts: Vec<Mount>,
    /// Keys of services whose readiness is waited for first.
    pub(crate) after: Vec<String>,
    pub(crate) init: Vec<Container>,
    pub(crate) sidecars: Vec<Container>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) tolerations: Vec<serde_json::Value>,
    pub(crate) service_account: Option<String>,
    pub(crate) security: Option<Security>,
    pub(crate) patch: Option<serde_json::Value>,
    pub(crate) sync: Sync,
    /// Whether the process is restarted after a sync; `None` leaves that to what is inferred.
    pub(crate) restart: Option<bool>,
    /// Set by `dev` alone.
    pub(crate) development: Option<Development>,
}

/// How `dev` deploys a service that it syncs files into. No file says it, and no other verb
/// sets it, so what `render`, `up` and `promote` make never holds any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Development {
    /// The process runs under the helper, so that it can be restarted in place.
    pub(crate) supervised: Option<Supervised>,
}

/// A process under the helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supervised {
    /// Where the helper is on every node.
    pub(crate) helper: String,
    /// What the container runs without it: ENTRYPOINT and CMD, or what the profile says.
    pub(crate) argv: Vec<String>,
    /// The number of the signal that ends it.
    pub(crate) stop_signal: u8,
}

/// Which changed files `dev` copies into the running container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Sync {
    /// The profile says nothing: what the language suggests.
    #[default]
    Default,
    /// What the Dockerfile's COPY says.
    Infer,
    Rules(Vec<SyncRule>),
}

/// One rule of `sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncRule {
    /// Of files of the build context, such as `**/*.py`.
    pub(crate) pattern: String,
    /// Absolute, in the container.
    pub(crate) path: PathBuf,
    pub(crate) restart: bool,
    /// A command for the container, afterwards.
    pub(crate) run: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageSource {
    Build(Build),
    /// A reference as the profile writes it.
    Pull(String),
}

/// How an image is built. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) context: PathBuf,
    pub(crate) dockerfile: PathBuf,
    pub(crate) target: Option<String>,
    /// `{services.X.image}` is still unfilled here.
    pub(crate) args: BTreeMap<String, String>,
    pub(crate) secrets: Vec<(String, SecretSource)>,
    /// Ids of agents to forward; `default` is `SSH_AUTH_SOCK`.
    pub(crate) ssh: Vec<String>,
    /// `linux/amd64`; absent: the engine's own.
    pub(crate) platform: Option<String>,
    /// `host`, `none` or `default`.
    pub(crate) network: Option<String>,
    /// PEM file of a private certificate authority that RUN steps trust.
    pub(crate) ca: Option<PathBuf>,
}

#[cfg(test)]
impl Build {
    /// Returns the build of a folder with a Dockerfile and nothing else said.
    pub(crate) fn of_folder(folder: &std::path::Path) -> Self {
        Self {
            context: folder.to_owned(),
            dockerfile: folder.join("Dockerfile"),
            target: None,
            args: BTreeMap::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            platform: None,
            network: None,
            ca: None,
        }
    }
}

/// Where a secret's value comes from. The value itself is read by `observe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkloadKind {
    Deployment,
    Stateful,
    Job,
    Cron { schedule: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the words are Kubernetes' own")]
pub(crate) struct Port {
    /// At most 15 characters, a port name of Kubernetes; unique in the service.
    pub(crate) name: String,
    /// The Service's port.
    pub(crate) port: u16,
    /// The container's port.
    pub(crate) target: u16,
    pub(crate) protocol: Protocol,
    /// A chosen node port, inside the band.
    pub(crate) node_port: Option<u16>,
    /// `dev` also listens on this port of localhost.
    pub(crate) local: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expose {
    Cluster,
    NodePort,
    LoadBalancer,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    /// `cpu` → `500m`.
    pub(crate) requests: BTreeMap<String, String>,
    pub(crate) limits: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) check: ProbeCheck,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) delay: Duration,
    pub(crate) failures: u32,
    pub(crate) successes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProbeCheck {
    Http { path: String, port: u16 },
    Tcp { port: u16 },
    Grpc { port: u16 },
    Exec { command: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollout {
    /// `None`: rolling, or Recreate where a `ReadWriteOnce` volume forces it.
    pub(crate) strategy: Option<Strategy>,
    /// `1` or `25%`.
    pub(crate) max_surge: Option<String>,
    pub(crate) max_unavailable: Option<String>,
    /// How long a workload may take to become ready.
    pub(crate) deadline: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    Rolling,
    Recreate,
}

/// A claim that Coracle makes (or uses, with `claim`), and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Unique in the service; the claim is `WORKLOAD-NAME` (or `claim`).
    pub(crate) name: String,
    /// One that exists, used and never deleted. Without it, one of `size` is made.
    pub(crate) claim: Option<String>,
    /// `1Gi`; always there without `claim`.
    pub(crate) size: Option<String>,
    pub(crate) path: String,
    pub(crate) storage_class: Option<String>,
    /// `ReadWriteOnce` by default.
    pub(crate) access: String,
}

/// A mount of somebody else's claim, or of a volume of this service again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) claim: String,
    pub(crate) path: String,
    pub(crate) sub_path: Option<String>,
    pub(crate) read_only: bool,
}

/// An init container or a sidecar. Without an image it runs the service's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: Option<String>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) resources: Resources,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Security {
    /// Meets the `restricted` Pod Security standard.
    pub(crate) restricted: bool,
    pub(crate) user: Option<i64>,
    pub(crate) group: Option<i64>,
    pub(crate) read_only_root: bool,
    pub(crate) add_capabilities: Vec<String>,
    pub(crate) drop_capabilities: Vec<String>,
}

/// One request of the profile's own checks, and what it must answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Check {
    pub(crate) service: String,
    /// `GET`, `POST`, …
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: CheckBody,
    pub(crate) expect: Expect,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CheckBody {
    None,
    Json(serde_json::Value),
    Text(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expect {
    pub(crate) status: u16,
    /// The answer's JSON contains at least this.
    pub(crate) json: Option<serde_json::Value>,
    /// The answer's text contains this.
    pub(crate) text: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}
