//! What is left in a namespace: objects of every kind that the cluster knows, custom ones too.
//!
//! Deleting a namespace deletes all that is in it, so that "empty" must mean what the cluster
//! means by it, and not a list of kinds that somebody thought of.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::Error;
use super::object::Object;
use super::request::{Call, Fault, Resource, call};

const AT_ONCE: usize = 8;

/// Measurements: shown as objects, and none.
const MEASURED: &[&str] = &["metrics.k8s.io", "custom.metrics.k8s.io"];

/// Records that Kubernetes itself keeps about other objects. Plural names.
const RECORDS: &[&str] = &["events", "endpoints", "endpointslices", "leases"];

/// Returns the title of something in the namespace that Kubernetes did not put there by itself;
/// `None` if there is nothing. A group of kinds that does not answer counts as something.
pub(super) async fn first(client: &kube::Client, namespace: &str) -> Result<Option<String>, Error> {
    let versions = versions(client).await?;
    let kinds = versions.iter().map(|version| kinds(client, version));
    let found: Vec<Result<Vec<Resource>, String>> = stream::iter(kinds).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut resources = Vec::new();
    for kinds in found {
        match kinds {
            Ok(kinds) => resources.extend(kinds),
            Err(silent) => return Ok(Some(silent)),
        }
    }
    let lists = resources.iter().map(|resource| left_of(client, resource, namespace));
    let mut lists = stream::iter(lists).buffer_unordered(AT_ONCE);
    while let Some(left) = lists.try_next().await? {
        if left.is_some() {
            return Ok(left);
        }
    }
    Ok(None)
}

/// Returns `v1` and each group's preferred version.
async fn versions(client: &kube::Client) -> Result<Vec<String>, Error> {
    let groups = call(client, "", Call::Get("apis")).await.map_err(|fault| fault.into_error("the cluster's kinds"))?;
    let groups = groups["groups"].as_array().cloned().unwrap_or_default();
    let measured = |group: &&Value| group["name"].as_str().is_some_and(|name| MEASURED.contains(&name));
    let preferred = groups.iter().filter(|group| !measured(group)).filter_map(|group| {
        let version = group["preferredVersion"]["groupVersion"].as_str()?;
        Some(version.to_owned())
    });
    Ok(std::iter::once("v1".to_owned()).chain(preferred).collect())
}

/// Returns the kinds of one version that can be listed in a namespace, or a sentence about a
/// version whose server does not answer.
async fn kinds(client: &kube::Client, version: &str) -> Result<Result<Vec<Resource>, String>, Error> {
    let root = if version.contains('/') { "/apis" } else { "/api" };
    let list = match call(client, root, Call::Get(version)).await {
        Ok(list) => list,
        // It has gone since the groups were asked for.
        Err(Fault::Api(status)) if status.code == 404 => return Ok(Ok(Vec::new())),
        Err(Fault::Api(status)) if status.code >= 500 => {
            return Ok(Err(format!("{} does not answer", crate::ui::sanitize::line(version))));
        }
        Err(fault) => return Err(fault.into_error(&format!("kinds of {version}"))),
    };
    let entries = list["resources"].as_array().cloned().unwrap_or_default();
    Ok(Ok(entries.iter().filter_map(|entry| listable(version, entry)).collect()))
}

fn listable(version: &str, entry: &Value) -> Option<Resource> {
    let (plural, kind) = (entry["name"].as_str()?, entry["kind"].as_str()?);
    let lists = entry["verbs"].as_array()?.iter().any(|verb| verb == "list");
    if !lists || entry["namespaced"] != true || plural.contains('/') || RECORDS.contains(&plural) {
        return None;
    }
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let api = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    Some(Resource { api, namespaced: true })
}

async fn left_of(client: &kube::Client, resource: &Resource, namespace: &str) -> Result<Option<String>, Error> {
    let params = kube::api::ListParams::default();
    let mut list = match call(client, &resource.path(namespace), Call::List(&params)).await {
        Ok(list) => list,
        Err(Fault::Api(status)) if matches!(status.code, 404 | 405) => return Ok(None),
        Err(fault) => return Err(fault.into_error(&format!("listing {}", resource.api.plural))),
    };
    let Value::Array(items) = list["items"].take() else { return Ok(None) };
    let mut objects = items.into_iter().map(|item| resource.of(item));
    Ok(objects.find(|object| !is_of_every_namespace(object)).map(|object| object.title()))
}

/// Kubernetes puts these into each namespace.
fn is_of_every_namespace(object: &Object) -> bool {
    matches!((object.kind(), object.name()), ("ConfigMap", "kube-root-ca.crt") | ("ServiceAccount", "default"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::Server;
    use super::*;
    use crate::error::{Classified, Kind};

    fn kinds_of(line: &str) -> Option<(u16, Value)> {
        let entry = |name: &str, kind: &str, namespaced: bool| json!({"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["get", "list"]});
        let answer = match line {
            "GET /apis" => json!({"groups": [
                {"name": "example.com", "preferredVersion": {"groupVersion": "example.com/v1"}},
                {"name": "metrics.k8s.io", "preferredVersion": {"groupVersion": "metrics.k8s.io/v1beta1"}},
            ]}),
            "GET /api/v1" => json!({"resources": [
                entry("configmaps", "ConfigMap", true),
                entry("serviceaccounts", "ServiceAccount", true),
                entry("events", "Event", true),
                entry("nodes", "Node", false),
                entry("pods/status", "Pod", true),
                {"name": "bindings", "kind": "Binding", "namespaced": true, "verbs": ["create"]},
            ]}),
            "GET /apis/example.com/v1" => json!({"resources": [entry("boats", "Boat", true)]}),
            "GET /api/v1/namespaces/shop/configmaps?" => json!({"items": [{"metadata": {"name": "kube-root-ca.crt"}}]}),
            "GET /api/v1/namespaces/shop/serviceaccounts?" => json!({"items": [{"metadata": {"name": "default"}}]}),
            _ => return None,
        };
        Some((200, answer))
    }

    #[tokio::test]
    async fn what_kubernetes_puts_there_is_nothing() {
        let server = Server::with(kinds_of);
        assert_eq!(first(&server.client(), "shop").await.unwrap(), None);
        let lists: Vec<String> =
            server.lines().await.into_iter().filter(|line| line.contains("/namespaces/")).collect();
        assert_eq!(lists.len(), 3, "{lists:?}");
    }

    #[tokio::test]
    async fn a_custom_object_of_somebody_is_left() {
        let server = Server::with(|line| match line {
            "GET /apis/example.com/v1/namespaces/shop/boats?" => {
                Some((200, json!({"items": [{"metadata": {"name": "ferry"}}]})))
            }
            line => kinds_of(line),
        });
        assert_eq!(first(&server.client(), "shop").await.unwrap().as_deref(), Some("boat ferry"));
    }

    #[tokio::test]
    async fn a_service_account_of_somebody_is_left() {
        let server = Server::with(|line| match line {
            "GET /api/v1/namespaces/shop/serviceaccounts?" => {
                Some((200, json!({"items": [{"metadata": {"name": "default"}}, {"metadata": {"name": "robot"}}]})))
            }
            line => kinds_of(line),
        });
        assert_eq!(first(&server.client(), "shop").await.unwrap().as_deref(), Some("serviceaccount robot"));
    }

    #[tokio::test]
    async fn what_may_not_be_listed_is_not_taken_for_nothing() {
        let server = Server::with(|line| match line {
            line if line.contains("/boats") => Some((403, json!({"kind": "Status", "code": 403, "message": "no"}))),
            line => kinds_of(line),
        });
        assert_eq!(first(&server.client(), "shop").await.unwrap_err().kind(), Kind::Refused);
    }

    #[tokio::test]
    async fn a_group_that_does_not_answer_is_not_taken_for_nothing() {
        let server = Server::with(|line| match line {
            "GET /apis/example.com/v1" => Some((500, json!({"kind": "Status", "code": 500, "message": "down"}))),
            line => kinds_of(line),
        });
        let left = first(&server.client(), "shop").await.unwrap();
        assert_eq!(left.as_deref(), Some("example.com/v1 does not answer"));
    }
}
