//! Many rounds of random edits, two builders, and stores that lose things behind our back:
//! after each the files in the image on the node are the files of the source tree.
//!
//! `scripts/test soak [ROUNDS]` runs many; `scripts/test e2e` a few. A round that fails is
//! repeated with the printed `CORACLE_E2E_SEED`.

pub(crate) mod edits;

use crate::engine;
use crate::node::Node;
use crate::process::{Outcome, program, run};
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::service::{Service, answer, image_of};
use crate::tree;

/// How many rounds, unless `CORACLE_SOAK_ROUNDS` says.
const ROUNDS: usize = 8;
/// So often a round is a whole `up`, and what runs is looked at as well.
const UP_EVERY: usize = 5;
/// Superseded images that are left alone, for layers to be shared with.
const OLD_IMAGES: usize = 4;

/// Whether this run may take as long as it needs.
pub(crate) fn is_long() -> bool {
    std::env::var_os("CORACLE_SOAK_ROUNDS").is_some()
}

/// How many rounds this run is to have.
pub(crate) fn rounds() -> usize {
    let rounds = std::env::var_os("CORACLE_SOAK_ROUNDS");
    rounds.map_or(ROUNDS, |rounds| rounds.to_str().and_then(|text| text.parse().ok()).expect("a number"))
}

/// One service that is edited.
struct Side {
    service: Service,
    /// The image that runs in the cluster.
    live: Option<String>,
    /// Every image that was loaded, the newest last.
    images: Vec<String>,
}

struct Soak {
    sandbox: Sandbox,
    random: Random,
    sides: [Side; 2],
    round: usize,
}

impl Soak {
    fn new() -> Self {
        let sandbox = Sandbox::shared();
        let sides = ["e2e-soak-left", "e2e-soak-right"].map(|name| Side {
            service: Service::new(&sandbox, name),
            live: None,
            images: Vec::new(),
        });
        for side in &sides {
            side.service.up(&sandbox, &["web"]); // one after the other: each gets its port
        }
        Self { sandbox, random: Random::seeded(), sides, round: 0 }
    }

    fn round(&mut self, last: bool) {
        self.round += 1;
        let up = last || self.round.is_multiple_of(UP_EVERY);
        let edited: &[usize] = match self.random.below(3) {
            _ if up => &[0, 1],
            0 => &[0],
            1 => &[1],
            _ => &[0, 1],
        };
        let mut said = vec![format!("round {}: {}", self.round, if up { "up" } else { "load" })];
        for &side in edited {
            let service = &self.sides[side].service;
            service.write("srv/high/round", format!("{}\n", self.round));
            said.push(service.name.clone());
            for _ in 0..=self.random.below(4) {
                let root = service.folder.join("srv");
                said.push(edits::edit(&mut self.random, &root).replace(&format!("{}/", root.display()), ""));
            }
        }
        said.extend(self.lose_something());
        eprintln!("{}", said.join("; "));
        let restarted = self.restart_the_engine();
        self.bring(edited, up || restarted);
        for &side in edited {
            self.tidy(side);
        }
    }

    /// Now and then a store has lost what it had.
    fn lose_something(&mut self) -> Option<String> {
        let side = self.random.below(2);
        let name = &self.sides[side].service.name;
        let node = Node::only(&self.sandbox.cluster);
        match self.random.below(12) {
            0 | 1 => {
                node.remove(&node.images(&format!("coracle.local/{name}/")));
                Some(format!("the node lost {name}"))
            }
            2 => {
                let images = node.images("coracle.local/e2e-soak-");
                let image = self.random.choice(&images)?;
                node.forget_layers(image);
                Some(format!("the node has {image} only unpacked"))
            }
            3 => {
                engine::forget_images(&format!("coracle.local/{name}/*"));
                Some(format!("the engine lost {name}"))
            }
            4 => {
                run(program("rm").arg("-rf").arg(self.sandbox.home().join("cache"))).exits(0);
                Some("the cache is gone".to_owned())
            }
            _ => None,
        }
    }

    fn restart_the_engine(&mut self) -> bool {
        let restart = self.random.one_in(15) && engine::may_be_restarted();
        if restart {
            eprintln!("the engine is restarted");
            engine::restart("TERM");
        }
        restart
    }

    /// Builds and loads, two at once if two were edited, and looks at what came of it.
    #[track_caller]
    fn bring(&mut self, edited: &[usize], up: bool) {
        let verb: &[&str] = if up { &["-o", "json", "up"] } else { &["-o", "json", "load"] };
        let started: Vec<_> =
            edited.iter().map(|&side| self.sandbox.start(&self.sides[side].service.folder, verb)).collect();
        let outcomes: Vec<Outcome> = started.into_iter().map(|finish| finish()).collect();
        let node = Node::only(&self.sandbox.cluster);
        for (&side, outcome) in edited.iter().zip(outcomes) {
            let outcome = outcome.exits(0);
            let image = if up { self.check_running(&node, side) } else { image_of(&outcome, "web") };
            let side = &mut self.sides[side];
            side.service.check_image(&node, &image);
            if up {
                side.live = Some(image.clone());
            }
            side.images.retain(|other| *other != image);
            side.images.push(image);
        }
    }

    /// Panics unless what runs is what the source is; returns its image.
    #[track_caller]
    fn check_running(&self, node: &Node, side: usize) -> String {
        let service = &self.sides[side].service;
        let container = node.container_tree(&service.name, "web", "srv");
        tree::assert_equal(&service.tree(), &container, &format!("the container of {}", service.name));
        service.serves(&self.sandbox, "high/round", &format!("{}\n", self.round));
        let status = self.sandbox.coracle(&service.folder, &["-o", "json", "status"]).exits(0);
        let image = answer(&status)["services"][0]["image"].as_str().expect("it runs").to_owned();
        image.split_once('@').map_or(image.clone(), |(name, _)| name.to_owned())
    }

    /// Removes old images: the next `up` would, but rounds that only load need the disk before.
    fn tidy(&mut self, side: usize) {
        let Side { live, images, .. } = &mut self.sides[side];
        if images.len() <= OLD_IMAGES {
            return;
        }
        let old: Vec<_> =
            images.drain(..images.len() - OLD_IMAGES).filter(|image| live.as_ref() != Some(image)).collect();
        let node = Node::only(&self.sandbox.cluster);
        let there = node.images("coracle.local/");
        node.remove(&old.iter().filter(|image| there.contains(image)).cloned().collect::<Vec<_>>());
        run(program("docker").args(["image", "rm", "-f"]).args(&old));
    }

    /// Leaves the cluster without the two services and their images.
    fn close(self) {
        for side in &self.sides {
            self.sandbox.coracle(&side.service.folder, &["down"]).exits(0);
        }
        let node = Node::only(&self.sandbox.cluster);
        node.remove(&node.images("coracle.local/e2e-soak-"));
    }
}

#[test]
#[ignore = "needs docker and kind"]
fn what_is_loaded_is_always_what_the_source_is() {
    let rounds = rounds();
    let mut soak = Soak::new();
    for round in 1..=rounds {
        soak.round(round == rounds);
    }
    soak.close();
}
