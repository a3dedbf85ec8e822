//! How much memory a load takes. Minutes, and gigabytes of disk: `scripts/test soak`.

use std::fs;
use std::time::{Duration, Instant};

use crate::engine::docker;
use crate::process::{finish, program, run, spawn};
use crate::sandbox::Sandbox;
use crate::service::answer;

const LIMIT_KB: u64 = 100_000;

/// Adds a layer of so many random megabytes to an image. Committed, not built: a build would leave the
/// bytes in the engine's cache as well.
#[track_caller]
fn add_layer(base: &str, image: &str, megabytes: u32) {
    let name = image.replace(':', "-");
    // Not every busybox's `head` knows units.
    let fill = format!("dd if=/dev/urandom of=/random-{megabytes} bs=1M count={megabytes}");
    docker(&["run", "--name", &name, base, "sh", "-c", &fill]);
    docker(&["commit", &name, image]);
    docker(&["rm", &name]);
}

#[test]
#[ignore = "needs docker and kind, minutes and 10 GB of disk"]
fn long_a_load_of_two_gigabytes_takes_a_hundred_megabytes_of_memory() {
    let sandbox = Sandbox::own("memory");
    let profile = "\
name: e2e-memory
services:
  web: {image: \"e2e-memory:IMAGE\", command: [sleep, infinity], ports: [8123]}
cluster: {name: CLUSTER}
";
    let images = Images(vec!["e2e-memory:cold", "e2e-memory:delta"]);
    let folder = sandbox.folder("e2e-memory", &[("coracle.yaml", &profile.replace("IMAGE", "cold"))]);
    sandbox.coracle(&folder, &["cluster", "create"]).exits(0);

    add_layer("busybox:latest", "e2e-memory:cold", 2048);
    load_within_limit(&sandbox, &folder);
    // Most of this one is on the node.
    add_layer("e2e-memory:cold", "e2e-memory:delta", 600);
    let folder = sandbox.folder("e2e-memory", &[("coracle.yaml", &profile.replace("IMAGE", "delta"))]);
    load_within_limit(&sandbox, &folder);
    drop(images);
}

#[track_caller]
fn load_within_limit(sandbox: &Sandbox, folder: &std::path::Path) {
    let mut command = sandbox.command(folder, &["-o", "json", "load"]);
    let (what, started) = (format!("{command:?}"), Instant::now());
    let mut load = spawn(&mut command);
    let mut peak = 0;
    while load.try_wait().unwrap().is_none() {
        peak = peak.max(peak_of(load.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let outcome = finish(load, what, started).exits(0);
    assert_eq!(answer(&outcome)["changed"]["loaded"], serde_json::json!(["web"]), "{outcome}");
    eprintln!("peak memory of a load that took {:?}: {peak} kB", outcome.took);
    assert!(peak > 0 && peak <= LIMIT_KB, "it took {peak} kB of memory\n{outcome}");
}

/// Returns the kilobytes that a process held at most (proc(5), `VmHWM`).
fn peak_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

/// Images that go whatever happens.
struct Images(Vec<&'static str>);

impl Drop for Images {
    fn drop(&mut self) {
        for image in &self.0 {
            run(program("docker").args(["rm", "-f", &image.replace(':', "-")]));
        }
        run(program("docker").args(["image", "rm", "-f"]).args(&self.0));
    }
}
