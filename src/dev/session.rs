//! The loop of `dev`: the only place where inputs become effects and effects inputs.
//!
//! One `select!` over the watcher, the cluster, the work's results, the user's wishes and
//! cancellation; each wake is one value of [`Wake`], handled by one method. The machine judges;
//! this file only hands on. Work runs in tasks that end with the loop.

mod carry;
mod change;
mod cluster;
mod first;
mod header;
mod owed;
mod round;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::cluster::log;
use self::first::First;
use self::header::Headers;
use self::owed::Owed;
use self::round::Rounds;
use super::agent::Agents;
use super::bring::{Addresses, Prepared};
use super::local::Locals;
use super::machine::{Built, Container, ContainerId, Input, Key, Machine, Spec};
use super::scan::Scanner;
use super::shown::{Shown, Wish};
use super::watch::{self, Seen, Watched, Watcher};
use crate::cluster as clusters;
use crate::deploy::rollout::Watch;
use crate::error::Failure;
use crate::event::Event;
use crate::image::engine::Engine;
use crate::profile::{ImageSource, Profile};
use crate::session::Session;

/// What a run of `dev` is made of.
pub(crate) struct Start<'a> {
    pub(crate) session: &'a Session,
    pub(crate) engine: Engine,
    pub(crate) profile: Profile,
    /// Reads the profile again.
    pub(crate) reload: &'a (dyn Fn() -> Result<Profile, Failure> + Send + Sync),
    pub(crate) wishes: mpsc::UnboundedReceiver<Wish>,
    /// Bounds the wait for each workload, instead of its own deadline.
    pub(crate) timeout: Option<Duration>,
}

/// Why the loop woke up.
enum Wake {
    Input(Box<Input>),
    Seen(Seen),
    Cluster(Result<(), crate::deploy::Error>),
    Wish(Wish),
    Round(Box<round::Ended>),
    Due,
    Cancelled,
}

/// Brings everything up, then keeps containers equal to the folders until the user leaves.
pub(crate) async fn run(start: Start<'_>) -> Result<(), Failure> {
    let (session, profile) = (start.session, start.profile.clone());
    // Opened before anything is read: what changes meanwhile is not missed.
    let (watcher, seen) = Watcher::open(&watched(&profile), &files(&profile))?;
    let agents = Agents::new(start.engine.clone());
    let mut first = First { start, agents, watcher, seen };
    let Some(prepared) = first.prepare().await? else { return Ok(()) };
    let profile = first.start.profile.clone();
    let client = clusters::client(session, &first.start.engine, &profile.cluster).await?;
    let watch = Watch::open(&client, &profile.namespace, &profile.instance).await?;
    let mut dev = Dev::new(first, prepared, client, watch);
    dev.follow_logs();
    dev.rounds.deploy(&dev.prepared);
    dev.go_on().await;
    Ok(())
}

/// Returns the build contexts to watch.
fn watched(profile: &Profile) -> Vec<Watched> {
    let services = profile.services.iter();
    let builds = services.filter_map(|service| match &service.image {
        ImageSource::Build(build) => Some((service.key.clone(), build)),
        ImageSource::Pull(_) => None,
    });
    builds
        .map(|(key, build)| Watched { key, root: build.context.clone(), dockerfile: build.dockerfile.clone() })
        .collect()
}

/// Returns the files that are deployed again when they change.
fn files(profile: &Profile) -> Vec<std::path::PathBuf> {
    let sources = profile.services.iter().flat_map(|service| service.files.iter().map(|(_, source)| source.clone()));
    let own = profile.file.iter().cloned().chain(crate::deploy::raw::paths(profile)).chain(sources);
    // What is in a context is seen there.
    let recipes = watched(profile).into_iter().filter(|watched| !watched.dockerfile.starts_with(&watched.root));
    own.chain(recipes.map(|watched| watched.dockerfile)).collect()
}

/// The loop's state.
struct Dev<'a> {
    session: &'a Session,
    engine: Engine,
    agents: Agents,
    client: kube::Client,
    reload: &'a (dyn Fn() -> Result<Profile, Failure> + Send + Sync),
    began: Instant,
    machine: Machine,
    watcher: Watcher,
    seen: watch::Receiver,
    watch: Watch,
    wishes: mpsc::UnboundedReceiver<Wish>,
    inputs: mpsc::UnboundedReceiver<Input>,
    results: mpsc::UnboundedSender<Input>,
    rounds: Rounds,
    /// As it was read last.
    profile: Profile,
    /// As it was last deployed, or shall be.
    prepared: Prepared,
    addresses: Addresses,
    locals: Locals,
    scanners: BTreeMap<Key, Arc<Mutex<Scanner>>>,
    containers: BTreeMap<ContainerId, (Key, Container)>,
    /// Service → what the machine was told last.
    told: BTreeMap<Key, (Vec<Container>, u32)>,
    headers: Headers,
    /// What each service runs, and the tree that it was made from.
    images: BTreeMap<Key, Built>,
    /// Problems that are on the screen.
    problems: BTreeSet<String>,
    /// The API server does not answer.
    cut: bool,
    paused: bool,
    /// The watches ended for good.
    blind: bool,
    /// The profile changed, and what it names could not be read.
    unread: bool,
    owes: Owed,
    /// Containers whose process was seen to reload by itself.
    reloading: Arc<Mutex<BTreeSet<ContainerId>>>,
    tasks: JoinSet<()>,
    ends: CancellationToken,
}

impl<'a> Dev<'a> {
    fn new(first: First<'a>, prepared: Prepared, client: kube::Client, watch: Watch) -> Self {
        let First { start, agents, watcher, seen } = first;
        let (results, inputs) = mpsc::unbounded_channel();
        let session = start.session;
        let prepared_built = prepared.built.clone();
        let began = Instant::now();
        let machine = Machine::new(services(&prepared), Duration::ZERO);
        for sentence in &prepared.said {
            session.events.info(sentence.clone());
        }
        let mut dev = Self {
            session,
            rounds: Rounds::new(session, &start.engine, &agents, start.timeout),
            engine: start.engine,
            profile: start.profile,
            agents,
            client,
            reload: start.reload,
            began,
            machine,
            watcher,
            seen,
            watch,
            wishes: start.wishes,
            inputs,
            results,
            prepared,
            addresses: Addresses::default(),
            locals: Locals::default(),
            scanners: BTreeMap::new(),
            containers: BTreeMap::new(),
            told: BTreeMap::new(),
            headers: Headers::default(),
            images: prepared_built,
            problems: BTreeSet::new(),
            cut: false,
            paused: false,
            blind: false,
            unread: false,
            owes: Owed::new(),
            reloading: Arc::default(),
            tasks: JoinSet::new(),
            ends: session.cancel.child_token(),
        };
        dev.scan_afresh();
        dev.headers.deploying();
        dev
    }

    /// Makes a scanner for every context; those of services that are gone go.
    fn scan_afresh(&mut self) {
        let cache = &self.session.surroundings.cache;
        let watched = watched(&self.profile);
        self.scanners = watched
            .into_iter()
            .map(|watched| {
                let scanner = Scanner::new(&watched.root, &watched.dockerfile, Some(cache));
                (watched.key, Arc::new(Mutex::new(scanner)))
            })
            .collect();
    }

    async fn go_on(&mut self) {
        loop {
            let wake = self.wake().await;
            if matches!(wake, Wake::Cancelled | Wake::Wish(Wish::Leave)) {
                break;
            }
            self.handle(wake).await;
            while self.tasks.try_join_next().is_some() {}
        }
        self.ends.cancel();
        self.rounds.end().await;
        self.tasks.shutdown().await;
    }

    async fn wake(&mut self) -> Wake {
        let due = self.machine.wake().map(|at| self.began + at);
        let due = due.into_iter().chain(self.owes.again).min();
        tokio::select! {
            biased;
            () = self.session.cancel.cancelled() => Wake::Cancelled,
            Some(wish) = self.wishes.recv() => Wake::Wish(wish),
            Some(seen) = self.seen.recv() => Wake::Seen(seen),
            Some(input) = self.inputs.recv() => Wake::Input(Box::new(input)),
            ended = self.rounds.ended() => Wake::Round(Box::new(ended)),
            changed = self.watch.changed(), if !self.blind => Wake::Cluster(changed),
            () = sleep_until(due) => Wake::Due,
        }
    }

    async fn handle(&mut self, wake: Wake) {
        match wake {
            Wake::Input(input) => self.take(*input),
            Wake::Due => self.due(),
            Wake::Seen(seen) => self.see(seen).await,
            Wake::Cluster(changed) => self.look_at_cluster(changed),
            Wake::Wish(wish) => self.grant(wish),
            Wake::Round(ended) => self.round_ended(*ended).await,
            Wake::Cancelled => {}
        }
    }

    /// Something's time has come.
    fn due(&mut self) {
        let is_again = self.owes.again.take_if(|again| *again <= Instant::now()).is_some();
        self.take(if is_again { Input::Retry } else { Input::Tick });
    }

    /// Gives the machine an input and carries out what it answers.
    fn take(&mut self, input: Input) {
        let now = self.began.elapsed();
        for effect in self.machine.take(now, input) {
            self.carry_out(effect);
        }
    }

    async fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Context { key, hints } => {
                self.take(Input::Hinted { service: key, hints });
                if self.unread {
                    self.reload().await;
                }
            }
            Seen::File(_) => self.reload().await,
            Seen::Polling { root, why } => self.session.events.warn(why.warning(&root)),
            Seen::Lost { root } => {
                let root = crate::ui::sanitize::line(&root.display().to_string());
                self.session.events.warn(format!("`{root}` is gone: what runs stays as it is until it is back"));
            }
        }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Rebuild(service) => {
                self.rounds.anew(service.as_ref(), &self.prepared.profile);
                self.take(Input::Rebuild { service });
            }
            Wish::Restart(service) => self.take(Input::Restart { service }),
            Wish::Open(service) => self.open(service.as_deref()),
            Wish::Status => self.show_pods(),
            Wish::Pause => {
                self.paused = !self.paused;
                self.session.events.send(Event::Dev(Shown::Paused { on: self.paused }));
                self.take(Input::Pause(self.paused));
            }
            Wish::Leave => {}
        }
    }
}

/// Returns what the machine begins with.
fn services(prepared: &Prepared) -> BTreeMap<Key, (Spec, Built)> {
    let with_image = |(key, spec): (&Key, &Spec)| {
        let built = prepared.built.get(key)?;
        Some((key.clone(), (spec.clone(), built.clone())))
    };
    prepared.specs.iter().filter_map(with_image).collect()
}

/// Sleeps for ever where nothing is due.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
