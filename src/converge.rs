//! Observes, plans and executes until nothing is left to do: what `up`, `load`, `deploy` and
//! `dev` have in common.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cluster::{self, State};
use crate::deploy;
use crate::error::{Classified, Failure, Kind};
use crate::execute::execute;
use crate::image::context;
use crate::image::engine::Engine;
use crate::observe::{self, Asked, Observed};
use crate::plan::{self, Action, Options, Plan};
use crate::profile::Profile;
use crate::session::Session;

/// One pass starts what is stopped, one does the work, one more makes up for a node port that
/// another profile took in between.
const PASSES: usize = 3;

/// What one run is asked for beyond the profile.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) options: Options,
    /// Bounds the wait for each workload, instead of its own deadline.
    pub(crate) timeout: Option<Duration>,
}

/// What is there, and what would change.
#[derive(Debug)]
pub(crate) struct Looked {
    /// With the ports that images expose.
    pub(crate) profile: Profile,
    pub(crate) observed: Observed,
    pub(crate) plan: Plan,
}

/// What the last pass saw and planned, and what all of them did.
#[derive(Debug)]
pub(crate) struct Converged {
    pub(crate) looked: Looked,
    pub(crate) done: Done,
}

/// What the passes did, by name.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) built: Vec<String>,
    pub(crate) loaded: BTreeSet<String>,
    pub(crate) applied: usize,
    pub(crate) removed: usize,
    pub(crate) steps: usize,
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
}

/// Observes and plans; changes nothing.
pub(crate) async fn look(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
    request: &Request,
) -> Result<Looked, Failure> {
    let mut profile = profile.clone();
    let observed = observe::observe(session, engine, &mut profile, &request.asked).await?;
    let plan = plan::up(&profile, &observed, &request.options)?;
    Ok(Looked { profile, observed, plan })
}

/// Makes the profile true.
pub(crate) async fn converge(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
    mut request: Request,
) -> Result<Converged, Failure> {
    let mut done = Done::default();
    for pass in 1..=PASSES {
        let looked = look(session, engine, profile, &request).await?;
        if pass == 1 {
            warn(session, engine, &looked).await?;
        }
        for text in plan::announcements(&looked.plan) {
            session.events.info(text);
        }
        match execute(session, engine, &looked.profile, &looked.observed, &looked.plan, request.timeout).await {
            Err(failure) if pass < PASSES && lost_node_port(&failure) => {}
            Err(failure) => {
                // Was it known wrongly, the next run must not know it so again.
                if has_code(&failure, "coracle::image::context_changed") {
                    context::forget(&session.surroundings.cache);
                }
                return Err(failure);
            }
            Ok(()) => {
                done.add(&looked.plan);
                if !looked.plan.preliminary {
                    return Ok(Converged { looked, done });
                }
            }
        }
        // What was built anew in this pass is the newest there is.
        let asked = request.asked;
        let restarted = asked.restarted || matches!(looked.observed.cluster, State::Stopped { .. });
        request.asked = Asked { rebuild: None, pull: false, restarted, ..asked };
    }
    Err(Restless { cluster: profile.cluster.name.clone() }.into())
}

/// Says what the plan warns of, and what the cluster has otherwise than the profile wants.
async fn warn(session: &Session, engine: &Engine, looked: &Looked) -> Result<(), Failure> {
    let differs = match looked.observed.cluster {
        State::Running { .. } => cluster::differences(engine, &looked.profile.cluster).await?,
        _ => Vec::new(),
    };
    for text in differs.iter().chain(&looked.plan.warnings) {
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

/// Makes the tag of an image that is built again differ from the one before, and sort after it.
pub(crate) fn fresh_suffix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:08x}", now.as_secs())
}

/// Another profile took the port between our look and our write.
fn lost_node_port(failure: &Failure) -> bool {
    matches!(failure.report.downcast_ref(), Some(deploy::Error::PortTaken { .. }))
}

fn has_code(failure: &Failure, code: &str) -> bool {
    failure.report.code().is_some_and(|found| found.to_string() == code)
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
