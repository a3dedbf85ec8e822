//! What each key of the profile changes in the objects: only the lines that differ from
//! [`super::service`]'s.

use serde_json::Value;

use super::*;

/// Returns `kind name path: value` of everything, digests left out; `pod` is the workload's
/// template. What every object has is one line, its title.
fn lines(profile: &Profile, material: &Material) -> Vec<String> {
    let mut lines = Vec::new();
    for object in render(profile, material) {
        let title = if object.kind() == "Job" { "job web-DIGEST".to_owned() } else { object.title() };
        let mut own = Vec::new();
        flatten(&title, &object.0, &mut own);
        let known = [
            "apiVersion",
            "kind",
            "metadata name",
            "metadata namespace",
            "metadata labels coracle.dev",
            "metadata labels app.kubernetes.io",
        ];
        own.retain(|line| !known.iter().any(|known| line.starts_with(&format!("{title} {known}"))));
        lines.push(title.clone());
        let pod = format!("{title} spec template spec");
        lines.extend(own.into_iter().map(|line| line.replace(&pod, "pod")));
    }
    lines
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map.iter().filter(|(key, _)| ![TEMPLATE, RENDERED, SELF].contains(&key.as_str())) {
                flatten(&format!("{path} {key}"), value, lines);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                flatten(&format!("{path}[{name}]"), item, lines);
            }
        }
        other => lines.push(format!("{path}: {other}")),
    }
}

/// Returns what `change` adds (`+`) and takes away (`-`), with the well-known beginnings cut.
/// Of an object that is gone only its title is shown.
pub(super) fn difference(change: impl FnOnce(&mut Profile, &mut Material)) -> String {
    let (mut profile, mut material) = (super::profile(vec![service("web")]), material());
    let before = lines(&profile, &material);
    change(&mut profile, &mut material);
    let after = lines(&profile, &material);
    let titles: Vec<&String> = before.iter().filter(|line| is_title(line) && !after.contains(line)).collect();
    let shown = |line: &&String| is_title(line) || !titles.iter().any(|title| line.starts_with(&format!("{title} ")));
    let gone = before.iter().filter(|line| !after.contains(line)).filter(shown).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let short = |line: String| {
        line.replace("pod containers[web]", "container")
            .replace("metadata labels ", "label ")
            .replace("metadata annotations ", "annotation ")
    };
    gone.chain(new).map(short).flat_map(|line| [line, "\n".to_owned()]).collect()
}

fn is_title(line: &str) -> bool {
    !line.contains(':')
}

pub(super) fn web(change: impl FnOnce(&mut Service)) -> String {
    difference(|profile, _| change(&mut profile.services[0]))
}

macro_rules! keys {
    ($($name:ident: $actual:expr => $expected:literal;)*) => {
        $(#[test]
        fn $name() {
            let expected: String =
                $expected.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(|l| [l, "\n"]).collect();
            assert_eq!($actual, expected);
        })*
    };
}

pub(super) use keys;

keys! {
    labels: difference(|profile, _| profile.labels = map(&[("env", "test")])) => r#"
        + deployment web label env: "test"
        + deployment web spec template label env: "test"
        + service web label env: "test"
    "#;
    service_labels: web(|web| web.labels = map(&[("coracle.dev/service", "mine"), ("team", "a")])) => r#"
        + deployment web label team: "a"
        + deployment web spec template label team: "a"
        + service web label team: "a"
    "#;
    annotations: web(|web| web.annotations = map(&[("note", "x")])) => r#"
        + deployment web annotation note: "x"
        + deployment web spec template annotation note: "x"
        + service web annotation note: "x"
    "#;
    pulled: web(|web| web.image = ImageSource::Pull("redis:7".to_owned())) => r#"
        - deployment web spec template annotation coracle.dev/image: "web=build"
        + deployment web spec template annotation coracle.dev/image: "web=redis:7"
    "#;
    pending: difference(|_, material| material.images.clear()) => r#"
        - container image: "coracle.local/demo/web:1"
        + container image: "pending://web"
    "#;
    stateful: web(|web| web.kind = WorkloadKind::Stateful) => r#"
        - deployment web
        + statefulset web
        + statefulset web spec podManagementPolicy: "Parallel"
        + statefulset web spec replicas: 1
        + statefulset web spec revisionHistoryLimit: 3
        + statefulset web spec selector matchLabels coracle.dev/instance: "0123456789ab"
        + statefulset web spec selector matchLabels coracle.dev/service: "web"
        + statefulset web spec serviceName: "web"
        + statefulset web spec template annotation coracle.dev/image: "web=build"
        + statefulset web spec template label app.kubernetes.io/managed-by: "coracle"
        + statefulset web spec template label app.kubernetes.io/name: "web"
        + statefulset web spec template label coracle.dev/instance: "0123456789ab"
        + statefulset web spec template label coracle.dev/profile: "demo"
        + statefulset web spec template label coracle.dev/service: "web"
    "#;
    job: web(|web| { web.kind = WorkloadKind::Job; web.ports.clear(); web.readiness = None; }) => r#"
        - deployment web
        - container lifecycle preStop sleep seconds: 3
        - container ports[http] containerPort: 5000
        - container ports[http] name: "http"
        - container ports[http] protocol: "TCP"
        - container readinessProbe failureThreshold: 3
        - container readinessProbe periodSeconds: 1
        - container readinessProbe tcpSocket port: 5000
        - container readinessProbe timeoutSeconds: 1
        - service web
        + job web-DIGEST
        + job web-DIGEST spec backoffLimit: 3
        + job web-DIGEST spec template annotation coracle.dev/image: "web=build"
        + job web-DIGEST spec template label app.kubernetes.io/managed-by: "coracle"
        + job web-DIGEST spec template label app.kubernetes.io/name: "web"
        + job web-DIGEST spec template label coracle.dev/instance: "0123456789ab"
        + job web-DIGEST spec template label coracle.dev/profile: "demo"
        + job web-DIGEST spec template label coracle.dev/service: "web"
        + pod restartPolicy: "OnFailure"
    "#;
    ports: web(|web| {
        web.ports = vec![port("http", 80, 5000), port("same", 81, 5000)];
        web.ports[1].node_port = Some(30009);
    }) => r#"
        + service web spec ports[same] name: "same"
        + service web spec ports[same] nodePort: 30009
        + service web spec ports[same] port: 81
        + service web spec ports[same] protocol: "TCP"
        + service web spec ports[same] targetPort: 5000
    "#;
    no_ports: web(|web| { web.ports.clear(); web.readiness = None; }) => r#"
        - container lifecycle preStop sleep seconds: 3
        - container ports[http] containerPort: 5000
        - container ports[http] name: "http"
        - container ports[http] protocol: "TCP"
        - container readinessProbe failureThreshold: 3
        - container readinessProbe periodSeconds: 1
        - container readinessProbe tcpSocket port: 5000
        - container readinessProbe timeoutSeconds: 1
        - service web
    "#;
    expose_cluster: web(|web| web.expose = Expose::Cluster) => r#"
        - service web spec ports[http] nodePort: 30001
        - service web spec type: "NodePort"
        + service web spec type: "ClusterIP"
    "#;
    expose_load_balancer: web(|web| {
        web.expose = Expose::LoadBalancer;
        web.source_ranges = words(&["10.0.0.0/8"]);
    }) => r#"
        - service web spec type: "NodePort"
        + service web spec loadBalancerSourceRanges[0]: "10.0.0.0/8"
        + service web spec type: "LoadBalancer"
    "#;
    service_name: web(|web| web.service_name = "hello".to_owned()) => r#"
        - service web spec ports[http] nodePort: 30001
        - service web spec type: "NodePort"
        + service hello
        + service hello spec ports[http] name: "http"
        + service hello spec ports[http] nodePort: 30001
        + service hello spec ports[http] port: 80
        + service hello spec ports[http] protocol: "TCP"
        + service hello spec ports[http] targetPort: 5000
        + service hello spec selector coracle.dev/instance: "0123456789ab"
        + service hello spec selector coracle.dev/service: "web"
        + service hello spec type: "NodePort"
        + service web spec type: "ClusterIP"
    "#;
    headless: web(|web| web.headless = true) => r#"
        - service web spec ports[http] nodePort: 30001
        - service web spec type: "NodePort"
        + service web spec clusterIP: "None"
        + service web spec type: "ClusterIP"
    "#;
    session_affinity: web(|web| web.session_affinity = true) => r#"
        + service web spec sessionAffinity: "ClientIP"
    "#;
    replicas: web(|web| web.replicas = 3) => r"
        - deployment web spec replicas: 1
        + deployment web spec replicas: 3
    ";
    rollout: web(|web| {
        web.rollout.max_surge = Some("1".to_owned());
        web.rollout.max_unavailable = Some("50%".to_owned());
        web.rollout.deadline = Duration::from_secs(30);
    }) => r#"
        - deployment web spec progressDeadlineSeconds: 120
        - deployment web spec strategy rollingUpdate maxSurge: "25%"
        - deployment web spec strategy rollingUpdate maxUnavailable: 0
        + deployment web spec progressDeadlineSeconds: 30
        + deployment web spec strategy rollingUpdate maxSurge: 1
        + deployment web spec strategy rollingUpdate maxUnavailable: "50%"
    "#;
    recreate: web(|web| web.rollout.strategy = Some(Strategy::Recreate)) => r#"
        - deployment web spec strategy rollingUpdate maxSurge: "25%"
        - deployment web spec strategy rollingUpdate maxUnavailable: 0
        - deployment web spec strategy type: "RollingUpdate"
        + deployment web spec strategy type: "Recreate"
    "#;
    patch: web(|web| {
        let pod = json!({"containers": [{"name": "web", "tty": true}]});
        web.patch = Some(json!({"spec": {"replicas": null, "template": {"spec": pod}}}));
    }) => r"
        - deployment web spec replicas: 1
        + container tty: true
    ";
    name: web(|web| web.name = "ann-test-web".to_owned()) => r#"
        - deployment web
        + deployment ann-test-web
        + deployment ann-test-web spec progressDeadlineSeconds: 120
        + deployment ann-test-web spec replicas: 1
        + deployment ann-test-web spec revisionHistoryLimit: 3
        + deployment ann-test-web spec selector matchLabels coracle.dev/instance: "0123456789ab"
        + deployment ann-test-web spec selector matchLabels coracle.dev/service: "web"
        + deployment ann-test-web spec strategy rollingUpdate maxSurge: "25%"
        + deployment ann-test-web spec strategy rollingUpdate maxUnavailable: 0
        + deployment ann-test-web spec strategy type: "RollingUpdate"
        + deployment ann-test-web spec template annotation coracle.dev/image: "web=build"
        + deployment ann-test-web spec template label app.kubernetes.io/managed-by: "coracle"
        + deployment ann-test-web spec template label app.kubernetes.io/name: "web"
        + deployment ann-test-web spec template label coracle.dev/instance: "0123456789ab"
        + deployment ann-test-web spec template label coracle.dev/profile: "demo"
        + deployment ann-test-web spec template label coracle.dev/service: "web"
    "#;
    not_deployed: difference(|profile, _| profile.services.push(Service { deploy: false, ..service("base") })) => "";
}

#[test]
fn cron() {
    let web =
        Service { kind: WorkloadKind::Cron { schedule: "0 3 * * *".to_owned() }, ports: Vec::new(), ..service("web") };
    let objects = render(&profile(vec![web]), &material());
    let cron = objects.iter().find(|object| object.kind() == "CronJob").unwrap();
    assert_eq!(cron.0["spec"]["schedule"], "0 3 * * *");
    assert_eq!(cron.0["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
    assert_eq!(cron.template().unwrap()["metadata"]["annotations"][IMAGE], "web=build");
}
