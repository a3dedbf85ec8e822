//! `coracle debug`: a throw-away pod beside the services, with their names in its environment.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, exec, target};
use crate::deploy::debug::{CONTAINER, Guest, variables};
use crate::deploy::release;
use crate::deploy::remote::{self, Wish};
use crate::error::Failure;
use crate::execute::execute;
use crate::image::{self, engine, tag};
use crate::observe::Observed;
use crate::plan::{Action, Plan, Step};
use crate::profile::Profile;
use crate::session::Session;
use crate::ui::{self, sanitize};

pub(crate) async fn debug(session: &Session, global: &Global, flags: &args::Debug) -> Result<(Answer, u8), Failure> {
    let profile = target::profile(session, global)?;
    if global.dry_run {
        let set = variables(&profile).into_iter().map(|(name, value)| format!("  {name}={value}"));
        let head = sanitize::line(&format!("run a pod of {} in namespace {} with", flags.image, profile.namespace));
        let text = ui::answer::lines(std::iter::once(head).chain(set));
        return Ok((Answer { text, json: json!({"image": flags.image, "namespace": profile.namespace}) }, 0));
    }
    let client = target::running(session, &profile).await?.client;
    release::check_folder(release::read(&client, &profile).await?.as_ref(), &profile)?;
    let reference = load(session, &profile, &flags.image).await?;
    let guest = Guest::start(session, &client, &profile, (&flags.image, &reference), &suffix()).await?;
    let tty = exec::is_interactive();
    let pod = guest.pod.clone();
    exec::say(
        session,
        global,
        tty,
        &format!("Pod {} goes when you leave; `env` shows the services", sanitize::line(&pod)),
    );
    let (namespace, command) = (&profile.namespace, &flags.command);
    let code = remote::run(session, &client, &Wish { namespace, pod: &pod, container: CONTAINER, command, tty }).await;
    if let Err(error) = guest.end().await {
        session.events.warn(format!("pod {} goes a little later: {error}", sanitize::line(&pod)));
    }
    Ok((Answer::default(), code?))
}

/// Puts the image on every node, as `up` does with images that are pulled; returns its name there.
async fn load(session: &Session, profile: &Profile, image: &str) -> Result<String, Failure> {
    let engine = engine::connect(session).await?;
    let asked = [image.to_owned()];
    let mut plan = Plan::default();
    if engine.local_images(&asked).await?.is_empty() {
        let pull = Action::Pull { name: CONTAINER.to_owned(), reference: image.to_owned() };
        plan.steps.push(Step { action: pull, after: Vec::new() });
        execute(session, &engine, profile, &Observed::nothing(), &plan, None).await?;
    }
    let local = engine.local_images(&asked).await?.into_values().next();
    let local = local.ok_or_else(|| image::Error::NotLocal { image: image.to_owned() })?;
    let reference = tag::pulled(&profile.name, CONTAINER, &local.id);
    engine.tag(&local.id, &reference).await?;
    let load = Step { action: Action::Load { names: vec![CONTAINER.to_owned()] }, after: Vec::new() };
    let images = [(CONTAINER.to_owned(), reference.clone())].into();
    let plan = Plan { steps: vec![load], images, ..Plan::default() };
    execute(session, &engine, profile, &Observed::nothing(), &plan, None).await?;
    Ok(reference)
}

/// Tells the pods of several at once apart.
fn suffix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:06x}", now.as_micros() & 0xff_ffff)
}
