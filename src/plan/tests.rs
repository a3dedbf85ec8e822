//! Plans as text: what `--dry-run` shows, from a profile and from what is there.

mod sweep;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::cluster::Band;
use crate::deploy::live::{Inventory, NamespaceState};
use crate::image::context::Context;
use crate::image::dockerfile::Dockerfile;
use crate::observe::BuildInput;
use crate::profile::{ImageSource, resolve};
use crate::session::Surroundings;

const SHOP: &str = "
name: shop
services:
  db: {image: 'redis:7', ports: [6379]}
  web: {build: web, ports: ['80:5000']}
";

fn profile(text: &str) -> Profile {
    let folder = tempfile::tempdir().unwrap();
    let surroundings = Surroundings { folder: folder.path().to_owned(), ..Surroundings::default() };
    for name in ["web", "base"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("Dockerfile"), "FROM x\nCMD y\n").unwrap();
    }
    let mut profile = resolve::parse(text, Path::new("coracle.yaml"), &surroundings).unwrap();
    profile.folder = "/shop".into();
    profile
}

/// What is there on a machine where nothing was done yet.
fn nothing(profile: &Profile) -> Observed {
    let band = Band((30000..30032).map(|port| (port, port)).collect());
    let mut observed = Observed { cluster: State::Absent { band }, ..Observed::nothing() };
    for service in &profile.services {
        match &service.image {
            ImageSource::Pull(reference) => {
                observed.inputs.pulls.insert(service.key.clone(), reference.clone());
            }
            ImageSource::Build(build) => {
                observed.inputs.order.push(service.key.clone());
                observed.inputs.builds.insert(service.key.clone(), Arc::new(input(profile, &service.key, build)));
            }
        }
    }
    observed
}

fn input(profile: &Profile, key: &str, build: &crate::profile::Build) -> BuildInput {
    let dockerfile = Dockerfile {
        path: build.dockerfile.clone(),
        text: String::new(),
        bases: Vec::new(),
        exposed: Vec::new(),
        has_command: true,
        base: None,
        warnings: Vec::new(),
    };
    BuildInput {
        build: build.clone(),
        context: Context { root: build.context.clone(), entries: Vec::new(), size: 0 },
        dockerfile,
        ca: None,
        secrets: BTreeMap::new(),
        needs: Vec::new(),
        bases: BTreeMap::new(),
        tag: format!("coracle.local/{}/{key}:0123456789ab", profile.name),
        built: false,
        no_cache: false,
        exposed: Some(Vec::new()),
    }
}

/// Everything done: built, pulled, loaded, applied and ready.
fn done(profile: &Profile) -> Observed {
    let mut observed = nothing(profile);
    let State::Absent { band } = observed.cluster.clone() else { unreachable!("it is absent above") };
    let nodes = vec!["coracle-control-plane".to_owned()];
    observed.cluster = State::Running { nodes: nodes.clone(), band };
    for (key, input) in observed.inputs.builds.clone() {
        observed.inputs.builds.insert(key, Arc::new(BuildInput { built: true, ..BuildInput::clone(&input) }));
    }
    for reference in observed.inputs.pulls.values() {
        observed.pulled.insert(reference.clone(), "sha256:fedcba9876543210".to_owned());
    }
    let plan = up(profile, &observed, &Options { extent: Extent::Load, ..Options::default() }).unwrap();
    observed.nodes.insert(nodes[0].clone(), plan.images.values().cloned().collect());
    observed.live.namespace = NamespaceState::Active;
    let (objects, _) = render(profile, &observed, &plan.images).unwrap();
    observed.live.objects = objects.into_iter().filter(|object| object.kind() != "Namespace").map(lived).collect();
    observed.live.inventory = Some(Inventory {
        folder: "/shop".to_owned(),
        kinds: BTreeSet::new(),
        release: 1,
        resource_version: "7".to_owned(),
    });
    for object in &observed.live.objects {
        for port in object.0["spec"]["ports"].as_array().into_iter().flatten() {
            let Some(node_port) = port["nodePort"].as_u64() else { continue };
            let holder = format!("{}/{}/{}", object.namespace(), object.name(), port["name"].as_str().unwrap());
            observed.live.node_ports.insert(u16::try_from(node_port).unwrap(), holder);
        }
    }
    observed
}

/// The object as the cluster has it once its controller is through with it.
fn lived(mut object: Object) -> Object {
    let replicas = object.0["spec"]["replicas"].clone();
    object.0["metadata"]["uid"] = "u".into();
    object.0["metadata"]["generation"] = 1.into();
    object.0["status"] = serde_json::json!({
        "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas,
    });
    object
}

/// The plan's steps, each with what it waits for.
fn plan_text(profile: &Profile, observed: &Observed, options: &Options) -> String {
    let plan = up(profile, observed, options).unwrap();
    let step = |(at, step): (usize, &Step)| {
        let words = match &step.action {
            Action::CreateCluster { half_made: true, .. } => "create cluster anew".to_owned(),
            Action::CreateCluster { .. } => "create cluster".to_owned(),
            Action::AwaitNodes => "await nodes".to_owned(),
            Action::StartCluster => "start cluster".to_owned(),
            Action::Pull { reference, .. } => format!("pull {reference}"),
            Action::Build { tag, no_cache, .. } => format!("build {tag}{}", if *no_cache { " anew" } else { "" }),
            Action::Load { names } => format!("load {}", names.join(" ")),
            Action::Release { namespace, .. } => {
                format!("release{}", if namespace.is_some() { " in a new namespace" } else { "" })
            }
            Action::Apply { objects } => format!("apply {}", titles(objects)),
            Action::Await { workloads } => format!("await {}", titles(workloads)),
            Action::Reach { node_ports, replaced } => {
                let ports: Vec<_> = node_ports.iter().map(|(service, port)| format!("{service}:{port}")).collect();
                format!("reach {}{}", ports.join(" "), if *replaced { " anew" } else { "" })
            }
            Action::Prune { objects } => format!("prune {}", titles(objects)),
            Action::Sweep { engine, nodes } => {
                let nodes: Vec<_> = nodes.iter().map(|(node, names)| format!(" {node}: {}", names.join(" "))).collect();
                format!("sweep {};{}", engine.join(" "), nodes.join(","))
            }
        };
        format!("{at} {:?} {words}\n", step.after)
    };
    plan.steps.iter().enumerate().map(step).collect()
}

fn titles(objects: &[Object]) -> String {
    objects.iter().map(Object::title).collect::<Vec<_>>().join(", ")
}

#[test]
fn from_nothing_builds_run_beside_the_creation() {
    let profile = profile(SHOP);
    let text = plan_text(&profile, &nothing(&profile), &Options::default());
    let expected = "\
0 [] create cluster
1 [] await nodes
2 [] pull redis:7
3 [] build coracle.local/shop/web:0123456789ab
4 [2, 3, 1] load db web
5 [4, 0] release in a new namespace
6 [5] apply deployment db, service db, deployment web, service web
7 [6] await deployment db, deployment web
8 [7] reach db:30000 web:30001
";
    assert_eq!(text, expected);
}

#[test]
fn what_is_done_plans_to_nothing() {
    let profile = profile(SHOP);
    assert_eq!(plan_text(&profile, &done(&profile), &Options::default()), "");
}

#[test]
fn an_edit_is_built_loaded_and_rolled_out_alone() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    let edited = BuildInput {
        tag: "coracle.local/shop/web:aaaaaaaaaaaa".to_owned(),
        built: false,
        ..BuildInput::clone(&observed.inputs.builds["web"])
    };
    observed.inputs.builds.insert("web".to_owned(), Arc::new(edited));
    let expected = "\
0 [] build coracle.local/shop/web:aaaaaaaaaaaa
1 [0] load web
2 [1] release
3 [2] apply deployment web
4 [3] await deployment web
5 [4] reach web:30001 anew
";
    assert_eq!(plan_text(&profile, &observed, &Options::default()), expected);
}

#[test]
fn a_node_that_lost_an_image_gets_it_again() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    observed.nodes.insert("coracle-worker".to_owned(), BTreeSet::new());
    assert_eq!(plan_text(&profile, &observed, &Options::default()), "0 [] load db web\n");
}

#[test]
fn half_made_clusters_are_removed_before_anything() {
    let profile = profile(SHOP);
    let mut observed = nothing(&profile);
    observed.cluster = State::HalfMade { band: Band::default() };
    let text = plan_text(&profile, &observed, &Options::default());
    assert!(text.starts_with("0 [] create cluster anew\n1 [] await nodes\n"), "{text}");
}

#[test]
fn a_stopped_cluster_is_started_and_asked_again() {
    let profile = profile(SHOP);
    let mut observed = nothing(&profile);
    observed.cluster = State::Stopped { nodes: Vec::new(), band: Band::default() };
    let plan = up(&profile, &observed, &Options::default()).unwrap();
    assert!(plan.preliminary);
    let expected = "0 [] start cluster\n1 [] pull redis:7\n2 [] build coracle.local/shop/web:0123456789ab\n";
    assert_eq!(plan_text(&profile, &observed, &Options::default()), expected);
}

#[test]
fn after_makes_waves() {
    let profile = profile(&SHOP.replace("ports: ['80:5000']", "ports: ['80:5000'], after: [db]"));
    let text = plan_text(&profile, &nothing(&profile), &Options::default());
    let waves = "\
6 [5] apply deployment db, service db, service web
7 [6] await deployment db
8 [7] apply deployment web
9 [8] await deployment web
10 [9] reach db:30000 web:30001
";
    assert!(text.ends_with(waves), "{text}");
}

#[test]
fn a_removed_service_is_pruned_after_the_rest_is_ready() {
    let shop = profile(SHOP);
    let mut observed = done(&shop);
    let smaller = profile("name: shop\nservices:\n  web: {build: web, ports: ['80:5000']}\n");
    observed.inputs.pulls.clear();
    let text = plan_text(&smaller, &observed, &Options::default());
    assert_eq!(text, "0 [] release\n1 [0] prune deployment db, service db\n");
}

#[test]
fn no_cache_builds_under_a_new_tag() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    let anew = BuildInput {
        tag: "coracle.local/shop/web:0123456789ab-65a0b1c2".to_owned(),
        built: false,
        no_cache: true,
        ..BuildInput::clone(&observed.inputs.builds["web"])
    };
    observed.inputs.builds.insert("web".to_owned(), Arc::new(anew));
    let text = plan_text(&profile, &observed, &Options::default());
    assert!(
        text.starts_with("0 [] build coracle.local/shop/web:0123456789ab-65a0b1c2 anew\n1 [0] load web\n"),
        "{text}"
    );
}

#[test]
fn only_the_named_service_is_built() {
    let profile = profile(&format!("{SHOP}  base: {{build: base, deploy: false}}\n"));
    let options = Options { extent: Extent::Build, services: vec!["base".to_owned()] };
    let text = plan_text(&profile, &nothing(&profile), &options);
    assert_eq!(text, "0 [] build coracle.local/shop/base:0123456789ab\n");
    let options = Options { extent: Extent::Build, services: vec!["db".to_owned()] };
    let error = up(&profile, &nothing(&profile), &options).unwrap_err();
    assert_eq!(error.to_string(), "there is no service `db` that is built here");
}

#[test]
fn an_image_only_service_is_not_loaded() {
    let profile = profile(&format!("{SHOP}  base: {{build: base, deploy: false}}\n"));
    let text = plan_text(&profile, &nothing(&profile), &Options { extent: Extent::Load, ..Options::default() });
    assert!(text.contains("build coracle.local/shop/base"), "{text}");
    assert!(text.ends_with("load db web\n"), "{text}");
}

#[test]
fn the_same_name_from_another_folder_is_refused() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    observed.live.inventory.as_mut().unwrap().folder = "/elsewhere".to_owned();
    let error = up(&profile, &observed, &Options::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
}

#[test]
fn claims_and_classes_that_are_not_there_are_named_with_those_that_are() {
    let mounting =
        profile(&SHOP.replace("ports: [6379]", "ports: [6379], volumes: [{name: data, claim: old, path: /data}]"));
    let mut observed = done(&profile(SHOP));
    observed.live.claims.insert("vol1".to_owned());
    let error = up(&mounting, &observed, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "service `db` mounts the claim `old`, which does not exist in namespace `shop`");

    let classy =
        SHOP.replace("ports: [6379]", "ports: [6379], volumes: [{name: d, size: 1Gi, path: /d, storage-class: rdb}]");
    observed.live.storage_classes.insert("standard".to_owned());
    let error = up(&profile(&classy), &observed, &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "service `db` wants the storage class `rdb`, which this cluster does not have");
}

#[test]
fn what_every_node_has_is_not_built_again() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    // `docker image prune --all`
    observed.pulled.clear();
    for input in observed.inputs.builds.values_mut() {
        *input = Arc::new(BuildInput { built: false, ..BuildInput::clone(input) });
    }
    assert_eq!(plan_text(&profile, &observed, &Options::default()), "");
}

#[test]
fn a_base_is_built_before_what_is_built_on_it() {
    let profile = profile(&format!("{SHOP}  base: {{build: base, deploy: false}}\n"));
    let mut observed = nothing(&profile);
    let on_base = BuildInput { needs: vec!["base".to_owned()], ..BuildInput::clone(&observed.inputs.builds["web"]) };
    observed.inputs.builds.insert("web".to_owned(), Arc::new(on_base));
    observed.inputs.order = vec!["base".to_owned(), "web".to_owned()];
    let options = Options { extent: Extent::Build, services: vec!["web".to_owned()] };
    let expected = "\
0 [] build coracle.local/shop/base:0123456789ab
1 [0] build coracle.local/shop/web:0123456789ab
";
    assert_eq!(plan_text(&profile, &observed, &options), expected);
}

#[test]
fn an_image_that_a_container_elsewhere_runs_is_loaded() {
    let profile = profile(&format!("{SHOP}  base: {{build: base, deploy: false}}\n"));
    let mut observed = nothing(&profile);
    observed.inputs.run_elsewhere.insert("base".to_owned());
    let text = plan_text(&profile, &observed, &Options { extent: Extent::Load, ..Options::default() });
    assert!(text.ends_with("load base db web\n"), "{text}");
}

#[test]
fn ports_that_only_a_build_can_tell_are_looked_at_after_it() {
    let profile = profile("name: shop\nservices:\n  web: {build: web}\n");
    let mut observed = nothing(&profile);
    let unknown = BuildInput { exposed: None, ..BuildInput::clone(&observed.inputs.builds["web"]) };
    observed.inputs.builds.insert("web".to_owned(), Arc::new(unknown));
    assert!(up(&profile, &observed, &Options::default()).unwrap().preliminary);
}

#[test]
fn a_port_of_a_service_that_is_gone_is_freed_first() {
    let shop = profile(SHOP);
    let mut observed = done(&shop);
    let renamed = profile(&SHOP.replace(
        "  db: {image: 'redis:7', ports: [6379]}",
        "  store: {image: 'redis:7', ports: [{port: 6379, node-port: 30000}]}",
    ));
    observed.inputs.pulls = BTreeMap::from([("store".to_owned(), "redis:7".to_owned())]);
    let expected = "\
0 [] load store
1 [0] release
2 [1] prune service db
3 [2] apply deployment store, service store
4 [3] await deployment store
5 [4] reach store:30000
6 [4] prune deployment db
";
    assert_eq!(plan_text(&renamed, &observed, &Options::default()), expected);
}

#[test]
fn a_namespace_that_is_going_away_takes_its_objects_along() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    observed.live.namespace = NamespaceState::Terminating;
    let text = plan_text(&profile, &observed, &Options::default());
    assert!(text.starts_with("0 [] release in a new namespace\n1 [0] apply deployment db, service db"), "{text}");
}

#[test]
fn after_a_start_every_port_is_tried() {
    let profile = profile(SHOP);
    let observed = Observed { restarted: true, ..done(&profile) };
    assert_eq!(plan_text(&profile, &observed, &Options::default()), "0 [] reach db:30000 web:30001\n");
}
