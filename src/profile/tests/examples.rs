//! Profiles that people write: the tutorials' and the large one of the reference.

use super::super::{Expose, ImageSource, ProbeCheck, WorkloadKind};
use super::{profile, service};

pub(super) const LARGE: &str = r#"
# yaml-language-server: $schema=…
name: apigateway
cluster:
  provider: kind
  name: coracle
  nodes: 1
  kubernetes: v1.33
defaults: {replicas: 3}
services:
  webapp-1:
    build: webapp-1
    ports: ["80:5000"]
    health: /_status/healthcheck/
    env: {REDIS_HOST: "{services.redis.host}"}
    sync: ["**/*.py -> /workspace"]
  redis:
    image: redis:7
    ports: [6379]
    replicas: 1
    volumes: [{name: data, size: 1Gi, path: /data}]
  gateway:
    build: apigateway
    ports: ["80:8000"]
    expose: node-port
manifests: [k8s/*.yaml]
checks:
  - {service: gateway, post: /projects/, json: {title: x}, expect: {status: 200, json: {id: 123}}}
environments:
  geddes:
    context: geddes
    namespace: gould29
    registry: geddes-registry.rcac.purdue.edu/gould29
    platform: linux/amd64
    bind: "sha256:abc"
    labels: {env: "{env}"}
    name-template: "{user}-{env}-{service}"
    pull-secret: {name: lab-registry-creds, from: docker-config}
    storage-class: rbd
    expose: load-balancer
    annotations: {load-balancer: {metallb.universe.tf/address-pool: geddes-public-pool}}
    url: "http://{service}.{namespace}.geddes.rcac.purdue.edu"
    services: {gateway: {replicas: 5, resources: {cpu: 500m, memory: 256Mi}}}
"#;

pub(super) const ADD_TWO: &str = r#"
name: k8s-demo
labels: {username: gould29}
services:
  k8s-demo:
    build: .
    ports: ["80:5000"]
    health: /
    sync: ["**/*.py -> /workspace"]
environments:
  geddes:
    context: geddes
    namespace: gould29
    registry: geddes-registry.rcac.purdue.edu/gould29/gould29
    expose: load-balancer
    url: "http://{service}.{namespace}.geddes.rcac.purdue.edu"
"#;

pub(super) const GATEWAY: &str = r#"
name: apigatewaydemo
defaults: {replicas: 3}
services:
  webapp-1:
    build: webapp-1
    ports: ["80:5000"]
    health: /_status/healthcheck/
  rpc-app-1:
    build: grpc-app-1/server
    ports: [6000]
  apigateway:
    build: apigateway
    ports: ["80:8000"]
"#;

pub(super) const FLASK_REDIS: &str = r#"
name-template: "{user}-{env}-{service}"
labels: {username: "{user}", env: "{env}"}
services:
  redis:
    image: redis:5.0.0
    ports: [6379]
    volumes: [{size: 1Gi, path: /data}]
  flask:
    build: .
    ports: [5000]
    replicas: 2
    env: {REDIS_IP: "{services.redis.host}"}
environments:
  test: {context: tacc, storage-class: rbd}
  prod: {context: tacc, storage-class: rbd}
"#;

pub(super) const TIMBER: &str = r#"
name: timber-tutorial
services:
  timber-tutorial:
    build: .
    ports: ["80:8080"]
environments:
  gke: {context: gke_x, registry: "eu.gcr.io/{env:PROJECT_ID}"}
"#;

#[test]
fn the_large_example_means_what_it_says() {
    let profile = profile(LARGE);
    let keys: Vec<&str> = profile.services.iter().map(|service| service.key.as_str()).collect();
    assert_eq!(keys, ["webapp-1", "redis", "gateway"]);
    assert_eq!((profile.namespace.as_str(), profile.environments.len()), ("apigateway", 1));
    assert_eq!(profile.cluster.kubernetes.as_deref(), Some("v1.33"));
    let webapp = &profile.services[0];
    assert_eq!(webapp.replicas, 3);
    assert_eq!(webapp.env, [("REDIS_HOST".to_owned(), "redis".to_owned())]);
    assert_eq!((webapp.ports[0].name.as_str(), webapp.ports[0].port, webapp.ports[0].target), ("http", 80, 5000));
    let check = &webapp.readiness.as_ref().unwrap().check;
    assert_eq!(*check, ProbeCheck::Http { path: "/_status/healthcheck/".into(), port: 5000 });
    assert_eq!((webapp.liveness.as_ref(), webapp.startup.as_ref()), (None, None));
    let redis = &profile.services[1];
    assert_eq!(redis.image, ImageSource::Pull("redis:7".into()));
    assert_eq!(redis.readiness.as_ref().unwrap().check, ProbeCheck::Tcp { port: 6379 });
    assert_eq!(redis.volumes[0].access, "ReadWriteOnce");
    assert_eq!(profile.services[2].expose, Expose::NodePort);
    assert_eq!((profile.checks[0].method.as_str(), profile.checks[0].expect.status), ("POST", 200));
    assert_eq!(profile.warnings, Vec::<String>::new());
}

#[test]
fn the_tutorials_profiles_are_profiles() {
    assert_eq!(profile(ADD_TWO).labels["username"], "gould29");
    assert!(profile(GATEWAY).services.iter().all(|service| service.replicas == 3));
    assert_eq!(profile(TIMBER).services[0].ports[0].target, 8080);
}

#[test]
fn a_name_template_names_objects_and_services_stay_reachable() {
    let profile = profile(FLASK_REDIS);
    assert_eq!(profile.name, "app", "the folder's name");
    assert_eq!(profile.services[0].name, "ada-local-redis");
    assert_eq!(profile.services[1].env[0].1, "ada-local-redis");
    assert_eq!(profile.labels["username"], "ada");
    assert_eq!(profile.services[0].volumes[0].name, "data");
}

#[test]
fn the_instance_is_of_the_application_and_not_of_its_services() {
    let one = profile("name: a\nservices: {x: {image: redis}}\n").instance;
    assert_eq!(one.len(), 12);
    assert_eq!(one, profile("name: a\nservices: {x: {image: redis}, y: {image: redis}}\n").instance);
    assert_ne!(one, profile("name: b\nservices: {x: {image: redis}}\n").instance);
    let template = "name: a\nname-template: 'x-{service}'\nservices: {x: {image: redis}}\n";
    assert_ne!(one, profile(template).instance);
}

#[test]
fn every_key_of_a_service_reaches_it() {
    let service = service(
        r#"
name: all
services:
  web:
    build: {context: ., dockerfile: webapp-1/Dockerfile, target: run, args: {V: 1.10}, network: host, platform: linux/arm64, ssh: [default], secrets: {t: {env: TOKEN}}}
    kind: stateful
    command: python3 "my app.py"
    args: [--port, 80]
    env: {Z: "{env:TOKEN}", A: true, N: 017}
    secrets: {KEY: {command: [pass, show]}}
    files: {/etc/app.conf: base/Dockerfile}
    ports: [{name: api, port: 80, target: 5000, node-port: 30005, local: 5000}, "53:53/udp"]
    session-affinity: true
    path: /x
    replicas: 0
    resources: {cpu: 1, limits: {memory: 1Gi}}
    readiness: {path: /r, port: 5000, period: 2s, timeout: 3, failures: 5, delay: 1s}
    liveness: tcp
    rollout: {strategy: recreate, max-surge: 25%, deadline: 60s}
    grace: 5s
    volumes: [{claim: theirs, path: /theirs}, {name: own, size: 1Gi, path: /own, access: ReadWriteMany}]
    mounts: [{claim: other, path: /other, sub-path: a/b, read-only: true}]
    init: [{name: migrate, command: [a]}]
    sidecars: [{name: proxy, image: envoy:1, env: {A: 1}}]
    security: {user: 1000, capabilities: {drop: [ALL]}}
    tolerations: [{key: gpu}]
    patch: {spec: {template: {spec: {hostNetwork: true}}}}
"#,
    );
    let ImageSource::Build(build) = &service.image else { panic!("built") };
    assert_eq!((build.args["V"].as_str(), build.network.as_deref()), ("1.10", Some("host")));
    assert!(build.dockerfile.ends_with("webapp-1/Dockerfile"));
    assert_eq!(service.kind, WorkloadKind::Stateful);
    assert_eq!(service.command.unwrap(), ["python3", "my app.py"]);
    assert_eq!(service.args.unwrap(), ["--port", "80"]);
    let env: Vec<String> = service.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["Z=a$$b", "A=true", "N=017"]);
    assert_eq!((service.ports[0].node_port, service.ports[1].name.as_str()), (Some(30005), "udp-53"));
    assert_eq!(service.replicas, 0);
    assert_eq!((service.resources.requests.len(), service.resources.limits.len()), (1, 2));
    assert_eq!(service.readiness.as_ref().unwrap().failures, 5);
    let startup = service.startup.unwrap();
    assert_eq!((startup.failures, startup.check), (60, ProbeCheck::Tcp { port: 5000 }));
    assert_eq!(service.grace.as_secs(), 5);
    assert_eq!(service.patch.unwrap()["spec"]["template"]["spec"]["hostNetwork"], true);
    assert!(!service.ports_from_image);
}
