//! A new version under load: every request is answered, by the one version or the other.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::http;
use crate::sandbox::Sandbox;

const V1: &str = r#"{"timber": "so delicious"}"#;
const V2: &str = r#"{"timber": "so delicious", "why": "because logging shouldn't be hard"}"#;

/// What steady requests were answered with, and every one that failed.
#[derive(Default)]
struct Load {
    bodies: BTreeSet<String>,
    failures: Vec<String>,
    sent: usize,
}

/// Sends requests from four threads until told to stop.
fn load(url: &str, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<Load>> {
    let sender = || {
        let (url, stop) = (url.to_owned(), Arc::clone(stop));
        thread::spawn(move || {
            let mut load = Load::default();
            while !stop.load(Ordering::Relaxed) {
                match http::get(&url) {
                    Ok(answer) if answer.status == 200 => drop(load.bodies.insert(answer.body)),
                    other => load.failures.push(format!("{other:?}")),
                }
                load.sent += 1;
                thread::sleep(Duration::from_millis(10));
            }
            load
        })
    };
    (0..4).map(|_| sender()).collect()
}

#[test]
#[ignore = "needs docker and kind"]
fn a_rollout_drops_no_request() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("timber", "e2e-rollout");
    sandbox.coracle(&folder, &["up"]).exits(0);
    let url = format!("{}/index", sandbox.url(&folder, "timber-tutorial").trim_end_matches('/'));
    assert_eq!(http::get(&url).unwrap().body, V1);

    let stop = Arc::new(AtomicBool::new(false));
    let senders = load(&url, &stop);
    fs::write(folder.join("why.txt"), "because logging shouldn't be hard\n").unwrap();
    let there = sandbox.coracle(&folder, &["up"]);
    let v2 = http::get(&url);
    fs::write(folder.join("why.txt"), "").unwrap();
    let back = sandbox.coracle(&folder, &["up"]);
    let v1 = http::get(&url);
    thread::sleep(Duration::from_secs(5)); // the old pods end meanwhile
    stop.store(true, Ordering::Relaxed);

    let mut all = Load::default();
    for sender in senders {
        let Load { bodies, failures, sent } = sender.join().unwrap();
        all.bodies.extend(bodies);
        all.failures.extend(failures);
        all.sent += sent;
    }
    there.exits(0);
    back.exits(0);
    assert_eq!((v2.unwrap().body.as_str(), v1.unwrap().body.as_str()), (V2, V1));
    assert!(
        all.failures.is_empty(),
        "{} of {} requests failed: {:?}",
        all.failures.len(),
        all.sent,
        all.failures.first()
    );
    assert_eq!(all.bodies, BTreeSet::from([V1.to_owned(), V2.to_owned()]));
    sandbox.coracle(&folder, &["down"]).exits(0);
}
