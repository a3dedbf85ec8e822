//! Defaults, overlays, warnings and the schema.

use super::super::{Expose, ProbeCheck, schema};
use super::{problems, profile, service};

#[test]
fn defaults_lie_below_and_maps_are_merged() {
    let profile = profile(
        "name: a
defaults: {image: redis, env: {A: 1, B: 2}, ports: [80], health: tcp}
services:
  x: {env: {B: 3}}
  y: {build: ., ports: [], health: none}
",
    );
    let [x, y] = profile.services.as_slice() else { panic!("two") };
    assert_eq!(x.env, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "3".to_owned())]);
    assert_eq!((x.ports.len(), y.ports.len(), y.expose), (1, 0, Expose::Cluster));
}

#[test]
fn health_has_short_forms() {
    for (written, check) in [
        ("/ready", ProbeCheck::Http { path: "/ready".into(), port: 5000 }),
        ("tcp", ProbeCheck::Tcp { port: 5000 }),
        ("grpc", ProbeCheck::Grpc { port: 5000 }),
        ("{exec: [a, b]}", ProbeCheck::Exec { command: vec!["a".into(), "b".into()] }),
        ("{grpc: true, port: 9}", ProbeCheck::Grpc { port: 9 }),
    ] {
        let service = service(&format!("services: {{a: {{image: x, ports: ['80:5000'], health: {written}}}}}"));
        assert_eq!(service.readiness.unwrap().check, check);
    }
    assert_eq!(service("services: {a: {image: x, ports: [80], health: none}}").readiness, None);
    assert_eq!(service("services: {a: {image: x, kind: job, ports: [80]}}").readiness, None);
}

#[test]
fn an_image_without_ports_is_not_probed() {
    assert_eq!(service("services: {a: {image: x}}").readiness, None);
    let told = problems("services: {a: {image: x, health: /h}}");
    assert_eq!(told, ["[health] `health` asks a port, but the service has none | add `ports:`, or a `port:` to it"]);
}

#[test]
fn what_is_most_likely_not_meant_is_a_warning() {
    let profile = profile(
        "name: a
services:
  x:
    image: redis
    ports: ['80:5000']
    replicas: 2
    health: {path: /h, port: 80}
    volumes: [{size: 1Gi, path: /data}]
",
    );
    assert_eq!(
        profile.warnings,
        [
            "`health` of `x` asks port 80, but the container's ports are 5000",
            "`x` has 2 replicas and the volume `data`, which is ReadWriteOnce: pods on another node could not start",
        ]
    );
}

#[test]
fn services_know_each_other() {
    let profile = profile(
        "name: a
services:
  base: {build: base, deploy: false}
  web:
    build: {context: ., args: {BASE: '{services.base.image}'}}
    ports: [8080]
    after: [db]
    env: {DB: '{services.db.url}', P: '{services.db.port}', N: '{namespace}', LITERAL: '{x} $HOME ${A}'}
  db: {image: 'redis:7', ports: [6379], service-name: store}
",
    );
    let env: Vec<&str> = profile.services[1].env.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(env, ["http://store:6379", "6379", "a", "{x} $HOME ${A}"]);
    assert_eq!(profile.services[2].service_name, "store");
}

#[test]
fn the_reference_page_is_of_these_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/profile.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == schema::markdown(), "docs/profile.md is old: run `coracle schema --markdown > docs/profile.md`");
}

#[test]
fn the_schema_is_closed_and_without_nulls() {
    let schema = schema::json();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["name"]["type"], "string");
    assert_eq!(schema["$defs"]["service"]["properties"]["replicas"]["default"], 1);
    assert!(!schema.to_string().contains("\"null\""));
    assert!(schema["$defs"]["service"]["properties"].as_object().unwrap().contains_key("node-selector"));
}
