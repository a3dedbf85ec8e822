//! Server-side apply with one field manager: namespaces first, then what others refer to,
//! then the rest in parallel.
//!
//! Forced, because the laptop's cluster is put right after the profile; and therefore only after
//! the object that is there has been seen to be ours. It waits for namespaces and definitions to
//! be usable, never for workloads: that is `rollout.rs`.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::Error;
use super::error::Words;
use super::manifest::without_namespace;
use super::object::{INSTANCE, MANAGED_BY, MANAGER, Object, SELF};
use super::request::{Call, Fault, Resource, call, get, list};
use crate::event::{Progress, Subject, Unit};
use crate::session::Session;

const AT_ONCE: usize = 8;
const TERMINATING: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(250);

/// Objects of one stage may refer to those of the stages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Namespaces,
    Definitions,
    Referred,
    Services,
    Workloads,
}

fn stage(object: &Object) -> Stage {
    match object.kind() {
        "Namespace" => Stage::Namespaces,
        "CustomResourceDefinition" => Stage::Definitions,
        "Secret"
        | "ConfigMap"
        | "PersistentVolumeClaim"
        | "PersistentVolume"
        | "StorageClass"
        | "ServiceAccount"
        | "Role"
        | "RoleBinding"
        | "ClusterRole"
        | "ClusterRoleBinding"
        | "ResourceQuota"
        | "LimitRange"
        | "PriorityClass" => Stage::Referred,
        "Service" => Stage::Services,
        _ => Stage::Workloads,
    }
}

/// Applies objects.
pub(crate) async fn apply(session: &Session, client: &kube::Client, objects: &[Object]) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let namespace = objects
        .iter()
        .map(|object| if object.kind() == "Namespace" { object.name() } else { object.namespace() })
        .find(|namespace| !namespace.is_empty())
        .unwrap_or("default");
    let subject = Subject::Apply { namespace: namespace.to_owned() };
    let work = apply_stages(session, client, objects, &subject);
    let what = |(): &()| match objects.len() {
        1 => format!("applied {}", objects[0].title()),
        count => format!("applied {count} objects"),
    };
    session.events.track(subject.clone(), work, what).await
}

async fn apply_stages(
    session: &Session,
    client: &kube::Client,
    objects: &[Object],
    subject: &Subject,
) -> Result<(), Error> {
    let mut done = 0;
    for now in [Stage::Namespaces, Stage::Definitions, Stage::Referred, Stage::Services, Stage::Workloads] {
        let of_stage: Vec<&Object> = objects.iter().filter(|object| stage(object) == now).collect();
        let mut writes = stream::iter(of_stage)
            .map(async |object| apply_one(session, client, object).await.map(|()| object))
            .buffer_unordered(AT_ONCE);
        while let Some(object) = writes.try_next().await? {
            done += 1;
            let detail = crate::ui::sanitize::line(&object.title());
            let total = Some(objects.len() as u64);
            session.events.progress(subject, Progress { done, total, unit: Unit::Steps, detail });
        }
        if session.cancel.is_cancelled() {
            let stands = format!("{done} of {} objects are applied", objects.len());
            return Err(Error::Interrupted { stands });
        }
    }
    Ok(())
}

async fn apply_one(session: &Session, client: &kube::Client, object: &Object) -> Result<(), Error> {
    let resource = Resource::find(client, object.api_version(), object.kind()).await?;
    // Only the cluster knows which custom kinds have no namespace.
    let placed = (!resource.namespaced && !object.namespace().is_empty()).then(|| without_namespace(object.clone()));
    let object = placed.as_ref().unwrap_or(object);
    let mut before = get(client, &resource, object.namespace(), object.name()).await?;
    if object.kind() == "Namespace" {
        if before.as_ref().is_some_and(is_terminating) {
            wait_terminated(session, client, &resource, object.name()).await?;
            before = None;
        }
        // A namespace that is there is used as it is, unless it is ours to change.
        if before.as_ref().is_some_and(|before| !same_owner(before, object)) {
            return Ok(());
        }
    } else if before.as_ref().is_some_and(|before| !same_owner(before, object)) {
        return Err(Error::Foreign { what: crate::ui::sanitize::line(&object.title()) });
    }
    if before.as_ref().is_some_and(Object::has_failed) {
        return replace(client, &resource, object, before.as_ref()).await;
    }
    let path = resource.path(object.namespace());
    match call(client, &path, Call::Apply(object)).await {
        Ok(_) if object.kind() == "CustomResourceDefinition" => wait_established(client, &resource, object).await,
        Ok(_) => Ok(()),
        Err(Fault::Api(status)) if is_fixed(object.kind(), &status.message) => {
            replace(client, &resource, object, before.as_ref()).await
        }
        Err(Fault::Api(status)) if status.message.contains("provided port is already allocated") => {
            Err(port_taken(client, object, &status.message).await)
        }
        Err(fault) => Err(fault.into_error(&crate::ui::sanitize::line(&object.title()))),
    }
}

/// Returns whether the server says that this never changes and another one must take its place:
/// a Job's template, most of a pod.
fn is_fixed(kind: &str, message: &str) -> bool {
    match kind {
        "Job" => message.contains("field is immutable"),
        "Pod" => message.contains("pod updates may not"),
        _ => false,
    }
}

/// Returns whether what is there carries the same label and names itself, as ours do.
fn same_owner(before: &Object, object: &Object) -> bool {
    let own = before.identity();
    before.annotation(SELF) == Some(own.as_str())
        && before.label(INSTANCE) == object.label(INSTANCE)
        && before.label(MANAGED_BY) == Some(MANAGER)
}

fn is_terminating(namespace: &Object) -> bool {
    namespace.0["metadata"]["deletionTimestamp"].is_string() || namespace.0["status"]["phase"] == "Terminating"
}

async fn wait_terminated(
    session: &Session,
    client: &kube::Client,
    resource: &Resource,
    name: &str,
) -> Result<(), Error> {
    session.events.info(format!("Namespace `{name}` is still being deleted; waiting for it"));
    let start = Instant::now();
    while let Some(namespace) = get(client, resource, "", name).await? {
        if start.elapsed() > TERMINATING {
            let source = Words::new(&blocks(&namespace));
            return Err(Error::Terminating { namespace: name.to_owned(), seconds: TERMINATING.as_secs(), source });
        }
        if session.cancel.is_cancelled() {
            return Err(Error::Interrupted { stands: format!("namespace `{name}` is still being deleted") });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Returns what keeps a namespace from going, in the namespace controller's words.
pub(super) fn blocks(namespace: &Object) -> String {
    let conditions = namespace.0["status"]["conditions"].as_array();
    let lines: Vec<&str> = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] == "True")
        .filter_map(|condition| condition["message"].as_str())
        .collect();
    if lines.is_empty() { "the cluster does not say what is left in it".to_owned() } else { lines.join("\n") }
}

async fn wait_established(client: &kube::Client, resource: &Resource, object: &Object) -> Result<(), Error> {
    let limit = Duration::from_secs(15);
    let start = Instant::now();
    loop {
        let found = get(client, resource, "", object.name()).await?;
        let established = found.is_some_and(|found| {
            let conditions = found.0["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Established" && condition["status"] == "True")
        });
        if established {
            return Ok(());
        }
        if start.elapsed() > limit {
            let what = format!("{} to be established", object.title());
            return Err(Error::NoAnswer { what, seconds: limit.as_secs() });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Deletes exactly what is there, waits until it is gone, and creates the other one.
async fn replace(
    client: &kube::Client,
    resource: &Resource,
    object: &Object,
    before: Option<&Object>,
) -> Result<(), Error> {
    let title = crate::ui::sanitize::line(&object.title());
    let path = resource.path(object.namespace());
    let params = delete_params(before.and_then(Object::uid));
    match call(client, &path, Call::Delete(object.name(), &params)).await {
        Ok(_) => {}
        Err(Fault::Api(status)) if status.code == 404 => {}
        Err(fault) => return Err(fault.into_error(&title)),
    }
    let start = Instant::now();
    while get(client, resource, object.namespace(), object.name()).await?.is_some() {
        if start.elapsed() > TERMINATING {
            let source = Words::new("its pods are still ending");
            return Err(Error::StillThere { what: format!("{title} is"), seconds: TERMINATING.as_secs(), source });
        }
        tokio::time::sleep(POLL).await;
    }
    call(client, &path, Call::Apply(object)).await.map(drop).map_err(|fault| fault.into_error(&title))
}

/// Deletes exactly the object that was seen, and its dependents before it.
pub(super) fn delete_params(uid: Option<&str>) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        preconditions: Some(Preconditions { uid: uid.map(str::to_owned), resource_version: None }),
        ..DeleteParams::default()
    }
}

/// Names the Service that has the node port, which the API server does not.
async fn port_taken(client: &kube::Client, object: &Object, message: &str) -> Error {
    let ports = object.0["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let wanted: Vec<u64> = ports.iter().filter_map(|port| port["nodePort"].as_u64()).collect();
    // "Invalid value: 30001: provided port is already allocated" names it when there are several.
    let port = wanted.iter().copied().find(|port| message.contains(&port.to_string()));
    let services = Resource::known("v1", "Service").expect("the table of known kinds has Service");
    let others = list(client, &services, "", None).await.unwrap_or_default();
    let has = |service: &&Object| {
        let ports = service.0["spec"]["ports"].as_array();
        ports.into_iter().flatten().any(|taken| taken["nodePort"].as_u64() == port)
    };
    let owner = others.iter().find(has).map_or_else(
        || "another service".to_owned(),
        |service| format!("service `{}` of namespace `{}`", service.name(), service.namespace()),
    );
    Error::PortTaken {
        what: crate::ui::sanitize::line(&object.title()),
        port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        owner: crate::ui::sanitize::line(&owner),
        source: Words::new(message),
    }
}
