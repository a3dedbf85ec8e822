//! What a cluster accepts and what still does not work.

use serde_json::{Map, Value};

use super::Document;
use super::check::text;
use super::error::clean;
use crate::deploy::object::Object;

/// Returns sentences about documents that look wrong; `ours` are the documents as objects,
/// `rendered` is what the profile's services make.
pub(super) fn sentences(documents: &[Document], ours: &[Object], rendered: &[Object]) -> Vec<String> {
    let all: Vec<&Object> = ours.iter().chain(rendered).collect();
    let mut sentences = Vec::new();
    for document in documents {
        sentences.extend(selects_nothing(document, &all));
        sentences.extend(probes(document));
        sentences.extend(shared_claim(document, &all));
    }
    sentences
}

fn selects_nothing(document: &Document, all: &[&Object]) -> Option<String> {
    let object = &document.object;
    let selector = object.0["spec"]["selector"].as_object().filter(|selector| !selector.is_empty())?;
    if object.kind() != "Service" || all.iter().any(|other| pod_labels(other).is_some_and(|has| within(selector, has)))
    {
        return None;
    }
    let wanted: Vec<String> = selector.iter().map(|(key, value)| format!("{key}: {}", text(value))).collect();
    Some(format!(
        "{}: service `{}` selects `{}`, and no pod of the manifests or the profile has that",
        document.place("/spec/selector"),
        clean(object.name()),
        clean(&wanted.join(", "))
    ))
}

fn pod_labels(object: &Object) -> Option<&Map<String, Value>> {
    let pod = if object.kind() == "Pod" { &object.0 } else { object.template()? };
    pod["metadata"]["labels"].as_object()
}

fn within(selector: &Map<String, Value>, labels: &Map<String, Value>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A probe of a port that the container does not list fails for ever, mostly.
fn probes(document: &Document) -> Vec<String> {
    let mut sentences = Vec::new();
    for image in super::images::named(document) {
        let Some(container) = document.object.0.pointer(&image.container) else { continue };
        let Some(ports) = container["ports"].as_array().filter(|ports| !ports.is_empty()) else { continue };
        for probe in ["readinessProbe", "livenessProbe", "startupProbe"] {
            for check in ["httpGet", "tcpSocket", "grpc"] {
                let port = &container[probe][check]["port"];
                let listed = ports.iter().any(|own| own["containerPort"] == *port || own["name"] == *port);
                if !port.is_null() && !listed {
                    sentences.push(format!(
                        "{}: {probe} asks port {}, and container `{}` lists only {}",
                        document.place(&format!("{}/{probe}/{check}/port", image.container)),
                        clean(&text(port)),
                        clean(&text(&container["name"])),
                        ports.iter().map(|own| clean(&text(&own["containerPort"]))).collect::<Vec<_>>().join(", ")
                    ));
                }
            }
        }
    }
    sentences
}

/// More than one pod on a volume that one node may have.
fn shared_claim(document: &Document, all: &[&Object]) -> Option<String> {
    let object = &document.object;
    let replicas = object.0["spec"]["replicas"].as_i64().filter(|replicas| *replicas > 1)?;
    let volumes = object.pod()?["volumes"].as_array()?;
    let claim =
        volumes.iter().filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str()).find(|name| {
            all.iter().any(|other| {
                let modes = other.0["spec"]["accessModes"].as_array();
                let single =
                    modes.is_some_and(|modes| modes.iter().all(|mode| text(mode).starts_with("ReadWriteOnce")));
                other.kind() == "PersistentVolumeClaim" && other.name() == *name && single
            })
        })?;
    Some(format!(
        "{}: {replicas} pods of {} share claim `{}`, which only one node may have at a time",
        document.place("/spec/replicas"),
        clean(&object.title()),
        clean(claim)
    ))
}
