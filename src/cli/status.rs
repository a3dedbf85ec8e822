//! `coracle status`: what runs, where it is reached, and the reason for what is not well.

use std::time::Duration;

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, target};
use crate::cluster::Band;
use crate::deploy::status::{self, ServiceStatus};
use crate::error::Failure;
use crate::image::engine;
use crate::image::own::HOST;
use crate::profile::Profile;
use crate::session::Session;
use crate::{ports, ui};

pub(crate) async fn status(session: &Session, global: &Global, flags: &args::Status) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    target::check_services(&profile, &flags.services)?;
    let engine = engine::connect(session).await?;
    let (mut services, band) = match target::find(session, &engine, &profile).await? {
        Ok(running) => (status::observe(&running.client, &profile).await?, running.band),
        Err(why) => {
            session.events.info(format!("Nothing runs: {why}"));
            (status::absent(&profile), Band::default())
        }
    };
    if !flags.services.is_empty() {
        services.retain(|service| flags.services.contains(&service.service));
    }
    let text = table(&profile, &services, &band, flags.wide);
    let rows: Vec<_> = services
        .iter()
        .map(|service| {
            let mut row = json!(service);
            row["urls"] = json!(urls(&profile, service, &band));
            row
        })
        .collect();
    Ok(Answer { text, json: json!({"profile": profile.name, "cluster": profile.cluster.name, "services": rows}) })
}

/// Returns a service's addresses, from the node ports that its Service has.
pub(crate) fn urls(profile: &Profile, status: &ServiceStatus, band: &Band) -> Vec<String> {
    let Some(service) = profile.services.iter().find(|service| service.key == status.service) else {
        return Vec::new();
    };
    ports::live_addresses(service, &status.node_ports, band)
}

/// Returns the part of an image's name that changes: its tag or digest, or the name where
/// somebody else chose it.
fn short(image: &str) -> String {
    let name = image.split('@').next().unwrap_or(image);
    match name.strip_prefix(HOST).and_then(|local| local.rsplit_once(':')) {
        Some((_, tag)) => tag.to_owned(),
        None => name.to_owned(),
    }
}

fn age(seconds: i64) -> String {
    ui::humane::age(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

fn table(profile: &Profile, services: &[ServiceStatus], band: &Band, wide: bool) -> String {
    let headers = ["SERVICE", "STATE", "READY", "RESTARTS", "IMAGE", "AGE", "URL"];
    let rows: Vec<Vec<String>> = services
        .iter()
        .map(|service| {
            vec![
                service.service.clone(),
                service.state.clone(),
                format!("{}/{}", service.ready, service.wanted),
                service.restarts.to_string(),
                if wide { service.image.clone() } else { short(&service.image) },
                service.age.map(age).unwrap_or_default(),
                urls(profile, service, band).join(" "),
            ]
        })
        .collect();
    let mut text = ui::table::table(&headers, &rows);
    if wide {
        text.push('\n');
        text.push_str(&pods(services));
    }
    for service in services {
        for reason in &service.reasons {
            text += &["\n", &service.service, ": ", reason, "\n"].concat();
        }
    }
    text
}

fn pods(services: &[ServiceStatus]) -> String {
    let headers = ["POD", "PHASE", "READY", "RESTARTS", "ADDRESS", "NODE"];
    let rows: Vec<Vec<String>> = services
        .iter()
        .flat_map(|service| &service.pods)
        .map(|pod| {
            let ready = if pod.ready { "yes" } else { "no" };
            let place = |place: &Option<String>| place.clone().unwrap_or_else(|| "-".to_owned());
            vec![
                pod.name.clone(),
                pod.phase.clone(),
                ready.to_owned(),
                pod.restarts.to_string(),
                place(&pod.address),
                place(&pod.node),
            ]
        })
        .collect();
    ui::table::table(&headers, &rows)
}
