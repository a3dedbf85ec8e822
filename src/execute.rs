//! The only step with effects: runs a plan's steps, each as soon as those before it are done.
//!
//! One `match` from [`Action`] to the area's function. When a step fails, nothing new is
//! begun, what can be cut short is, and what must not be (a cluster that is being made)
//! is finished; the first failure is the answer.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Band, Provider, State, lock, reach};
use crate::deploy::object::Object;
use crate::deploy::rollout::Watch;
use crate::deploy::{apply, manifest, release, remove, usage};
use crate::error::Failure;
use crate::event::{Event, Outcome, Subject};
use crate::image::engine::Engine;
use crate::image::{self, build, load, own, pull, sweep, tag};
use crate::observe::Observed;
use crate::plan::{self, Action, Plan};
use crate::ports;
use crate::profile::Profile;
use crate::session::Session;
use crate::ui::words;

/// How long another `coracle` may keep a cluster's creation to itself.
const CREATION_PATIENCE: Duration = Duration::from_secs(300);

/// How many answers in a row say that all pods of a restarted cluster are back.
const RESTARTED: u32 = 10;

/// What every action of one run shares.
struct Run<'a> {
    /// Cancelled by the user or by the first failure.
    session: &'a Session,
    /// Cancelled by the user alone: what must not be left half done uses it.
    patient: &'a Session,
    engine: &'a Engine,
    profile: &'a Profile,
    observed: &'a Observed,
    /// Image name → local tag; pulls add theirs.
    images: Mutex<BTreeMap<String, String>>,
    primer: load::Primer,
    client: OnceCell<kube::Client>,
    /// Opened before the first write, so that nothing is missed.
    watch: AsyncMutex<Option<Watch>>,
    builds: Semaphore,
    creation: watch::Sender<Creation>,
    /// Bounds the wait for each workload.
    timeout: Option<Duration>,
}

/// How far the creation of the cluster is, for who waits for its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    Waiting,
    Begun,
    /// Another `coracle` has made it.
    Done,
}

/// Runs the plan. `timeout` bounds the wait for each workload, instead of its own deadline.
pub(crate) async fn execute(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
    observed: &Observed,
    plan: &Plan,
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let cut_short = session.cancel.child_token();
    let patient = session;
    let events = patient.events.clone().cut_short_by(cut_short.clone());
    let session = &Session { cancel: cut_short.clone(), events, ..patient.clone() };
    let run = Run {
        session,
        patient,
        engine,
        profile,
        observed,
        images: Mutex::new(plan.images.clone()),
        primer: load::Primer::default(),
        client: OnceCell::new(),
        watch: AsyncMutex::new(None),
        // Of this machine; the engine's is the same, mostly, and has a bound of its own.
        builds: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
        creation: watch::Sender::new(Creation::Waiting),
        timeout,
    };
    schedule(&run, plan, &cut_short).await
}

/// Starts each step when its turn comes and gathers the results.
async fn schedule(run: &Run<'_>, plan: &Plan, cut_short: &CancellationToken) -> Result<(), Failure> {
    let mut done = vec![false; plan.steps.len()];
    let mut started = vec![false; plan.steps.len()];
    let mut running = FuturesUnordered::new();
    let mut failure: Option<Failure> = None;
    loop {
        if failure.is_none() && !cut_short.is_cancelled() {
            for (at, step) in plan.steps.iter().enumerate() {
                if !started[at] && step.after.iter().all(|before| done[*before]) {
                    started[at] = true;
                    running.push(async move { (at, run.act(&step.action).await) });
                }
            }
        }
        match running.next().await {
            None => break,
            Some((at, Ok(()))) => done[at] = true,
            Some((_, Err(error))) => {
                cut_short.cancel();
                // What fails after the first does so because it was cut short.
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if done.iter().all(|done| *done) => Ok(()),
        None => Err(Failure::interrupted("what was begun is finished")),
    }
}

impl Run<'_> {
    async fn act(&self, action: &Action) -> Result<(), Failure> {
        match action {
            Action::CreateCluster { band, half_made } => self.create_cluster(band, *half_made).await,
            Action::AwaitNodes => self.await_nodes().await,
            Action::StartCluster => {
                let subject = Subject::Cluster { name: self.profile.cluster.name.clone() };
                let provider = self.provider()?;
                let starting = provider.start(self.session, self.engine);
                Ok(self.session.events.track(subject, starting, |()| "started".to_owned()).await?)
            }
            Action::Pull { name, reference } => self.pull(name, reference).await,
            Action::Build { service, tag, no_cache } => self.build(service, tag, *no_cache).await,
            Action::Load { names } => self.load(names).await,
            Action::Release { namespace, objects } => self.release(namespace.as_ref(), objects).await,
            Action::Apply { objects } => self.apply(objects).await,
            Action::Await { workloads } => self.wait(workloads).await,
            Action::Reach { node_ports, replaced } => self.reach(node_ports, *replaced).await,
            Action::Prune { objects } => {
                let client = self.client().await?;
                Ok(remove::remove(self.session, client, self.profile, objects).await?)
            }
            Action::Sweep { engine, nodes } => {
                Box::pin(self.sweep(engine, nodes)).await;
                Ok(())
            }
        }
    }

    fn provider(&self) -> Result<Provider, Failure> {
        Ok(Provider::new(&self.profile.cluster)?)
    }

    /// Makes the cluster, unless another `coracle` has made it in the meantime.
    async fn create_cluster(&self, band: &Band, half_made: bool) -> Result<(), Failure> {
        let name = format!("cluster-{}", self.profile.cluster.name);
        // kind holds the lock too: when this process is killed, it lasts until kind has ended.
        let _held = lock::take_for_child(self.patient, &name, "cluster create", CREATION_PATIENCE).await?;
        let state = cluster::observe(self.session, self.engine, &self.profile.cluster).await?;
        if matches!(state, State::Running { .. }) {
            self.creation.send_replace(Creation::Done);
            return Ok(());
        }
        let provider = self.provider()?;
        if half_made {
            let name = &self.profile.cluster.name;
            self.session.events.warn(format!("the cluster `{name}` was never finished: it is removed and made again"));
        }
        provider.clear_half_made(self.engine).await?;
        self.creation.send_replace(Creation::Begun);
        let subject = Subject::Cluster { name: self.profile.cluster.name.clone() };
        let making = async {
            provider.create(self.patient, self.engine, band).await?;
            provider.mark_ready(self.patient, self.engine).await
        };
        self.patient.events.track(subject, making, |()| "created".to_owned()).await?;
        Ok(())
    }

    /// Waits for the nodes of the cluster that [`Self::create_cluster`] makes beside this, not for
    /// the remains of one before.
    async fn await_nodes(&self) -> Result<(), Failure> {
        let mut creation = self.creation.subscribe();
        let begun = creation.wait_for(|creation| *creation != Creation::Waiting);
        let begun = tokio::select! {
            begun = begun => begun.map_or(Creation::Waiting, |creation| *creation),
            () = self.session.cancel.cancelled() => return Err(Failure::interrupted("no node takes images yet")),
        };
        if begun == Creation::Begun {
            let wanted = &self.profile.cluster;
            cluster::wait::nodes_up(self.session, self.engine, &wanted.name, wanted.nodes).await?;
        }
        Ok(())
    }

    async fn pull(&self, name: &str, reference: &str) -> Result<(), Failure> {
        let subject = Subject::Pull { image: reference.to_owned() };
        let pulling = async {
            pull::pull(self.session, self.engine, reference).await?;
            let there = self.engine.local_images(&[reference.to_owned()]).await?;
            there
                .into_values()
                .next()
                .ok_or_else(|| Failure::from(image::Error::NotLocal { image: reference.to_owned() }))
        };
        let image = self.session.events.track(subject, pulling, |_| "pulled".to_owned()).await?;
        let tag = tag::pulled(&self.profile.name, name, &image.id);
        self.engine.tag(&image.id, &tag).await?;
        self.images.lock().expect("no holder panics").insert(name.to_owned(), tag);
        Ok(())
    }

    async fn build(&self, service: &str, tag: &str, no_cache: bool) -> Result<(), Failure> {
        let _slot = self.builds.acquire().await.expect("the semaphore is never closed");
        if self.session.cancel.is_cancelled() {
            return Err(Failure::interrupted("no build was begun"));
        }
        let input = self.observed.inputs.builds[service].clone();
        let request = build::Request {
            service: service.to_owned(),
            build: input.build.clone(),
            context: input.context.clone(),
            dockerfile: input.dockerfile.clone(),
            tag: tag.to_owned(),
            labels: own::labels(&self.profile.name, service, &input.bases),
            secrets: input.secrets.clone(),
            no_cache,
        };
        let subject = Subject::Build { service: service.to_owned() };
        let building = build::build(self.session, self.engine, &request);
        self.session.events.track(subject, building, build::Built::sentence).await?;
        Ok(())
    }

    /// Loads what each node lacks. Pulled images get their content tag in the engine first.
    async fn load(&self, names: &[String]) -> Result<(), Failure> {
        let images = self.images.lock().expect("no holder panics").clone();
        for (name, reference) in &self.observed.inputs.pulls {
            let tag = images.get(name).filter(|_| names.contains(name));
            // The id, for the reference may be another image's by now.
            if let (Some(tag), Some(id)) = (tag, self.observed.pulled.get(reference)) {
                self.engine.tag(id, tag).await?;
            }
        }
        let held = if self.observed.nodes.is_empty() {
            let nodes = cluster::node_names(self.engine, &self.profile.cluster.name).await?;
            load::observe_nodes(self.engine, &nodes).await?
        } else {
            self.observed.nodes.clone()
        };
        let missing: BTreeMap<String, Vec<String>> = held
            .into_iter()
            .map(|(node, held)| {
                let lacks = names.iter().filter_map(|name| images.get(name)).filter(|tag| !held.contains(*tag));
                (node, lacks.cloned().collect::<Vec<_>>())
            })
            .filter(|(_, lacks)| !lacks.is_empty())
            .collect();
        let start = Instant::now();
        let subjects: Vec<Subject> = missing.keys().map(|node| Subject::Load { node: node.clone() }).collect();
        for subject in &subjects {
            self.session.events.send(Event::Begin { subject: subject.clone() });
        }
        let result = load::load(self.session, self.engine, &missing).await;
        // All nodes are fed at once, and are done when the last one is verified.
        for (subject, tags) in subjects.into_iter().zip(missing.values()) {
            let images = if tags.len() == 1 { "image" } else { "images" };
            let outcome = match result {
                Ok(()) => Outcome::Done { what: format!("loaded {} {images}", tags.len()) },
                Err(_) if self.session.cancel.is_cancelled() => Outcome::Cancelled,
                Err(_) => Outcome::Failed,
            };
            self.session.events.send(Event::End { subject, outcome, took: start.elapsed() });
        }
        self.primer.add(missing.into_values().flatten());
        match result {
            Ok(()) => Ok(()),
            Err(error) => Err(Box::pin(error.weighed(self.engine)).await.into()),
        }
    }

    async fn release(&self, namespace: Option<&Object>, objects: &[Object]) -> Result<(), Failure> {
        let client = self.client().await?;
        if let Some(namespace) = namespace {
            apply::apply(self.session, client, std::slice::from_ref(namespace)).await?;
        }
        let against = self.observed.live.inventory.as_ref();
        release::take_release(client, self.profile, against, objects).await?;
        self.watch(client).await
    }

    async fn apply(&self, objects: &[Object]) -> Result<(), Failure> {
        let client = self.client().await?;
        apply::apply(self.session, client, &self.filled(objects)).await?;
        Ok(())
    }

    async fn wait(&self, workloads: &[Object]) -> Result<(), Failure> {
        let awaited: Vec<_> =
            self.filled(workloads).iter().map(|object| plan::awaited(self.profile, object, self.timeout)).collect();
        let client = self.client().await?;
        self.watch(client).await?;
        let mut watch = self.watch.lock().await;
        let watch = watch.as_mut().expect("it was opened above");
        tokio::select! {
            biased;
            ready = watch.ready(self.session, &awaited) => Ok(ready?),
            never = self.primer.prime(self.session, self.engine) => match never {},
        }
    }

    /// Makes sure that what is printed can be opened. What does not answer is told, and is no
    /// failure: its pods are ready.
    async fn reach(&self, node_ports: &[(String, u16)], replaced: bool) -> Result<(), Failure> {
        let state = cluster::observe(self.session, self.engine, &self.profile.cluster).await?;
        let State::Running { band, .. } = state else { return Ok(()) };
        let waits = node_ports.iter().filter_map(|(service, node_port)| {
            let number = *band.0.get(node_port)?;
            let http =
                self.profile.services.iter().any(|known| known.key == *service && ports::speaks_http_first(known));
            let times = if self.observed.restarted { RESTARTED } else { 1 };
            let port = reach::Port { number, http, times };
            Some(async move { (service, number, reach::wait(self.session, &port).await) })
        });
        if replaced {
            tokio::time::sleep(reach::proxies_lag(self.client().await?).await).await;
        }
        for (service, port, reached) in futures_util::future::join_all(waits).await {
            if !reached && !self.session.cancel.is_cancelled() {
                self.session.events.warn(format!("`{service}` is ready, but localhost:{port} does not lead to it yet"));
            }
        }
        Ok(())
    }

    /// Removes what nothing uses. The work is done before this: what fails here is told, and is no
    /// failure.
    async fn sweep(&self, engine: &[String], nodes: &BTreeMap<String, Vec<String>>) {
        let sweeping = async {
            let used = usage::images(self.client().await?).await?;
            sweep::sweep(self.session, self.engine, engine, nodes, &used).await;
            Ok::<_, Failure>(())
        };
        let swept = tokio::select! {
            swept = sweeping => swept,
            // What was built and loaded stays; the next run sweeps again.
            () = self.session.cancel.cancelled() => return,
        };
        if let Err(failure) = swept {
            self.session.events.warn(words::not_swept(&failure.report.to_string()));
        }
    }

    async fn watch(&self, client: &kube::Client) -> Result<(), Failure> {
        let mut watch = self.watch.lock().await;
        if watch.is_none() {
            *watch = Some(
                Watch::open(client, &self.profile.namespace, &self.profile.instance)
                    .await?
                    .with_engine(self.engine.docker.clone()),
            );
        }
        Ok(())
    }

    async fn client(&self) -> Result<&kube::Client, Failure> {
        let cluster = &self.profile.cluster;
        self.client.get_or_try_init(|| cluster::client(self.session, self.engine, cluster)).await
    }

    /// Fills in the images whose ids the pulls have made known.
    fn filled(&self, objects: &[Object]) -> Vec<Object> {
        manifest::fill_images(objects.to_vec(), &self.images.lock().expect("no holder panics"))
    }
}
