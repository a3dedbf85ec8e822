//! `coracle restart` and `coracle scale`: small changes to what runs, waited for as `up` waits.
//!
//! Neither takes the profile's lock: each is one update of one field, which is whole whatever else goes on, and
//! who is in the middle of `dev` may want it.

use std::time::Duration;

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, target};
use crate::deploy::object::Object;
use crate::deploy::rollout::Watch;
use crate::deploy::{adjust, release};
use crate::error::{Classified, Failure, Kind};
use crate::plan;
use crate::profile::{Profile, Service};
use crate::session::Session;
use crate::ui;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Error {
    #[error("service `{service}` cannot be {verb}: it runs once, and not on and on")]
    #[diagnostic(
        code(coracle::restart::runs_once),
        help("`coracle up` runs a job again when something of it changed; a cron job runs by its schedule")
    )]
    RunsOnce { service: String, verb: &'static str },

    #[error("service `{service}` is not deployed")]
    #[diagnostic(code(coracle::restart::not_deployed), help("`coracle up` deploys it"))]
    NotDeployed { service: String },

    #[error("nothing of `{profile}` runs on and on")]
    #[diagnostic(code(coracle::restart::nothing), help("`coracle status` shows what there is"))]
    Nothing { profile: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::RunsOnce { .. } => Kind::Request,
            Self::NotDeployed { .. } | Self::Nothing { .. } => Kind::Absent,
        }
    }
}

pub(crate) async fn restart(session: &Session, global: &Global, flags: &args::Restart) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let chosen: Vec<&Service> = if flags.services.is_empty() {
        profile.services.iter().filter(|service| service.deploy && adjust::kind(service).is_some()).collect()
    } else {
        profile.services.iter().filter(|service| flags.services.contains(&service.key)).collect()
    };
    if chosen.is_empty() {
        return Err(Error::Nothing { profile: profile.name.clone() }.into());
    }
    let client = target::running(session, &profile).await?.client;
    let objects = workloads(&client, &profile, &chosen, "restarted").await?;
    let json = json!({"restarted": keys(&chosen)});
    if global.dry_run {
        let text = ui::answer::lines(objects.iter().map(|object| format!("restart {}", object.title())));
        return Ok(Answer { text, json });
    }
    let mut watch = Watch::open(&client, &profile.namespace, &profile.instance).await?;
    let now = jiff::Timestamp::now();
    for object in &objects {
        adjust::restart(&client, object, now).await?;
    }
    ready(session, &mut watch, &profile, &objects, flags.waiting.timeout).await?;
    Ok(Answer { text: String::new(), json })
}

pub(crate) async fn scale(session: &Session, global: &Global, flags: &args::Scale) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    let names: Vec<String> = flags.wishes.iter().map(|(service, _)| service.clone()).collect();
    target::check_services(&profile, &names)?;
    let find = |name: &String| profile.services.iter().find(|service| service.key == *name);
    let chosen: Vec<&Service> = names.iter().filter_map(find).collect();
    let client = target::running(session, &profile).await?.client;
    let objects = workloads(&client, &profile, &chosen, "scaled").await?;
    let wishes: Vec<(&Object, u32)> = objects.iter().zip(flags.wishes.iter().map(|(_, count)| *count)).collect();
    let changes = wishes.iter().filter(|(object, count)| adjust::replicas(object) != u64::from(*count));
    let changes: Vec<&(&Object, u32)> = changes.collect();
    let scaled: serde_json::Map<_, _> = flags.wishes.iter().map(|(key, count)| (key.clone(), json!(count))).collect();
    let json = json!({"scaled": scaled});
    if global.dry_run {
        let line = |(object, count): &&(&Object, u32)| {
            format!("scale {} from {} to {count}", object.title(), adjust::replicas(object))
        };
        return Ok(Answer { text: ui::answer::lines(changes.iter().map(line)), json });
    }
    let mut watch = Watch::open(&client, &profile.namespace, &profile.instance).await?;
    for (object, count) in changes {
        adjust::scale(&client, object, *count).await?;
    }
    for (service, (_, count)) in chosen.iter().zip(&flags.wishes) {
        session.events.info(lasts(service, *count));
    }
    ready(session, &mut watch, &profile, &objects, flags.waiting.timeout).await?;
    Ok(Answer { text: String::new(), json })
}

/// Says how long the number stands.
fn lasts(service: &Service, count: u32) -> String {
    let key = &service.key;
    if count == service.replicas {
        return format!("`{key}` has the {count} of the profile");
    }
    let own = service.replicas;
    format!(
        "`{key}` has {count} until the next `coracle up`, which puts {own} back; `replicas: {count}` in the profile keeps it"
    )
}

/// Returns the live workload of each service; one that has none is the error.
async fn workloads(
    client: &kube::Client,
    profile: &Profile,
    services: &[&Service],
    verb: &'static str,
) -> Result<Vec<Object>, Failure> {
    release::check_folder(release::read(client, profile).await?.as_ref(), profile)?;
    let mut found = Vec::new();
    for service in services {
        if adjust::kind(service).is_none() {
            return Err(Error::RunsOnce { service: service.key.clone(), verb }.into());
        }
        match adjust::workload(client, profile, service).await? {
            Some(object) => found.push(object),
            None => return Err(Error::NotDeployed { service: service.key.clone() }.into()),
        }
    }
    Ok(found)
}

async fn ready(
    session: &Session,
    watch: &mut Watch,
    profile: &Profile,
    objects: &[Object],
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let awaited: Vec<_> = objects.iter().map(|object| plan::awaited(profile, object, timeout)).collect();
    Ok(watch.ready(session, &awaited).await?)
}

fn keys(services: &[&Service]) -> Vec<String> {
    services.iter().map(|service| service.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_scales_is_told_how_long_it_lasts() {
        let service = crate::deploy::manifest::tests::service("web");
        let own = service.replicas;
        assert_eq!(lasts(&service, own), format!("`web` has the {own} of the profile"));
        assert!(lasts(&service, own + 2).contains("until the next `coracle up`"));
    }
}
