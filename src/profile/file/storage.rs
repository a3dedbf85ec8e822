//! `volumes:` and `mounts:` — what outlives a pod.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;

/// A claim that Coracle makes; with `claim`, one that exists, used and never deleted.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "volume")]
pub(crate) struct VolumeFile {
    /// The volume's name, unique in the service. Without it `data`, then `data-2`, and so on.
    pub(crate) name: Option<String>,
    /// A claim that exists.
    pub(crate) claim: Option<String>,
    /// How much, such as `1Gi`. Needed without `claim`.
    pub(crate) size: Option<Text>,
    /// Where it is mounted, absolute.
    pub(crate) path: String,
    /// The storage class. Without it, the cluster's default.
    pub(crate) storage_class: Option<String>,
    /// The access mode.
    #[schemars(extend("default" = "ReadWriteOnce"))]
    pub(crate) access: Option<String>,
}

/// A mount of somebody else's claim, or once more of a volume of this service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "mount")]
pub(crate) struct MountFile {
    /// The claim, or the name of one of this service's volumes.
    pub(crate) claim: String,
    /// Where it is mounted, absolute.
    pub(crate) path: String,
    /// Only this folder of it.
    pub(crate) sub_path: Option<String>,
    /// Nothing may be written to it.
    #[schemars(extend("default" = false))]
    pub(crate) read_only: Option<bool>,
}
