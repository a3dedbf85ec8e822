//! Where documents go: the one namespace of the profile, or no namespace at all.

use super::Document;
use super::error::Problem;
use crate::deploy::object::Object;
use crate::profile::Profile;

const CLUSTER_SCOPED: [&str; 24] = [
    "Namespace",
    "Node",
    "PersistentVolume",
    "ClusterRole",
    "ClusterRoleBinding",
    "StorageClass",
    "VolumeAttachment",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "PriorityClass",
    "IngressClass",
    "RuntimeClass",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "APIService",
    "CertificateSigningRequest",
    "FlowSchema",
    "PriorityLevelConfiguration",
    "ClusterTrustBundle",
];

/// Kinds of the whole cluster: Kubernetes' own, and those that the documents define. Other custom
/// kinds are not known here: the cluster says so when they are applied and compared.
pub(super) struct Whole {
    /// (group, kind)
    custom: Vec<(String, String)>,
}

impl Whole {
    pub(super) fn new(documents: &[Document]) -> Self {
        let definitions = documents
            .iter()
            .map(|document| &document.object)
            .filter(|object| object.kind() == "CustomResourceDefinition" && object.0["spec"]["scope"] == "Cluster");
        let custom = definitions.filter_map(|object| {
            let spec = &object.0["spec"];
            Some((spec["group"].as_str()?.to_owned(), spec["names"]["kind"].as_str()?.to_owned()))
        });
        Self { custom: custom.collect() }
    }

    pub(super) fn has(&self, object: &Object) -> bool {
        let custom = |(group, kind): &(String, String)| group == object.group() && kind == object.kind();
        CLUSTER_SCOPED.contains(&object.kind()) || self.custom.iter().any(custom)
    }

    /// Reports a document that asks for another namespace. What is there could not be found
    /// again: everything of a profile is looked for in its one namespace.
    pub(super) fn elsewhere(&self, profile: &Profile, document: &Document) -> Option<Problem> {
        let object = &document.object;
        let own = profile.namespace.as_str();
        if object.kind() == "Namespace" {
            let message = format!(
                "namespace `{}` would be a second one: profile `{}` has one, `{own}`",
                object.name(),
                profile.name
            );
            let help = "leave it out; for another namespace, write another profile";
            return (!object.name().is_empty() && object.name() != own)
                .then(|| document.problem("/metadata/name", &message, help));
        }
        if object.namespace().is_empty() || object.namespace() == own || self.has(object) {
            return None;
        }
        let message = format!(
            "{} wants namespace `{}`, and all of profile `{}` goes to `{own}`",
            object.title(),
            object.namespace(),
            profile.name
        );
        let help = format!("leave `namespace:` out, or write `namespace: {}` in the profile", object.namespace());
        Some(document.problem("/metadata/namespace", &message, &help))
    }
}
