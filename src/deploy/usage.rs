//! Which images the objects of a whole cluster name: those must stay where they are. Reads only.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::Error;
use super::object::Object;
use super::request::{Resource, list};

/// Every kind of Kubernetes' own that makes pods, and the pods themselves.
const KINDS: [(&str, &str); 8] = [
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
];

/// Returns the images that live objects of every namespace name, as they spell them.
pub(crate) async fn images(client: &kube::Client) -> Result<BTreeSet<String>, Error> {
    let lists = KINDS.iter().map(async |(api_version, kind)| {
        let resource = Resource::find(client, api_version, kind).await?;
        list(client, &resource, "", None).await
    });
    let objects = try_join_all(lists).await?.into_iter().flatten().filter(may_start);
    Ok(objects.flat_map(|object| object.images().map(str::to_owned).collect::<Vec<_>>()).collect())
}

/// Whether containers of it run, or may yet: a `ReplicaSet` of an earlier release has no replicas,
/// and what has ended does not begin again.
fn may_start(object: &Object) -> bool {
    let status = &object.0["status"];
    match object.kind() {
        "ReplicaSet" | "ReplicationController" => {
            object.0["spec"]["replicas"] != 0 || status["replicas"].as_u64().unwrap_or(0) > 0
        }
        "Pod" => status["phase"] != "Succeeded" && status["phase"] != "Failed",
        "Job" => !status["conditions"].as_array().into_iter().flatten().any(|condition| {
            (condition["type"] == "Complete" || condition["type"] == "Failed") && condition["status"] == "True"
        }),
        _ => true,
    }
}

impl Object {
    /// Returns the images of all containers that it has, or makes; none twice in a row.
    pub(crate) fn images(&self) -> impl Iterator<Item = &str> {
        let pod = self.pod();
        let lists = ["containers", "initContainers", "ephemeralContainers"].into_iter();
        let containers = lists.filter_map(move |list| pod?.get(list)?.as_array()).flatten();
        containers.filter_map(|container| container["image"].as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::Server;
    use super::*;

    fn object(spec: impl Into<Value>, status: impl Into<Value>) -> Value {
        json!({"metadata": {"name": "x", "namespace": "elsewhere"}, "spec": spec.into(), "status": status.into()})
    }

    fn pod(image: &str) -> Value {
        json!({"containers": [{"image": image}], "initContainers": [{"image": format!("{image}-init")}]})
    }

    #[tokio::test]
    async fn whatever_may_still_start_uses_its_images() {
        let server = Server::with(|line| {
            let of = |image: &str| json!({"template": {"spec": pod(image)}});
            let with = |mut spec: Value, replicas: u64| {
                spec["replicas"] = replicas.into();
                spec
            };
            let ended = json!({"conditions": [{"type": "Complete", "status": "True"}]});
            let items = match line {
                line if line.contains("/pods?") => {
                    json!([
                        object(pod("run"), json!({"phase": "Running"})),
                        object(pod("ended"), json!({"phase": "Failed"}))
                    ])
                }
                line if line.contains("/replicasets?") => json!([
                    object(with(of("new"), 1), json!({})),
                    object(with(of("old"), 0), json!({"replicas": 0})),
                    object(with(of("going"), 0), json!({"replicas": 1})),
                ]),
                line if line.contains("/cronjobs?") => {
                    json!([object(json!({"jobTemplate": {"spec": of("nightly")}}), json!({}))])
                }
                line if line.contains("/jobs?") => json!([object(of("done"), ended), object(of("job"), json!({}))]),
                "GET /api/v1" => {
                    return Some((
                        200,
                        json!({"resources": [
                            {"name": "replicationcontrollers", "kind": "ReplicationController", "namespaced": true}
                        ]}),
                    ));
                }
                _ => json!([]),
            };
            Some((200, json!({"items": items})))
        });
        let used = images(&server.client()).await.unwrap();
        let plain: Vec<_> = used.iter().filter(|image| !image.ends_with("-init")).map(String::as_str).collect();
        assert_eq!(plain, ["going", "job", "new", "nightly", "run"]);
        assert!(used.contains("nightly-init"));
        assert!(server.lines().await.iter().all(|line| !line.contains("/namespaces/")), "every namespace");
    }
}
