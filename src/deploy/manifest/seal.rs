//! What is computed last: digests, the names that carry them, and images that were not
//! known when the objects were rendered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::deploy::object::{Object, RENDERED, SELF, TEMPLATE, child, digest};
use crate::image::own::HOST;

/// Begins an image that is not known yet; the image's name follows.
pub(crate) const PENDING: &str = "pending://";

/// Stands for the template's digest in the name of a job until it is sealed.
pub(super) const UNSEALED: &str = "000000000000";

/// Computes the template's digest, a job's name, and what the object says of itself.
/// Sealing twice is sealing once.
pub(crate) fn seal(mut object: Object) -> Object {
    let digests = object.template_mut().and_then(seal_template);
    if let Some((before, now)) = digests
        && object.kind() == "Job"
        && let Some(base) = object.name().strip_suffix(&before)
        && base.ends_with('-')
    {
        object.0["metadata"]["name"] = format!("{base}{now}").into();
    }
    let identity = object.identity();
    object.annotate(SELF, &identity);
    if let Some(annotations) = object.0["metadata"]["annotations"].as_object_mut() {
        annotations.remove(RENDERED);
    }
    let rendered = digest(object.0.to_string().as_bytes());
    object.annotate(RENDERED, &rendered);
    object
}

/// Returns the object as one of the whole cluster: for kinds that turn out to have no namespace.
pub(crate) fn without_namespace(mut object: Object) -> Object {
    if let Some(metadata) = object.0["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    seal(object)
}

/// Returns the digest that the template had (or what stood for it) and the one it has.
fn seal_template(template: &mut Value) -> Option<(String, String)> {
    let annotations = child(child(template, "metadata")?, "annotations")?.as_object_mut()?;
    let before = annotations.remove(TEMPLATE);
    let now = digest(template.to_string().as_bytes());
    template["metadata"]["annotations"][TEMPLATE] = now.as_str().into();
    let before = before.as_ref().and_then(Value::as_str).unwrap_or(UNSEALED);
    Some((before.to_owned(), now))
}

/// Fills in images that were `pending://NAME`, also in values of `env`, and seals again.
/// Names that `images` does not know stay as they are.
pub(crate) fn fill_images(objects: Vec<Object>, images: &BTreeMap<String, String>) -> Vec<Object> {
    objects
        .into_iter()
        .map(|mut object| {
            let mut filled = false;
            for container in containers_mut(&mut object) {
                filled |= fill_container(container, images);
            }
            if filled { seal(object) } else { object }
        })
        .collect()
}

fn fill_container(container: &mut Value, images: &BTreeMap<String, String>) -> bool {
    let mut filled = false;
    if let Some(name) = container["image"].as_str().and_then(|image| image.strip_prefix(PENDING))
        && let Some(image) = images.get(name)
    {
        container["image"] = image.as_str().into();
        container["imagePullPolicy"] = pull_policy(image).into();
        filled = true;
    }
    for entry in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(text) = entry["value"].as_str().filter(|text| text.contains(PENDING)) {
            let text = fill_text(text, images);
            filled |= entry["value"] != text.as_str();
            entry["value"] = text.into();
        }
    }
    filled
}

fn fill_text(text: &str, images: &BTreeMap<String, String>) -> String {
    let mut parts = text.split(PENDING);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.'))
            .unwrap_or(part.len());
        // A sentence may go on after the name: `pending://web.` names `web`.
        let name = part[..end].trim_end_matches(['.', '-']);
        if let Some(image) = images.get(name) {
            out.push_str(image);
        } else {
            out.push_str(PENDING);
            out.push_str(name);
        }
        out.push_str(&part[name.len()..]);
    }
    out
}

/// Returns every container of an object's pods, init containers included.
fn containers_mut(object: &mut Object) -> impl Iterator<Item = &mut Value> {
    object
        .pod_mut()
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|pod| pod.iter_mut())
        .filter(|(key, _)| *key == "containers" || *key == "initContainers")
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
}

/// Images that exist only here must not be asked for at a registry.
pub(crate) fn pull_policy(image: &str) -> &'static str {
    if image.starts_with(HOST) { "Never" } else { "IfNotPresent" }
}
