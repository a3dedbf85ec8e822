//! From the profile to objects: pure, stable, and the same for `render`, `up` and `diff`.
//!
//! [`render`] is the entry; the other files each make one sort of object, with [`Scope`] as
//! what they share. Whatever a name or a digest depends on is computed last, by
//! [`seal()`], because images may be known only after a build. The order in which services
//! wait for each other (`after`) is the executor's: nothing of it is in the objects.

mod config;
mod development;
mod network;
mod output;
mod patch;
mod pod;
mod seal;
mod security;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
mod workload;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(crate) use self::output::{file_name, without_secrets, yaml};
pub(crate) use self::seal::{PENDING, fill_images, pull_policy, seal, without_namespace};
pub(crate) use self::storage::claim_names;
use super::object::{INSTANCE, MANAGED_BY, Object, PROFILE, SERVICE};
use crate::profile::{Profile, Service};

/// What rendering needs beside the profile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Material {
    /// Image name (a service's key, `SERVICE.CONTAINER` for init containers and sidecars, the
    /// reference itself for raw manifests) → reference to deploy.
    pub(crate) images: BTreeMap<String, String>,
    /// (service key, port name) → node port.
    pub(crate) node_ports: BTreeMap<(String, String), u16>,
    /// Service key → secret's key → value.
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Service key → path in the container → content.
    pub(crate) files: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

/// Returns the profile's objects, namespace first, in a stable order, each with Coracle's
/// labels and annotations ([`super::object`]). An image that `material` does not know is
/// `pending://NAME`, for [`fill_images`].
pub(crate) fn render(profile: &Profile, material: &Material) -> Vec<Object> {
    let mut objects = vec![namespace(profile)];
    for service in profile.services.iter().filter(|service| service.deploy) {
        let scope = Scope { profile, service, material };
        objects.extend(config::secret(&scope));
        objects.extend(config::files(&scope));
        objects.extend(storage::claims(&scope));
        objects.push(workload::workload(&scope));
        objects.extend(network::services(&scope));
    }
    objects.into_iter().map(seal).collect()
}

/// The namespace has no instance label, so that no prune ever considers it.
fn namespace(profile: &Profile) -> Object {
    Object(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": profile.namespace,
            "labels": {MANAGED_BY: "coracle", PROFILE: profile.name},
        },
    }))
}

/// One service, and all that its objects are made from.
#[derive(Clone, Copy)]
struct Scope<'a> {
    profile: &'a Profile,
    service: &'a Service,
    material: &'a Material,
}

impl Scope<'_> {
    /// Returns the labels of every object and pod: the user's first, so that ours win.
    fn labels(&self) -> Map<String, Value> {
        let user = self.profile.labels.iter().chain(&self.service.labels);
        let mut labels: Map<String, Value> = user.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        for (key, value) in [
            (MANAGED_BY, "coracle"),
            ("app.kubernetes.io/name", &self.service.key),
            (PROFILE, &self.profile.name),
            (SERVICE, &self.service.key),
            (INSTANCE, &self.profile.instance),
        ] {
            labels.insert(key.to_owned(), value.into());
        }
        labels
    }

    /// Returns what selects the service's pods. Immutable in the cluster: never more than this.
    fn selector(&self) -> Value {
        json!({INSTANCE: self.profile.instance, SERVICE: self.service.key})
    }

    /// Returns an object of the service; `body` is what stands beside its metadata.
    fn object(&self, api_version: &str, kind: &str, name: &str, body: Value) -> Object {
        let mut object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": self.profile.namespace, "labels": self.labels()},
        });
        if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
            object.extend(body);
        }
        Object(without_nulls(object))
    }

    /// Returns an object that carries the user's annotations too.
    fn annotated(&self, api_version: &str, kind: &str, name: &str, body: Value) -> Object {
        let mut object = self.object(api_version, kind, name, body);
        for (key, value) in &self.service.annotations {
            object.annotate(key, value);
        }
        object
    }

    /// Returns the image to deploy for one of Coracle's image names.
    fn image(&self, name: &str) -> String {
        self.material.images.get(name).cloned().unwrap_or_else(|| format!("{PENDING}{name}"))
    }
}

/// Removes keys whose value is null, all the way down: the shape to write optional fields in.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Returns null for an empty list or map.
fn nonempty(value: Value) -> Value {
    let empty = match &value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if empty { Value::Null } else { value }
}
