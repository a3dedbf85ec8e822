//! Clusters of more than one node, and what they publish.

use std::net::TcpListener;

use crate::engine::{clusters, containers_of, docker, published_addresses};
use crate::node::Node;
use crate::profiles::run_checks;
use crate::sandbox::Sandbox;
use crate::service::image_of;

#[test]
#[ignore = "needs docker and kind"]
fn three_nodes_all_hold_every_image_and_listen_on_loopback_only() {
    let sandbox = Sandbox::own("nodes");
    // Somebody else's server inside the first block of ports: the next block is taken.
    let taken = TcpListener::bind("127.0.0.1:30005").ok();
    let folder = sandbox.renamed_profile("api-gateway", "e2e-nodes");
    let profile = std::fs::read_to_string(folder.join("coracle.yaml")).unwrap();
    let profile = profile.replace("cluster: {", "cluster: {nodes: 3, ");
    std::fs::write(folder.join("coracle.yaml"), profile).unwrap();
    sandbox.coracle(&folder, &["up"]).exits(0);
    drop(taken);
    run_checks(&sandbox, &folder);

    let nodes = containers_of(&sandbox.cluster);
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    for node in &nodes {
        let images = docker(&["exec", node, "ctr", "-n", "k8s.io", "images", "ls", "-q"]);
        for service in ["webapp-1", "rpc-app-1", "apigateway"] {
            let image = format!("coracle.local/e2e-nodes/{service}:");
            assert!(images.contains(&image), "{node} has no {image}…:\n{images}");
        }
        let addresses = published_addresses(node);
        assert!(addresses.iter().all(|address| address == "127.0.0.1"), "{node} is published on {addresses:?}");
    }

    // An edit, while one node has lost what the others have.
    let lossy = Node::all(&sandbox.cluster).pop().expect("there are three");
    lossy.remove(&lossy.images("coracle.local/e2e-nodes/webapp-1:"));
    std::fs::write(folder.join("webapp-1/new"), "new\n").unwrap();
    let dockerfile = folder.join("webapp-1/Dockerfile");
    let text = std::fs::read_to_string(&dockerfile).unwrap();
    std::fs::write(dockerfile, format!("{text}COPY new /e2e/new\n")).unwrap();
    let loaded = sandbox.coracle(&folder, &["-o", "json", "load"]).exits(0);
    let image = image_of(&loaded, "webapp-1");
    for node in Node::all(&sandbox.cluster) {
        let tree = node.image_tree(&image, "e2e");
        assert!(tree.starts_with("f 644 new") || tree.contains("\nf 644 new"), "{}: {tree}", node.name());
    }
    sandbox.coracle(&folder, &["up"]).exits(0);
    run_checks(&sandbox, &folder);

    sandbox.coracle(&folder, &["cluster", "stop"]).exits(0);
    sandbox.coracle(&folder, &["up"]).exits(0); // stopped nodes are started
    run_checks(&sandbox, &folder);
    sandbox.coracle(&folder, &["cluster", "delete", "--yes"]).exits(0);
    assert!(!clusters().contains(&sandbox.cluster));
}
