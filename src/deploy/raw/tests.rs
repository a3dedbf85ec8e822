mod problems;

use std::fs;

use miette::GraphicalReportHandler;
use serde_json::json;

use super::*;
use crate::deploy::manifest::tests::{profile, service};
use crate::deploy::object::{INSTANCE, SERVICE};

/// A profile in a folder with one manifest file, and the built services `webapp-1` and `gateway`.
struct Folder {
    _folder: tempfile::TempDir,
    profile: Profile,
}

fn folder(text: &str) -> Folder {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("k8s")).unwrap();
    fs::write(folder.path().join("k8s/web.yaml"), text).unwrap();
    let mut profile = profile(vec![service("webapp-1"), service("gateway")]);
    profile.folder = folder.path().to_owned();
    profile.manifests = vec!["k8s/*.yaml".to_owned()];
    Folder { _folder: folder, profile }
}

/// Returns the rendered diagnostic of what is wrong with a file.
fn problems(text: &str) -> String {
    let error = read(&folder(text).profile).unwrap_err();
    report(&error)
}

fn report(error: &Error) -> String {
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(80);
    handler.render_report(&mut out, error).unwrap();
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

const IMAGES: [(&str, &str); 2] = [("webapp-1", "coracle.local/demo/webapp-1:1"), ("redis:7", "redis:7")];

fn objects_of(text: &str) -> (Vec<Object>, Vec<String>) {
    let folder = folder(text);
    let documents = read(&folder.profile).unwrap_or_else(|error| panic!("{}", report(&error)));
    let images = IMAGES.map(|(name, image)| (name.to_owned(), image.to_owned())).into();
    objects(&folder.profile, &documents, &images).unwrap_or_else(|error| panic!("{}", report(&error)))
}

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: raw
spec:
  replicas: 2
  selector: {matchLabels: {app: raw}}
  template:
    metadata: {labels: {app: raw}}
    spec:
      containers:
      - name: raw
        image: amitsaha/webapp-1
        imagePullPolicy: Always
        ports: [{containerPort: 5000}]
        readinessProbe: {httpGet: {path: /, port: 8000}}
      - name: redis
        image: redis:7
      - name: other
        image: busybox
      volumes:
      - name: data
        persistentVolumeClaim: {claimName: data}
---
apiVersion: v1
kind: Service
metadata: {name: raw}
spec: {selector: {app: rwa}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

#[test]
fn images_are_built_external_or_substituted() {
    let folder = folder(DEPLOYMENT);
    let documents = read(&folder.profile).unwrap();
    assert_eq!(images(&folder.profile, &documents), ["busybox", "redis:7"]);
    let (objects, sentences) = objects_of(DEPLOYMENT);
    let pod = objects[0].pod().unwrap();
    assert_eq!(pod["containers"][0]["image"], "coracle.local/demo/webapp-1:1");
    assert_eq!(pod["containers"][0]["imagePullPolicy"], "Never");
    assert_eq!(pod["containers"][1]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(pod["containers"][2]["imagePullPolicy"], json!(null));
    let annotations = &objects[0].template().unwrap()["metadata"]["annotations"];
    assert_eq!(annotations["coracle.dev/image"], "raw=build,redis=redis:7,other=busybox");
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    k8s/web.yaml:14: pull policy `Always` would try to pull an image that exists only here; `Never` is used
    k8s/web.yaml:16: readinessProbe asks port 8000, and container `raw` lists only 5000
    k8s/web.yaml:6: 2 pods of deployment raw share claim `data`, which only one node may have at a time
    k8s/web.yaml:28: service `raw` selects `app: rwa`, and no pod of the manifests or the profile has that
    "#);
}

#[test]
fn an_image_that_is_not_built_yet_is_pending() {
    let folder = folder(DEPLOYMENT);
    let documents = read(&folder.profile).unwrap();
    let (objects, _) = objects(&folder.profile, &documents, &BTreeMap::new()).unwrap();
    let images = IMAGES.map(|(name, image)| (name.to_owned(), image.to_owned())).into();
    let filled = crate::deploy::manifest::fill_images(objects.clone(), &images);
    assert_eq!(objects[0].pod().unwrap()["containers"][0]["image"], "pending://webapp-1");
    assert_eq!(filled[0].pod().unwrap()["containers"][0]["image"], "coracle.local/demo/webapp-1:1");
}

#[test]
fn labels_are_added_and_selectors_stay() {
    let (objects, _) = objects_of(DEPLOYMENT);
    let deployment = &objects[0];
    assert_eq!(deployment.namespace(), "demo");
    assert_eq!(deployment.label(INSTANCE), Some("0123456789ab"));
    assert_eq!(deployment.0["spec"]["selector"], json!({"matchLabels": {"app": "raw"}}));
    let labels = &deployment.template().unwrap()["metadata"]["labels"];
    assert_eq!(labels, &json!({"app": "raw", INSTANCE: "0123456789ab", SERVICE: "raw"}));
    assert_eq!(objects[1].label(SERVICE), None);
    assert_eq!(objects[2].namespace(), "demo");
}

#[test]
fn lists_are_taken_apart_and_secrets_are_as_the_server_keeps_them() {
    let text = "apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: key, creationTimestamp: null}
  stringData: {a: text}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: 'demo:reader'}
- apiVersion: v1
  kind: Namespace
  metadata: {name: demo}
";
    let (objects, sentences) = objects_of(text);
    assert_eq!(objects[0].0["data"], json!({"a": "dGV4dA=="}));
    assert_eq!(objects[0].0["stringData"], json!(null));
    assert_eq!(objects[1].namespace(), "");
    assert_eq!(objects.len(), 2);
    assert_eq!(sentences, ["k8s/web.yaml:12: namespace `demo` is made by the profile; this one is left out"]);
}

#[test]
fn a_custom_kind_of_the_whole_cluster_gets_no_namespace() {
    let text = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: fleets.example.com}
spec: {group: example.com, scope: Cluster, names: {kind: Fleet, plural: fleets}}
---
apiVersion: example.com/v1
kind: Fleet
metadata: {name: ours}
---
apiVersion: other.com/v1
kind: Fleet
metadata: {name: theirs}
";
    let (objects, _) = objects_of(text);
    let identities: Vec<String> = objects.iter().map(Object::identity).collect();
    assert_eq!(identities[1..], ["example.com/Fleet//ours".to_owned(), "other.com/Fleet/demo/theirs".to_owned()]);
    // What only the cluster knows: there is one without a namespace, so it is that one.
    let live = [manifest::without_namespace(objects[2].clone())];
    let changes = crate::deploy::compare::compare(&objects[2..], &live);
    assert_eq!(changes, crate::deploy::compare::Changes::default());
}

#[test]
fn documents_tell_which_services_they_run_and_what_they_make() {
    let text = DEPLOYMENT.replace("busybox", "gcr.io/other/gateway")
        + "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nprovisioner: x\n";
    let folder = folder(&text);
    let documents = read(&folder.profile).unwrap();
    assert_eq!(services(&folder.profile, &documents), ["webapp-1"]);
    assert_eq!(images(&folder.profile, &documents), ["gcr.io/other/gateway", "redis:7"]);
    assert_eq!(made(&documents), (["data".to_owned()].into(), ["fast".to_owned()].into()));
}

/// `recorded.json` is what Kubernetes 1.33 made of `recorded.yaml`'s objects, status left out.
#[test]
fn what_the_server_writes_in_its_own_way_is_no_difference() {
    let (objects, sentences) = objects_of(include_str!("recorded.yaml"));
    let list: Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let live: Vec<Object> = list["items"].as_array().unwrap().iter().cloned().map(Object).collect();
    assert_eq!(live.len(), objects.len());
    assert_eq!(crate::deploy::compare::compare(&objects, &live), crate::deploy::compare::Changes::default());
    assert_eq!(sentences, Vec::<String>::new());
}
