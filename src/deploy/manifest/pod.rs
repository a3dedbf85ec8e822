//! The pod template: containers, probes, environment.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Scope, config, development, network, nonempty, pull_policy, security, storage};
use crate::deploy::object::IMAGE;
use crate::profile::{self, ImageSource, Probe, ProbeCheck, Resources, WorkloadKind, interpolate};

/// How long a pod that is told to end goes on serving, so that nobody still sends to it.
const DRAIN: u64 = 3;

/// Returns the pod template, without its digest.
pub(super) fn template(scope: &Scope) -> Value {
    let mut annotations: Map<String, Value> =
        scope.service.annotations.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    annotations.insert(IMAGE.to_owned(), named_images(scope).into());
    development::mark(scope, &mut annotations);
    json!({
        "metadata": {"labels": scope.labels(), "annotations": annotations},
        "spec": spec(scope),
    })
}

fn spec(scope: &Scope) -> Value {
    let service = scope.service;
    let init = service.init.iter().map(|container| extra(scope, container, None));
    let sidecars = service.sidecars.iter().map(|container| extra(scope, container, Some("Always")));
    let extras: Vec<Value> = init.chain(sidecars).collect();
    let once = matches!(service.kind, WorkloadKind::Job | WorkloadKind::Cron { .. });
    json!({
        "containers": [main(scope)],
        "initContainers": nonempty(extras.into()),
        "restartPolicy": once.then_some("OnFailure"),
        "terminationGracePeriodSeconds": service.grace.as_secs(),
        // Variables like REDIS_PORT=tcp://… for every Service break programs that read them.
        "enableServiceLinks": false,
        "serviceAccountName": service.service_account,
        "automountServiceAccountToken": service.service_account.is_none().then_some(false),
        "securityContext": security::pod(service.security.as_ref()),
        "nodeSelector": nonempty(json!(service.node_selector)),
        "tolerations": nonempty(json!(service.tolerations)),
        "volumes": nonempty(storage::volumes(scope).into_iter().chain(development::volume(scope)).collect()),
    })
}

fn main(scope: &Scope) -> Value {
    let service = scope.service;
    let image = scope.image(&service.key);
    let (command, args) = development::command(scope);
    let mounts = storage::mounts(scope).into_iter().chain(development::mount(scope));
    json!({
        "name": service.key,
        "imagePullPolicy": policy(&image, matches!(service.image, ImageSource::Build(_))),
        "image": image,
        "command": command,
        "args": args,
        "env": nonempty(environment(scope, &[]).into()),
        "ports": nonempty(network::container_ports(scope).into()),
        "readinessProbe": service.readiness.as_ref().map(|p| probe(p, true)),
        "livenessProbe": service.liveness.as_ref().map(|p| probe(p, false)),
        "startupProbe": service.startup.as_ref().map(|p| probe(p, false)),
        "lifecycle": drain(scope),
        "resources": resources(&service.resources),
        "securityContext": security::container(service.security.as_ref()),
        "volumeMounts": nonempty(mounts.collect()),
    })
}

/// Returns an init container, or with a restart policy a sidecar. One without an image of its
/// own runs the service's program, and so gets the service's environment.
fn extra(scope: &Scope, container: &profile::Container, restart: Option<&str>) -> Value {
    let service = scope.service;
    let (image, built) = match &container.image {
        Some(_) => (scope.image(&format!("{}.{}", service.key, container.name)), false),
        None => (scope.image(&service.key), matches!(service.image, ImageSource::Build(_))),
    };
    let env = match &container.image {
        Some(_) => container.env.iter().map(|(name, value)| variable(scope, name, value)).collect(),
        None => environment(scope, &container.env),
    };
    json!({
        "name": container.name,
        "imagePullPolicy": policy(&image, built),
        "image": image,
        "restartPolicy": restart,
        "command": literal(container.command.as_deref()),
        "args": literal(container.args.as_deref()),
        "env": nonempty(env.into()),
        "resources": resources(&container.resources),
        "securityContext": security::container(service.security.as_ref()),
        "volumeMounts": nonempty(storage::mounts(scope).into()),
    })
}

fn policy(image: &str, built: bool) -> &'static str {
    let pending = image.starts_with(super::PENDING);
    if pending && built { "Never" } else { pull_policy(image) }
}

/// Returns the service's variables and secrets, and those that a container has over them.
fn environment(scope: &Scope, over: &[(String, String)]) -> Vec<Value> {
    let replaced = |name: &str| over.iter().any(|(other, _)| other == name);
    let own = scope.service.env.iter().filter(|(name, _)| !replaced(name));
    let mut env: Vec<Value> = own.map(|(name, value)| variable(scope, name, value)).collect();
    let secrets = config::secret_env(scope).into_iter();
    env.extend(secrets.filter(|entry| !entry["name"].as_str().is_some_and(replaced)));
    env.extend(over.iter().map(|(name, value)| variable(scope, name, value)));
    env
}

fn variable(scope: &Scope, name: &str, value: &str) -> Value {
    let filled = if value.contains("{services.") {
        interpolate::fill_images(value, &|key| Some(scope.image(key)))
    } else {
        value.to_owned()
    };
    json!({"name": name, "value": unexpanded(&filled)})
}

/// The kubelet reads `$(NAME)` as a variable and `$$` as `$`; in a profile `$` means nothing.
fn unexpanded(text: &str) -> String {
    if text.contains("$(") || text.contains("$$") { text.replace('$', "$$") } else { text.to_owned() }
}

pub(super) fn literal(words: Option<&[String]>) -> Value {
    words.map_or(Value::Null, |words| words.iter().map(|word| unexpanded(word)).collect())
}

fn resources(resources: &Resources) -> Value {
    nonempty(super::without_nulls(json!({
        "requests": nonempty(json!(resources.requests)),
        "limits": nonempty(json!(resources.limits)),
    })))
}

/// Returns the pause before SIGTERM: for what others send requests to, and shorter than
/// the grace period, of which it is a part.
fn drain(scope: &Scope) -> Value {
    let service = scope.service;
    let served = !service.ports.is_empty() && matches!(service.kind, WorkloadKind::Deployment | WorkloadKind::Stateful);
    let seconds = DRAIN.min(service.grace.as_secs().saturating_sub(1));
    if served && seconds > 0 { json!({"preStop": {"sleep": {"seconds": seconds}}}) } else { Value::Null }
}

fn probe(probe: &Probe, readiness: bool) -> Value {
    let (kind, check) = match &probe.check {
        ProbeCheck::Http { path, port } => ("httpGet", json!({"path": path, "port": port})),
        ProbeCheck::Tcp { port } => ("tcpSocket", json!({"port": port})),
        ProbeCheck::Grpc { port } => ("grpc", json!({"port": port})),
        ProbeCheck::Exec { command } => ("exec", json!({"command": command})),
    };
    json!({
        kind: check,
        "periodSeconds": seconds(probe.period),
        "timeoutSeconds": seconds(probe.timeout),
        "initialDelaySeconds": (!probe.delay.is_zero()).then(|| seconds(probe.delay)),
        "failureThreshold": probe.failures.max(1),
        // Anything but 1 is for readiness only.
        "successThreshold": (readiness && probe.successes > 1).then_some(probe.successes),
    })
}

/// Returns whole seconds, at least one: probes know no less.
fn seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

/// Returns `web=build,metrics=busybox:1`: which image each container has, in the profile's words.
fn named_images(scope: &Scope) -> String {
    let service = scope.service;
    let own = match &service.image {
        ImageSource::Build(_) => "build",
        ImageSource::Pull(reference) => reference,
    };
    let extras = service.init.iter().chain(&service.sidecars);
    let named = extras.map(|container| (container.name.as_str(), container.image.as_deref().unwrap_or(own)));
    std::iter::once((service.key.as_str(), own))
        .chain(named)
        .map(|(name, image)| format!("{name}={image}"))
        .collect::<Vec<_>>()
        .join(",")
}
