//! `coracle up`, and its first steps on their own: `build` and `load`.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::{self, Building, Global};
use super::{Answer, target};
use crate::cluster::{self, Band, State};
use crate::error::{Classified, Failure, Kind};
use crate::execute::execute;
use crate::image::context;
use crate::image::engine::{self, Engine};
use crate::observe::{self, Asked, Contexts, Observed};
use crate::plan::{self, Action, Extent, Options, Plan};
use crate::profile::{Profile, interpolate};
use crate::session::Session;
use crate::{deploy, ports, ui};

/// One pass starts what is stopped, one does the work, one more makes up for a node port that
/// another profile took in between.
const PASSES: usize = 3;

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

/// Observes, plans and executes until nothing is left to do.
pub(super) async fn converge(session: &Session, global: &Global, flags: &Flags) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let lock = if global.dry_run { None } else { Some(target::lock(session, &profile, flags.verb).await?) };
    // Beside the engine, which takes its time to say what it is.
    let contexts = Contexts::begin(session, &profile);
    let engine = engine::connect(session).await?;
    let mut asked = Asked {
        images_only: flags.extent == Extent::Build,
        loads_only: flags.extent == Extent::Load,
        rebuild: flags.building.no_cache.then(|| flags.services.clone()),
        pull: flags.building.pull,
        restarted: false,
        suffix: fresh_suffix(),
        contexts,
    };
    if asked.pull && !global.dry_run {
        refresh_bases(session, &engine, &profile, &asked).await?;
    }
    let options = Options { extent: flags.extent, services: flags.services.clone() };
    let mut done = Done::default();
    for pass in 1..=PASSES {
        let mut wanted = profile.clone();
        let observed = observe::observe(session, &engine, &mut wanted, &asked).await?;
        let plan = plan::up(&wanted, &observed, &options)?;
        if global.dry_run {
            return Ok(ui::plan::answer(&wanted, &plan));
        }
        if pass == 1 {
            warn(session, &engine, &wanted, &observed, &plan).await?;
        }
        for text in plan::announcements(&plan) {
            session.events.info(text);
        }
        match execute(session, &engine, &wanted, &observed, &plan, flags.timeout).await {
            Err(failure) if pass < PASSES && lost_node_port(&failure) => {}
            Err(failure) => {
                // Was it known wrongly, the next run must not know it so again.
                if has_code(&failure, "coracle::image::context_changed") {
                    context::forget(&session.surroundings.cache);
                }
                return Err(failure);
            }
            Ok(()) => {
                done.add(&plan);
                if !plan.preliminary {
                    drop(lock);
                    return report(session, &engine, &wanted, &observed, &plan, &done).await;
                }
            }
        }
        // What was built anew in this pass is the newest there is.
        let restarted = asked.restarted || matches!(observed.cluster, State::Stopped { .. });
        asked = Asked { rebuild: None, pull: false, restarted, ..asked };
    }
    Err(Restless { cluster: profile.cluster.name }.into())
}

/// Says what the plan warns of, and what the cluster has otherwise than the profile wants.
async fn warn(
    session: &Session,
    engine: &Engine,
    wanted: &Profile,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Failure> {
    let differs = match observed.cluster {
        State::Running { .. } => cluster::differences(engine, &wanted.cluster).await?,
        _ => Vec::new(),
    };
    for text in differs.iter().chain(&plan.warnings) {
        session.events.warn(text);
    }
    Ok(())
}

/// Each pass found the cluster changed by somebody else.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the cluster `{cluster}` kept changing while the work went on")]
#[diagnostic(code(coracle::cli::restless), help("run the same command again; `coracle cluster list` shows its state"))]
struct Restless {
    cluster: String,
}

impl Classified for Restless {
    fn kind(&self) -> Kind {
        Kind::Work
    }
}

/// Another profile took the port between our look and our write.
fn lost_node_port(failure: &Failure) -> bool {
    matches!(failure.report.downcast_ref(), Some(deploy::Error::PortTaken { .. }))
}

fn has_code(failure: &Failure, code: &str) -> bool {
    failure.report.code().is_some_and(|found| found.to_string() == code)
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

/// Makes the tag of an image that is built again differ from the one before, and sort after it.
fn fresh_suffix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}", now.as_secs())
}

/// What the passes did, by name.
#[derive(Debug, Default)]
struct Done {
    built: Vec<String>,
    loaded: BTreeSet<String>,
    applied: usize,
    removed: usize,
    steps: usize,
}

impl Done {
    fn add(&mut self, plan: &Plan) {
        self.steps += plan.steps.len();
        for step in &plan.steps {
            match &step.action {
                Action::Build { service, .. } => self.built.push(service.clone()),
                Action::Load { names } => self.loaded.extend(names.iter().cloned()),
                Action::Apply { objects } => self.applied += objects.len(),
                Action::Prune { objects } => self.removed += objects.len(),
                _ => {}
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({"built": self.built, "loaded": self.loaded, "applied": self.applied, "removed": self.removed})
    }
}

/// Says where each service is reached, and that nothing had to change where that is so.
async fn report(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
    observed: &Observed,
    plan: &Plan,
    done: &Done,
) -> Result<Answer, Failure> {
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
        "profile": profile.name, "cluster": profile.cluster.name, "changed": done.json(), "services": services,
    });
    Ok(Answer { text: ui::table::lines(&rows), json })
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
    Answer { text: ui::table::lines(&rows), json: json!({"images": plan.images, "changed": done.json()}) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Words;

    #[test]
    fn a_port_that_another_profile_took_is_looked_for_again() {
        let (what, owner) = ("Service `web`".to_owned(), "service `web` of namespace `other`".to_owned());
        let source = Words::new("spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated");
        assert!(lost_node_port(&deploy::Error::PortTaken { what, port: 30000, owner, source }.into()));
        assert!(!lost_node_port(&Restless { cluster: "coracle".to_owned() }.into()));
    }
}
