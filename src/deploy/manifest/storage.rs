//! Claims that Coracle makes, and the volumes of pods. A claim of somebody else
//! (`claim:`) is mounted and never rendered.

use serde_json::{Value, json};

use super::{Scope, config};
use crate::deploy::object::{Object, digest, fit};
use crate::profile::{Service, Volume};

/// The pod volume that holds `files:`.
const FILES: &str = "coracle-files";

/// Returns the claims to make.
pub(super) fn claims(scope: &Scope) -> Vec<Object> {
    let own = scope.service.volumes.iter().filter(|volume| volume.claim.is_none());
    own.map(|volume| {
        let spec = json!({
            "accessModes": [volume.access],
            "storageClassName": volume.storage_class,
            "resources": {"requests": {"storage": volume.size}},
        });
        scope.object("v1", "PersistentVolumeClaim", &claim_name(scope.service, volume), json!({"spec": spec}))
    })
    .collect()
}

/// Returns the names of the claims that Coracle makes for a service.
pub(crate) fn claim_names(service: &Service) -> Vec<String> {
    let own = service.volumes.iter().filter(|volume| volume.claim.is_none());
    own.map(|volume| claim_name(service, volume)).collect()
}

fn claim_name(service: &Service, volume: &Volume) -> String {
    volume.claim.clone().unwrap_or_else(|| fit(&format!("{}-{}", service.name, volume.name), 253))
}

/// True where two pods at once would both want a volume that one node may have.
pub(super) fn single_writer(scope: &Scope) -> bool {
    let single = |volume: &Volume| volume.claim.is_none() && volume.access.starts_with("ReadWriteOnce");
    scope.service.volumes.iter().any(single)
}

/// Returns the pod's volumes.
pub(super) fn volumes(scope: &Scope) -> Vec<Value> {
    let claim = |name: &str, claim: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": claim}});
    let mut volumes: Vec<Value> = Vec::new();
    for volume in &scope.service.volumes {
        volumes.push(claim(&volume.name, &claim_name(scope.service, volume)));
    }
    for mount in &scope.service.mounts {
        let name = mounted(scope, &mount.claim);
        if !volumes.iter().any(|volume| volume["name"] == name.as_str()) {
            volumes.push(claim(&name, &mount.claim));
        }
    }
    if let Some(name) = config::files_name(scope) {
        volumes.push(json!({"name": FILES, "configMap": {"name": name}}));
    }
    volumes
}

/// Returns where the pod's volumes are mounted in each of its containers.
pub(super) fn mounts(scope: &Scope) -> Vec<Value> {
    let service = scope.service;
    let own = service.volumes.iter().map(|volume| json!({"name": volume.name, "mountPath": volume.path}));
    let others = service.mounts.iter().map(|mount| {
        json!({
            "name": mounted(scope, &mount.claim),
            "mountPath": mount.path,
            "subPath": mount.sub_path,
            "readOnly": mount.read_only.then_some(true),
        })
    });
    let files = scope.material.files.get(&service.key).into_iter().flatten().map(
        |(path, _)| json!({"name": FILES, "mountPath": path, "subPath": config::file_key(path), "readOnly": true}),
    );
    own.chain(others).chain(files).collect()
}

/// Returns the name of the pod volume for a mount: the service's own one, by its name or its
/// claim's, else one that is named after the claim.
fn mounted(scope: &Scope, claim: &str) -> String {
    let own = scope.service.volumes.iter();
    if let Some(volume) = own.into_iter().find(|own| own.name == claim || claim_name(scope.service, own) == claim) {
        return volume.name.clone();
    }
    let label: String = claim.chars().map(|c| if c == '.' { '-' } else { c }).collect();
    let name = fit(&format!("claim-{label}"), 63);
    let taken = scope.service.volumes.iter().any(|own| own.name == name);
    if taken || claim.contains('.') { format!("claim-{}", digest(claim.as_bytes())) } else { name }
}
