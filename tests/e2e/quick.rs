//! The quick ways of a load, and that it does without them.

use crate::engine::docker;
use crate::node::Node;
use crate::sandbox::Sandbox;
use crate::service::{Service, image_of};

/// Takes a command away from a node until it is dropped.
struct Without<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> Without<'a> {
    fn new(node: &'a Node, command: &str) -> Self {
        let path = node.sh("command -v \"$1\"", &[command]).trim().to_owned();
        node.sh("mv \"$1\" \"$1.away\"", &[&path]);
        Self { node, path }
    }
}

impl Drop for Without<'_> {
    fn drop(&mut self) {
        self.node.sh("mv \"$1.away\" \"$1\"", &[&self.path]);
    }
}

#[test]
#[ignore = "needs docker and kind"]
fn a_node_is_loaded_without_ctr_and_without_socat() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-quick");
    service.up(&sandbox, &["web"]);
    let node = Node::only(&sandbox.cluster);
    for (round, command) in ["ctr", "socat"].into_iter().enumerate() {
        service.write("srv/high/page", format!("quick {round}\n"));
        let without = Without::new(&node, command);
        let loaded = sandbox.coracle(&service.folder, &["-v", "-o", "json", "load"]).exits(0);
        assert!(!loaded.stderr.contains("whole images"), "without {command}: {loaded}");
        // A further name for the same image, and back.
        service.write("Dockerfile", [service.dockerfile(), format!("# {round}\n")].concat());
        service.up(&sandbox, &["web"]);
        drop(without);
        service.check_image(&node, &image_of(&loaded, "web"));
        service.serves(&sandbox, "high/page", &format!("quick {round}\n"));
    }
    sandbox.coracle(&service.folder, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn what_a_first_edit_would_wait_for_is_done_while_pods_start() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-prime");
    // More than a push is quicker for, and bytes that nobody has seen.
    let mut bytes = std::fs::File::open("/dev/urandom").unwrap();
    let mut random = vec![0; 24 << 20];
    std::io::Read::read_exact(&mut bytes, &mut random).unwrap();
    service.write("srv/low/random", random);
    // Ready three seconds after it has started.
    let profile = std::fs::read_to_string(service.folder.join("coracle.yaml")).unwrap();
    service.write(
        "coracle.yaml",
        profile.replace("grace: 1s", "grace: 1s, command: [sh, -c, 'sleep 3; exec httpd -f -p 8123 -h /srv']"),
    );
    service.up(&sandbox, &["web"]);

    let node = Node::only(&sandbox.cluster);
    let image = node.images("coracle.local/e2e-prime/web:").pop().expect("it was loaded");
    let layers: Vec<String> =
        serde_json::from_str(&docker(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", &image])).unwrap();
    let known = std::fs::read_to_string(sandbox.home().join("cache/coracle/layers")).unwrap_or_default();
    let compresses = docker(&["info", "--format", "{{.Driver}}"]).trim() == "overlay2";
    assert_eq!(layers.iter().all(|layer| known.contains(layer)), compresses, "{layers:?}\n{known}");
    let names = docker(&["image", "ls", "--format", "{{.Repository}}", "--filter", "reference=127.*/*/*"]);
    assert_eq!(names.trim(), "", "names for a push were left");
    sandbox.coracle(&service.folder, &["down"]).exits(0);
}
