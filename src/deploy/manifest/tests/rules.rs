//! What holds for every profile: legal names, the restricted standard, stable digests.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn pending() -> (Profile, Material) {
    let (mut profile, mut material) = everything();
    profile.services[0].env.push(("PEER".to_owned(), "pending://redis.".to_owned()));
    material.images.clear();
    (profile, material)
}

#[test]
fn images_filled_in_later_are_images_known_before() {
    let (profile, without) = pending();
    let images = everything().1.images;
    let later = fill_images(render(&profile, &without), &images);
    let mut before = render(&profile, &Material { images, ..without });
    let pod = before.iter_mut().find_map(Object::pod_mut).unwrap();
    // The init container runs the service's own image, and so has its environment.
    for list in ["containers", "initContainers"] {
        let env = pod[list][0]["env"].as_array_mut().unwrap();
        env.iter_mut().find(|entry| entry["name"] == "PEER").unwrap()["value"] = "redis:7.".into();
    }
    assert_eq!(later, before.into_iter().map(seal).collect::<Vec<_>>());
}

#[test]
fn sealing_twice_is_sealing_once() {
    let (profile, material) = everything();
    let objects = render(&profile, &material);
    assert_eq!(objects.clone().into_iter().map(seal).collect::<Vec<_>>(), objects);
}

#[test]
fn a_job_is_named_by_its_template() {
    let (mut profile, material) = everything();
    let name = |profile: &Profile| {
        let objects = render(profile, &material);
        let job = objects.into_iter().find(|object| object.kind() == "Job").unwrap();
        let digest = job.template().unwrap()["metadata"]["annotations"][TEMPLATE].as_str().unwrap().to_owned();
        assert_eq!(job.name(), format!("job-{digest}"));
        digest
    };
    let before = name(&profile);
    profile.services.iter_mut().find(|service| service.key == "job").unwrap().args = Some(words(&["x"]));
    assert_ne!(name(&profile), before);
}

#[test]
fn a_changed_secret_or_file_changes_the_pods_that_use_it() {
    let (profile, material) = everything();
    let template = |material: &Material| {
        let objects = render(&profile, material);
        let web = objects.iter().find(|object| object.kind() == "Deployment").unwrap().clone();
        web.template().unwrap()["metadata"]["annotations"][TEMPLATE].clone()
    };
    let before = template(&material);
    let mut secret = material.clone();
    secret.secrets.get_mut("web").unwrap().insert("TOKEN".to_owned(), b"other".to_vec());
    assert_ne!(template(&secret), before);
    let mut files = material.clone();
    files.files.get_mut("web").unwrap().insert("/etc/app.ini".to_owned(), b"a=2\n".to_vec());
    assert_ne!(template(&files), before);
}

#[test]
fn a_claim_of_somebody_else_is_never_rendered() {
    let mut web = service("web");
    web.volumes = vec![Volume { claim: Some("lab".to_owned()), size: None, ..volume("data") }];
    let objects = render(&profile(vec![web]), &material());
    assert!(objects.iter().all(|object| object.kind() != "PersistentVolumeClaim"));
    let pod = objects.iter().find_map(Object::pod).unwrap();
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "lab");
}

/// The checks of the Pod Security standard `restricted` that a rendered pod can break.
fn restricted(pod: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let context = &pod["securityContext"];
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[key] == true {
            broken.push(key.to_owned());
        }
    }
    if context["runAsUser"] == 0 || context["seccompProfile"]["type"] != "RuntimeDefault" {
        broken.push("user or seccomp".to_owned());
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let allowed = ["configMap", "secret", "persistentVolumeClaim", "emptyDir", "projected", "name"];
        broken.extend(volume.as_object().unwrap().keys().filter(|key| !allowed.contains(&key.as_str())).cloned());
    }
    let containers = ["containers", "initContainers"].iter().filter_map(|key| pod[*key].as_array()).flatten();
    for container in containers {
        let context = &container["securityContext"];
        let added = context["capabilities"]["add"].as_array().into_iter().flatten();
        let held = context["allowPrivilegeEscalation"] == false
            && context["runAsNonRoot"] == true
            && context["privileged"] != true
            && context["capabilities"]["drop"] == json!(["ALL"])
            && added.into_iter().all(|capability| capability == "NET_BIND_SERVICE");
        if !held {
            broken.push(container["name"].to_string());
        }
    }
    broken
}

#[test]
fn restricted_meets_the_standard_in_every_container() {
    let (profile, material) = everything();
    let web = render(&profile, &material).into_iter().find(|object| object.kind() == "Deployment").unwrap();
    assert_eq!(restricted(web.pod().unwrap()), Vec::<String>::new());
    let plain = render(&super::profile(vec![service("web")]), &material);
    assert_ne!(restricted(plain.iter().find_map(Object::pod).unwrap()), Vec::<String>::new());
}

fn is_label(text: &str, max: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= max && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_label_value(text: &str) -> bool {
    let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && end(text.chars().next())
        && end(text.chars().last())
}

fn check_names(objects: &[Object]) {
    let mut seen = std::collections::BTreeSet::new();
    for object in objects {
        let max = match object.kind() {
            "Service" | "Namespace" | "Job" => 63,
            "StatefulSet" | "CronJob" => 52,
            _ => 253,
        };
        let name = object.name();
        assert!(name.len() <= max && name.split('.').all(|part| is_label(part, max)), "{}", object.identity());
        assert!(seen.insert(object.identity()), "{} twice", object.identity());
        for (key, value) in object.0["metadata"]["labels"].as_object().unwrap() {
            assert!(is_label_value(value.as_str().unwrap()), "{key}={value}");
        }
        let Some(pod) = object.pod() else { continue };
        for volume in pod["volumes"].as_array().into_iter().flatten() {
            assert!(is_label(volume["name"].as_str().unwrap(), 63), "{volume}");
        }
        let data = pod["containers"][0]["volumeMounts"].as_array().into_iter().flatten();
        for mount in data {
            let volumes = pod["volumes"].as_array().unwrap();
            assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
        }
    }
}

fn any_service() -> impl Strategy_<Value = Service> {
    let label = "[a-z]([-a-z0-9]{0,60}[a-z0-9])?";
    let kinds = prop_oneof![
        Just(WorkloadKind::Deployment),
        Just(WorkloadKind::Stateful),
        Just(WorkloadKind::Job),
        Just(WorkloadKind::Cron { schedule: "* * * * *".to_owned() }),
    ];
    (label, label, kinds, label, "[a-z]([-.a-z0-9]{0,30}[a-z0-9]){0,5}", any::<bool>()).prop_map(
        |(key, name, kind, disk, claim, secret)| {
            let mut service = service(&key);
            service.name.clone_from(&name);
            service.service_name = name;
            service.kind = kind;
            service.volumes = vec![volume(&disk)];
            let claim = claim.replace("..", ".").replace(".-", ".").replace("-.", ".");
            service.mounts = vec![Mount { claim, path: "/x".to_owned(), sub_path: None, read_only: false }];
            if secret {
                service.secrets = vec![("KEY".to_owned(), SecretSource::Env("KEY".to_owned()))];
            }
            service
        },
    )
}

use proptest::strategy::Strategy as Strategy_;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_rendered_name_and_label_is_legal(service in any_service(), path in "/[ -~]{1,80}", content: Vec<u8>) {
        let mut material = material();
        material.files.insert(service.key.clone(), [(path, content)].into());
        check_names(&render(&profile(vec![service]), &material));
    }
}
