//! One service: its tree, what is deployed, its containers, and what is to be told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::build::Building;
use super::contract::{Built, Container, ContainerId, Effect, Found, Hints, How, Key, Spec, Told};
use super::replica::Replica;
use super::scan::{self, Scan};
use super::view::View;
use crate::dev::decide::differences;
use crate::dev::tree::Tree;

/// So many paths are named.
pub(super) const NAMED: usize = 5;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) key: Key,
    pub(super) spec: Spec,
    /// The context as it was read last.
    pub(super) tree: Tree,
    pub(super) view: View,
    pub(super) scan: Scan,
    /// What the cluster shall run now.
    pub(super) deployed: Option<Built>,
    /// By image: what the containers that run it began with.
    pub(super) images: BTreeMap<String, Image>,
    pub(super) replicas: BTreeMap<ContainerId, Replica>,
    pub(super) wanted: u32,
    /// Counts changes of content.
    pub(super) generation: u64,
    /// When the content changed last.
    pub(super) changed: Duration,
    /// Where the tree differs from the one that is deployed, and why that needs a new image,
    /// if it does.
    pub(super) drift: BTreeMap<PathBuf, Option<String>>,
    pub(super) build: Building,
    pub(super) batch: Option<Batch>,
    pub(super) told: (u32, u32),
    pub(super) warned: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Image {
    pub(super) tree: Arc<Tree>,
    pub(super) view: View,
}

/// A change that is on its way to the containers.
#[derive(Debug)]
pub(super) struct Batch {
    since: Duration,
    paths: BTreeSet<PathBuf>,
    how: How,
    pub(super) was_sent: bool,
}

/// Where effects go, and when to come back.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) now: Duration,
    pub(super) paused: bool,
    pub(super) effects: Vec<Effect>,
    pub(super) wake: Option<Duration>,
    pub(super) batches: u64,
}

impl Out {
    pub(super) fn tell(&mut self, told: Told) {
        self.effects.push(Effect::Tell(told));
    }

    /// Returns whether the time has come; if not, it will be told.
    pub(super) fn is_due(&mut self, at: Duration) -> bool {
        if at > self.now {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        }
        at <= self.now
    }
}

impl Service {
    pub(super) fn new(key: Key, spec: Spec, built: Option<Built>, now: Duration) -> Self {
        let mut service = Self {
            key,
            tree: built.as_ref().map(|built| (*built.tree).clone()).unwrap_or_default(),
            view: View::default(),
            spec,
            scan: Scan::default(),
            deployed: None,
            images: BTreeMap::new(),
            replicas: BTreeMap::new(),
            wanted: 0,
            generation: 0,
            changed: now,
            drift: BTreeMap::new(),
            build: Building::default(),
            batch: None,
            told: (0, 0),
            warned: BTreeSet::new(),
        };
        service.view = View::of(&service.spec, &service.tree);
        if let Some(built) = built {
            service.build.inputs.clone_from(&built.inputs);
            service.deploy(built);
        }
        // What changed while the image was built is not known.
        service.scan.hint(Hints::All, now);
        service
    }

    /// Takes over that this image is deployed now.
    pub(super) fn deploy(&mut self, built: Built) {
        let view = View::of(&self.spec, &built.tree);
        self.images.insert(built.image.clone(), Image { tree: built.tree.clone(), view });
        self.deployed = Some(built);
        self.measure();
        self.drop_images();
        self.compare_all();
    }

    fn drop_images(&mut self) {
        let deployed = self.deployed.as_ref().map(|built| built.image.as_str());
        let replicas = &self.replicas;
        self.images.retain(|image, _| {
            Some(image.as_str()) == deployed || replicas.values().any(|replica| replica.is.image == *image)
        });
    }

    /// Has every container compared from the start.
    fn compare_all(&mut self) {
        for replica in self.replicas.values_mut() {
            let image = self.images.get(&replica.is.image).map(|image| &image.view);
            replica.dirty.extend(replica.everything(&self.view, image));
            replica.is_mute = false;
        }
    }

    /// Finds all differences between the tree and the deployed one.
    fn measure(&mut self) {
        self.drift.clear();
        if let Some(built) = &self.deployed {
            let tree = built.tree.clone();
            for path in differences(&tree, &self.tree) {
                self.measure_at(&path);
            }
        }
    }

    fn measure_at(&mut self, path: &PathBuf) {
        self.build.measure(&self.spec, path, self.tree.get(path));
        let Some(built) = &self.deployed else { return };
        let (before, now) = (built.tree.get(path), self.tree.get(path));
        if before == now {
            self.drift.remove(path);
        } else {
            let (how, reason) = self.spec.judge(path, before, now);
            self.drift.insert(path.clone(), (how == How::Rebuild).then_some(reason));
        }
    }

    /// Takes over other rules: what the containers hold is looked at under them.
    pub(super) fn reconfigure(&mut self, spec: Spec, now: Duration) {
        if self.spec.rules != spec.rules || self.spec.supervised != spec.supervised || self.spec.recipes != spec.recipes
        {
            self.spec = spec;
            self.view = View::of(&self.spec, &self.tree);
            for image in self.images.values_mut() {
                image.view = View::of(&self.spec, &image.tree);
            }
            self.measure();
            for replica in self.replicas.values_mut().filter(|replica| replica.was_seen) {
                replica.disown(&self.view);
            }
        } else {
            self.spec = spec;
        }
        self.generation += 1;
        self.warned.clear();
        self.scan.hint(Hints::All, now);
    }

    /// Takes over what a scan found.
    pub(super) fn scanned(&mut self, found: Vec<Found>, torn: &BTreeSet<PathBuf>, out: &mut Out) {
        let since = self.scan.end(&found, torn.clone(), out.now);
        let (changes, missing) = scan::apply(&mut self.tree, found, torn);
        if !missing.is_empty() {
            self.scan.hint(Hints::Paths(missing), out.now);
        }
        let mut touched = BTreeSet::new();
        let mut useless = None;
        for (path, before) in &changes {
            let now = self.tree.get(path);
            self.view.change(&self.spec, path, (before.as_ref(), now), &mut touched);
            let (how, reason) = self.spec.judge(path, before.as_ref(), now);
            let is_file = before.iter().chain(now).any(|node| node.thing != crate::dev::tree::Thing::Folder);
            match how {
                How::Nothing if is_file => useless = Some(reason),
                How::Nothing => {}
                How::Rebuild => self.build.changed(path, out.now),
                How::Sync | How::Run | How::Restart => self.join_batch(path, how, since),
            }
            if self.spec.recipes.contains(path) {
                // Another ignore file has other things be there.
                self.scan.hint(Hints::All, out.now);
            }
        }
        for path in changes.keys() {
            self.measure_at(path);
        }
        if !changes.is_empty() {
            self.generation += 1;
            self.changed = out.now;
        }
        for replica in self.replicas.values_mut() {
            replica.dirty.extend(touched.iter().cloned());
            replica.is_mute &= changes.is_empty();
        }
        if let (Some(reason), None) = (useless, &self.batch) {
            out.tell(Told::Nothing { service: self.key.clone(), reason });
        }
    }

    fn join_batch(&mut self, path: &Path, how: How, since: Duration) {
        let batch = self.batch.get_or_insert(Batch { since, paths: BTreeSet::new(), how, was_sent: false });
        batch.how = batch.how.max(how);
        batch.paths.insert(path.to_owned());
    }

    /// Somebody asked for a restart.
    pub(super) fn restart(&mut self, out: &mut Out) {
        if !self.spec.supervised {
            let text = "the process cannot be restarted in place; `r` builds and deploys it again".to_owned();
            out.tell(Told::Warning { service: self.key.clone(), text });
            return;
        }
        let empty = Batch { since: out.now, paths: BTreeSet::new(), how: How::Restart, was_sent: true };
        let batch = self.batch.get_or_insert(empty);
        (batch.how, batch.was_sent) = (How::Restart, true);
        for replica in self.replicas.values_mut() {
            replica.after.restart = true;
            // As if it had waited for as long as it can.
            replica.after.since = Some(out.now.saturating_sub(super::after::RESTART_MOST));
        }
    }

    /// Takes over which containers run.
    pub(super) fn contain(&mut self, running: Vec<Container>, wanted: u32, now: Duration) {
        self.wanted = wanted;
        self.replicas.retain(|id, _| running.iter().any(|container| container.id == *id));
        for container in running {
            self.replicas.entry(container.id.clone()).or_insert_with(|| Replica::new(container, now));
        }
        self.drop_images();
    }

    /// Says what is in sync now, and what arrived everywhere.
    pub(super) fn tell(&mut self, out: &mut Out) {
        let deployed = self.deployed.as_ref().map(|built| built.image.as_str());
        let counts = |replica: &&Replica| replica.in_sync && deployed.is_none_or(|image| image == replica.is.image);
        let in_sync = u32::try_from(self.replicas.values().filter(counts).count()).unwrap_or(u32::MAX);
        let replicas = (in_sync.min(self.wanted), self.wanted);
        let is_done = self.replicas.values().all(|replica| replica.in_sync || replica.is_mute);
        if let Some(batch) = self.batch.take_if(|_| is_done)
            && batch.was_sent
            && in_sync > 0
        {
            let (files, took) = (batch.paths.len(), out.now.saturating_sub(batch.since));
            let paths = batch.paths.into_iter().take(NAMED).collect();
            out.tell(Told::Updated { service: self.key.clone(), how: batch.how, paths, files, took, replicas });
            self.told = replicas;
        }
        if self.batch.is_none() && self.told != replicas {
            self.told = replicas;
            out.tell(Told::InSync { service: self.key.clone(), replicas });
        }
    }

    /// Says `text`, but not twice.
    pub(super) fn warn(&mut self, text: String, out: &mut Out) {
        if self.warned.insert(text.clone()) {
            out.tell(Told::Warning { service: self.key.clone(), text });
        }
    }
}
