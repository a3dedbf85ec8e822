//! `coracle up`, and its first steps on their own: `build` and `load`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::args::{self, Building, Global};
use super::{Answer, target};
use crate::cluster::{self, Band, State};
use crate::converge::{self, Converged, Done, Looked, Request};
use crate::error::Failure;
use crate::execute::execute;
use crate::image::engine::{self, Engine};
use crate::observe::{self, Asked, Contexts, Observed};
use crate::plan::{self, Action, Extent, Options, Plan};
use crate::profile::{Profile, interpolate};
use crate::session::Session;
use crate::{ports, ui};

pub(crate) async fn up(session: &Session, global: &Global, flags: &args::Up) -> Result<Answer, Failure> {
    let timeout = flags.waiting.timeout;
    let flags = Flags { building: flags.building, ..Flags::new("up", Extent::Everything) };
    converge(session, global, &flags.within(timeout)).await
}

pub(crate) async fn build(session: &Session, global: &Global, flags: &args::Build) -> Result<Answer, Failure> {
    let (building, services) = (flags.building, flags.services.clone());
    let flags = Flags { building, services, ..Flags::new("build", Extent::Build) };
    converge(session, global, &flags).await
}

pub(crate) async fn load(session: &Session, global: &Global) -> Result<Answer, Failure> {
    converge(session, global, &Flags::new("load", Extent::Load)).await
}

/// What the flags of `up`, `build` and `load` come down to.
pub(super) struct Flags {
    verb: &'static str,
    extent: Extent,
    building: Building,
    services: Vec<String>,
    timeout: Option<Duration>,
}

impl Flags {
    /// Returns these flags with a bound on rollouts.
    pub(super) fn within(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    pub(super) fn new(verb: &'static str, extent: Extent) -> Self {
        Self { verb, extent, building: Building::default(), services: Vec::new(), timeout: None }
    }
}

/// Makes the profile true as far as the flags ask, and answers with what was done.
pub(super) async fn converge(session: &Session, global: &Global, flags: &Flags) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let lock = if global.dry_run { None } else { Some(target::lock(session, &profile, flags.verb).await?) };
    // Beside the engine, which takes its time to say what it is.
    let contexts = Contexts::begin(session, &profile);
    let engine = engine::connect(session).await?;
    let asked = Asked {
        images_only: flags.extent == Extent::Build,
        loads_only: flags.extent == Extent::Load,
        rebuild: flags.building.no_cache.then(|| flags.services.clone()),
        pull: flags.building.pull,
        suffix: converge::fresh_suffix(),
        contexts,
        ..Asked::default()
    };
    if asked.pull && !global.dry_run {
        refresh_bases(session, &engine, &profile, &asked).await?;
    }
    let options = Options { extent: flags.extent, services: flags.services.clone() };
    let request = Request { asked, options, timeout: flags.timeout };
    if global.dry_run {
        let looked = converge::look(session, &engine, &profile, &request).await?;
        return Ok(ui::plan::answer(&looked.profile, &looked.plan));
    }
    let converged = converge::converge(session, &engine, &profile, request).await?;
    drop(lock);
    report(session, &engine, &converged).await
}

/// Has the engine fetch the newest of every base image and every image that is not built, so
/// that their ids, and with them the tags, are those of today.
async fn refresh_bases(session: &Session, engine: &Engine, profile: &Profile, asked: &Asked) -> Result<(), Failure> {
    let inputs = observe::read(session, profile, asked).await?;
    let bases = inputs.builds.values().flat_map(|input| input.dockerfile.bases.clone());
    let references: BTreeSet<String> = bases.chain(inputs.pulls.into_values()).collect();
    let foreign = references.into_iter().filter(|reference| interpolate::image_references(reference).is_empty());
    let pull = |reference: String| plan::Step {
        action: Action::Pull { name: reference.clone(), reference },
        after: Vec::new(),
    };
    let plan = Plan { steps: foreign.map(pull).collect(), ..Plan::default() };
    execute(session, engine, profile, &Observed::nothing(), &plan, None).await
}

/// Says where each service is reached, and that nothing had to change where that is so.
async fn report(session: &Session, engine: &Engine, converged: &Converged) -> Result<Answer, Failure> {
    let Converged { looked: Looked { profile, observed, plan }, done } = converged;
    if done.steps == 0 {
        session.events.info(nothing_to_do(profile, plan.extent));
    }
    if plan.extent < Extent::Everything {
        return Ok(images_answer(plan, done));
    }
    let band = match &observed.cluster {
        State::Running { band, .. } => band.clone(),
        _ => match cluster::observe(session, engine, &profile.cluster).await? {
            State::Running { band, .. } => band,
            _ => Band::default(),
        },
    };
    let node_ports = ports::assign(profile, &observed.live)?;
    let mut rows = Vec::new();
    let mut services = Vec::new();
    for service in profile.services.iter().filter(|service| service.deploy) {
        let urls = ports::addresses(service, &node_ports, &band);
        services.push(json!({"service": service.key, "urls": urls}));
        if !urls.is_empty() {
            rows.push(vec![service.key.clone(), urls.join("  ")]);
        }
    }
    let json = json!({
        "profile": profile.name, "cluster": profile.cluster.name, "changed": changed(done), "services": services,
    });
    Ok(Answer { text: ui::table::lines(&rows), json })
}

/// What was done, for a program.
fn changed(done: &Done) -> serde_json::Value {
    json!({"built": done.built, "loaded": done.loaded, "applied": done.applied, "removed": done.removed})
}

fn nothing_to_do(profile: &Profile, extent: Extent) -> String {
    let count = profile.services.iter().filter(|service| service.deploy).count();
    match (extent, count) {
        (Extent::Build, _) => "Nothing to build: the engine has every image".to_owned(),
        (Extent::Load, _) => "Nothing to load: every node has every image".to_owned(),
        (Extent::Everything, 1) => "Nothing to change: the service is ready".to_owned(),
        (Extent::Everything, _) => format!("Nothing to change: {count} services are ready"),
    }
}

/// The answer of `build` and `load`: each image's local tag.
fn images_answer(plan: &Plan, done: &Done) -> Answer {
    let rows: Vec<_> = plan.images.iter().map(|(name, tag)| vec![name.clone(), tag.clone()]).collect();
    Answer { text: ui::table::lines(&rows), json: json!({"images": plan.images, "changed": changed(done)}) }
}
