//! What is refused, as it is shown.

use super::*;

#[test]
fn a_near_miss_of_a_built_image_is_asked_about() {
    insta::assert_snapshot!(problems(&DEPLOYMENT.replace("amitsaha/webapp-1", "amitsaha/webapp1")), @r#"
    coracle::manifests::invalid

      × image `amitsaha/webapp1` is not built here; did you mean service `webapp-
      │ 1`?
        ╭─[k8s/web.yaml:13:9]
     12 │       - name: raw
     13 │         image: amitsaha/webapp1
        ·         ───────────────────────
     14 │         imagePullPolicy: Always
        ╰────
      help: write `image: webapp-1`, or with its registry (`docker.io/amitsaha/
            webapp1`) where it is somebody else's
    "#);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = "apiVersion: apps/v1beta1
kind: Deployment
metadata: {name: old}
spec:
  template: {metadata: {labels: {app: old}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [readWriteOnce]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: odd}
spec:
  selector:
    matchLabels:
      app: odd
  template: {metadata: {labels: {app: even}}}
";
    insta::assert_snapshot!(problems(text), @r#"
    coracle::manifests::invalid

      × 4 problems in the manifests

    Error: coracle::manifests::invalid

      × `apps/v1beta1` is gone from Kubernetes: deployment old cannot be applied
       ╭─[k8s/web.yaml:1:1]
     1 │ apiVersion: apps/v1beta1
       · ────────────────────────
     2 │ kind: Deployment
       ╰────
      help: write `apiVersion: apps/v1`

    Error: coracle::manifests::invalid

      × deployment old has no `spec.selector`
       ╭─[k8s/web.yaml:2:1]
     1 │ apiVersion: apps/v1beta1
     2 │ kind: Deployment
       · ────────────────
     3 │ metadata: {name: old}
       ╰────
      help: add `selector: {matchLabels: {app: old}}` under `spec:`: its
            template's labels

    Error: coracle::manifests::invalid

      × `readWriteOnce` is not an access mode
        ╭─[k8s/web.yaml:10:1]
      9 │ metadata: {name: data}
     10 │ spec: {accessModes: [readWriteOnce]}
        · ────────────────────────────────────
     11 │ ---
        ╰────
      help: did you mean `ReadWriteOnce`?

    Error: coracle::manifests::invalid

      × deployment odd does not select its own pods
        ╭─[k8s/web.yaml:18:7]
     17 │     matchLabels:
     18 │       app: odd
        ·       ────────
     19 │   template: {metadata: {labels: {app: even}}}
        ╰────
      help: the selector says `app: odd`, the template's label is `app: even`;
            make them equal
    "#);
}

#[test]
fn what_is_missing_is_named() {
    let text = "kind: Service
metadata: {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: on}
---
just text
";
    insta::assert_snapshot!(problems(text), @r#"
    coracle::manifests::invalid

      × 4 problems in the manifests

    Error: coracle::manifests::invalid

      × `apiVersion` is missing
       ╭─[k8s/web.yaml:1:1]
     1 │ kind: Service
       · ─────────────
     2 │ metadata: {}
       ╰────
      help: for example `apiVersion: apps/v1` for a Deployment, `v1` for a Service

    Error: coracle::manifests::invalid

      × `metadata.name` is missing
       ╭─[k8s/web.yaml:2:1]
     1 │ kind: Service
     2 │ metadata: {}
       · ────────────
     3 │ ---
       ╰────
      help: add `metadata: {name: …}`

    Error: coracle::manifests::invalid

      × `metadata.name` is read as true, not as text
       ╭─[k8s/web.yaml:6:1]
     5 │ kind: ConfigMap
     6 │ metadata: {name: on}
       · ────────────────────
     7 │ ---
       ╰────
      help: put it in quotes

    Error: coracle::manifests::invalid

      × this document is not an object of Kubernetes
       ╭─[k8s/web.yaml:8:1]
     7 │ ---
     8 │ just text
       · ─────────
       ╰────
      help: a manifest begins with `apiVersion:` and `kind:`
    "#);
}

#[test]
fn what_is_no_yaml_is_shown() {
    insta::assert_snapshot!(problems("apiVersion: v1\nkind: [Service\n"), @r#"
    coracle::manifests::invalid

      × `k8s/web.yaml` is not YAML: unclosed bracket '[' at line 2, column 7
       ╭─[k8s/web.yaml:2:1]
     1 │ apiVersion: v1
     2 │ kind: [Service
       · ──────────────
       ╰────
    "#);
}

#[test]
fn a_pattern_without_a_file_is_named() {
    let mut folder = folder("");
    folder.profile.manifests = vec!["deploy/*.yml".to_owned()];
    let error = read(&folder.profile).unwrap_err();
    assert_eq!(error.to_string(), "`deploy/*.yml` of `manifests:` matches no file");
}

#[test]
fn another_namespace_is_refused() {
    let text = "apiVersion: v1
kind: Namespace
metadata: {name: tools}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: tools
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader, namespace: tools}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fine, namespace: demo}
";
    insta::assert_snapshot!(problems(text), @r#"
    coracle::manifests::invalid

      × 2 problems in the manifests

    Error: coracle::manifests::invalid

      × namespace `tools` would be a second one: profile `demo` has one, `demo`
       ╭─[k8s/web.yaml:3:1]
     2 │ kind: Namespace
     3 │ metadata: {name: tools}
       · ───────────────────────
     4 │ ---
       ╰────
      help: leave it out; for another namespace, write another profile

    Error: coracle::manifests::invalid

      × configmap settings wants namespace `tools`, and all of profile `demo` goes
      │ to `demo`
        ╭─[k8s/web.yaml:9:3]
      8 │   name: settings
      9 │   namespace: tools
        ·   ────────────────
     10 │ ---
        ╰────
      help: leave `namespace:` out, or write `namespace: tools` in the profile
    "#);
}

#[test]
fn an_image_that_is_no_reference_is_underlined() {
    insta::assert_snapshot!(problems(&DEPLOYMENT.replace("busybox", "'${IMAGE}'")), @r#"
    coracle::manifests::invalid

      × `${IMAGE}` is not an image reference: a name is in lower case
        ╭─[k8s/web.yaml:20:9]
     19 │       - name: other
     20 │         image: '${IMAGE}'
        ·         ─────────────────
     21 │       volumes:
        ╰────
      help: write it as `[REGISTRY/]NAME[:TAG][@sha256:DIGEST]`, or the name of a
            service that is built
    "#);
}

#[test]
fn an_object_that_is_there_twice_is_refused() {
    let text = "apiVersion: v1
kind: Service
metadata: {name: gateway}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: same}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: same}
";
    let folder = folder(text);
    let documents = read(&folder.profile).unwrap();
    let error = objects(&folder.profile, &documents, &BTreeMap::new()).unwrap_err();
    insta::assert_snapshot!(report(&error), @r#"
    coracle::manifests::invalid

      × 2 problems in the manifests

    Error: coracle::manifests::invalid

      × service gateway is also what a service of the profile makes
       ╭─[k8s/web.yaml:3:1]
     2 │ kind: Service
     3 │ metadata: {name: gateway}
       · ─────────────────────────
     4 │ ---
       ╰────
      help: give one of the two another name

    Error: coracle::manifests::invalid

      × configmap same is described twice
        ╭─[k8s/web.yaml:11:1]
     10 │ kind: ConfigMap
     11 │ metadata: {name: same}
        · ──────────────────────
        ╰────
      help: the other one is at k8s/web.yaml:7
    "#);
}
