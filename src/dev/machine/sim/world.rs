//! Clock, watcher, builds and all that comes between; and what must hold at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::{Built, Container, Effect, Fault, Found, Hints, Input, Machine, Op, Spec, Told};
use super::Random;
use super::cluster::Fake;
use super::disk::{Disk, file};
use crate::dev::rules::Rules;
use crate::dev::tree::{Thing, Tree};
use crate::profile::SyncRule;

/// More effects than any of these stories needs.
const MOST: usize = 4_000;

enum Event {
    Input(Input),
    Work(String),
    Finish(String, PathBuf, u64),
    Hint(String, Hints),
    /// The effect reaches what carries it out.
    Do(Effect),
    Pods(String),
    Trouble,
    /// The build is done.
    Built(u64),
}

pub(super) struct World {
    random: Random,
    is_loud: bool,
    now: Duration,
    calm: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    count: u64,
    machine: Machine,
    specs: BTreeMap<String, Spec>,
    disks: BTreeMap<String, Disk>,
    deployed: BTreeMap<String, Built>,
    fakes: BTreeMap<String, Fake>,
    replicas: BTreeMap<String, u32>,
    build: Option<(u64, BTreeMap<String, Arc<Tree>>)>,
    builds: u64,
    /// Services of which it was told that they are not up to date.
    excused: BTreeSet<String>,
}

fn spec(random: &mut Random) -> Spec {
    let choices: [&[(&str, &str, bool, bool)]; 5] = [
        &[("**/*.py", "/app", false, false)],
        &[("**", "/app", true, false)],
        &[("lib", "/app/lib", false, true), ("*.py", "/app", true, false)],
        &[("static/**", "/app/static", false, false), ("**", "/app", true, true), ("lib/**", "/srv", false, false)],
        &[("lib/*", "/app", false, false), ("*.py", "/app", false, false), ("gen", "/app/gen", false, false)],
    ];
    let rule = |(pattern, path, restart, run): &(&str, &str, bool, bool)| SyncRule {
        pattern: (*pattern).into(),
        path: path.into(),
        restart: *restart,
        run: run.then(|| vec!["hook".into()]),
    };
    let rules: Vec<SyncRule> = choices[random.below(choices.len())].iter().map(rule).collect();
    Spec {
        rules: Rules::of_profile(&rules).unwrap(),
        supervised: !random.one_in(5),
        recipes: [PathBuf::from("Dockerfile")].into(),
        inputs: String::new(),
    }
}

impl World {
    pub(super) fn new(seed: u64, is_loud: bool) -> Self {
        let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let mut world = Self {
            is_loud,
            now: Duration::ZERO,
            calm: random.millis(50, 4_000),
            queue: BTreeMap::new(),
            count: 0,
            machine: Machine::new(BTreeMap::new(), Duration::ZERO),
            specs: BTreeMap::new(),
            disks: BTreeMap::new(),
            deployed: BTreeMap::new(),
            fakes: BTreeMap::new(),
            replicas: BTreeMap::new(),
            build: None,
            builds: 0,
            excused: BTreeSet::new(),
            random,
        };
        for key in ["web", "api"].into_iter().take(1 + world.random.below(2)) {
            world.found(key);
        }
        let services = world.specs.iter().map(|(key, spec)| (key.clone(), (spec.clone(), world.deployed[key].clone())));
        world.machine = Machine::new(services.collect(), Duration::ZERO);
        world.at(Duration::ZERO, Event::Input(Input::Tick));
        for _ in 0..1 + world.random.below(25) {
            let (at, keys) = (world.random.next() % 1_000, world.specs.keys().cloned().collect::<Vec<_>>());
            let key = keys[world.random.below(keys.len())].clone();
            // Some come in one breath.
            let span = if world.random.one_in(2) { world.calm / 20 } else { world.calm };
            world.at(span * u32::try_from(at).unwrap() / 1_000, Event::Work(key));
        }
        for _ in 0..world.random.below(8) {
            let at = world.random.millis(0, u64::try_from(world.calm.as_millis()).unwrap());
            world.at(at, Event::Trouble);
        }
        world
    }

    /// A service as `up` left it.
    fn found(&mut self, key: &str) {
        let spec = spec(&mut self.random);
        let mut disk = Disk::default();
        for _ in 0..self.random.below(12) {
            disk.work(&mut self.random, Duration::ZERO);
        }
        disk.writing.clear();
        let built = Built { image: format!("{key}:0"), tree: Arc::new(disk.tree.clone()) };
        // What changed since is not hinted at.
        if self.random.one_in(3) {
            disk.work(&mut self.random, Duration::ZERO);
            disk.writing.clear();
        }
        let wanted = 1 + u32::try_from(self.random.below(3)).unwrap();
        self.replicas.insert(key.to_owned(), wanted);
        self.deployed.insert(key.to_owned(), built.clone());
        self.specs.insert(key.to_owned(), spec);
        self.disks.insert(key.to_owned(), disk);
        for _ in 0..wanted {
            let id = self.add(key, &built);
            self.meddle(&id);
        }
        self.at(Duration::ZERO, Event::Pods(key.to_owned()));
    }

    /// An earlier `dev` left its edits in the container.
    fn meddle(&mut self, id: &str) {
        if !self.random.one_in(2) {
            return;
        }
        let fake = self.fakes.get_mut(id).unwrap();
        for (path, node) in &mut fake.files {
            if matches!(node.thing, Thing::File { .. }) && !fake.own.contains(path) && self.random.one_in(2) {
                *node = file(77, node.mode);
            }
        }
    }

    fn add(&mut self, key: &str, built: &Built) -> String {
        self.count += 1;
        let id = format!("{key}-{}", self.count);
        let is = Container { id: id.clone(), pod: id.clone(), node: "n".into(), image: built.image.clone() };
        let fake = Fake::new(is, key, &self.specs[key], &built.tree);
        self.fakes.insert(id.clone(), fake);
        id
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.queue.insert((at.max(self.now), self.count), event);
    }

    fn after(&mut self, least: u64, most: u64, event: Event) {
        let at = self.now + self.random.millis(least, most);
        self.at(at, event);
    }

    fn is_calm(&self) -> bool {
        self.now > self.calm
    }

    /// Plays to the end and checks.
    pub(super) fn play(mut self) {
        let mut effects = 0;
        loop {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wake = self.machine.wake();
            let Some(at) = next.into_iter().chain(wake).min() else { break };
            self.now = self.now.max(at);
            let input = if next.is_some_and(|next| next <= at) {
                let event = self.queue.pop_first().unwrap().1;
                if let (true, Event::Work(key)) = (self.is_loud, &event) {
                    println!("{:?} work {key}", self.now);
                }
                self.happens(event)
            } else {
                Some(Input::Tick)
            };
            let Some(input) = input else { continue };
            if self.is_loud {
                println!("{:?} < {input:?}", self.now);
            }
            for effect in self.machine.take(self.now, input) {
                if self.is_loud {
                    println!("{:?} > {effect:?}", self.now);
                }
                effects += 1;
                assert!(effects < MOST, "there is no end");
                self.hear(effect);
            }
            assert!(self.machine.wake().is_none_or(|wake| wake > self.now), "it wakes for what it does not do");
        }
        self.check();
    }

    fn hear(&mut self, effect: Effect) {
        match effect {
            Effect::Tell(Told::Behind { service, reason }) => {
                if reason.is_some() {
                    self.excused.insert(service);
                } else {
                    self.excused.remove(&service);
                }
            }
            Effect::Tell(Told::Warning { service, text }) if !text.contains("hook") => {
                drop(self.excused.insert(service))
            }
            Effect::Tell(_) => {}
            Effect::CancelConverge => self.after(0, 30, Event::Do(Effect::CancelConverge)),
            Effect::Look { ref container, .. }
            | Effect::Send { ref container, .. }
            | Effect::Restart { ref container, .. }
            | Effect::Run { ref container, .. } => {
                if let Some(fake) = self.fakes.get_mut(container) {
                    assert!(!std::mem::replace(&mut fake.is_busy, true), "{container} is asked for two things at once");
                }
                self.after(0, 20, Event::Do(effect));
            }
            effect => self.after(0, 10, Event::Do(effect)),
        }
    }

    fn happens(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Input(input) => return Some(input),
            Event::Work(key) => {
                let now = self.now;
                let (touched, open) = self.disks.get_mut(&key)?.work(&mut self.random, now);
                self.watch(&key, touched);
                if let Some(path) = open {
                    let content = self.random.next() % 5;
                    let until = self.disks[&key].writing[&path];
                    self.at(until, Event::Finish(key, path, content));
                }
            }
            Event::Finish(key, path, content) => {
                let touched = self.disks.get_mut(&key)?.finish(&path, content);
                self.watch(&key, touched);
            }
            Event::Hint(service, hints) => return Some(Input::Hinted { service, hints }),
            Event::Pods(service) => {
                let running = self.fakes.values().filter(|fake| fake.service == service);
                let running = running.map(|fake| fake.is.clone()).collect();
                let wanted = self.replicas[&service];
                return Some(Input::Containers { service, running, wanted });
            }
            Event::Trouble => return self.trouble(),
            Event::Do(effect) => self.carry_out(effect),
            Event::Built(number) => self.finish_build(number, true),
        }
        None
    }

    /// The watcher is late, tells things together, or loses them and says so.
    fn watch(&mut self, key: &str, touched: Vec<PathBuf>) {
        if self.random.one_in(15) {
            return self.after(0, 150, Event::Hint(key.to_owned(), Hints::All));
        }
        if self.random.one_in(2) {
            let all = Hints::Paths(touched.into_iter().collect());
            return self.after(0, 20, Event::Hint(key.to_owned(), all));
        }
        for some in touched.chunks(7) {
            let some = Hints::Paths(some.iter().cloned().collect());
            self.after(0, 20, Event::Hint(key.to_owned(), some));
        }
    }

    fn trouble(&mut self) -> Option<Input> {
        let keys: Vec<String> = self.specs.keys().cloned().collect();
        let service = keys[self.random.below(keys.len())].clone();
        match self.random.below(9) {
            0 => return Some(Input::Rebuild { service: Some(service) }),
            1 => return Some(Input::Restart { service: None }),
            2 => {
                self.after(1, 900, Event::Input(Input::Pause(false)));
                return Some(Input::Pause(true));
            }
            3 => return Some(self.reconfigure(&service)),
            4 => {
                let ids: Vec<&String> = self.fakes.keys().collect();
                let id = ids[self.random.below(ids.len())].clone();
                self.fakes.get_mut(&id)?.is_read_only = true;
            }
            _ => self.replace(&service),
        }
        None
    }

    /// One container dies, and another one takes its place.
    fn replace(&mut self, service: &str) {
        let victim = self.fakes.values().find(|fake| fake.service == service).map(|fake| fake.is.id.clone());
        if let Some(victim) = victim {
            self.fakes.remove(&victim);
        }
        let built = self.deployed[service].clone();
        self.add(service, &built);
        self.after(0, 100, Event::Pods(service.to_owned()));
    }

    fn reconfigure(&mut self, service: &str) -> Input {
        let inputs = self.random.next().to_string();
        if self.random.one_in(2) {
            self.specs.get_mut(service).unwrap().inputs = inputs;
        }
        self.specs.get_mut(service).unwrap().supervised ^= true;
        Input::Reconfigured { services: self.specs.clone() }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Scan { service, hints } => self.scan(service, hints),
            Effect::Look { container, targets, .. } => {
                let result = self.reach(&container).and_then(|()| {
                    let fake = &self.fakes[&container];
                    Ok(targets.into_iter().map(|it| (it.clone(), fake.files.get(&it).cloned())).collect())
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
                found.iter_mut().for_each(|found| drop(found.entries.remove(path)));
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

    fn finish_build(&mut self, number: u64, is_well: bool) {
        if self.build.as_ref().is_none_or(|(running, _)| *running != number) {
            return;
        }
        let (_, trees) = self.build.take().unwrap();
        let is_well = is_well && (self.is_calm() || !self.random.one_in(4));
        if !is_well {
            return self.after(0, 5, Event::Input(Input::Converged { result: Err("it failed".into()) }));
        }
        let mut result = BTreeMap::new();
        for (key, tree) in trees {
            let built = Built { image: format!("{key}:{number}"), tree };
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
        self.after(0, 100, Event::Input(Input::Converged { result: Ok(result) }));
    }

    fn check(&self) {
        for fake in self.fakes.values() {
            let (spec, tree) = (&self.specs[&fake.service], &self.disks[&fake.service].tree);
            let wrong = fake.wrong(spec, tree);
            let is_excused = self.excused.contains(&fake.service);
            assert!(wrong.is_empty() || is_excused, "{}: {}", fake.is.id, wrong.join("\n"));
        }
        for (key, built) in &self.deployed {
            let (spec, tree) = (&self.specs[key], &self.disks[key].tree);
            let update = crate::dev::decide::decide(
                spec,
                &built.tree,
                tree,
                &crate::dev::decide::differences(&built.tree, tree),
            );
            let is_excused = self.excused.contains(key);
            assert!(update.rebuilt.is_empty() || is_excused, "{key} was not built for {:?}", update.rebuilt);
        }
    }
}
