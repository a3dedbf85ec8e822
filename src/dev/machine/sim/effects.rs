//! What the machine asks for, carried out late, half, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{Built, Effect, Fault, Found, Hints, Input, Op};
use super::world::{Event, World};
use crate::dev::tree::Thing;

fn failed() -> Input {
    let (built, specs) = (BTreeMap::new(), BTreeMap::new());
    Input::Converged { built, specs, result: Err(Some("it failed".into())) }
}

impl World {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Scan { service, hints } => self.scan(service, hints),
            Effect::Look { container, targets, .. } => {
                let result = self.reach(&container).map(|()| {
                    let fake = &self.fakes[&container];
                    targets.into_iter().map(|it| (it.clone(), fake.files.get(&it).cloned())).collect()
                });
                self.answer(&container.clone(), Input::Looked { container, result });
            }
            Effect::Send { service, container, batch, ops } => {
                let result = self.send(&service, &container, &ops);
                self.answer(&container.clone(), Input::Sent { container, batch, result });
            }
            Effect::Restart { container, .. } => {
                let result = self.reach(&container);
                if let (Ok(()), Some(fake)) = (&result, self.fakes.get_mut(&container)) {
                    fake.is_stale = false;
                }
                self.answer(&container.clone(), Input::Restarted { container, result });
            }
            Effect::Run { container, .. } => {
                let result = self.reach(&container);
                self.answer(&container.clone(), Input::Ran { container, result });
            }
            Effect::Converge { rebuild } => {
                assert!(self.build.is_none(), "two builds at once");
                self.builds += 1;
                let trees = rebuild.keys().map(|key| (key.clone(), Arc::new(self.disks[key].tree.clone()))).collect();
                self.build = Some((self.builds, trees));
                self.after(10, 1_500, Event::Built(self.builds));
            }
            Effect::CancelConverge if self.build.is_some() => {
                let number = self.build.as_ref().map(|(number, _)| *number).unwrap_or_default();
                // It may be too late for that.
                let is_late = self.random.one_in(3);
                self.finish_build(number, is_late);
            }
            Effect::CancelConverge | Effect::Tell(_) => {}
        }
    }

    fn answer(&mut self, container: &str, input: Input) {
        if let Some(fake) = self.fakes.get_mut(container) {
            fake.is_busy = false;
        }
        // At once, so that no second answer can overtake it.
        self.at(self.now, Event::Input(input));
    }

    fn scan(&mut self, service: String, hints: Hints) {
        let disk = &self.disks[&service];
        let roots: Vec<PathBuf> = match hints {
            Hints::All => vec![PathBuf::new()],
            Hints::Paths(paths) => paths.into_iter().collect(),
        };
        let mut found: Vec<Found> = roots.into_iter().map(|root| Found { entries: disk.below(&root), root }).collect();
        let mut torn = BTreeSet::new();
        for path in disk.writing.keys() {
            if found.iter().any(|found| path.starts_with(&found.root)) && self.random.one_in(2) {
                for found in &mut found {
                    found.entries.remove(path);
                }
                torn.insert(path.clone());
            }
        }
        self.after(0, 15, Event::Input(Input::Scanned { service, found, torn }));
    }

    fn reach(&mut self, container: &str) -> Result<(), Fault> {
        if !self.fakes.contains_key(container) {
            return Err(Fault::Gone);
        }
        if !self.is_calm() && self.random.one_in(12) { Err(Fault::Cut("broken".into())) } else { Ok(()) }
    }

    fn send(&mut self, service: &str, container: &str, ops: &[Op]) -> Result<(), Fault> {
        self.reach(container)?;
        let disk = &self.disks[service];
        for op in ops {
            if let Op::Put { source, node: it @ crate::dev::tree::Node { thing: Thing::File { .. }, .. }, .. } = op
                && disk.tree.get(source).is_none_or(|now| now.thing != it.thing)
            {
                return Err(Fault::Torn(source.clone()));
            }
        }
        let spec = &self.specs[service];
        let restarts = |path: &Path| spec.rules.rules.iter().any(|it| it.restart && it.sources.covers(path).is_some());
        let fake = self.fakes.get_mut(container).unwrap();
        let before = fake.is_stale;
        fake.apply(ops, restarts)?;
        // Several rules may match: only where all of them restart is that sure.
        fake.is_stale &= before || spec.rules.rules.len() == 1;
        // It arrived, and the answer did not.
        if !self.is_calm() && self.random.one_in(12) { Err(Fault::Cut("broken".into())) } else { Ok(()) }
    }

    pub(super) fn finish_build(&mut self, number: u64, is_well: bool) {
        if self.build.as_ref().is_none_or(|(running, _)| *running != number) {
            return;
        }
        let (_, trees) = self.build.take().unwrap();
        let is_well = is_well && (self.is_calm() || !self.random.one_in(4));
        if !is_well {
            return self.after(0, 5, Event::Input(failed()));
        }
        let mut result = BTreeMap::new();
        for (key, tree) in trees {
            let inputs = self.specs[&key].inputs.clone();
            let built = Built { image: format!("{key}:{number}"), tree, inputs };
            let old: Vec<String> =
                self.fakes.values().filter(|fake| fake.service == key).map(|fake| fake.is.id.clone()).collect();
            for _ in 0..self.replicas[&key] {
                self.add(&key, &built);
            }
            if self.random.one_in(2) {
                self.after(0, 10, Event::Pods(key.clone()));
            }
            // The last ones live on for a while.
            for id in old {
                self.fakes.remove(&id);
            }
            self.deployed.insert(key.clone(), built.clone());
            self.after(0, 200, Event::Pods(key.clone()));
            result.insert(key, built);
        }
        let (built, specs) = (result, BTreeMap::new());
        self.after(0, 100, Event::Input(Input::Converged { built, specs, result: Ok(()) }));
    }
}
