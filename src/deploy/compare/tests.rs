//! Rendered objects against what a real cluster made of them.
//!
//! `live.json` was recorded on Kubernetes 1.33: the objects that [`objects_to_record`] prints,
//! applied with `kubectl apply --server-side --field-manager coracle`, read back as a List
//! with `kubectl get --show-managed-fields -o json`. The stateful set's `podManagementPolicy` and
//! its digest were put in by hand later.

use serde_json::{Value, json};

use super::*;
use crate::deploy::manifest::tests::{everything, material, profile, service};
use crate::deploy::manifest::{render, seal};
use crate::deploy::object::FIXED_SIZE;

fn rendered() -> Vec<Object> {
    let (profile, material) = everything();
    let objects = render(&profile, &material).into_iter();
    objects.filter(|object| object.kind() != "Namespace").collect()
}

fn live() -> Vec<Object> {
    let list: Value = serde_json::from_str(include_str!("live.json")).unwrap();
    list["items"].as_array().unwrap().iter().cloned().map(Object).collect()
}

#[test]
#[ignore = "prints the objects that live.json is recorded from"]
fn objects_to_record() {
    let (profile, material) = everything();
    let items: Vec<Value> = render(&profile, &material).into_iter().map(|object| object.0).collect();
    println!("{}", json!({"apiVersion": "v1", "kind": "List", "items": items}));
}

/// Returns what is to do, as lines.
fn text(changes: &Changes) -> String {
    let mut lines = Vec::new();
    for change in &changes.apply {
        let (word, fields) = match &change.why {
            Why::New => ("new", &Vec::new()),
            Why::Changed { fields } => ("changed", fields),
            Why::Drifted { fields } => ("drifted", fields),
        };
        lines.push(format!("{word} {}", change.object.title()));
        let shown = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        lines.extend(fields.iter().map(|f| format!("  {}: {} -> {}", f.field, shown(&f.live), shown(&f.wanted))));
    }
    lines.extend(changes.prune.iter().map(|object| format!("prune {}", object.title())));
    lines.extend(changes.refused.iter().cloned());
    lines.join("\n")
}

/// Compares with one live object changed by hand.
fn drift(kind: &str, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut live = live();
    let object = live.iter_mut().find(|object| object.kind() == kind && object.name() == name).unwrap();
    change(&mut object.0);
    text(&compare(&rendered(), &live))
}

/// Compares with one object rendered differently.
fn edit(kind: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut rendered = rendered();
    let object = rendered.iter_mut().find(|object| object.kind() == kind).unwrap();
    change(&mut object.0);
    *object = seal(object.clone());
    text(&compare(&rendered, &live()))
}

#[test]
fn what_the_server_adds_is_no_difference() {
    assert_eq!(live().len(), rendered().len());
    assert_eq!(text(&compare(&rendered(), &live())), "");
}

#[test]
fn nothing_there_is_all_new_and_in_order() {
    let objects = rendered();
    let changes = compare(&objects, &[]);
    assert!(changes.apply.iter().all(|change| change.why == Why::New));
    assert_eq!(changes.apply.into_iter().map(|change| change.object).collect::<Vec<_>>(), objects);
}

#[test]
fn drift_names_the_field() {
    let scaled = drift("Deployment", "ann-web", |live| live["spec"]["replicas"] = 5.into());
    assert_eq!(scaled, "drifted deployment ann-web\n  spec.replicas: 5 -> 2");
    let image = drift("Deployment", "ann-web", |live| {
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "evil".into();
    });
    insta::assert_snapshot!(image, @r#"
    drifted deployment ann-web
      spec.template.spec.containers[web].image: "evil" -> "coracle.local/demo/web:1"
    "#);
    let port = drift("Service", "shop", |live| live["spec"]["ports"][1]["targetPort"] = 1.into());
    insta::assert_snapshot!(port, @r#"
    drifted service shop
      spec.ports[dns].targetPort: 1 -> 5353
    "#);
    let label = drift("Service", "shop", |live| {
        live["metadata"]["labels"].as_object_mut().unwrap().remove("team");
    });
    insta::assert_snapshot!(label, @r#"
    drifted service shop
      metadata.labels.team: - -> "shop"
    "#);
}

#[test]
fn what_others_add_is_theirs() {
    let added = drift("Deployment", "ann-web", |live| {
        live["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "injected"}));
        live["metadata"]["annotations"]["note"] = "x".into();
    });
    assert_eq!(added, "");
}

#[test]
fn a_change_of_the_profile_lists_what_is_gone_too() {
    let changed = edit("Deployment", |object| {
        object["spec"]["replicas"] = 3.into();
        object["metadata"]["labels"].as_object_mut().unwrap().remove("team");
        let container = &mut object["spec"]["template"]["spec"]["containers"][0];
        container["env"].as_array_mut().unwrap().remove(0);
        container.as_object_mut().unwrap().remove("livenessProbe");
    });
    insta::assert_snapshot!(changed, @r#"
    changed deployment ann-web
      spec.replicas: 2 -> 3
      metadata.labels.team: "shop" -> -
      spec.template.spec.containers[web].env[HOST]: {"name":"HOST","value":"redis"} -> -
      spec.template.spec.containers[web].livenessProbe: {"exec":{"command":["true"]},"failureThreshold":3,"periodSeconds":1,"successThreshold":1,"timeoutSeconds":1} -> -
    "#);
}

#[test]
fn a_secret_is_never_shown() {
    let changed = edit("Secret", |object| object["data"] = json!({"TOKEN": "b3RoZXI=", "NEW": "eA=="}));
    insta::assert_snapshot!(changed, @r#"
    changed secret ann-web-2dd50793f65c
      data.NEW: - -> "sha256:5e21d86b709b…"
      data.TOKEN: "sha256:7adb4179c3f0…" -> "sha256:b6bd5b9455f0…"
    "#);
    let gone = edit("Secret", |object| object["data"] = json!({}));
    assert!(gone.contains("sha256:") && !gone.contains("czNjcmV0"), "{gone}");
}

#[test]
fn a_claim_grows_and_nothing_else() {
    let storage =
        |size: &'static str| move |object: &mut Value| object["spec"]["resources"]["requests"]["storage"] = size.into();
    insta::assert_snapshot!(edit("PersistentVolumeClaim", storage("2Gi")), @r#"
    changed persistentvolumeclaim ann-web-data
      spec.resources.requests.storage: "1Gi" -> "2Gi"
    "#);
    insta::assert_snapshot!(edit("PersistentVolumeClaim", storage("512Mi")), @r#"
    changed persistentvolumeclaim ann-web-data
    claim ann-web-data keeps 1Gi: a claim cannot shrink to 512Mi
    "#);
    let class = edit("PersistentVolumeClaim", |object| object["spec"]["storageClassName"] = "rbd".into());
    insta::assert_snapshot!(class, @r#"
    changed persistentvolumeclaim ann-web-data
    claim ann-web-data keeps its storage class standard: it cannot become rbd
    "#);
    let mut live = live();
    let claim = live.iter_mut().find(|object| object.kind() == "PersistentVolumeClaim").unwrap();
    claim.annotate(FIXED_SIZE, "true");
    let mut object = rendered().into_iter().find(|object| object.kind() == "PersistentVolumeClaim").unwrap();
    object.0["spec"]["resources"]["requests"]["storage"] = "2Gi".into();
    let changes = compare(&[seal(object)], std::slice::from_ref(claim));
    assert_eq!(
        changes.refused,
        ["claim ann-web-data keeps 1Gi: its storage class standard does not let it grow to 2Gi"]
    );
    assert_eq!(changes.apply[0].object.0["spec"], claim.0["spec"]);
    // Once that is live, it is said again and not written again.
    let mut object = rendered().into_iter().find(|object| object.kind() == "PersistentVolumeClaim").unwrap();
    object.0["spec"]["storageClassName"] = "rbd".into();
    let object = seal(object);
    let mut applied = self::live().into_iter().find(|other| other.identity() == object.identity()).unwrap();
    applied.annotate(RENDERED, object.annotation(RENDERED).unwrap());
    let changes = compare(&[object], &[applied]);
    assert_eq!((changes.apply.len(), changes.refused.len()), (0, 1));
}

#[test]
fn a_job_that_exists_runs_again_only_with_another_template() {
    let labelled = edit("Job", |object| object["metadata"]["labels"]["more"] = "x".into());
    assert_eq!(labelled, "");
    let raw = |image: &str| {
        seal(Object(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "raw", "namespace": "demo"},
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})))
    };
    assert_eq!(text(&compare(&[raw("a")], &[raw("a")])), "");
    insta::assert_snapshot!(text(&compare(&[raw("b")], &[raw("a")])), @r#"
    changed job raw
      spec.template.spec.containers[a].image: "a" -> "b"
    "#);
}

#[test]
fn what_ended_in_failure_is_made_again() {
    let failed = drift("Job", "job-4cd8536f6720", |live| {
        live["status"]["conditions"] = json!([{"type": "Failed", "status": "True"}]);
    });
    insta::assert_snapshot!(failed, @r#"
    drifted job job-4cd8536f6720
      status: "Failed" -> -
    "#);
    let done = drift("Job", "job-4cd8536f6720", |live| {
        live["status"]["conditions"] = json!([{"type": "Complete", "status": "True"}]);
    });
    assert_eq!(done, "");
    let pod =
        seal(Object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tool", "namespace": "demo"}})));
    let mut ended = pod.clone();
    ended.0["status"]["phase"] = "Failed".into();
    assert_eq!(text(&compare(&[pod], &[ended])), "drifted pod tool\n  status: \"Failed\" -> -");
}

#[test]
fn what_is_not_rendered_any_more_goes_unless_it_holds_data_or_is_not_ours() {
    let mut live = live();
    let mut copy = live.iter().find(|object| object.name() == "shop").unwrap().clone();
    copy.0["metadata"]["name"] = "copy".into();
    live.push(copy);
    let mut child = seal(Object(json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "cron-1", "namespace": "demo"}})));
    child.0["metadata"]["ownerReferences"] = json!([{"kind": "CronJob", "controller": true}]);
    live.push(child);
    let changes = compare(&render(&profile(vec![service("plain")]), &material()), &live);
    let pruned: Vec<String> = changes.prune.iter().map(Object::title).collect();
    insta::assert_snapshot!(pruned.join("\n"), @r#"
    secret ann-web-2dd50793f65c
    configmap ann-web-files-53779bb8b5ee
    deployment ann-web
    deployment balanced
    statefulset redis
    job job-4cd8536f6720
    cronjob cron
    service balanced
    service redis
    service shop
    service web
    "#);
}
