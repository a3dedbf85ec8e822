//! One object: JSON with the few questions that Coracle asks of it, and the names of
//! its labels and annotations.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The field manager of every write.
pub(crate) const MANAGER: &str = "coracle";
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(crate) const PROFILE: &str = "coracle.dev/profile";
pub(crate) const SERVICE: &str = "coracle.dev/service";
pub(crate) const INSTANCE: &str = "coracle.dev/instance";
/// Annotation: names the object that it sits on (`apps/Deployment/NAMESPACE/NAME`), so that
/// copies made by others are not ours.
pub(crate) const SELF: &str = "coracle.dev/self";
/// Annotation: digest of what was rendered.
pub(crate) const RENDERED: &str = "coracle.dev/rendered";
/// Annotation of pod templates: digest of the template, so that pods tell their revision.
pub(crate) const TEMPLATE: &str = "coracle.dev/template";
/// Annotation of pod templates: `CONTAINER=IMAGE` as the profile names it.
pub(crate) const IMAGE: &str = "coracle.dev/image";
/// Annotation of live claims, in memory only: their storage class does not let them grow.
pub(crate) const FIXED_SIZE: &str = "coracle.dev/fixed-size";

/// An object to apply, or one that is live.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object(pub(crate) Value);

impl Object {
    pub(crate) fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Empty for objects of the whole cluster.
    pub(crate) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.0["metadata"]["labels"][key].as_str()
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.0["metadata"]["annotations"][key].as_str()
    }

    pub(crate) fn uid(&self) -> Option<&str> {
        self.0["metadata"]["uid"].as_str()
    }

    /// Returns the API group; empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    /// Returns `GROUP/KIND/NAMESPACE/NAME`: equal for the same object in any version.
    pub(crate) fn identity(&self) -> String {
        format!("{}/{}/{}/{}", self.group(), self.kind(), self.namespace(), self.name())
    }

    /// Returns `deployment web`: for sentences.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind().to_lowercase(), self.name())
    }

    /// Returns whether pods come of it, now or later.
    pub(crate) fn is_workload(&self) -> bool {
        is_workload(self.kind())
    }

    /// Returns whether it starts pods as soon as it is there (a `CronJob` does not).
    pub(crate) fn rolls_out(&self) -> bool {
        self.is_workload() && self.kind() != "CronJob"
    }

    /// Returns whether it has ended in failure and never tries again: a Job that gave up, a bare
    /// pod that ended.
    pub(crate) fn has_failed(&self) -> bool {
        match self.kind() {
            "Job" => self.0["status"]["conditions"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["type"] == "Failed" && one["status"] == "True")),
            "Pod" => self.text("/status/phase") == "Failed",
            _ => false,
        }
    }

    /// Returns the pod template of a workload.
    pub(crate) fn template(&self) -> Option<&Value> {
        self.0.pointer(template_pointer(self.kind())?)
    }

    pub(crate) fn template_mut(&mut self) -> Option<&mut Value> {
        let pointer = template_pointer(self.kind())?;
        self.0.pointer_mut(pointer)
    }

    /// Returns the pod's spec, of a workload's template or of a bare pod.
    pub(crate) fn pod(&self) -> Option<&Value> {
        if self.kind() == "Pod" { self.0.get("spec") } else { self.template()?.get("spec") }
    }

    pub(crate) fn pod_mut(&mut self) -> Option<&mut Value> {
        if self.kind() == "Pod" { self.0.get_mut("spec") } else { self.template_mut()?.get_mut("spec") }
    }

    pub(crate) fn annotate(&mut self, key: &str, value: &str) {
        let Some(metadata) = child(&mut self.0, "metadata") else { return };
        if let Some(annotations) = child(metadata, "annotations").and_then(Value::as_object_mut) {
            annotations.insert(key.to_owned(), value.into());
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Returns whether pods come of objects of this kind. All of Kubernetes' own are here, and
/// [`template_pointer`] knows those that have a template.
pub(crate) fn is_workload(kind: &str) -> bool {
    kind == "Pod" || template_pointer(kind).is_some()
}

/// Returns where a kind keeps its pod template.
pub(crate) fn template_pointer(kind: &str) -> Option<&'static str> {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
            Some("/spec/template")
        }
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// Returns the object under `key`, made where it is absent or null; `None` where something
/// else is in its place.
pub(crate) fn child<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let entry = value.as_object_mut()?.entry(key).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Object(Map::new());
    }
    entry.is_object().then_some(entry)
}

/// Returns 12 hex digits of the SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let bytes = Sha256::digest(bytes);
    let head = bytes.iter().take(6).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{head:012x}")
}

/// Returns `name`, or where it is longer than `max` its beginning and a digest of all of it,
/// so that two long names stay two.
pub(crate) fn fit(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let mut end = max.saturating_sub(9);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let head = name[..end].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{head}-{}", &digest(name.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_names_itself_without_its_version() {
        let object = Object(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "demo"}}));
        assert_eq!(object.identity(), "apps/Deployment/demo/web");
        assert_eq!(object.title(), "deployment web");
        let core = Object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}));
        assert_eq!(core.identity(), "/Namespace//demo");
    }

    #[test]
    fn an_annotation_finds_its_place() {
        let mut object = Object(json!({"metadata": {"name": "web", "annotations": null}}));
        object.annotate(SELF, "x");
        assert_eq!(object.annotation(SELF), Some("x"));
    }

    #[test]
    fn workloads_are_told_by_their_kind() {
        let of = |kind: &str| Object(json!({"kind": kind}));
        assert!(of("Pod").is_workload() && of("Pod").rolls_out());
        assert!(of("CronJob").is_workload() && !of("CronJob").rolls_out());
        assert!(of("DaemonSet").rolls_out());
        assert!(!of("Service").is_workload() && !of("Service").rolls_out());
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        assert_eq!(fit("web", 10), "web");
        let (one, other) = (fit(&"a".repeat(70), 52), fit(&"a".repeat(71), 52));
        assert_eq!(one.len(), 52);
        assert_ne!(one, other);
        assert!(fit(&format!("{}-----------", "a".repeat(42)), 52).starts_with(&format!("{}-", "a".repeat(42))));
    }
}
