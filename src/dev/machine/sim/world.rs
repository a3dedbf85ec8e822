//! Clock, watcher, builds and all that comes between; and what must hold at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Built, Container, Effect, Hints, How, Input, Machine, Spec, Told};
use super::Random;
use super::cluster::Fake;
use super::disk::{Disk, file};
use crate::dev::rules::Rules;
use crate::dev::tree::{Thing, Tree};
use crate::profile::SyncRule;

/// More effects than any of these stories needs.
const MOST: usize = 4_000;

pub(super) enum Event {
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
    pub(super) random: Random,
    pub(super) is_loud: bool,
    pub(super) now: Duration,
    pub(super) calm: Duration,
    pub(super) queue: BTreeMap<(Duration, u64), Event>,
    pub(super) count: u64,
    pub(super) machine: Machine,
    pub(super) specs: BTreeMap<String, Spec>,
    pub(super) disks: BTreeMap<String, Disk>,
    pub(super) deployed: BTreeMap<String, Built>,
    pub(super) fakes: BTreeMap<String, Fake>,
    pub(super) replicas: BTreeMap<String, u32>,
    pub(super) build: Option<(u64, BTreeMap<String, Arc<Tree>>)>,
    pub(super) builds: u64,
    /// Services of which it was told that they are not up to date.
    pub(super) excused: BTreeSet<String>,
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
        for _ in 0..=world.random.below(25) {
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
        let built = Built { image: format!("{key}:0"), tree: Arc::new(disk.tree.clone()), inputs: spec.inputs.clone() };
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

    pub(super) fn add(&mut self, key: &str, built: &Built) -> String {
        self.count += 1;
        let id = format!("{key}-{}", self.count);
        let is = Container { id: id.clone(), pod: id.clone(), node: "n".into(), image: built.image.clone() };
        let fake = Fake::new(is, key, &self.specs[key], &built.tree);
        self.fakes.insert(id.clone(), fake);
        id
    }

    pub(super) fn at(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.queue.insert((at.max(self.now), self.count), event);
    }

    pub(super) fn after(&mut self, least: u64, most: u64, event: Event) {
        let at = self.now + self.random.millis(least, most);
        self.at(at, event);
    }

    pub(super) fn is_calm(&self) -> bool {
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
                self.excused.insert(service);
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

    fn check(&self) {
        for fake in self.fakes.values() {
            let (spec, tree) = (&self.specs[&fake.service], &self.disks[&fake.service].tree);
            let wrong = fake.wrong(spec, tree);
            let is_excused = self.excused.contains(&fake.service);
            assert!(wrong.is_empty() || is_excused, "{}: {}", fake.is.id, wrong.join("\n"));
        }
        for (key, built) in &self.deployed {
            let (spec, tree) = (&self.specs[key], &self.disks[key].tree);
            let differences = crate::dev::decide::differences(&built.tree, tree).into_iter();
            let needs_build = |path: &PathBuf| spec.judge(path, built.tree.get(path), tree.get(path)).0 == How::Rebuild;
            let missing: Vec<PathBuf> = differences.filter(needs_build).collect();
            let is_excused = self.excused.contains(key);
            assert!(missing.is_empty() || is_excused, "{key} was not built for {missing:?}");
        }
    }
}
