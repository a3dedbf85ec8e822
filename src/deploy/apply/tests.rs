use serde_json::{Value, json};

use super::super::testing::{Server, session};
use super::*;
use crate::error::{Classified, Kind};

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Object {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut metadata = json!({
        "name": name,
        "labels": {MANAGED_BY: MANAGER, INSTANCE: "0123456789ab"},
        "annotations": {SELF: format!("{group}/{kind}/{namespace}/{name}")},
    });
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    Object(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}))
}

fn patch_answers(line: &str) -> Option<(u16, Value)> {
    line.starts_with("PATCH").then(|| (200, json!({})))
}

#[tokio::test]
async fn namespaces_come_first_workloads_last() {
    let server = Server::with(patch_answers);
    let objects = [
        object("apps/v1", "Deployment", "shop", "web"),
        object("v1", "Service", "shop", "web"),
        object("v1", "Secret", "shop", "web-1"),
        object("v1", "Namespace", "", "shop"),
    ];
    apply(&session(), &server.client(), &objects).await.unwrap();
    let query = "?&force=true&fieldManager=coracle";
    let lines = server.lines().await;
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("PATCH")).cloned().collect::<Vec<_>>(),
        [
            format!("PATCH /api/v1/namespaces/shop{query}"),
            format!("PATCH /api/v1/namespaces/shop/secrets/web-1{query}"),
            format!("PATCH /api/v1/namespaces/shop/services/web{query}"),
            format!("PATCH /apis/apps/v1/namespaces/shop/deployments/web{query}"),
        ]
    );
    assert_eq!(lines[0], "GET /api/v1/namespaces/shop");
}

#[tokio::test]
async fn what_is_not_ours_is_not_taken_over() {
    let theirs = json!({"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}});
    let server = Server::new(vec![(200, theirs)]);
    let wanted = [object("apps/v1", "Deployment", "shop", "web")];
    let error = apply(&session(), &server.client(), &wanted).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(error.to_string(), "deployment web is there already, and Coracle did not make it");
    assert_eq!(server.lines().await, ["GET /apis/apps/v1/namespaces/shop/deployments/web"]);
}

#[tokio::test]
async fn a_namespace_of_others_is_used_as_it_is() {
    let server = Server::new(vec![(200, json!({"metadata": {"name": "shop"}, "status": {"phase": "Active"}}))]);
    apply(&session(), &server.client(), &[object("v1", "Namespace", "", "shop")]).await.unwrap();
    assert_eq!(server.lines().await, ["GET /api/v1/namespaces/shop"]);
}

#[tokio::test]
async fn invalid_fields_are_named() {
    let invalid = json!({"kind": "Status", "code": 422, "reason": "Invalid", "message": "Deployment.apps \"web\" is invalid: …",
        "details": {"causes": [{"field": "spec.replicas", "message": "Invalid value: -1: must be greater than or equal to 0"}]}});
    let server = Server::with(move |line| line.starts_with("PATCH").then(|| (422, invalid.clone())));
    let wanted = [object("apps/v1", "Deployment", "shop", "web")];
    let error = apply(&session(), &server.client(), &wanted).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Request);
    assert_eq!(error.to_string(), "the API server finds deployment web invalid");
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(why, "spec.replicas: Invalid value: -1: must be greater than or equal to 0");
}

/// Answers like a server that has `before` until it is deleted.
fn replaced(before: &Object, refusal: &'static str) -> Server {
    let mut before = Some(before.0.clone());
    Server::with(move |line| match line {
        line if line.starts_with("GET") => before.clone().map(|before| (200, before)),
        line if line.starts_with("DELETE") => {
            before = None;
            Some((200, json!({})))
        }
        line if line.starts_with("PATCH") && before.is_some() => {
            Some((422, json!({"kind": "Status", "code": 422, "reason": "Invalid", "message": refusal})))
        }
        _ => Some((200, json!({}))),
    })
}

async fn verbs(server: &Server) -> Vec<String> {
    let seen = server.seen().await;
    let deletes = seen.iter().filter(|asked| asked.line.starts_with("DELETE"));
    assert!(deletes.into_iter().all(|asked| asked.body["preconditions"]["uid"] == "1"));
    seen.iter().filter_map(|asked| asked.line.split(' ').next().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_job_that_failed_is_replaced() {
    let job = object("batch/v1", "Job", "shop", "seed-0a");
    let mut failed = job.clone();
    failed.0["metadata"]["uid"] = "1".into();
    failed.0["status"]["conditions"] = json!([{"type": "Failed", "status": "True"}]);
    let server = replaced(&failed, "");
    apply(&session(), &server.client(), &[job]).await.unwrap();
    assert_eq!(verbs(&server).await, ["GET", "DELETE", "GET", "PATCH"]);
}

#[tokio::test]
async fn a_pod_that_cannot_change_is_replaced() {
    let pod = object("v1", "Pod", "shop", "tool");
    let mut before = pod.clone();
    before.0["metadata"]["uid"] = "1".into();
    let server =
        replaced(&before, "Pod \"tool\" is invalid: spec: Forbidden: pod updates may not change fields other than …");
    let result = apply(&session(), &server.client(), &[pod]).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(verbs(&server).await, ["GET", "PATCH", "DELETE", "GET", "PATCH"]);
}

#[tokio::test]
async fn a_custom_kind_of_the_whole_cluster_is_applied_without_a_namespace() {
    let server = Server::with(|line| match line {
        "GET /apis/example.com/v1" => {
            Some((200, json!({"resources": [{"name": "fleets", "kind": "Fleet", "namespaced": false}]})))
        }
        line => patch_answers(line),
    });
    apply(&session(), &server.client(), &[object("example.com/v1", "Fleet", "shop", "ours")]).await.unwrap();
    let seen = server.seen().await;
    let patch = seen.iter().find(|asked| asked.line.starts_with("PATCH")).unwrap();
    assert!(patch.line.starts_with("PATCH /apis/example.com/v1/fleets/ours?"), "{}", patch.line);
    assert_eq!(patch.body["metadata"]["annotations"][SELF], "example.com/Fleet//ours");
    assert!(patch.body["metadata"]["namespace"].is_null());
}

#[tokio::test]
async fn a_taken_node_port_names_its_owner() {
    let taken = json!({"kind": "Status", "code": 422, "reason": "Invalid",
        "message": "Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"});
    let server = Server::with(move |line| match line {
        line if line.starts_with("PATCH") => Some((422, taken.clone())),
        "GET /api/v1/services?" => Some((
            200,
            json!({"items": [{"metadata": {"name": "db", "namespace": "other"}, "spec": {"ports": [{"nodePort": 30001}]}}]}),
        )),
        _ => None,
    });
    let mut service = object("v1", "Service", "shop", "web");
    service.0["spec"] = json!({"ports": [{"port": 80, "nodePort": 30001}]});
    let error = apply(&session(), &server.client(), &[service]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(error.to_string(), "service web cannot have node port 30001: service `db` of namespace `other` has it");
}

#[tokio::test]
async fn quota_webhook_and_permission_are_told_apart() {
    let answer = |code: u16, message: &str| {
        let value = json!({"kind": "Status", "code": code, "message": message});
        Fault::Api(Box::new(serde_json::from_value(value).unwrap()))
    };
    let quota = answer(403, "secrets \"a\" is forbidden: exceeded quota: q, requested: secrets=1").into_error("a");
    assert!(matches!(quota, Error::Quota { .. }));
    let hook = answer(400, "admission webhook \"policy.lab\" denied the request: no").into_error("a");
    assert!(matches!(hook, Error::Webhook { .. }));
    let forbidden = answer(403, "secrets is forbidden: User \"x\" cannot patch").into_error("a");
    assert!(matches!(forbidden, Error::Forbidden { .. }));
}
