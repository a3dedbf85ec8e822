//! `up` is killed where it hurts, and run again.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::{containers_of, delete_cluster, docker};
use crate::http;
use crate::process::spawn;
use crate::sandbox::Sandbox;

/// Small, seeded, and the same on every machine: splitmix64.
struct Random(u64);

impl Random {
    /// From `CORACLE_E2E_SEED`, else the clock; printed, so that a failure can be repeated.
    fn seeded() -> Self {
        let given = std::env::var_os("CORACLE_E2E_SEED").and_then(|seed| seed.to_str()?.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
            u64::from(now.subsec_nanos())
        });
        eprintln!("CORACLE_E2E_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let milliseconds = u64::try_from(limit.as_millis()).expect("limits are short");
        Duration::from_millis((z ^ (z >> 31)) % milliseconds)
    }
}

/// Starts `up`, kills it after `delay` (it may have ended by then), and runs it again: the
/// answer must be the new one, and nothing may stand beside the cluster.
fn kill_then_up(sandbox: &Sandbox, folder: &Path, round: u32, delay: Duration) {
    let why = format!("round {round}");
    fs::write(folder.join("why.txt"), &why).unwrap();
    let mut up = spawn(&mut sandbox.command(folder, &["up"]));
    std::thread::sleep(delay);
    up.kill().unwrap();
    up.wait().unwrap();
    eprintln!("{why}: killed after {delay:?}");

    sandbox.coracle(folder, &["up"]).exits(0);
    let url = format!("{}/index", sandbox.url(folder, "timber-tutorial").trim_end_matches('/'));
    let answer = http::get_within(&url, Duration::from_secs(10));
    assert!(answer.body.contains(&why), "{why}: {answer:?}");
    assert_eq!(containers_of(&sandbox.cluster), [format!("{}-control-plane", sandbox.cluster)]);
}

#[test]
#[ignore = "needs docker and kind"]
fn up_converges_after_a_kill_at_twelve_random_points() {
    let sandbox = Sandbox::own("killed");
    let folder = sandbox.renamed_profile("timber", "e2e-killed");
    let mut random = Random::seeded();
    // While the cluster is made …
    for round in 0..3 {
        delete_cluster(&sandbox.cluster);
        kill_then_up(&sandbox, &folder, round, random.below(Duration::from_secs(24)));
    }
    // … and while an image is built, loaded and rolled out.
    for round in 3..12 {
        kill_then_up(&sandbox, &folder, round, random.below(Duration::from_secs(5)));
    }
    let ours = docker(&["ps", "-aq", "--filter", "label=app.kubernetes.io/managed-by=coracle"]);
    assert_eq!(ours, "", "containers of ours are left");
    sandbox.check_kubeconfig();
}
