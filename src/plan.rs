//! The plan: what would change, as plain data, from what is wanted and what is there.
//!
//! [`up`] is pure: `(&Profile, &Observed) -> Plan`. A plan is a graph of [`Step`]s that is
//! complete before the first effect; what exists only later (the id of an image that is
//! still to be pulled) is a named reference that `execute` fills in. Conditions sit here:
//! an action that runs was needed.

mod objects;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use miette::Diagnostic;

pub(crate) use self::objects::{awaited, render};
use crate::cluster::{Band, State};
use crate::deploy::compare::{Changes, Why};
use crate::deploy::object::{self, Object};
use crate::deploy::{self, raw, release};
use crate::error::{Classified, Kind};
use crate::image::tag;
use crate::observe::{Inputs, Observed};
use crate::ports;
use crate::profile::{Profile, WorkloadKind};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Make the cluster; the remains of a creation that was cut short are removed first.
    CreateCluster {
        band: Band,
        half_made: bool,
    },
    /// Wait until the nodes of a cluster that is being made can take images.
    AwaitNodes,
    StartCluster,
    Pull {
        name: String,
        reference: String,
    },
    Build {
        service: String,
        tag: String,
        no_cache: bool,
    },
    /// Put images (by name) onto every node that lacks them.
    Load {
        names: Vec<String>,
    },
    /// Make the namespace if it is absent and take the instance's release.
    Release {
        namespace: Option<Object>,
        objects: Vec<Object>,
    },
    Apply {
        objects: Vec<Object>,
    },
    /// Wait until these workloads are ready.
    Await {
        workloads: Vec<Object>,
    },
    /// Wait until these node ports, (service, node port), lead to pods on this machine, and no
    /// longer to those that were `replaced`.
    Reach {
        node_ports: Vec<(String, u16)>,
        replaced: bool,
    },
    Prune {
        objects: Vec<Object>,
    },
    /// Remove tags of ours that nothing uses, unless something has come to use them meanwhile.
    Sweep {
        /// In the engine.
        engine: Vec<String>,
        /// Node → names.
        nodes: BTreeMap<String, Vec<String>>,
    },
}

/// An action and the steps that must be done before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) after: Vec<usize>,
}

/// What would be done, and what there is to say about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Image name → local tag, where it is known already.
    pub(crate) images: BTreeMap<String, String>,
    /// The objects' changes, for `--dry-run` and `diff`.
    pub(crate) changes: Changes,
    /// Sentences for the user, before anything runs.
    pub(crate) warnings: Vec<String>,
    /// The cluster cannot be asked yet: after these steps, look again.
    pub(crate) preliminary: bool,
    pub(crate) extent: Extent,
}

/// How much of `up` a verb does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    Build,
    Load,
    #[default]
    Everything,
}

/// What flags say about a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) extent: Extent,
    /// Only these services are built; empty: all.
    pub(crate) services: Vec<String>,
}

/// Why there can be no plan.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("service `{service}` mounts the claim `{claim}`, which does not exist in namespace `{namespace}`")]
    #[diagnostic(
        code(coracle::plan::no_claim),
        help(
            "claims that are there: {there}\nuse one of them, or let Coracle make one with `size:` instead of `claim:`"
        )
    )]
    NoClaim { service: String, claim: String, namespace: String, there: String },

    #[error("service `{service}` wants the storage class `{class}`, which this cluster does not have")]
    #[diagnostic(code(coracle::plan::no_storage_class), help("classes that are there: {there}"))]
    NoStorageClass { service: String, class: String, there: String },

    #[error("there is no service `{name}` that is built here")]
    #[diagnostic(code(coracle::plan::no_such_service), help("services that are built: {there}"))]
    NoSuchService { name: String, there: String },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Release(#[from] deploy::Error),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Ports(#[from] ports::Error),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Manifests(#[from] raw::Error),
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Release(error) => error.kind(),
            Self::Ports(error) => error.kind(),
            Self::Manifests(error) => error.kind(),
            Self::NoClaim { .. } | Self::NoStorageClass { .. } | Self::NoSuchService { .. } => Kind::Request,
        }
    }
}

impl Plan {
    /// Whether nothing has to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn push(&mut self, action: Action, after: Vec<usize>) -> usize {
        self.steps.push(Step { action, after });
        self.steps.len() - 1
    }
}

/// Plans what makes the profile true.
pub(crate) fn up(profile: &Profile, observed: &Observed, options: &Options) -> Result<Plan, Error> {
    let warnings = observed.inputs.warnings.clone();
    let mut plan = Plan { warnings, extent: options.extent, ..Plan::default() };
    release::check_folder(observed.live.inventory.as_ref(), profile)?;

    let mut nodes_ready = Vec::new();
    let mut cluster_ready = Vec::new();
    if options.extent > Extent::Build {
        (nodes_ready, cluster_ready) = plan_cluster(&mut plan, &observed.cluster);
    }
    let images_ready = plan_images(&mut plan, profile, observed, options)?;
    if options.extent == Extent::Build || plan.preliminary {
        return Ok(plan);
    }
    let loaded = plan_load(&mut plan, profile, observed, [images_ready, nodes_ready].concat());
    if options.extent > Extent::Load {
        objects::plan_objects(&mut plan, profile, observed, &[loaded, cluster_ready].concat())?;
    }
    sweep::plan_sweep(&mut plan, profile, observed);
    Ok(plan)
}

/// Plans the cluster alone: made or started if it does not run.
pub(crate) fn cluster(state: &State) -> Plan {
    let mut plan = Plan::default();
    plan_cluster(&mut plan, state);
    plan
}

/// Returns the steps after which nodes take images, and after which the API takes objects.
fn plan_cluster(plan: &mut Plan, state: &State) -> (Vec<usize>, Vec<usize>) {
    let (band, half_made) = match state {
        State::Running { .. } => return (Vec::new(), Vec::new()),
        State::Stopped { .. } => {
            plan.preliminary = true;
            let start = plan.push(Action::StartCluster, Vec::new());
            return (vec![start], vec![start]);
        }
        State::HalfMade { band } => (band.clone(), true),
        State::Absent { band } => (band.clone(), false),
    };
    let create = plan.push(Action::CreateCluster { band, half_made }, Vec::new());
    let nodes = plan.push(Action::AwaitNodes, Vec::new());
    (vec![nodes], vec![create])
}

/// Plans pulls and builds; returns their steps.
fn plan_images(
    plan: &mut Plan,
    profile: &Profile,
    observed: &Observed,
    options: &Options,
) -> Result<Vec<usize>, Error> {
    let inputs = &observed.inputs;
    let chosen = chosen(inputs, options)?;
    let deploys = options.extent > Extent::Build;
    let mut steps = BTreeMap::new();
    for (name, reference) in &inputs.pulls {
        let known = observed.pulled.get(reference).map(|id| tag::pulled(&profile.name, name, id));
        if let Some(tag) = known.or_else(|| deploys.then(|| held_pull(profile, observed, name, reference))?) {
            plan.images.insert(name.clone(), tag);
        } else if options.services.is_empty() {
            let pull = Action::Pull { name: name.clone(), reference: reference.clone() };
            steps.insert(name.clone(), plan.push(pull, Vec::new()));
        }
    }
    for service in &inputs.order {
        let input = &inputs.builds[service];
        plan.images.insert(service.clone(), input.tag.clone());
        let held = deploys && !input.no_cache && on_every_node(observed, &input.tag);
        if input.built || held || !(deploys || chosen.contains(service)) {
            continue;
        }
        let after = input.needs.iter().filter_map(|name| steps.get(name).copied()).collect();
        let build = Action::Build { service: service.clone(), tag: input.tag.clone(), no_cache: input.no_cache };
        steps.insert(service.clone(), plan.push(build, after));
        // Which ports it has, only the image can tell.
        plan.preliminary |= deploys && input.exposed.is_none() && is_open(profile, service);
    }
    // A job runs once for each digest of its template, so that must not change after the pull.
    let pulls = inputs.pulls.keys().any(|name| steps.contains_key(name));
    plan.preliminary |= deploys && pulls && has_jobs(profile, inputs);
    Ok(steps.into_values().collect())
}

/// Returns the services to build: those that were named, and what they build on.
fn chosen(inputs: &Inputs, options: &Options) -> Result<BTreeSet<String>, Error> {
    if options.services.is_empty() {
        return Ok(inputs.order.iter().cloned().collect());
    }
    let mut chosen = BTreeSet::new();
    let mut left = options.services.clone();
    while let Some(name) = left.pop() {
        let Some(input) = inputs.builds.get(&name) else {
            let there = inputs.builds.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(Error::NoSuchService { name, there });
        };
        left.extend(input.needs.iter().filter(|need| inputs.builds.contains_key(*need)).cloned());
        chosen.insert(name);
    }
    Ok(chosen)
}

fn is_open(profile: &Profile, key: &str) -> bool {
    profile.services.iter().any(|service| service.key == key && service.deploy && service.ports_from_image)
}

fn has_jobs(profile: &Profile, inputs: &Inputs) -> bool {
    let of_services = profile.services.iter().any(|service| service.deploy && service.kind == WorkloadKind::Job);
    of_services || inputs.documents.iter().any(|document| document.object.kind() == "Job")
}

fn on_every_node(observed: &Observed, tag: &str) -> bool {
    !observed.nodes.is_empty() && observed.nodes.values().all(|held| held.contains(tag))
}

/// Returns the local tag under which every node has what a service runs of `reference` now: an
/// image that the engine has lost need not be pulled again.
fn held_pull(profile: &Profile, observed: &Observed, name: &str, reference: &str) -> Option<String> {
    let prefix = tag::local(&profile.name, &tag::pulled_name(name), "");
    let runs_it = |object: &&Object| {
        let named = object.template().and_then(|template| template["metadata"]["annotations"][object::IMAGE].as_str());
        named.is_some_and(|named| named.split(',').any(|entry| entry == format!("{name}={reference}")))
    };
    let live = observed.live.objects.iter().find(runs_it)?;
    let containers = live.pod()?["containers"].as_array()?;
    let images = containers.iter().filter_map(|container| container["image"].as_str());
    images.filter(|image| image.starts_with(&prefix)).find(|image| on_every_node(observed, image)).map(str::to_owned)
}

/// Plans one load of everything that some node lacks; returns its step.
fn plan_load(plan: &mut Plan, profile: &Profile, observed: &Observed, after: Vec<usize>) -> Vec<usize> {
    let wanted = names_to_load(profile, &observed.inputs);
    let missing = |name: &String| match plan.images.get(name) {
        Some(tag) => !on_every_node(observed, tag),
        None => true,
    };
    let names: Vec<String> = wanted.into_iter().filter(missing).collect();
    if names.is_empty() {
        return after;
    }
    vec![plan.push(Action::Load { names }, after)]
}

/// Images that run on nodes: all but those of `deploy: false` services that nothing runs.
fn names_to_load(profile: &Profile, inputs: &Inputs) -> BTreeSet<String> {
    let deployed = profile.services.iter().filter(|service| service.deploy).map(|service| &service.key);
    let built = deployed.chain(&inputs.run_elsewhere).filter(|key| inputs.builds.contains_key(*key));
    built.chain(inputs.pulls.keys()).cloned().collect()
}

/// Returns the sentences that tell of drift and of what will be pruned.
pub(crate) fn announcements(plan: &Plan) -> Vec<String> {
    let drift = plan.changes.apply.iter().filter_map(|change| match &change.why {
        Why::Drifted { fields } if fields.iter().all(|change| change.field == "status") => {
            Some(format!("{} failed and is run again", change.object.title()))
        }
        Why::Drifted { fields } if fields.iter().all(|change| change.field == "spec.replicas") => {
            let number =
                |value: &Option<serde_json::Value>| value.as_ref().map_or("none".to_owned(), ToString::to_string);
            let field = fields.first()?;
            let (title, live, wanted) = (change.object.title(), number(&field.live), number(&field.wanted));
            Some(format!("{title} was scaled to {live} and is put right: {wanted}"))
        }
        Why::Drifted { fields } => {
            let fields: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
            Some(format!(
                "{} was changed by somebody else and is put right: {}",
                change.object.title(),
                fields.join(", ")
            ))
        }
        _ => None,
    });
    let prune = plan
        .changes
        .prune
        .iter()
        .map(|object| format!("{} is no longer in the profile and is removed", object.title()));
    drift.chain(prune).chain(plan.changes.refused.iter().cloned()).collect()
}
