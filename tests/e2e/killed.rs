//! `up` is killed where it hurts, and run again: six times, and twelve times in
//! `scripts/test soak`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::engine::{containers_of, delete_cluster, docker};
use crate::http;
use crate::process::spawn;
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::soak;

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
fn up_converges_after_a_kill_at_random_points() {
    let (creating, later) = if soak::is_long() { (3, 9) } else { (1, 5) };
    let sandbox = Sandbox::own("killed");
    let folder = sandbox.renamed_profile("timber", "e2e-killed");
    let mut random = Random::seeded();
    // While the cluster is made …
    for round in 0..creating {
        delete_cluster(&sandbox.cluster);
        kill_then_up(&sandbox, &folder, round, random.shorter_than(Duration::from_secs(24)));
    }
    // … and while an image is built, loaded and rolled out.
    for round in creating..creating + later {
        kill_then_up(&sandbox, &folder, round, random.shorter_than(Duration::from_secs(5)));
    }
    let ours = docker(&["ps", "-aq", "--filter", "label=app.kubernetes.io/managed-by=coracle"]);
    assert_eq!(ours, "", "containers of ours are left");
    sandbox.check_kubeconfig();
}
