//! What runs, and the reason for what is not well.

#[cfg(test)]
mod tests;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::Error;
use super::explain::{self, Facts, Subject};
use super::live::{is_ours, selector};
use super::object::{Object, SERVICE, fit, template_pointer};
use super::request::{Resource, list};
use super::rollout::storage_classes;
use super::seen::{Seen, Step, condition, is_true, name, owner, seconds, template_of, text};
use crate::profile::{Profile, Service, WorkloadKind};

/// One service as it is now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct ServiceStatus {
    pub(crate) service: String,
    /// `ready`, `starting`, `failing`, `absent`, `done`.
    pub(crate) state: String,
    pub(crate) ready: i64,
    pub(crate) wanted: i64,
    pub(crate) restarts: i64,
    /// What runs: the tag's digest, or the reference with its digest.
    pub(crate) image: String,
    /// Node ports, (port name, port); `cli` turns them into URLs.
    pub(crate) node_ports: Vec<(String, u16)>,
    /// Seconds since the workload was created.
    pub(crate) age: Option<i64>,
    /// Why it is not well; empty when it is.
    pub(crate) reasons: Vec<String>,
    pub(crate) pods: Vec<PodStatus>,
}

/// One pod: for `--wide`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct PodStatus {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) ready: bool,
    pub(crate) restarts: i64,
    pub(crate) address: Option<String>,
    pub(crate) node: Option<String>,
}

/// Kinds that are asked for, and whether only those with the instance's label.
const ASKED: &[(&str, &str, bool)] = &[
    ("apps/v1", "Deployment", true),
    ("apps/v1", "StatefulSet", true),
    ("apps/v1", "DaemonSet", true),
    ("apps/v1", "ReplicaSet", true),
    ("batch/v1", "Job", true),
    ("batch/v1", "CronJob", true),
    ("v1", "Pod", true),
    ("v1", "Service", true),
    ("v1", "Event", false),
    ("v1", "PersistentVolumeClaim", false),
];

/// Returns what is there where no cluster runs: nothing of any service.
pub(crate) fn absent(profile: &Profile) -> Vec<ServiceStatus> {
    let deployed = profile.services.iter().filter(|service| service.deploy);
    deployed.map(|service| of_service(&Seen::default(), service, &Facts::default())).collect()
}

/// Asks the cluster. Services of the profile that are not there are `absent`; workloads of manifest
/// files that are there come after them, each as a service of its name.
pub(crate) async fn observe(client: &kube::Client, profile: &Profile) -> Result<Vec<ServiceStatus>, Error> {
    let seen = see(client, profile).await?;
    let pending = seen.all("PersistentVolumeClaim").any(|claim| claim["status"]["phase"] != "Bound");
    let storage_classes = if pending { storage_classes(client).await } else { None };
    let now = jiff::Timestamp::now().as_second();
    let facts = Facts { now, storage_classes, ..Facts::default() };
    let deployed = profile.services.iter().filter(|service| service.deploy);
    let mut rows: Vec<ServiceStatus> = deployed.map(|service| of_service(&seen, service, &facts)).collect();
    rows.extend(of_manifests(&seen, profile, &facts));
    Ok(rows)
}

/// Lists what there is of the instance once, and the namespace's events.
pub(crate) async fn see(client: &kube::Client, profile: &Profile) -> Result<Seen, Error> {
    let selector = selector(profile);
    let lists = ASKED.iter().map(async |(api_version, kind, labelled)| {
        let resource = Resource::known(api_version, kind).expect("the table of known kinds has all of these");
        let selector = labelled.then_some(selector.as_str());
        Ok::<_, Error>((*kind, list(client, &resource, &profile.namespace, selector).await?))
    });
    let mut seen = Seen::default();
    for (kind, objects) in try_join_all(lists).await? {
        for Object(object) in objects {
            seen.apply(kind, Step::Changed(object));
        }
    }
    Ok(seen)
}

/// Returns how a service is, from what the watches have seen.
pub(crate) fn of_seen(seen: &Seen, service: &Service) -> ServiceStatus {
    of_service(seen, service, &Facts { now: jiff::Timestamp::now().as_second(), ..Facts::default() })
}

fn of_service(seen: &Seen, service: &Service, facts: &Facts) -> ServiceStatus {
    let (kind, workload) = find(seen, service);
    let status = ServiceStatus {
        service: service.key.clone(),
        state: "absent".to_owned(),
        ready: 0,
        wanted: i64::from(service.replicas),
        restarts: 0,
        image: String::new(),
        node_ports: node_ports(seen.get("Service", &service.service_name)),
        age: None,
        reasons: Vec::new(),
        pods: Vec::new(),
    };
    let Some(workload) = workload else { return status };
    let pods: Vec<&Value> = seen.all("Pod").filter(|pod| service_of(pod) == service.key).collect();
    of_workload(seen, kind, workload, &pods, facts, status)
}

/// Returns the service's workload: under its name, or for a job, which is named by its template,
/// the newest.
fn find<'a>(seen: &'a Seen, service: &Service) -> (&'static str, Option<&'a Value>) {
    let kind = kind_of(service);
    let workload = match kind {
        "Deployment" => seen.get(kind, &service.name),
        "Job" => newest(seen.all(kind).filter(|job| service_of(job) == service.key)),
        _ => seen.get(kind, &fit(&service.name, 52)),
    };
    (kind, workload)
}

fn kind_of(service: &Service) -> &'static str {
    match service.kind {
        WorkloadKind::Deployment => "Deployment",
        WorkloadKind::Stateful => "StatefulSet",
        WorkloadKind::Job => "Job",
        WorkloadKind::Cron { .. } => "CronJob",
    }
}

fn newest<'a>(objects: impl Iterator<Item = &'a Value>) -> Option<&'a Value> {
    objects.max_by_key(|object| seconds(&object["metadata"]["creationTimestamp"]))
}

/// Returns a row for each workload of the manifest files: those of the instance that nothing else
/// made and that are no service's.
fn of_manifests(seen: &Seen, profile: &Profile, facts: &Facts) -> Vec<ServiceStatus> {
    let is_services = |kind: &str, object: &Value| {
        let of = |service: &&Service| service.key == service_of(object) && kind_of(service) == kind;
        profile.services.iter().any(|service| of(&service))
    };
    let mut rows = Vec::new();
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"] {
        for workload in seen.all(kind) {
            let object = Object(workload.clone());
            if !is_ours(&object, &profile.instance) || owner(workload).is_some() || is_services(kind, workload) {
                continue;
            }
            let labels = match kind {
                "Pod" => &workload["metadata"]["labels"],
                _ => object.template().map_or(&Value::Null, |template| &template["metadata"]["labels"]),
            };
            let status = ServiceStatus {
                service: crate::ui::sanitize::line(name(workload)),
                state: "absent".to_owned(),
                ready: 0,
                wanted: 1,
                restarts: 0,
                image: String::new(),
                node_ports: node_ports(seen.all("Service").find(|service| selects(service, labels))),
                age: None,
                reasons: Vec::new(),
                pods: Vec::new(),
            };
            let pods = match kind {
                "CronJob" => seen.all("Pod").filter(|pod| service_of(pod) == service_of(workload)).collect(),
                _ => seen.pods(kind, name(workload), ""),
            };
            rows.push(of_workload(seen, kind, workload, &pods, facts, status));
        }
    }
    rows
}

fn selects(service: &Value, labels: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object().filter(|selector| !selector.is_empty());
    selector.is_some_and(|selector| selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn of_workload(
    seen: &Seen,
    kind: &str,
    workload: &Value,
    pods: &[&Value],
    facts: &Facts,
    mut status: ServiceStatus,
) -> ServiceStatus {
    let pointer = template_pointer(kind).unwrap_or_default();
    let pod = workload.pointer(pointer).unwrap_or(&Value::Null);
    let template = if kind == "Pod" { "" } else { template_of(&pod["metadata"]) };
    status.pods = pods.iter().map(|pod| pod_status(pod)).collect();
    status.restarts = status.pods.iter().map(|pod| pod.restarts).sum();
    (status.ready, status.wanted) = counts(kind, workload);
    status.image = image(pod, pods, template);
    status.age = seconds(&workload["metadata"]["creationTimestamp"]).map(|created| (facts.now - created).max(0));
    // A `CronJob` is as well as the last job that it made.
    let last = newest(seen.all("Job").filter(|job| owner(job) == Some((kind, name(workload)))));
    let subject = match last.filter(|_| kind == "CronJob") {
        Some(job) => Subject { kind: "Job", name: name(job), template },
        None => Subject { kind, name: name(workload), template },
    };
    let troubles = explain::troubles(seen, subject, facts);
    let well = match kind {
        "Job" => is_true(condition(workload, "Complete")),
        "CronJob" => last.is_none_or(|job| !is_true(condition(job, "Failed"))),
        "Deployment" | "StatefulSet" => {
            status.ready >= status.wanted
                && status.wanted == workload["status"]["updatedReplicas"].as_i64().unwrap_or(0)
        }
        _ => status.ready >= status.wanted,
    };
    let done = kind == "Job" || workload["status"]["phase"] == "Succeeded";
    let failing = troubles.iter().any(|trouble| trouble.severity == explain::Severity::Fatal)
        || (kind == "Pod" && workload["status"]["phase"] == "Failed");
    let state = match (well, done, failing) {
        (true, true, _) => "done",
        (true, ..) => "ready",
        (false, _, true) => "failing",
        (false, ..) => "starting",
    };
    state.clone_into(&mut status.state);
    if !well {
        status.reasons = troubles.iter().map(reason).collect();
    }
    status
}

/// Returns how many are ready, and how many there should be. Between its runs, a `CronJob` wants none.
fn counts(kind: &str, workload: &Value) -> (i64, i64) {
    let (spec, status) = (&workload["spec"], &workload["status"]);
    let number = |value: &Value, absent: i64| value.as_i64().unwrap_or(absent);
    match kind {
        "Job" => (number(&status["succeeded"], 0), number(&spec["completions"], 1)),
        "CronJob" => {
            let active = status["active"].as_array().map_or(0, Vec::len);
            let active = i64::try_from(active).unwrap_or(i64::MAX);
            (active, active)
        }
        "DaemonSet" => (number(&status["numberReady"], 0), number(&status["desiredNumberScheduled"], 0)),
        "Pod" => (i64::from(explain::is_ready(workload) || status["phase"] == "Succeeded"), 1),
        _ => (number(&status["readyReplicas"], 0), number(&spec["replicas"], 1)),
    }
}

fn reason(trouble: &explain::Trouble) -> String {
    match trouble.cause.first() {
        Some(cause) => format!("{}: {cause}", trouble.headline),
        None => trouble.headline.clone(),
    }
}

fn service_of(object: &Value) -> &str {
    text(&object["metadata"]["labels"][SERVICE])
}

/// Returns what runs: the image ID's digest beside the name, or the template's reference.
fn image(pod: &Value, pods: &[&Value], template: &str) -> String {
    let newest = pods.iter().find(|pod| template.is_empty() || template_of(&pod["metadata"]) == template);
    let spec = &pod["spec"]["containers"][0];
    let reference = text(&spec["image"]);
    let own = text(&spec["name"]);
    let statuses = newest.and_then(|pod| pod["status"]["containerStatuses"].as_array());
    let status = statuses.into_iter().flatten().find(|status| text(&status["name"]) == own);
    let digest = status.and_then(|status| text(&status["imageID"]).rsplit_once("sha256:")).map(|(_, digest)| digest);
    let shown = match digest {
        Some(digest) if !reference.contains('@') => format!("{reference}@sha256:{digest}"),
        _ => reference.to_owned(),
    };
    crate::ui::sanitize::line(&shown)
}

fn node_ports(service: Option<&Value>) -> Vec<(String, u16)> {
    let ports = service.and_then(|service| service["spec"]["ports"].as_array());
    let with_node_port = ports.into_iter().flatten().filter_map(|port| {
        let number = port["nodePort"].as_u64().and_then(|number| u16::try_from(number).ok())?;
        Some((crate::ui::sanitize::line(text(&port["name"])), number))
    });
    with_node_port.collect()
}

fn pod_status(pod: &Value) -> PodStatus {
    let ending = pod["metadata"]["deletionTimestamp"].is_string();
    let filled = |value: &Value| value.as_str().map(crate::ui::sanitize::line);
    let statuses = pod["status"]["containerStatuses"].as_array();
    PodStatus {
        name: crate::ui::sanitize::line(name(pod)),
        phase: if ending { "Terminating".to_owned() } else { crate::ui::sanitize::line(text(&pod["status"]["phase"])) },
        ready: explain::is_ready(pod),
        restarts: statuses.into_iter().flatten().filter_map(|status| status["restartCount"].as_i64()).sum(),
        address: filled(&pod["status"]["podIP"]),
        node: filled(&pod["spec"]["nodeName"]),
    }
}
