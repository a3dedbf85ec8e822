//! What is in a cluster, asked with the node's own kubectl: not through the code under test.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::docker;
use crate::sandbox::Sandbox;

/// `Kind namespace/name` → UID and resource version.
pub(crate) type Objects = BTreeMap<String, (String, String)>;

/// Kinds that `down` leaves: the claims, the namespace that holds them.
const KEPT: &[&str] = &["PersistentVolumeClaim", "Namespace"];

impl Sandbox {
    /// Returns what `kubectl ARGS` prints in the cluster's control plane.
    #[track_caller]
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let node = format!("{}-control-plane", self.cluster);
        let start = ["exec", "-e", "KUBECONFIG=/etc/kubernetes/admin.conf", &node];
        docker(&[&start[..], &["kubectl"], args].concat())
    }

    /// Returns every object, of every kind, that carries our labels for `profile`.
    #[track_caller]
    pub(crate) fn objects(&self, profile: &str) -> Objects {
        let selector = format!("app.kubernetes.io/managed-by=coracle,coracle.dev/profile={profile}");
        let kinds = self.kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
        let kinds: Vec<_> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
        let list = self.kubectl(&["get", &kinds.join(","), "-A", "-l", &selector, "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let text = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let items = list["items"].as_array().expect("a list has items");
        let named = |object: &Value| {
            let name = [text(object, "/metadata/namespace"), text(object, "/metadata/name")].join("/");
            (
                format!("{} {name}", text(object, "/kind")),
                (text(object, "/metadata/uid"), text(object, "/metadata/resourceVersion")),
            )
        };
        items.iter().map(named).collect()
    }

    /// Returns the objects once the cluster's own controllers have stopped writing to them.
    #[track_caller]
    pub(crate) fn settled_objects(&self, profile: &str) -> Objects {
        let started = Instant::now();
        let mut before = self.objects(profile);
        loop {
            std::thread::sleep(Duration::from_secs(2));
            let now = self.objects(profile);
            if now == before {
                return now;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "objects do not settle: {before:?}\n{now:?}");
            before = now;
        }
    }

    /// Panics unless nothing of `profile` is left but claims and their namespace. What the
    /// garbage collector takes away (pods, endpoint slices) may need a moment.
    #[track_caller]
    pub(crate) fn check_gone(&self, profile: &str) {
        let started = Instant::now();
        loop {
            let mut left = self.objects(profile);
            left.retain(|name, _| !KEPT.iter().any(|kind| name.starts_with(kind)));
            if left.is_empty() {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(40), "`down` left {left:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
