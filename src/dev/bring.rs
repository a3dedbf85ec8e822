//! One round of `up` as `dev` does it: images first, then objects whose pods take files.
//!
//! What a process is started with is known only from its image, so images come first. A service
//! that is pinned keeps the image it has, whatever its folder says by now: its containers get
//! the difference as files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::agent::Agents;
use super::infer::{Process, infer};
use super::machine::{Built, Key, Spec};
use super::rules::Rules;
use super::tree;
use crate::cluster::{self, Band, State};
use crate::converge::{self, Request};
use crate::error::Failure;
use crate::image::context::Context;
use crate::image::dockerfile::Dockerfile;
use crate::image::engine::{Engine, LocalImage};
use crate::image::load::Primer;
use crate::image::tag;
use crate::observe::{Asked, Observed};
use crate::plan::{Extent, Options};
use crate::ports;
use crate::profile::{Development, ImageSource, Profile, Service, Supervised, Sync, WorkloadKind};
use crate::session::Session;

/// What a round shall do beyond the profile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    /// Service → tag of the image that it keeps.
    pub(crate) pins: BTreeMap<Key, String>,
    /// Built again though nothing changed.
    pub(crate) anew: BTreeSet<Key>,
    /// Makes the tags of those differ from the ones before, and sort after them.
    pub(crate) suffix: String,
    /// Bounds the wait for each workload, instead of its own deadline.
    pub(crate) timeout: Option<Duration>,
}

/// Images that are on the nodes, and the profile that deploys them for `dev`.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) profile: Profile,
    /// Services that are built and deployed here.
    pub(crate) specs: BTreeMap<Key, Spec>,
    /// Of services that were not pinned.
    pub(crate) built: BTreeMap<Key, Built>,
    /// What was inferred, in sentences.
    pub(crate) said: Vec<String>,
    /// Every built service's tag.
    tags: BTreeMap<Key, String>,
    timeout: Option<Duration>,
}

/// Where the services are reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses {
    pub(crate) node_ports: BTreeMap<(String, String), u16>,
    pub(crate) band: Band,
    /// By service. Ports may be known only from what an image exposes.
    pub(crate) urls: BTreeMap<Key, Vec<String>>,
}

/// Builds, loads, and finds out how each service takes changes.
pub(crate) async fn prepare(
    session: &Session,
    engine: &Engine,
    agents: &Agents,
    profile: &Profile,
    ask: &Ask,
) -> Result<Prepared, Failure> {
    let asked = Asked {
        loads_only: true,
        rebuild: (!ask.anew.is_empty()).then(|| ask.anew.iter().cloned().collect()),
        pinned: ask.pins.clone(),
        suffix: ask.suffix.clone(),
        ..Asked::default()
    };
    let options = Options { extent: Extent::Load, ..Options::default() };
    let request = Request { asked, options, ..Request::default() };
    let looked = converge::converge(session, engine, profile, request).await?.looked;
    let builds = &looked.observed.inputs.builds;
    let tags: BTreeMap<Key, String> = builds.iter().map(|(key, input)| (key.clone(), input.tag.clone())).collect();
    let images = engine.local_images(&tags.values().cloned().collect::<Vec<_>>()).await?;
    let mut prepared = Prepared {
        profile: profile.clone(),
        specs: BTreeMap::new(),
        built: BTreeMap::new(),
        said: Vec::new(),
        tags,
        timeout: ask.timeout,
    };
    let mut helper = None;
    for service in profile.services.iter().filter(|service| takes_files(service)) {
        let Some(input) = builds.get(&service.key) else { continue };
        let inferred = spec(service, &input.context, &input.dockerfile, images.get(&input.tag));
        prepared.said.extend(inferred.said);
        if !ask.pins.contains_key(&service.key) {
            let tree = Arc::new(tree::of_context(&input.context));
            let inputs = inferred.spec.inputs.clone();
            prepared.built.insert(service.key.clone(), Built { image: input.tag.clone(), tree, inputs });
        }
        let mut spec = inferred.spec;
        if spec.rules.takes_files() {
            let supervised = match (spec.supervised, argv(service, images.get(&input.tag))) {
                (true, Some(argv)) => {
                    if helper.is_none() {
                        helper = Some(place(engine, agents, profile).await?);
                    }
                    let helper = helper.clone().expect("it was placed above");
                    let stop_signal = images.get(&input.tag).and_then(|image| signal(image.stop_signal.as_deref()?));
                    let stop_signal = stop_signal.unwrap_or(TERM);
                    Some(Supervised { helper, argv, stop_signal })
                }
                _ => None,
            };
            spec.supervised = supervised.is_some();
            let development = Some(Development { supervised });
            let services = prepared.profile.services.iter_mut();
            services
                .filter(|other| other.key == service.key)
                .for_each(|found| found.development.clone_from(&development));
        }
        prepared.specs.insert(service.key.clone(), spec);
    }
    Ok(prepared)
}

/// A service's rules, and what was inferred in sentences.
struct Inferred {
    spec: Spec,
    said: Vec<String>,
}

fn spec(service: &Service, context: &Context, dockerfile: &Dockerfile, image: Option<&LocalImage>) -> Inferred {
    let (rules, said) = match (&service.sync, &service.image) {
        (Sync::Rules(rules), _) => match Rules::of_profile(rules) {
            Ok(rules) => (rules, Vec::new()),
            Err(words) => (Rules::default(), vec![format!("{words}: every change of `{}` builds", service.key)]),
        },
        (sync, ImageSource::Build(build)) => {
            let process = Process {
                command: service.command.clone(),
                args: service.args.clone(),
                env: service.env.iter().cloned().collect(),
                restart: service.restart,
                is_asked: *sync == Sync::Infer,
            };
            let inferred = infer(dockerfile, build, &tree::of_context(context), &process);
            let said = inferred.sentences.iter().map(|sentence| format!("{}: {sentence}", service.key));
            (inferred.rules, said.collect())
        }
        (_, ImageSource::Pull(_)) => (Rules::default(), Vec::new()),
    };
    let can_restart = argv(service, image).is_some();
    let supervised = can_restart && rules.rules.iter().any(|rule| rule.restart);
    let spec = Spec { rules, supervised, recipes: recipes(context, dockerfile), inputs: inputs(service, dockerfile) };
    Inferred { spec, said }
}

/// Returns the Dockerfile and the ignore files, where they lie in the context.
fn recipes(context: &Context, dockerfile: &Dockerfile) -> BTreeSet<PathBuf> {
    let mut own = dockerfile.path.clone().into_os_string();
    own.push(".dockerignore");
    let all = [dockerfile.path.clone(), own.into(), context.root.join(".dockerignore")];
    all.iter().filter_map(|path| path.strip_prefix(&context.root).ok()).map(Path::to_owned).collect()
}

/// Returns what else the image is made of. The Dockerfile may lie outside of the context.
fn inputs(service: &Service, dockerfile: &Dockerfile) -> String {
    format!("{:?}\n{}", service.image, dockerfile.text)
}

/// Finds out anew how each service takes changes. `images` are those that the services run.
pub(crate) async fn specs(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
    images: &BTreeMap<Key, Built>,
) -> Result<BTreeMap<Key, Spec>, Failure> {
    let tags: Vec<String> = images.values().map(|built| built.image.clone()).collect();
    let known = engine.local_images(&tags).await?;
    let mut specs = BTreeMap::new();
    for service in profile.services.iter().filter(|service| takes_files(service)) {
        let ImageSource::Build(build) = &service.image else { continue };
        let (build, cache) = (build.clone(), session.surroundings.cache.clone());
        let read = tokio::task::spawn_blocking(move || tag::read(&build, Some(&cache)));
        let (context, dockerfile) = read.await.expect("reading a context does not panic")?;
        let image = images.get(&service.key).and_then(|built| known.get(&built.image));
        specs.insert(service.key.clone(), spec(service, &context, &dockerfile, image).spec);
    }
    Ok(specs)
}

/// Deploys what was prepared and waits until it is ready.
pub(crate) async fn deploy(session: &Session, engine: &Engine, prepared: &Prepared) -> Result<Addresses, Failure> {
    let asked = Asked { pinned: prepared.tags.clone(), ..Asked::default() };
    let request = Request { asked, timeout: prepared.timeout, ..Request::default() };
    let primer = Primer::default();
    primer.add(prepared.tags.values().cloned());
    let converged = tokio::select! {
        converged = converge::converge(session, engine, &prepared.profile, request) => converged,
        // The first edit is not to wait for its base image.
        never = primer.prime(session, engine) => match never {},
    };
    let looked = converged?.looked;
    addresses(&looked.profile, &looked.observed)
}

/// Returns where the services are reached, as far as the cluster knows them.
fn addresses(profile: &Profile, observed: &Observed) -> Result<Addresses, Failure> {
    let band = match &observed.cluster {
        State::Running { band, .. } => band.clone(),
        _ => Band::default(),
    };
    let node_ports = ports::assign(profile, &observed.live)?;
    let urls = |service: &Service| (service.key.clone(), ports::addresses(service, &node_ports, &band));
    let urls = profile.services.iter().map(urls).collect();
    Ok(Addresses { node_ports, band, urls })
}

/// Puts the helper onto every node; returns where it is there.
async fn place(engine: &Engine, agents: &Agents, profile: &Profile) -> Result<String, Failure> {
    let nodes = cluster::node_names(engine, &profile.cluster.name).await?;
    let placed = nodes.iter().map(|node| agents.place(node));
    let paths = futures_util::future::try_join_all(placed).await?;
    let path = paths.into_iter().next().expect("a running cluster has a node");
    Ok(path.display().to_string())
}

/// Jobs end, and what is not built has no folder that could change.
fn takes_files(service: &Service) -> bool {
    service.deploy
        && matches!(service.image, ImageSource::Build(_))
        && matches!(service.kind, WorkloadKind::Deployment | WorkloadKind::Stateful)
}

/// SIGTERM.
const TERM: u8 = 15;

/// Returns the number of a STOPSIGNAL: `SIGQUIT`, `QUIT` or `3`. Numbers are those of Linux
/// (<https://man7.org/linux/man-pages/man7/signal.7.html>).
fn signal(text: &str) -> Option<u8> {
    let name = text.trim().to_ascii_uppercase();
    Some(match name.strip_prefix("SIG").unwrap_or(&name) {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => 9,
        "USR1" => 10,
        "USR2" => 12,
        "TERM" => TERM,
        "WINCH" => 28,
        number => number.parse().ok().filter(|number| (1..=64).contains(number))?,
    })
}

/// Returns what the container runs: as Kubernetes does it, `command` takes the place of the
/// image's ENTRYPOINT and of its CMD, `args` that of the CMD alone.
fn argv(service: &Service, image: Option<&LocalImage>) -> Option<Vec<String>> {
    let none = Vec::new();
    let argv = match (&service.command, &service.args) {
        (Some(command), args) => [command.as_slice(), args.as_ref().unwrap_or(&none)],
        (None, Some(args)) => [image?.entrypoint.as_slice(), args],
        (None, None) => [image?.entrypoint.as_slice(), &image?.command],
    };
    let argv = argv.concat();
    (!argv.is_empty()).then_some(argv)
}
