//! Edits while pods are deleted at random and the API server's connections are cut.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Dev, ROLLOUT, pages, pods};
use crate::engine::docker;
use crate::http;
use crate::random::Random;
use crate::sandbox::Sandbox;

/// How many edits have to arrive: all of them.
const EDITS: usize = 100;
/// How long one may take: a pod that is deleted in that very moment has to be replaced first.
const ARRIVED: Duration = Duration::from_secs(40);

/// Cuts every connection to the cluster's API server that comes from outside of its node, and
/// refuses new ones for a moment.
fn cut(node: &str) {
    let rule = "INPUT -i eth0 -p tcp --dport 6443 -j REJECT --reject-with tcp-reset";
    docker(&["exec", node, "sh", "-c", &format!("iptables -I {rule}; sleep 0.5; iptables -D {rule}")]);
}

#[test]
#[ignore = "needs docker and kind"]
fn every_edit_arrives_while_pods_are_deleted_and_connections_cut() {
    let sandbox = Sandbox::shared();
    let name = "e2e-dev-storm";
    let folder = pages(&sandbox, name, "    sync: ['**/* -> /app']\n    replicas: 2\n    grace: 1s\n");
    let dev = Dev::start(&sandbox, &folder, &[]);
    dev.says_after(0, &["web: is ready"], ROLLOUT);
    let page = format!("{}page.txt", sandbox.url(&folder, "web"));

    let stop = Arc::new(AtomicBool::new(false));
    let trouble = {
        let (stop, mut random) = (stop.clone(), Random::seeded());
        let node = format!("{}-control-plane", sandbox.cluster);
        thread::spawn(move || {
            let kubectl = |args: &[&str]| {
                let start = ["exec", "-e", "KUBECONFIG=/etc/kubernetes/admin.conf", &node, "kubectl", "-n", name];
                docker(&[&start[..], args].concat())
            };
            let mut deleted = 0;
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1500) + random.shorter_than(Duration::from_millis(1500)));
                cut(&node);
                let names = kubectl(&["get", "pods", "-o", "name"]);
                let names: Vec<&str> = names.lines().collect();
                if let Some(pod) = random.choice(&names) {
                    kubectl(&["delete", pod, "--wait=false", "--ignore-not-found"]);
                    deleted += 1;
                }
            }
            deleted
        })
    };
    for number in 1..=EDITS {
        let content = format!("edit {number}");
        // So that the trouble has its time: an edit alone takes a few milliseconds.
        thread::sleep(Duration::from_millis(150));
        fs::write(folder.join("web/page.txt"), &content).unwrap();
        let started = Instant::now();
        // Every replica answers now and then: eight answers in a row are of all of them.
        let mut fresh = 0;
        while fresh < 8 {
            fresh = if http::get(&page).is_ok_and(|answer| answer.body == content) { fresh + 1 } else { 0 };
            assert!(started.elapsed() < ARRIVED, "edit {number} did not arrive\n{}", dev.said());
            thread::sleep(Duration::from_millis(5));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let deleted = trouble.join().unwrap();
    eprintln!("{EDITS} edits arrived while {deleted} pods were deleted");
    assert!(deleted > 0 && !pods(&sandbox, name, "web").is_empty());
    dev.leave();
}
