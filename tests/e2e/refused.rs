//! What is missing or wrong before any work begins: said at once, with its exit code.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::engine::host_port;
use crate::process::{program, run};
use crate::sandbox::Sandbox;

const AT_ONCE: Duration = Duration::from_secs(2);

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
#[ignore = "needs docker and kind"]
fn an_absent_engine_is_named() {
    let sandbox = Sandbox::shared().env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let folder = sandbox.renamed_profile("timber", "e2e-no-engine");
    sandbox.coracle(&folder, &["up"]).exits(3).within(AT_ONCE).reports("no_engine");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_socket_without_permission_is_named() {
    let sandbox = Sandbox::shared();
    let socket = sandbox.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let host = format!("unix://{}", socket.display());
    let folder = sandbox.renamed_profile("timber", "e2e-denied");
    let outcome = if is_root() {
        as_nobody(&sandbox, &folder, &host)
    } else {
        run(sandbox.command(&folder, &["up"]).env("DOCKER_HOST", &host))
    };
    outcome.exits(4).within(AT_ONCE).reports("socket_without_permission");
}

/// Root may open every socket, so somebody else has to try: with a binary that they can reach.
fn as_nobody(sandbox: &Sandbox, folder: &Path, host: &str) -> crate::process::Outcome {
    let binary = sandbox.path().join("coracle");
    fs::copy(env!("CARGO_BIN_EXE_coracle"), &binary).unwrap();
    run(program("chown").args(["-R", "65534:65534"]).arg(sandbox.home())).exits(0);
    fs::set_permissions(sandbox.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = sandbox.command_of(Path::new("setpriv"), folder, &[]);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary).arg("up");
    run(command.env("DOCKER_HOST", host).env("DOCKER_CONFIG", sandbox.home()))
}

#[test]
#[ignore = "needs docker and kind"]
fn an_absent_kind_is_named() {
    let mut sandbox = Sandbox::own("no-kind");
    let programs = sandbox.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let docker = run(program("sh").args(["-c", "command -v docker"])).exits(0);
    symlink(docker.stdout.trim(), programs.join("docker")).unwrap();
    sandbox = sandbox.env("PATH", programs);
    let folder = sandbox.renamed_profile("timber", "e2e-no-kind");
    sandbox.coracle(&folder, &["up"]).exits(3).within(AT_ONCE).reports("no_kind");
}

#[test]
#[ignore = "needs docker and kind"]
fn every_problem_of_a_bad_profile_is_shown_at_once() {
    let sandbox = Sandbox::shared();
    let profile = "name: e2e-bad\nservices:\n  web:\n    build: .\n    replica: 2\n    prots: [80]\n";
    let folder = sandbox.folder("bad", &[("coracle.yaml", profile), ("Dockerfile", "FROM busybox\n")]);
    sandbox.coracle(&folder, &["up"]).exits(2).within(AT_ONCE).reports("bad_profile");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_folder_with_nothing_in_it_says_what_to_do() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.folder("nothing", &[("notes.txt", "")]);
    sandbox.coracle(&folder, &["up"]).exits(2).within(AT_ONCE).reports("nothing_to_run");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_full_disk_is_named() {
    let sandbox = Sandbox::own("full");
    let state = sandbox.state();
    fs::create_dir(&state).unwrap();
    let mounted = run(program("mount").args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(&state));
    if mounted.code != Some(0) {
        eprintln!("skipped: a small file system needs root\n{mounted}");
        return;
    }
    fs::write(state.join("filler"), [0; 4096]).unwrap();
    let folder = sandbox.renamed_profile("timber", "e2e-full");
    let outcome = sandbox.coracle(&folder, &["up"]);
    run(program("umount").arg(&state)).exits(0);
    outcome.exits(3).within(AT_ONCE).reports("full_disk");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_chosen_node_port_that_another_profile_has_is_named() {
    let sandbox = Sandbox::shared();
    let with_port = |name: &str| {
        let folder = sandbox.renamed_profile("timber", name);
        let profile = fs::read_to_string(folder.join("coracle.yaml")).unwrap();
        let profile = profile.replace(r#"["80:8080"]"#, "[{port: 80, target: 8080, node-port: 30029}]");
        fs::write(folder.join("coracle.yaml"), profile).unwrap();
        folder
    };
    let (first, second) = (with_port("e2e-port-a"), with_port("e2e-port-b"));
    sandbox.coracle(&first, &["up"]).exits(0);
    let outcome = sandbox.coracle(&second, &["up"]);
    outcome.exits(2).says(&["30029"]).within(AT_ONCE).reports("node_port_of_another_profile");
    sandbox.coracle(&second, &["down"]).exits(0);
    sandbox.coracle(&first, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn a_host_port_that_somebody_took_meanwhile_is_named() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("timber", "e2e-taken");
    sandbox.coracle(&folder, &["cluster", "create"]).exits(0);
    let port = host_port(&sandbox.cluster, 30000);
    sandbox.coracle(&folder, &["cluster", "stop"]).exits(0);

    let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let outcome = sandbox.coracle(&folder, &["up"]);
    drop(holder);
    outcome.exits(3).says(&[&format!("port {port} ")]).within(AT_ONCE).reports("host_port_taken");

    sandbox.coracle(&folder, &["up"]).exits(0); // as the report says
    sandbox.coracle(&folder, &["down"]).exits(0);
}
