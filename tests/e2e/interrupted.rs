//! A load that dies in the middle, or what it talks to does: the next one repeats it, and
//! the version that ran before answers all the time.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::engine;
use crate::http;
use crate::node::Node;
use crate::process::{finish, spawn};
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::service::Service;

const LARGE: usize = 64 << 20;

/// A service whose image has 260 MB, of which each edit changes a quarter.
struct Large {
    sandbox: Sandbox,
    service: Service,
    random: Random,
    edits: usize,
    /// How long an undisturbed `up` took after an edit.
    takes: Duration,
}

/// Who is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Coracle,
    Containerd,
    /// What was running is down meanwhile; it runs again afterwards.
    Engine,
}

impl Large {
    fn new(sandbox: Sandbox, name: &str) -> Self {
        let service = Service::new(&sandbox, name);
        let dockerfile = fs::read_to_string(service.folder.join("Dockerfile")).unwrap();
        let server = "\"python3\", \"-m\", \"http.server\", \"8123\", \"--directory\", \"/srv\"";
        let dockerfile = dockerfile.replace("busybox:latest", "python:3-slim");
        let start = dockerfile.find("CMD").expect("it has one");
        service.write("Dockerfile", format!("{}CMD [{server}]\n", &dockerfile[..start]));
        let mut large = Self { sandbox, service, random: Random::seeded(), edits: 0, takes: Duration::ZERO };
        large.sandbox.coracle(&large.service.folder, &["up"]).exits(0);
        large.edit();
        large.takes = large.sandbox.coracle(&large.service.folder, &["up"]).exits(0).took;
        large
    }

    fn edit(&mut self) {
        self.edits += 1;
        self.service.write("srv/low/large", self.random.bytes(LARGE));
        self.service.write("srv/high/page", self.page());
    }

    fn page(&self) -> String {
        format!("high {}\n", self.edits)
    }

    /// Edits, starts `up`, kills in the middle, and runs `up` again.
    #[track_caller]
    fn disturb(&mut self, victim: Victim) {
        let url = format!("{}/high/page", self.sandbox.url(&self.service.folder, "web").trim_end_matches('/'));
        let before = self.page();
        self.edit();
        let polling = Polling::start(url.clone(), vec![before, self.page()]);
        let delay = self.random.shorter_than(self.takes);
        let mut command = self.sandbox.command(&self.service.folder, &["up"]);
        let (what, started) = (format!("{command:?}"), Instant::now());
        let mut up = spawn(&mut command);
        thread::sleep(delay);
        eprintln!("edit {}: {victim:?} killed {delay:?} into an `up` of {:?}", self.edits, self.takes);
        let node = Node::only(&self.sandbox.cluster);
        match victim {
            Victim::Coracle => {
                up.kill().unwrap();
                up.wait().unwrap();
            }
            Victim::Containerd => {
                node.kill_containerd();
                // It may have got over it, or say what broke off; it must not hang.
                let outcome = finish(up, what, started);
                assert!(matches!(outcome.code, Some(0 | 1 | 3)), "{outcome}");
                node.await_containerd();
            }
            Victim::Engine => {
                engine::restart("KILL");
                let outcome = finish(up, what, started);
                assert!(matches!(outcome.code, Some(0 | 1 | 3)), "{outcome}");
            }
        }
        self.sandbox.coracle(&self.service.folder, &["up"]).exits(0);
        assert_eq!(http::get_within(&url, Duration::from_secs(10)).body, self.page());
        let problems = polling.stop();
        if !matches!(victim, Victim::Engine) {
            assert!(problems.is_empty(), "{victim:?} after {delay:?}: {problems:?}");
        }
        self.check();
    }

    /// Panics unless the image is whole on the node, and nothing of a push is left.
    #[track_caller]
    fn check(&self) {
        let node = Node::only(&self.sandbox.cluster);
        let tree = node.container_tree(&self.service.name, "web", "srv");
        crate::tree::assert_equal(&self.service.tree(), &tree, "the container");
        let tags = engine::docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        assert!(!tags.lines().any(|tag| tag.starts_with("127.")), "tags of a push are left:\n{tags}");
    }

    /// Leaves the engine and the cluster without these images.
    fn close(self) {
        self.sandbox.coracle(&self.service.folder, &["down"]).exits(0);
        let node = Node::only(&self.sandbox.cluster);
        node.remove(&node.images(&format!("coracle.local/{}/web:", self.service.name)));
    }
}

/// Asks a URL all the time.
struct Polling {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<String>>,
}

impl Polling {
    /// Any answer but `bodies` is a problem.
    fn start(url: String, bodies: Vec<String>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut problems = Vec::new();
            while !told.load(Ordering::Relaxed) {
                match http::get(&url) {
                    Ok(answer) if answer.status == 200 && bodies.contains(&answer.body) => {}
                    other => problems.push(format!("{other:?}")),
                }
                thread::sleep(Duration::from_millis(50));
            }
            problems
        });
        Self { stop, thread }
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn disturb_often(sandbox: Sandbox, name: &str, victims: &[Victim]) {
    let mut large = Large::new(sandbox, name);
    for victim in victims {
        large.disturb(*victim);
    }
    large.close();
}

#[test]
#[ignore = "needs docker and kind"]
fn a_load_that_is_killed_is_repeated_and_the_version_before_goes_on() {
    use Victim::{Containerd, Coracle};
    disturb_often(Sandbox::shared(), "e2e-cut", &[Coracle, Containerd]);
}

#[test]
#[ignore = "needs docker and kind, and minutes"]
fn long_loads_that_are_killed_at_many_points() {
    use Victim::{Containerd, Coracle};
    let victims = [Coracle, Coracle, Coracle, Containerd].repeat(5);
    disturb_often(Sandbox::own("cut"), "e2e-cut-often", &victims);
}

#[test]
#[ignore = "needs docker and kind, minutes, and an engine that may be restarted"]
fn restart_the_engine_in_the_middle_of_loads() {
    disturb_often(Sandbox::own("engine"), "e2e-cut-engine", &[Victim::Engine; 4]);
}
