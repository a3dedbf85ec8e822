//! Watching workloads until they are ready, or until it is known why they cannot be.
//!
//! The watches feed one [`Seen`]; readiness (`ready.rs`) and explanation (`explain/`) are pure
//! questions to it. Time matters to both, so they are asked after each change and twice a second.

mod facts;
mod ready;

pub(super) use facts::storage_classes;

pub(crate) use self::ready::is_ready_by_status;
use std::collections::BTreeMap;

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use super::backoff::Pauses;
use super::explain::report::NotReady;
use super::explain::{self, Facts, Severity, Subject, Trouble};
use super::object::INSTANCE;
use super::request::{Resource, get};
use super::seen::{Seen, Step};
use crate::event::{Event, Outcome, Progress, Subject as Shown, Unit};
use crate::session::Session;

/// A workload to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) service: String,
    /// `Deployment`, `StatefulSet`, `Job`, …
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Value of the pod template's `coracle.dev/template` annotation.
    pub(crate) template: String,
    pub(crate) deadline: Duration,
}

impl Awaited {
    fn subject(&self) -> Subject<'_> {
        Subject { kind: &self.kind, name: &self.name, template: &self.template }
    }

    fn title(&self) -> String {
        crate::ui::sanitize::line(&format!("{} {}", self.kind.to_lowercase(), self.name))
    }
}

/// Watched kinds, and whether only those with the instance's label: events and claims have none.
const WATCHED: &[(&str, &str, bool)] = &[
    ("apps/v1", "Deployment", true),
    ("apps/v1", "StatefulSet", true),
    ("apps/v1", "DaemonSet", true),
    ("apps/v1", "ReplicaSet", true),
    ("batch/v1", "Job", true),
    ("v1", "Pod", true),
    ("v1", "Event", false),
    ("v1", "PersistentVolumeClaim", false),
];

const TICK: Duration = Duration::from_millis(500);

/// Watches of one instance, opened before the apply. Dropping it closes them.
pub(crate) struct Watch {
    client: kube::Client,
    namespace: String,
    docker: Option<bollard::Docker>,
    seen: Seen,
    /// Kind → why its watch does not get on.
    troubles: BTreeMap<&'static str, String>,
    steps: mpsc::Receiver<(&'static str, Step)>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Watch").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Watch {
    /// Opens the watches.
    #[expect(clippy::unused_async, reason = "opening is I/O to the caller, though it happens in tasks")]
    pub(crate) async fn open(client: &kube::Client, namespace: &str, instance: &str) -> Result<Self, Error> {
        let (sender, steps) = mpsc::channel(1024);
        let tasks = WATCHED
            .iter()
            .map(|(api_version, kind, labelled)| {
                let resource = Resource::known(api_version, kind).expect("the table of known kinds has all of these");
                let selector = labelled.then(|| format!("{INSTANCE}={instance}"));
                let task = watch(client.clone(), namespace.to_owned(), resource, kind, selector, sender.clone());
                AbortOnDropHandle::new(tokio::spawn(task))
            })
            .collect();
        Ok(Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
            docker: None,
            seen: Seen::default(),
            troubles: BTreeMap::new(),
            steps,
            _tasks: tasks,
        })
    }

    /// Lets failing probes be explained by what the container really listens on.
    pub(crate) fn with_engine(mut self, docker: bollard::Docker) -> Self {
        self.docker = Some(docker);
        self
    }

    /// Takes in what the watches say next; returns when something did change.
    pub(crate) async fn changed(&mut self) -> Result<(), Error> {
        let Some((kind, step)) = self.steps.recv().await else { return Err(lost()) };
        self.apply(kind, step);
        // A list comes in many steps; look when they are all in.
        while let Ok((kind, step)) = self.steps.try_recv() {
            self.apply(kind, step);
        }
        Ok(())
    }

    fn apply(&mut self, kind: &'static str, step: Step) {
        match &step {
            Step::Failed(why) => drop(self.troubles.insert(kind, why.clone())),
            // The attempt alone proves nothing.
            Step::Begin => {}
            _ => drop(self.troubles.remove(kind)),
        }
        self.seen.apply(kind, step);
    }

    /// Returns why nothing new can be seen, while the API server does not answer.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.troubles.values().next().map(String::as_str)
    }

    /// Returns what the watches have seen so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Waits until all are ready; the first that cannot become ready is the error.
    pub(crate) async fn ready(&mut self, session: &Session, awaited: &[Awaited]) -> Result<(), Error> {
        let generations = self.generations(awaited).await?;
        let mut waits: Vec<Wait<'_>> =
            awaited.iter().zip(generations).map(|(one, generation)| Wait::new(one, generation)).collect();
        for wait in &waits {
            session.events.send(Event::Begin { subject: wait.shown() });
        }
        let result = self.wait(session, &mut waits).await;
        let outcome =
            if matches!(result, Err(Error::Interrupted { .. })) { Outcome::Cancelled } else { Outcome::Failed };
        for wait in waits.iter().filter(|wait| !wait.done) {
            // Those that were only cut short by another's failure are not failures of their own.
            let failed = matches!(&result, Err(Error::NotReady(report)) if report.workload == wait.awaited.title());
            let outcome = if failed { outcome.clone() } else { Outcome::Cancelled };
            session.events.send(Event::End { subject: wait.shown(), outcome, took: wait.start.elapsed() });
        }
        result
    }

    /// Asks once for each workload's generation: what the watches know may be from before the apply.
    async fn generations(&mut self, awaited: &[Awaited]) -> Result<Vec<i64>, Error> {
        let client = &self.client;
        let namespace = &self.namespace;
        let reads = awaited.iter().map(async |one| {
            let known = ["apps/v1", "batch/v1", "v1"].iter().find_map(|version| Resource::known(version, &one.kind));
            match known {
                Some(resource) => get(client, &resource, namespace, &one.name).await,
                None => Ok(None),
            }
        });
        let found = futures_util::future::try_join_all(reads).await?;
        let mut generations = Vec::new();
        for (one, object) in awaited.iter().zip(found) {
            generations
                .push(object.as_ref().and_then(|object| object.0["metadata"]["generation"].as_i64()).unwrap_or(0));
            if let Some(object) = object {
                self.seen.apply(&one.kind, Step::Changed(object.0));
            }
        }
        Ok(generations)
    }

    async fn wait(&mut self, session: &Session, waits: &mut [Wait<'_>]) -> Result<(), Error> {
        let mut facts = facts::Gathered::default();
        let mut tick = tokio::time::interval(TICK);
        loop {
            for wait in waits.iter_mut().filter(|wait| !wait.done) {
                wait.look(session, &self.seen);
            }
            if waits.iter().all(|wait| wait.done) {
                return Ok(());
            }
            self.judge(waits, &facts.facts).await?;
            tokio::select! {
                biased;
                () = session.cancel.cancelled() => return Err(interrupted(waits)),
                changed = self.changed() => changed?,
                _ = tick.tick() => {
                    let subjects: Vec<Subject<'_>> = waits.iter().filter(|wait| !wait.done).map(|wait| wait.awaited.subject()).collect();
                    facts.gather(&self.client, self.docker.as_ref(), &self.seen, &subjects).await;
                }
            }
        }
    }

    /// Ends the wait for the first workload that cannot become ready, or is too late.
    async fn judge(&self, waits: &[Wait<'_>], facts: &Facts) -> Result<(), Error> {
        let now = jiff::Timestamp::now().as_second();
        let open: Vec<&Wait<'_>> = waits.iter().filter(|wait| !wait.done).collect();
        let base = Facts { now, ..facts.clone() };
        let mut found: Vec<Vec<Trouble>> =
            open.iter().map(|wait| explain::troubles(&self.seen, wait.awaited.subject(), &base)).collect();
        let on_their_way = found.iter().filter(|troubles| troubles.is_empty()).count();
        for (wait, troubles) in open.iter().zip(&mut found) {
            let others = on_their_way > usize::from(troubles.is_empty());
            if others {
                let facts = Facts { others_pending: true, ..base.clone() };
                *troubles = explain::troubles(&self.seen, wait.awaited.subject(), &facts);
            }
            let fatal = troubles.first().is_some_and(|trouble| trouble.severity == Severity::Fatal);
            let late = wait.start.elapsed() >= wait.awaited.deadline;
            if fatal || late {
                let late = (!fatal)
                    .then(|| (wait.awaited.deadline.as_secs(), explain::doing(&self.seen, wait.awaited.subject())));
                return Err(self.not_ready(wait.awaited, std::mem::take(troubles), late).await);
            }
        }
        Ok(())
    }

    async fn not_ready(&self, awaited: &Awaited, mut troubles: Vec<Trouble>, late: Option<(u64, String)>) -> Error {
        if late.is_none() {
            // Beside a certain cause, possible ones only distract.
            troubles.retain(|trouble| trouble.severity == Severity::Fatal);
        }
        facts::fill_logs(&self.client, &self.namespace, &mut troubles).await;
        Error::NotReady(Box::new(NotReady::new(&awaited.service, &awaited.title(), troubles, late)))
    }
}

/// One workload's wait.
struct Wait<'a> {
    awaited: &'a Awaited,
    /// The apply's; an older one that is healthy proves nothing.
    generation: i64,
    start: Instant,
    done: bool,
    last: Option<Progress>,
}

impl<'a> Wait<'a> {
    fn new(awaited: &'a Awaited, generation: i64) -> Self {
        Self { awaited, generation, start: Instant::now(), done: false, last: None }
    }

    fn shown(&self) -> Shown {
        Shown::Workload { name: self.awaited.name.clone() }
    }

    /// Takes in what is seen now, and tells of it if it is new.
    fn look(&mut self, session: &Session, seen: &Seen) {
        let state = ready::state(seen, self.awaited.subject(), self.generation);
        if state.ready {
            self.done = true;
            let what = state.what();
            let outcome = Outcome::Done { what };
            session.events.send(Event::End { subject: self.shown(), outcome, took: self.start.elapsed() });
            return;
        }
        let detail = explain::doing(seen, self.awaited.subject());
        let progress = Progress { done: state.have, total: Some(state.wanted), unit: Unit::Replicas, detail };
        if self.last.as_ref() != Some(&progress) {
            session.events.progress(&self.shown(), progress.clone());
            self.last = Some(progress);
        }
    }
}

fn interrupted(waits: &[Wait<'_>]) -> Error {
    let names: BTreeMap<bool, Vec<String>> = waits.iter().fold(BTreeMap::new(), |mut names, wait| {
        names.entry(wait.done).or_insert_with(Vec::new).push(wait.awaited.title());
        names
    });
    let open = names.get(&false).map(|names| names.join(", ")).unwrap_or_default();
    Error::Interrupted { stands: format!("everything is applied; {open} not ready yet") }
}

fn lost() -> Error {
    Error::Unreachable { at: String::new(), source: super::error::Words::new("its watches ended") }
}

/// Runs one watch for ever: it begins anew by itself when the server ends it (410, restart).
async fn watch(
    client: kube::Client,
    namespace: String,
    resource: Resource,
    kind: &'static str,
    selector: Option<String>,
    steps: mpsc::Sender<(&'static str, Step)>,
) {
    let api = kube::Api::<DynamicObject>::namespaced_with(client, &namespace, &resource.api);
    let config = watcher::Config { label_selector: selector, ..watcher::Config::default() };
    let mut stream = std::pin::pin!(watcher(api, config).backoff(Pauses::default()));
    let plain = |object: DynamicObject| serde_json::to_value(object).unwrap_or_default();
    while let Some(event) = stream.next().await {
        let step = match event {
            Ok(watcher::Event::Init) => Step::Begin,
            Ok(watcher::Event::InitApply(object)) => Step::Listed(plain(object)),
            Ok(watcher::Event::InitDone) => Step::Complete,
            Ok(watcher::Event::Apply(object)) => Step::Changed(plain(object)),
            Ok(watcher::Event::Delete(object)) => Step::Gone(plain(object)),
            // It begins anew after a pause; the deadline is the workload's.
            Err(error) => {
                tracing::debug!(kind, %error, "watch");
                Step::Failed(crate::ui::sanitize::line(&error.to_string()))
            }
        };
        if steps.send((kind, step)).await.is_err() {
            return;
        }
    }
}
