//! Which pod and container of a service a command is run in. The choice is pure.

use std::cmp::Reverse;

use serde_json::Value;

use super::explain;
use super::live::selector;
use super::object::{Object, SERVICE};
use super::remote::Error;
use super::request::{Resource, list};
use super::seen::{name, text};
use crate::error::Failure;
use crate::profile::Profile;
use crate::ui::sanitize;

/// A container that runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) ready: bool,
    /// How many pods were there to choose from.
    pub(crate) among: usize,
}

impl Picked {
    /// Returns what is said of the choice; nothing where there was none.
    pub(crate) fn sentence(&self, service: &str) -> Option<String> {
        let pod = sanitize::line(&self.pod);
        match (self.ready, self.among) {
            (false, _) => Some(format!("No pod of `{service}` is ready; this is {pod}, which runs")),
            (true, 1) => None,
            (true, among) => Some(format!("`{service}` has {among} ready pods; this is {pod}")),
        }
    }
}

/// Asks the cluster for the service's pods and chooses one.
pub(crate) async fn pick(
    client: &kube::Client,
    profile: &Profile,
    service: &str,
    container: Option<&str>,
) -> Result<Picked, Failure> {
    let resource = Resource::known("v1", "Pod").expect("the table of known kinds has Pod");
    let selector = format!("{},{SERVICE}={service}", selector(profile));
    let pods = list(client, &resource, &profile.namespace, Some(&selector)).await?;
    Ok(choose(&pods, service, container)?)
}

/// Chooses the newest ready pod, else the newest whose container runs.
fn choose(pods: &[Object], service: &str, container: Option<&str>) -> Result<Picked, Error> {
    let mut alive: Vec<&Value> =
        pods.iter().map(|pod| &pod.0).filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect();
    alive.sort_by_key(|pod| (Reverse(text(&pod["metadata"]["creationTimestamp"])), name(pod)));
    let ready: Vec<&Value> = alive.iter().copied().filter(|pod| explain::is_ready(pod)).collect();
    let wanted = |pod: &Value| container.map_or_else(|| default_container(pod), str::to_owned);
    let runs = |pod: &&Value| running(pod).any(|running| running == wanted(pod));
    let picked = |pod: &Value, is_ready: bool, among: usize| Picked {
        pod: name(pod).to_owned(),
        container: wanted(pod),
        ready: is_ready,
        among,
    };
    if let Some(pod) = ready.iter().copied().find(runs) {
        return Ok(picked(pod, true, ready.len()));
    }
    if let Some(pod) = alive.iter().copied().find(runs) {
        return Ok(picked(pod, false, alive.len()));
    }
    match (alive.first(), container) {
        (Some(pod), Some(container)) if !containers(pod).any(|known| known == container) => Err(Error::NoContainer {
            service: service.to_owned(),
            container: sanitize::line(container),
            known: sanitize::line(&containers(pod).collect::<Vec<_>>().join(", ")),
        }),
        (first, _) => Err(Error::NoPod {
            service: service.to_owned(),
            why: match first {
                Some(pod) => format!("its pod {} is not running yet, or has ended", sanitize::line(name(pod))),
                None => "it has no pod".to_owned(),
            },
        }),
    }
}

/// Returns the container that is the service's own: the first, or the one that an annotation names.
fn default_container(pod: &Value) -> String {
    let named = text(&pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"]);
    let first = text(&pod["spec"]["containers"][0]["name"]);
    if named.is_empty() { first } else { named }.to_owned()
}

fn containers(pod: &Value) -> impl Iterator<Item = &str> {
    let lists = ["containers", "initContainers"];
    lists.into_iter().flat_map(|list| pod["spec"][list].as_array().into_iter().flatten()).map(|one| text(&one["name"]))
}

fn running(pod: &Value) -> impl Iterator<Item = &str> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let statuses = lists.into_iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    statuses.filter(|status| status["state"]["running"].is_object()).map(|status| text(&status["name"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, created: &str, ready: bool, running: &[&str]) -> Object {
        let statuses: Vec<_> = running.iter().map(|name| json!({"name": name, "state": {"running": {}}})).collect();
        let ready = if ready { "True" } else { "False" };
        Object(json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"containers": [{"name": "web"}, {"name": "proxy"}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": statuses},
        }))
    }

    #[test]
    fn the_newest_ready_pod_is_chosen_and_told() {
        let pods = [
            pod("web-a", "2026-11-21T10:00:00Z", true, &["web"]),
            pod("web-b", "2026-11-21T10:00:05Z", true, &["web"]),
            pod("web-c", "2026-11-21T10:00:09Z", false, &["web"]),
        ];
        let picked = choose(&pods, "web", None).unwrap();
        assert_eq!((picked.pod.as_str(), picked.container.as_str()), ("web-b", "web"));
        assert_eq!(picked.sentence("web").unwrap(), "`web` has 2 ready pods; this is web-b");
        assert_eq!(choose(&pods[..1], "web", None).unwrap().sentence("web"), None);
    }

    #[test]
    fn one_that_runs_will_do_and_one_that_ends_will_not() {
        let mut ending = pod("web-a", "2026-11-21T10:00:00Z", true, &["web"]);
        ending.0["metadata"]["deletionTimestamp"] = "2026-11-21T10:01:00Z".into();
        let starting = pod("web-b", "2026-11-21T10:00:05Z", false, &["web"]);
        let picked = choose(&[ending.clone(), starting], "web", None).unwrap();
        assert_eq!((picked.pod.as_str(), picked.ready), ("web-b", false));
        let error = choose(&[ending], "web", None).unwrap_err();
        assert_eq!(error.to_string(), "no command can be run in `web`: it has no pod");
    }

    #[test]
    fn a_container_that_is_not_there_is_told_with_those_that_are() {
        let pods = [pod("web-a", "2026-11-21T10:00:00Z", true, &["web", "proxy"])];
        assert_eq!(choose(&pods, "web", Some("proxy")).unwrap().container, "proxy");
        let error = choose(&pods, "web", Some("side")).unwrap_err();
        let help = miette::Diagnostic::help(&error).unwrap().to_string();
        assert_eq!(help, "its containers: web, proxy");
    }
}
