//! `coracle down`: removes what the profile made; volumes stay unless they are asked for.

use std::collections::BTreeSet;

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, ask, target};
use crate::deploy::object::Object;
use crate::deploy::{debug, live, release, remove};
use crate::error::Failure;
use crate::image::engine;
use crate::session::Session;
use crate::ui;

pub(crate) async fn down(session: &Session, global: &Global, flags: &args::Down) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    let engine = engine::connect(session).await?;
    let running = match target::find(session, &engine, &profile).await? {
        Ok(running) => running,
        Err(why @ target::Error::NotRunning { stands: true, .. }) => return Err(why.into()),
        Err(why) => {
            session.events.info(format!("Nothing to remove: {why}"));
            return Ok(Answer { text: String::new(), json: json!({"removed": []}) });
        }
    };
    let client = &running.client;
    let _lock = if global.dry_run { None } else { Some(target::lock(session, &profile, "down").await?) };
    let observed = live::observe(client, &profile, &BTreeSet::new()).await?;
    release::check_folder(observed.inventory.as_ref(), &profile)?;

    let (claims, mut objects): (Vec<Object>, Vec<Object>) =
        observed.objects.into_iter().partition(|object| object.kind() == "PersistentVolumeClaim");
    let volumes = flags.volumes && !claims.is_empty();
    if volumes && !global.dry_run {
        let list: Vec<_> = claims.iter().map(|claim| format!("  {}", claim.name())).collect();
        let question = format!("These volumes and all that is on them are deleted:\n{}\nDelete them?", list.join("\n"));
        ask::confirm(session, global, &question).await?;
    }
    if volumes {
        objects.extend(claims.iter().cloned());
    }
    let titles: Vec<String> = objects.iter().map(Object::title).collect();
    let json = json!({"removed": titles, "kept": if volumes { Vec::new() } else { claims.iter().map(Object::title).collect() }});
    if global.dry_run {
        return Ok(Answer { text: ui::answer::lines(titles.iter().map(|title| format!("remove {title}"))), json });
    }
    remove::remove(session, client, &profile, &objects).await?;
    debug::remove_all(client, &profile).await?;
    remove::remove_inventory(client, &profile).await?;
    remove::remove_namespace(session, client, &profile).await?;
    if titles.is_empty() {
        session.events.info(format!("Nothing to remove: `{}` is not here", profile.name));
    } else if !volumes && !claims.is_empty() {
        let names: Vec<_> = claims.iter().map(Object::name).collect();
        session.events.info(format!("Volumes stay: {} (`coracle down --volumes` deletes them)", names.join(", ")));
    }
    Ok(Answer { text: String::new(), json })
}
