//! The machine in a storm: a disk on which somebody works, a watcher that is late, a cluster in
//! which containers come, die and refuse, builds that fail. At rest every container of the
//! current image holds the local tree under the rules, or it was told why not.
//!
//! Everything follows from a seed: `CORACLE_SIM_SEED=7 cargo test --lib dev::machine::sim`
//! plays one again, `CORACLE_SIM_SEEDS=100000` plays many.

mod cluster;
mod disk;
mod effects;
mod world;

use std::time::Duration;

use self::world::World;

/// So many seeds are played by an ordinary test.
const SEEDS: u64 = 2_000;

/// A small generator (splitmix64): the same on every machine.
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(least * 1_000 + self.next() % ((most - least) * 1_000 + 1))
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var_os(name).and_then(|value| value.to_str()?.parse().ok())
}

#[test]
fn at_rest_containers_hold_the_local_tree() {
    let seeds = match (number("CORACLE_SIM_SEED"), number("CORACLE_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    };
    let is_one = seeds.end - seeds.start == 1;
    for seed in seeds {
        let played = std::panic::catch_unwind(|| World::new(seed, is_one).play());
        assert!(played.is_ok(), "again: CORACLE_SIM_SEED={seed} cargo test --lib dev::machine::sim");
    }
}
