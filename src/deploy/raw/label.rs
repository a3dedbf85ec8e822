//! A document becomes an object of the profile's instance.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Document, images, scope};
use crate::deploy::manifest::{PENDING, pull_policy, seal};
use crate::deploy::object::{IMAGE, INSTANCE, MANAGED_BY, Object, PROFILE, SERVICE, child, fit};
use crate::profile::Profile;

/// Returns the document with namespace, labels and deployable images; what a user would not
/// expect is told in `sentences`.
pub(super) fn object(
    profile: &Profile,
    document: &Document,
    known: &BTreeMap<String, String>,
    whole: &scope::Whole,
    sentences: &mut Vec<String>,
) -> Object {
    let mut object = document.object.clone();
    place(profile, &mut object, whole);
    let name = fit(object.name(), 63);
    let mut labels: BTreeMap<&str, &str> =
        profile.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    labels.extend([(MANAGED_BY, "coracle"), (PROFILE, &profile.name), (INSTANCE, &profile.instance)]);
    let workload = object.is_workload();
    if workload {
        labels.insert(SERVICE, &name);
    }
    add_labels(&mut object.0, &labels);
    if let Some(template) = object.template_mut() {
        add_labels(template, &[(INSTANCE, profile.instance.as_str()), (SERVICE, &name)].into());
    }
    if workload {
        substitute(profile, document, known, &mut object, sentences);
    }
    if object.kind() == "Secret" {
        encode(&mut object.0);
    }
    // What an export of a live object brings along, and apply would refuse or fight over.
    for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"] {
        if let Some(metadata) = object.0["metadata"].as_object_mut() {
            metadata.remove(field);
        }
    }
    if let Some(map) = object.0.as_object_mut() {
        map.remove("status");
    }
    seal(object)
}

/// Puts the object into the profile's namespace, if its kind has one.
fn place(profile: &Profile, object: &mut Object, whole: &scope::Whole) {
    let whole = whole.has(object);
    let Some(metadata) = child(&mut object.0, "metadata").and_then(Value::as_object_mut) else { return };
    if whole {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), profile.namespace.as_str().into());
    }
}

fn add_labels(value: &mut Value, labels: &BTreeMap<&str, &str>) {
    let Some(metadata) = child(value, "metadata") else { return };
    let Some(own) = child(metadata, "labels").and_then(Value::as_object_mut) else { return };
    for (key, value) in labels {
        // The manifest's own labels may be selected by; only Coracle's have to be ours.
        if key.starts_with("coracle.dev/") || *key == MANAGED_BY || !own.contains_key(*key) {
            own.insert((*key).to_owned(), (*value).into());
        }
    }
}

/// Deploys the images that are on the nodes, and keeps the kubelet from asking elsewhere.
fn substitute(
    profile: &Profile,
    document: &Document,
    known: &BTreeMap<String, String>,
    object: &mut Object,
    sentences: &mut Vec<String>,
) {
    let mut named = Vec::new();
    for image in images::named(document) {
        let built = images::built(profile, image.reference);
        let deployed = match built {
            Some(key) => Some(known.get(key).cloned().unwrap_or_else(|| format!("{PENDING}{key}"))),
            None => known.get(image.reference).cloned(),
        };
        let Some(container) = object.0.pointer_mut(&image.container) else { continue };
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        named.push(format!("{name}={}", if built.is_some() { "build" } else { image.reference }));
        let Some(deployed) = deployed else { continue };
        let policy = if deployed.starts_with(PENDING) { "Never" } else { pull_policy(&deployed) };
        if container["imagePullPolicy"] == "Always" {
            sentences.push(format!(
                "{}: pull policy `Always` would try to pull an image that {}; `{policy}` is used",
                document.place(&format!("{}/imagePullPolicy", image.container)),
                if built.is_some() { "exists only here" } else { "is on the nodes already" },
            ));
        }
        container["image"] = deployed.into();
        container["imagePullPolicy"] = policy.into();
    }
    if let Some(metadata) = object.template_mut().and_then(|template| child(template, "metadata"))
        && let Some(annotations) = child(metadata, "annotations")
    {
        annotations[IMAGE] = named.join(",").into();
    }
}

/// The server keeps `stringData` as `data` only: what is compared later must be the same.
fn encode(secret: &mut Value) {
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|map| map.remove("stringData")) else { return };
    let Some(data) = child(secret, "data") else { return };
    for (key, text) in texts {
        data[key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}
