//! Profiles to render in tests, and what holds for everything that is rendered.

mod keys;
mod pods;
mod rules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::{Material, Object, fill_images, render, seal};
use crate::deploy::object::{IMAGE, RENDERED, SELF, TEMPLATE};
use crate::profile::{
    Build, Cluster, Container, Development, Expose, ImageSource, Mount, Port, Probe, ProbeCheck, Profile, Protocol,
    ProviderName, Resources, Rollout, SecretSource, Security, Service, Strategy, Supervised, Sync, Volume,
    WorkloadKind,
};

/// A profile `demo` with these services and nothing else.
pub(crate) fn profile(services: Vec<Service>) -> Profile {
    Profile {
        name: "demo".to_owned(),
        folder: PathBuf::from("/demo"),
        file: None,
        namespace: "demo".to_owned(),
        instance: "0123456789ab".to_owned(),
        labels: BTreeMap::new(),
        cluster: Cluster {
            provider: ProviderName::Kind,
            name: "coracle".to_owned(),
            nodes: 1,
            kubernetes: None,
            image: None,
        },
        services,
        manifests: Vec::new(),
        checks: Vec::new(),
        environments: Vec::new(),
        warnings: Vec::new(),
    }
}

/// A built service with one port, as short as a profile can say it.
pub(crate) fn service(key: &str) -> Service {
    Service {
        key: key.to_owned(),
        name: key.to_owned(),
        service_name: key.to_owned(),
        image: ImageSource::Build(Build {
            context: PathBuf::from("/demo"),
            dockerfile: PathBuf::from("/demo/Dockerfile"),
            target: None,
            args: BTreeMap::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            platform: None,
            network: None,
            ca: None,
        }),
        kind: WorkloadKind::Deployment,
        deploy: true,
        replicas: 1,
        command: None,
        args: None,
        env: Vec::new(),
        secrets: Vec::new(),
        files: Vec::new(),
        ports: vec![port("http", 80, 5000)],
        ports_from_image: false,
        expose: Expose::NodePort,
        path: "/".to_owned(),
        headless: false,
        session_affinity: false,
        source_ranges: Vec::new(),
        resources: Resources::default(),
        readiness: Some(probe(ProbeCheck::Tcp { port: 5000 })),
        liveness: None,
        startup: None,
        rollout: Rollout { strategy: None, max_surge: None, max_unavailable: None, deadline: Duration::from_secs(120) },
        grace: Duration::from_secs(10),
        volumes: Vec::new(),
        mounts: Vec::new(),
        after: Vec::new(),
        init: Vec::new(),
        sidecars: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        node_selector: BTreeMap::new(),
        tolerations: Vec::new(),
        service_account: None,
        security: None,
        patch: None,
        sync: Sync::Default,
        restart: None,
        development: None,
    }
}

fn port(name: &str, port: u16, target: u16) -> Port {
    Port { name: name.to_owned(), port, target, protocol: Protocol::Tcp, node_port: None, local: None }
}

fn probe(check: ProbeCheck) -> Probe {
    let second = Duration::from_secs(1);
    Probe { check, period: second, timeout: second, delay: Duration::ZERO, failures: 3, successes: 1 }
}

fn volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        claim: None,
        size: Some("1Gi".to_owned()),
        path: "/data".to_owned(),
        storage_class: None,
        access: "ReadWriteOnce".to_owned(),
    }
}

fn container(name: &str, image: Option<&str>) -> Container {
    Container {
        name: name.to_owned(),
        image: image.map(str::to_owned),
        command: Some(vec!["true".to_owned()]),
        args: None,
        env: Vec::new(),
        resources: Resources::default(),
    }
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What every test service runs.
pub(in crate::deploy) fn material() -> Material {
    let images = [("web", "coracle.local/demo/web:1"), ("web.aside", "busybox:latest"), ("redis", "redis:7")];
    Material {
        images: map(&images),
        node_ports: [(("web".to_owned(), "http".to_owned()), 30001)].into(),
        ..Material::default()
    }
}

/// A deployment with nearly every key.
fn web_with_everything() -> Service {
    let mut web = service("web");
    web.name = "ann-web".to_owned();
    web.service_name = "shop".to_owned();
    web.replicas = 2;
    web.command = Some(words(&["sleep"]));
    web.args = Some(words(&["1d"]));
    web.env = vec![("HOST".to_owned(), "redis".to_owned()), ("EMPTY".to_owned(), String::new())];
    web.secrets = vec![("TOKEN".to_owned(), SecretSource::Env("TOKEN".to_owned()))];
    web.ports.push(Port { protocol: Protocol::Udp, ..port("dns", 53, 5353) });
    web.session_affinity = true;
    web.resources = Resources {
        requests: map(&[("cpu", "0.25"), ("memory", "1024Mi")]),
        limits: map(&[("cpu", "1000m"), ("memory", "1Gi")]),
    };
    web.readiness = Some(probe(ProbeCheck::Http { path: "/ok".to_owned(), port: 5000 }));
    web.liveness = Some(probe(ProbeCheck::Exec { command: words(&["true"]) }));
    web.startup = Some(probe(ProbeCheck::Grpc { port: 5000 }));
    web.volumes = vec![volume("data")];
    let mount = |claim: &str, path: &str, sub_path: Option<&str>, read_only| Mount {
        claim: claim.to_owned(),
        path: path.to_owned(),
        sub_path: sub_path.map(str::to_owned),
        read_only,
    };
    web.mounts = vec![mount("lab.volume", "/lab", Some("ann"), true), mount("data", "/again", None, false)];
    web.init = vec![container("migrate", None)];
    web.sidecars = vec![container("aside", Some("busybox:latest"))];
    web.labels = map(&[("team", "shop")]);
    web.annotations = map(&[("example.com/note", "kept")]);
    web.node_selector = map(&[("kubernetes.io/os", "linux")]);
    web.tolerations = vec![json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"})];
    web.security = Some(Security {
        restricted: true,
        user: Some(1000),
        group: Some(1000),
        read_only_root: true,
        add_capabilities: words(&["NET_BIND_SERVICE"]),
        drop_capabilities: Vec::new(),
    });
    web.patch = Some(json!({"spec": {"minReadySeconds": 1}}));
    web
}

/// Nearly every key at once, each object of a kind that a real cluster takes.
pub(in crate::deploy) fn everything() -> (Profile, Material) {
    let mut redis = service("redis");
    redis.kind = WorkloadKind::Stateful;
    redis.image = ImageSource::Pull("redis:7".to_owned());
    redis.ports = vec![port("redis", 6379, 6379)];
    redis.headless = true;
    redis.service_account = Some("default".to_owned());
    let mut balanced = service("balanced");
    balanced.expose = Expose::LoadBalancer;
    balanced.source_ranges = words(&["10.0.0.0/8"]);
    balanced.rollout.max_surge = Some("2".to_owned());
    let mut plain = service("plain");
    plain.ports = Vec::new();
    plain.readiness = None;
    plain.rollout.strategy = Some(Strategy::Recreate);
    let mut job = service("job");
    (job.kind, job.ports, job.readiness) = (WorkloadKind::Job, Vec::new(), None);
    let mut cron = job.clone();
    (cron.key, cron.name) = ("cron".to_owned(), "cron".to_owned());
    cron.kind = WorkloadKind::Cron { schedule: "0 3 * * *".to_owned() };
    let mut material = material();
    for key in ["balanced", "plain", "job", "cron"] {
        material.images.insert(key.to_owned(), "busybox:latest".to_owned());
    }
    material.secrets = [("web".to_owned(), [("TOKEN".to_owned(), b"s3cret".to_vec())].into())].into();
    let files = [("/etc/app.ini".to_owned(), b"a=1\n".to_vec()), ("/etc/key.bin".to_owned(), vec![0xff, 0])];
    material.files = [("web".to_owned(), files.into())].into();
    let mut profile = profile(vec![web_with_everything(), redis, balanced, plain, job, cron]);
    profile.labels = map(&[("env", "test")]);
    (profile, material)
}
