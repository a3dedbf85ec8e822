//! Small changes to live workloads that are no part of the profile: a restart, a number of replicas.
//!
//! Both are plain updates of one field under our field manager, not applies: server-side apply
//! keeps what an update owns apart from what an apply owns. So the next `up` leaves the mark of
//! a restart alone, which it never renders, and sets the replicas, which it does.

use serde_json::{Value, json};

use super::Error;
use super::live::{is_ours, selector};
use super::object::{Object, SERVICE};
use super::request::{Call, Resource, call, list};
use crate::profile::{Profile, Service, WorkloadKind};

/// The annotation that `kubectl rollout restart` writes too, so that there is one mark and not two.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Returns the kind of a service that runs on and on; `None` for what runs once in a while.
pub(crate) fn kind(service: &Service) -> Option<&'static str> {
    match service.kind {
        WorkloadKind::Deployment => Some("Deployment"),
        WorkloadKind::Stateful => Some("StatefulSet"),
        WorkloadKind::Job | WorkloadKind::Cron { .. } => None,
    }
}

/// Returns the service's live workload, if it has one.
pub(crate) async fn workload(
    client: &kube::Client,
    profile: &Profile,
    service: &Service,
) -> Result<Option<Object>, Error> {
    let Some(kind) = kind(service) else { return Ok(None) };
    let selector = format!("{},{SERVICE}={}", selector(profile), service.key);
    let found = list(client, &resource(kind), &profile.namespace, Some(&selector)).await?;
    Ok(found.into_iter().find(|object| is_ours(object, &profile.instance)))
}

/// Replaces the workload's pods as its rollout says. `now` is when.
pub(crate) async fn restart(client: &kube::Client, object: &Object, now: jiff::Timestamp) -> Result<(), Error> {
    patch(client, object, &json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: now.to_string()}}}}}))
        .await
}

/// Sets how many pods the workload has.
pub(crate) async fn scale(client: &kube::Client, object: &Object, replicas: u32) -> Result<(), Error> {
    patch(client, object, &json!({"spec": {"replicas": replicas}})).await
}

/// Returns how many pods the workload is to have.
pub(crate) fn replicas(object: &Object) -> u64 {
    object.0["spec"]["replicas"].as_u64().unwrap_or(1)
}

async fn patch(client: &kube::Client, object: &Object, change: &Value) -> Result<(), Error> {
    let path = resource(object.kind()).path(object.namespace());
    let mut change = change.clone();
    // One that was replaced under its name is not the one that was meant.
    change["metadata"] = json!({"uid": object.uid()});
    let patched = call(client, &path, Call::Merge(object.name(), &change)).await;
    patched.map(drop).map_err(|fault| fault.into_error(&crate::ui::sanitize::line(&object.title())))
}

fn resource(kind: &str) -> Resource {
    Resource::known("apps/v1", kind).expect("the table of known kinds has both")
}

#[cfg(test)]
mod tests {
    use super::super::object::{INSTANCE, SELF};
    use super::super::testing::{Server, profile};
    use super::*;

    fn web() -> Object {
        Object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "u",
            "labels": {INSTANCE: "0123456789ab"}, "annotations": {SELF: "apps/Deployment/shop/web"}}, "spec": {"replicas": 2}}),
        )
    }

    #[tokio::test]
    async fn a_restart_writes_one_annotation_as_an_update() {
        let server = Server::new(vec![(200, web().0)]);
        restart(&server.client(), &web(), "2026-11-21T10:00:00Z".parse().unwrap()).await.unwrap();
        let asked = server.seen().await;
        let path = "/apis/apps/v1/namespaces/shop/deployments/web?&fieldManager=coracle";
        assert_eq!(asked[0].line, format!("PATCH {path}"));
        let template = json!({"metadata": {"annotations": {RESTARTED: "2026-11-21T10:00:00Z"}}});
        assert_eq!(asked[0].body, json!({"metadata": {"uid": "u"}, "spec": {"template": template}}));
    }

    /// What an update of ours owns is not taken for something that the profile has no more.
    #[test]
    fn the_next_up_leaves_the_mark_and_puts_the_replicas_right() {
        let rendered = web();
        let mut live = web();
        live.0["spec"]["template"]["metadata"]["annotations"][RESTARTED] = "2026-11-21T10:00:00Z".into();
        live.0["metadata"]["managedFields"] = json!([{"manager": "coracle", "operation": "Update",
            "fieldsV1": {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {format!("f:{RESTARTED}"): {}}}}}}}]);
        let changes = super::super::compare::compare(std::slice::from_ref(&rendered), std::slice::from_ref(&live));
        assert_eq!(changes.apply, []);
        live.0["spec"]["replicas"] = 5.into();
        let changes = super::super::compare::compare(&[rendered], &[live]);
        assert_eq!(changes.apply.len(), 1);
    }

    #[tokio::test]
    async fn a_copy_of_our_labels_is_not_touched() {
        let mut copy = web();
        copy.0["metadata"]["name"] = "web-copy".into();
        let server = Server::new(vec![(200, json!({"items": [copy.0, web().0]}))]);
        let service = super::super::manifest::tests::service("web");
        let found = workload(&server.client(), &profile(), &service).await.unwrap().unwrap();
        assert_eq!(found.name(), "web");
    }
}
