//! What is wrong with a document whatever the cluster says.

use serde_json::Value;

use super::Document;
use super::error::Problem;

const ACCESS_MODES: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];

/// Returns the document's problems.
pub(super) fn document(document: &Document) -> Vec<Problem> {
    let mut problems = missing(document);
    if problems.is_empty() {
        problems.extend(removed_api(document));
        problems.extend(selector(document));
        problems.extend(access_modes(document));
    }
    problems
}

fn missing(document: &Document) -> Vec<Problem> {
    if !document.object.0.is_object() {
        let help = "a manifest begins with `apiVersion:` and `kind:`";
        return vec![document.problem("", "this document is not an object of Kubernetes", help)];
    }
    let fields = [
        ("/apiVersion", "apiVersion", "for example `apiVersion: apps/v1` for a Deployment, `v1` for a Service"),
        ("/kind", "kind", "for example `kind: Deployment`"),
        ("/metadata/name", "metadata.name", "add `metadata: {name: …}`"),
    ];
    let mut problems = Vec::new();
    for (pointer, field, help) in fields {
        match document.object.0.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => {}
            None | Some(Value::Null | Value::String(_)) => {
                problems.push(document.problem(pointer, &format!("`{field}` is missing"), help));
            }
            // YAML reads `n`, `no` and `on` as truth values and `1e3` as a number, and so does kubectl.
            Some(other) => {
                let message = format!("`{field}` is read as {}, not as text", text(other));
                problems.push(document.problem(pointer, &message, "put it in quotes"));
            }
        }
    }
    problems
}

/// Returns what to write instead of an API that clusters do not serve any more; empty where
/// nothing took its place.
fn replacement(api: &str, kind: &str) -> Option<&'static str> {
    Some(match (api, kind) {
        ("extensions/v1beta1" | "policy/v1beta1", "PodSecurityPolicy") => "",
        ("extensions/v1beta1", "Ingress" | "NetworkPolicy")
        | ("networking.k8s.io/v1beta1", "Ingress" | "IngressClass") => "networking.k8s.io/v1",
        ("extensions/v1beta1" | "apps/v1beta1" | "apps/v1beta2", _) => "apps/v1",
        ("batch/v1beta1" | "batch/v2alpha1", _) => "batch/v1",
        ("policy/v1beta1", _) => "policy/v1",
        ("rbac.authorization.k8s.io/v1beta1" | "rbac.authorization.k8s.io/v1alpha1", _) => {
            "rbac.authorization.k8s.io/v1"
        }
        ("apiextensions.k8s.io/v1beta1", _) => "apiextensions.k8s.io/v1",
        ("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            "admissionregistration.k8s.io/v1"
        }
        ("storage.k8s.io/v1beta1", "StorageClass" | "VolumeAttachment" | "CSIDriver" | "CSINode") => {
            "storage.k8s.io/v1"
        }
        ("scheduling.k8s.io/v1beta1" | "scheduling.k8s.io/v1alpha1", "PriorityClass") => "scheduling.k8s.io/v1",
        ("autoscaling/v2beta1" | "autoscaling/v2beta2", _) => "autoscaling/v2",
        ("discovery.k8s.io/v1beta1", _) => "discovery.k8s.io/v1",
        _ => return None,
    })
}

fn removed_api(document: &Document) -> Option<Problem> {
    let (api, kind) = (document.object.api_version(), document.object.kind());
    let new = replacement(api, kind)?;
    let message = format!("`{api}` is gone from Kubernetes: {} cannot be applied", document.object.title());
    let help = if new.is_empty() {
        "take it out: Pod Security admission, labels on the namespace, took its place".to_owned()
    } else {
        format!("write `apiVersion: {new}`")
    };
    Some(document.problem("/apiVersion", &message, &help))
}

/// A workload selects the pods of its own template, or the cluster refuses it.
fn selector(document: &Document) -> Option<Problem> {
    let object = &document.object;
    if !matches!(object.kind(), "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") {
        return None;
    }
    let labels = object.template().map(|template| &template["metadata"]["labels"]);
    let selector = &object.0["spec"]["selector"];
    if selector.is_null() {
        let shown = labels.filter(|labels| labels.is_object()).map_or("{app: …}".to_owned(), flow);
        let help = format!("add `selector: {{matchLabels: {shown}}}` under `spec:`: its template's labels");
        return Some(document.problem("/kind", &format!("{} has no `spec.selector`", object.title()), &help));
    }
    let wanted = selector["matchLabels"].as_object()?;
    let (key, value) = wanted.iter().find(|(key, value)| labels.and_then(|labels| labels.get(key)) != Some(value))?;
    let message = format!("{} does not select its own pods", object.title());
    let has = labels.and_then(|labels| labels.get(key)).map_or_else(
        || format!("the template has no label `{key}`"),
        |has| format!("the template's label is `{key}: {}`", text(has)),
    );
    let help = format!("the selector says `{key}: {}`, {has}; make them equal", text(value));
    Some(document.problem(&format!("/spec/selector/matchLabels/{}", escape(key)), &message, &help))
}

fn access_modes(document: &Document) -> Vec<Problem> {
    let object = &document.object;
    let mut specs = Vec::new();
    match object.kind() {
        "PersistentVolumeClaim" | "PersistentVolume" => specs.push("/spec".to_owned()),
        "StatefulSet" => {
            let templates = object.0["spec"]["volumeClaimTemplates"].as_array().map_or(0, Vec::len);
            specs.extend((0..templates).map(|index| format!("/spec/volumeClaimTemplates/{index}/spec")));
        }
        _ => {}
    }
    let mut problems = Vec::new();
    for pointer in specs.into_iter().map(|spec| format!("{spec}/accessModes")) {
        let modes = object.0.pointer(&pointer).and_then(Value::as_array);
        for (index, mode) in modes.into_iter().flatten().enumerate() {
            let mode = text(mode);
            if !ACCESS_MODES.contains(&mode.as_str()) {
                let message = format!("`{mode}` is not an access mode");
                problems.push(document.problem(&format!("{pointer}/{index}"), &message, &nearest(&mode)));
            }
        }
    }
    problems
}

fn nearest(mode: &str) -> String {
    let distance = |known: &&str| strsim::levenshtein(&known.to_lowercase(), &mode.to_lowercase());
    match ACCESS_MODES.into_iter().min_by_key(distance).filter(|known| distance(known) <= 3) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("one of {}", ACCESS_MODES.join(", ")),
    }
}

fn flow(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let labels: Vec<String> = labels.map(|(key, value)| format!("{key}: {}", text(value))).collect();
    format!("{{{}}}", labels.join(", "))
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
