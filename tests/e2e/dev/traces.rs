//! Random editing under `dev`, against real files and a real container: at rest the two are equal.
//!
//! `scripts/test soak [ROUNDS]` runs many rounds, `scripts/test e2e` a few. A round that fails
//! is repeated with the printed `CORACLE_E2E_SEED`.

use std::thread;
use std::time::{Duration, Instant};

use super::{Dev, ROLLOUT};
use crate::node::Node;
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::service::Service;
use crate::soak::{edits, rounds};
use crate::tree;

/// How long a burst of edits, some of 50 MB, may take to arrive.
const REST: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs docker and kind"]
fn soak_at_rest_the_container_is_what_the_folder_is() {
    let sandbox = Sandbox::shared();
    let service = Service::synced(&sandbox, "e2e-dev-traces");
    let node = Node::only(&sandbox.cluster);
    let mut random = Random::seeded();
    let dev = Dev::start(&sandbox, &service.folder, &[]);
    dev.says_after(0, &["web: is ready"], ROLLOUT);
    for round in 1..=rounds() {
        let root = service.folder.join("srv");
        let mut done = Vec::new();
        for _ in 0..=random.below(8) {
            done.push(edits::edit(&mut random, &root).replace(&format!("{}/", root.display()), ""));
            thread::sleep(random.shorter_than(Duration::from_millis(30)));
        }
        eprintln!("round {round}: {}", done.join("; "));
        let started = Instant::now();
        loop {
            let (here, there) = (service.tree(), node.container_tree(&service.name, "web", "srv"));
            if here == there {
                break;
            }
            if started.elapsed() > REST {
                eprintln!("{}", dev.said());
                tree::assert_equal(&here, &there, "the container");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    dev.leave();
}
