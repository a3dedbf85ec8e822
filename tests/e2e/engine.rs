//! What the Docker engine and kind say, asked through their own programs.

use std::process::{Child, Stdio};

use crate::process::{program, run};

/// Returns the trimmed stdout of `docker ARGS`, which must succeed.
#[track_caller]
pub(crate) fn docker(args: &[&str]) -> String {
    run(program("docker").args(args)).exits(0).stdout.trim().to_owned()
}

/// Returns the names of a cluster's containers, stopped ones too, sorted.
pub(crate) fn containers_of(cluster: &str) -> Vec<String> {
    let filter = format!("label=io.x-k8s.kind.cluster={cluster}");
    let mut names: Vec<_> =
        docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]).lines().map(str::to_owned).collect();
    names.sort();
    names
}

/// Returns the host addresses that a container's ports are published on.
pub(crate) fn published_addresses(container: &str) -> Vec<String> {
    let format = "{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}} {{end}}{{end}}";
    docker(&["inspect", "-f", format, container]).split_whitespace().map(str::to_owned).collect()
}

/// Returns the port of this machine that a node port of the cluster is reached at.
pub(crate) fn host_port(cluster: &str, node_port: u16) -> u16 {
    let format = format!("{{{{(index (index .HostConfig.PortBindings \"{node_port}/tcp\") 0).HostPort}}}}");
    docker(&["inspect", "-f", &format, &format!("{cluster}-control-plane")]).parse().expect("a port is a number")
}

pub(crate) fn clusters() -> Vec<String> {
    run(program("kind").args(["get", "clusters"])).exits(0).stdout.lines().map(str::to_owned).collect()
}

/// Deletes a cluster that a test made. The kubeconfig that kind edits is one of no use.
pub(crate) fn delete_cluster(name: &str) {
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    run(program("kind").args(["delete", "cluster", "--name", name]).env("KUBECONFIG", kubeconfig.path()));
}

/// Removes images by a pattern of names, so that a developer's engine does not fill up.
pub(crate) fn forget_images(pattern: &str) {
    let images = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", pattern]);
    if !images.is_empty() {
        run(program("docker").args(["image", "rm", "-f"]).args(images.lines()));
    }
}

/// Whether tests may restart the engine: whoever runs them says so.
pub(crate) fn may_be_restarted() -> bool {
    std::env::var_os("CORACLE_SOAK_RESTART").is_some_and(|value| value == "1")
}

/// Ends the engine by a signal (`TERM`, `KILL`) and starts it again.
#[track_caller]
pub(crate) fn restart(signal: &str) {
    assert!(may_be_restarted(), "only with CORACLE_SOAK_RESTART=1: others may use this engine");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lib/restart-engine");
    // Its output goes nowhere: an engine that it starts would hold a pipe open.
    let status = program(script).arg(signal).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{script} {signal}: {status}");
}

/// Prints what a failed test left in its cluster: the first thing that one wants to see.
pub(crate) fn show_cluster(cluster: &str) {
    const SHOW: &str = "export KUBECONFIG=/etc/kubernetes/admin.conf
        kubectl get pods -A -o wide; kubectl get events -A --sort-by=.lastTimestamp | tail -n 20";
    let node = format!("{cluster}-control-plane");
    eprintln!("{}", run(program("docker").args(["exec", &node, "sh", "-c", SHOW])));
}

/// Starts a process that waits for this one to end, however it ends, and then deletes every
/// cluster whose name begins with `prefix`. Statics are not dropped, and SIGKILL drops nothing.
pub(crate) fn delete_clusters_at_the_end(prefix: &str) -> Child {
    use std::os::unix::process::CommandExt;

    const WAIT_THEN_DELETE: &str = r#"
        while kill -0 "$1" 2>/dev/null; do sleep 1; done
        KUBECONFIG=$(mktemp) && export KUBECONFIG
        for name in $(kind get clusters 2>/dev/null | grep "^$2"); do kind delete cluster --name "$name"; done
        rm -f "$KUBECONFIG""#;
    program("sh")
        .args(["-c", WAIT_THEN_DELETE, "reaper", &std::process::id().to_string(), prefix])
        .process_group(0) // a Ctrl-C at the terminal is not for it
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
