//! What edits leave behind does not pile up.

use crate::engine::docker;
use crate::node::Node;
use crate::sandbox::Sandbox;
use crate::service::Service;

/// The one that runs and two before it.
const KEPT: usize = 3;

#[test]
#[ignore = "needs docker and kind"]
fn after_six_edits_three_images_are_left_on_the_node_and_in_the_engine() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-disk");
    let other = Service::new(&sandbox, "e2e-disk-other");
    other.up(&sandbox, &["web"]);
    for edit in 0..7 {
        service.write("srv/high/page", format!("high {edit}\n"));
        service.up(&sandbox, &["web"]);
    }
    service.serves(&sandbox, "high/page", "high 6\n");

    let node = Node::only(&sandbox.cluster);
    let on_node = node.images("coracle.local/e2e-disk/web:");
    assert!(on_node.len() <= KEPT, "{} has {on_node:?}", node.name());
    let list = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "coracle.local/e2e-disk/web"]);
    assert!(list.lines().count() <= KEPT, "the engine has\n{list}");
    // Nobody else's images went with them.
    assert_eq!(node.images("coracle.local/e2e-disk-other/web:").len(), 1);
    assert!(!docker(&["image", "ls", "-q", "busybox:latest"]).is_empty());
    // And back: what was swept away is loaded again.
    service.write("srv/high/page", "high 0\n");
    sandbox.coracle(&service.folder, &["up"]).exits(0);
    service.serves(&sandbox, "high/page", "high 0\n");
    sandbox.coracle(&service.folder, &["down"]).exits(0);
    sandbox.coracle(&other.folder, &["down"]).exits(0);
}
