//! Which containers a service runs, from what the watches have seen. Pure.

use serde_json::Value;

use super::machine::Container;
use crate::deploy::object::SERVICE;
use crate::deploy::seen::{Seen, name, text};

/// Returns the running main containers of a service, in order. Pods that are being deleted
/// serve nobody any more and are left out.
pub(crate) fn running(seen: &Seen, service: &str) -> Vec<Container> {
    let of_service = |pod: &&Value| text(&pod["metadata"]["labels"][SERVICE]) == service;
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let mut running: Vec<Container> =
        seen.all("Pod").filter(of_service).filter(stays).filter_map(|pod| main(pod, service)).collect();
    running.sort();
    running
}

fn main(pod: &Value, service: &str) -> Option<Container> {
    let named = |list: &Value| list.as_array()?.iter().find(|item| item["name"] == service).cloned();
    let status = named(&pod["status"]["containerStatuses"])?;
    if !status["state"]["running"].is_object() {
        return None;
    }
    // `containerd://…`, `docker://…`.
    let (_, id) = text(&status["containerID"]).split_once("://")?;
    Some(Container {
        id: id.to_owned(),
        pod: name(pod).to_owned(),
        node: text(&pod["spec"]["nodeName"]).to_owned(),
        image: text(&named(&pod["spec"]["containers"])?["image"]).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deploy::seen::Step;

    #[test]
    fn only_running_main_containers_of_pods_that_stay() {
        let pod = |name: &str, service: &str, state: &str, deleted: bool| {
            json!({
                "metadata": {"name": name, "uid": name, "labels": {SERVICE: service},
                    "deletionTimestamp": deleted.then_some("2026-11-21T10:00:00Z")},
                "spec": {"nodeName": "n1", "containers": [{"name": "log", "image": "x"}, {"name": service, "image": "coracle.local/p/web:1"}]},
                "status": {"containerStatuses": [
                    {"name": "log", "containerID": "containerd://aa", "state": {"running": {}}},
                    {"name": service, "containerID": format!("containerd://{name}-id"), "state": {state: {}}},
                ]},
            })
        };
        let mut seen = Seen::default();
        for pod in [
            pod("web-2", "web", "running", false),
            pod("web-1", "web", "running", false),
            pod("web-3", "web", "waiting", false),
            pod("web-4", "web", "running", true),
            pod("db-1", "db", "running", false),
        ] {
            seen.apply("Pod", Step::Changed(pod));
        }
        let found = running(&seen, "web");
        let ids: Vec<&str> = found.iter().map(|container| container.id.as_str()).collect();
        assert_eq!(ids, ["web-1-id", "web-2-id"]);
        assert_eq!((found[0].node.as_str(), found[0].image.as_str()), ("n1", "coracle.local/p/web:1"));
    }
}
