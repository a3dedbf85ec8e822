//! `coracle deploy`: the objects alone; the images must be on the nodes.

use super::args::{self, Global};
use super::{Answer, target, up};
use crate::cluster::State;
use crate::error::{Classified, Failure, Kind};
use crate::image::engine;
use crate::observe::{self, Asked};
use crate::plan::{self, Action, Extent, Options};
use crate::session::Session;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("images are not on the nodes: {names}")]
#[diagnostic(
    code(coracle::deploy::not_loaded),
    help("`coracle load` builds what changed and puts it there; `coracle up` does all of it")
)]
struct NotLoaded {
    names: String,
}

impl Classified for NotLoaded {
    fn kind(&self) -> Kind {
        Kind::Absent
    }
}

pub(crate) async fn deploy(session: &Session, global: &Global, flags: &args::Deploy) -> Result<Answer, Failure> {
    let mut profile = target::profile(session, global)?;
    let engine = engine::connect(session).await?;
    let observed = observe::observe(session, &engine, &mut profile, &Asked::default()).await?;
    if !matches!(observed.cluster, State::Running { .. }) {
        target::running(session, &profile).await?;
    }
    let plan = plan::up(&profile, &observed, &Options::default())?;
    let missing: Vec<String> = plan
        .steps
        .iter()
        .flat_map(|step| match &step.action {
            Action::Load { names } => names.clone(),
            _ => Vec::new(),
        })
        .collect();
    if !missing.is_empty() {
        return Err(NotLoaded { names: missing.join(", ") }.into());
    }
    // With every image in place, what is left of `up` is the objects.
    up::converge(session, global, &up::Flags::new("deploy", Extent::Everything).within(flags.waiting.timeout)).await
}
