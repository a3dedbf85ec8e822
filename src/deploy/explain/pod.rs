//! Troubles of a pod before and around its containers: no node, no volume, eviction.

use serde_json::Value;

use super::super::seen::{Seen, condition, first_time, is_true, name, seconds, text};
use super::{Facts, Severity, Subject, Trouble, container, probe};

/// A node that is still starting, a claim that is still being made.
const SCHEDULING: i64 = 8;
const CLAIM_MISSING: i64 = 3;
const MOUNTING: i64 = 10;

pub(super) fn troubles(seen: &Seen, pod: &Value, subject: Subject<'_>, facts: &Facts) -> Vec<Trouble> {
    let mut found = claims(seen, pod, facts);
    if found.is_empty() {
        found.extend(unscheduled(pod, facts));
    }
    found.extend(mount(seen, pod, facts));
    found.extend(lost(seen, pod));
    for (list, init) in [("initContainerStatuses", true), ("containerStatuses", false)] {
        for status in pod["status"][list].as_array().into_iter().flatten() {
            found.extend(container::trouble(seen, pod, status, init, subject, facts));
        }
    }
    // A container that ends has its own story; a probe that failed before is part of it.
    if !found.iter().any(|trouble| matches!(trouble.code, "crash" | "out_of_memory" | "ended")) {
        found.extend(probe::trouble(seen, pod, facts));
    }
    found
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null() && is_true(condition(pod, "Ready"))
}

/// Returns what a pod is doing, in a few words.
pub(super) fn doing(pod: &Value) -> String {
    if is_ready(pod) {
        return "ready".to_owned();
    }
    if text(&pod["spec"]["nodeName"]).is_empty() {
        let unschedulable =
            condition(pod, "PodScheduled").is_some_and(|scheduled| scheduled["reason"] == "Unschedulable");
        return if unschedulable { "no node takes it" } else { "waiting for a node" }.to_owned();
    }
    let statuses = ["initContainerStatuses", "containerStatuses"];
    for status in statuses.iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten()) {
        let waiting = text(&status["state"]["waiting"]["reason"]);
        if !waiting.is_empty() && waiting != "PodInitializing" {
            return if waiting == "ContainerCreating" {
                "container is being created".to_owned()
            } else {
                waiting.to_owned()
            };
        }
        if let Some(code) = status["state"]["terminated"]["exitCode"].as_i64().filter(|code| *code != 0) {
            return format!("container `{}` ended with exit code {code}", text(&status["name"]));
        }
    }
    if pod["status"]["phase"] == "Running" {
        return "running, not ready yet".to_owned();
    }
    text(&pod["status"]["phase"]).to_lowercase()
}

/// Claims that the pod mounts and that are missing or cannot be bound.
fn claims(seen: &Seen, pod: &Value, facts: &Facts) -> Vec<Trouble> {
    let volumes = pod["spec"]["volumes"].as_array();
    let names = volumes.into_iter().flatten().map(|volume| text(&volume["persistentVolumeClaim"]["claimName"]));
    names.filter(|name| !name.is_empty()).filter_map(|name| claim(seen, pod, name, facts)).collect()
}

fn claim(seen: &Seen, pod: &Value, claim_name: &str, facts: &Facts) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled");
    let message = scheduled.map(|condition| text(&condition["message"])).unwrap_or_default();
    if message.contains(&format!("persistentvolumeclaim \"{claim_name}\" not found")) {
        let since = scheduled.and_then(|condition| seconds(&condition["lastTransitionTime"])).unwrap_or(facts.now);
        let severity = if facts.now - since >= CLAIM_MISSING { Severity::Fatal } else { Severity::Slow };
        let trouble =
            Trouble::new(severity, "claim_missing", format!("the claim `{claim_name}` that it mounts does not exist"));
        let help = "mend the claim's name, create it, or give the volume a `size:` and Coracle makes one";
        return Some(trouble.because(message).at(pod, None).help(help));
    }
    let claim = seen.get("PersistentVolumeClaim", claim_name)?;
    if claim["status"]["phase"] == "Bound" {
        return None;
    }
    let class = text(&claim["spec"]["storageClassName"]);
    if let Some(classes) =
        facts.storage_classes.as_ref().filter(|classes| !class.is_empty() && !classes.contains(class))
    {
        let exist: Vec<String> = classes.iter().map(|class| format!("`{class}`")).collect();
        let exist = if exist.is_empty() { "none".to_owned() } else { exist.join(", ") };
        let headline = format!("claim `{claim_name}` stays pending: the cluster has no storage class `{class}`");
        let trouble = Trouble::new(Severity::Fatal, "storage_class", headline);
        let help =
            format!("storage classes that exist: {exist}; set `storage-class:`, or leave it out for the default");
        return Some(trouble.at(pod, None).help(help));
    }
    // WaitForFirstConsumer is how local storage works, and no trouble.
    let events = seen.events("PersistentVolumeClaim", claim);
    let failed = events.iter().rev().find(|event| event["reason"] == "ProvisioningFailed")?;
    let severity = if facts.now - first_time(failed) >= SCHEDULING { Severity::Fatal } else { Severity::Slow };
    let trouble = Trouble::new(severity, "claim_pending", format!("claim `{claim_name}` cannot be provisioned"));
    Some(
        trouble
            .because(text(&failed["message"]))
            .at(pod, None)
            .help("the provisioner's words say why; mend the volume's size, access or class"),
    )
}

fn unscheduled(pod: &Value, facts: &Facts) -> Option<Trouble> {
    let scheduled = condition(pod, "PodScheduled").filter(|condition| condition["reason"] == "Unschedulable")?;
    let message = text(&scheduled["message"]);
    let since = seconds(&scheduled["lastTransitionTime"]).unwrap_or(facts.now);
    let lasted = facts.now - since;
    if message.contains("node.kubernetes.io/not-ready") && lasted < 30 {
        return None;
    }
    let severity = if lasted >= SCHEDULING { Severity::Fatal } else { Severity::Slow };
    let trouble = Trouble::new(severity, "unschedulable", "no node can take its pod").because(message);
    let asked = requests(pod);
    let trouble = if asked.is_empty() { trouble } else { trouble.because(&format!("the pod asks for {asked}")) };
    let help = if message.contains("Insufficient") {
        "ask for less with `resources:` or `replicas:`, or give the engine more"
    } else if message.contains("taint") {
        "add `tolerations:` for the taint, or remove it from the node"
    } else if message.contains("affinity/selector") || message.contains("node selector") {
        "mend `node-selector:`; no node carries those labels"
    } else {
        "the scheduler's words say what each node lacks"
    };
    Some(trouble.at(pod, None).help(help))
}

/// Returns what the pod's containers ask for: `cpu 2, memory 1Gi`.
fn requests(pod: &Value) -> String {
    let containers = pod["spec"]["containers"].as_array();
    let asked = containers.into_iter().flatten().flat_map(|container| {
        let requests = container["resources"]["requests"].as_object();
        requests.into_iter().flatten().map(|(what, amount)| format!("{what} {}", text(amount)))
    });
    asked.collect::<Vec<_>>().join(", ")
}

/// Secrets, `ConfigMap`s and volumes that cannot be mounted hold a pod in `ContainerCreating`.
fn mount(seen: &Seen, pod: &Value, facts: &Facts) -> Option<Trouble> {
    let creating = pod["status"]["containerStatuses"]
        .as_array()?
        .iter()
        .any(|status| matches!(text(&status["state"]["waiting"]["reason"]), "ContainerCreating" | "PodInitializing"));
    let events = seen.events("Pod", pod);
    let failed =
        events.iter().rev().find(|event| matches!(text(&event["reason"]), "FailedMount" | "FailedAttachVolume"))?;
    if !creating {
        return None;
    }
    let message = text(&failed["message"]);
    let missing = message.contains("not found") || message.contains("references non-existent");
    let lasted = facts.now - first_time(failed);
    let fatal = lasted >= if missing { CLAIM_MISSING } else { MOUNTING };
    let severity = if fatal { Severity::Fatal } else { Severity::Slow };
    let trouble = Trouble::new(severity, "mount", "a volume of its pod cannot be mounted").because(message);
    Some(trouble.at(pod, None).help("mend the name of the Secret, ConfigMap or claim that the message names"))
}

fn lost(seen: &Seen, pod: &Value) -> Option<Trouble> {
    let status = &pod["status"];
    if status["reason"] == "Evicted" {
        let trouble =
            Trouble::new(Severity::Slow, "evicted", "a node evicted its pod").because(text(&status["message"]));
        let help = "the node lacks what the message names; free some, or ask for it with `resources:`";
        return Some(trouble.at(pod, None).help(help));
    }
    let events = seen.events("Pod", pod);
    let not_ready = events.iter().any(|event| event["reason"] == "NodeNotReady") && !is_ready(pod);
    not_ready.then(|| {
        let node = text(&pod["spec"]["nodeName"]);
        Trouble::new(Severity::Slow, "node_not_ready", format!("node `{node}` of pod `{}` is not ready", name(pod)))
            .at(pod, None)
            .help("`coracle cluster stop` and `coracle cluster start` start the node again")
    })
}
