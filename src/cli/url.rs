//! `coracle url`: where services are reached.

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, status, target};
use crate::deploy;
use crate::error::{Classified, Failure, Kind};
use crate::profile::Expose;
use crate::session::Session;
use crate::ui;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Error {
    #[error("service `{service}` is not deployed")]
    #[diagnostic(code(coracle::url::not_deployed), help("`coracle up` deploys it and prints its URL"))]
    NotDeployed { service: String },

    #[error("service `{service}` is reached only from inside the cluster")]
    #[diagnostic(code(coracle::url::inside), help("it has {why}; inside the cluster its name is `{host}`"))]
    Inside { service: String, host: String, why: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotDeployed { .. } => Kind::Absent,
            Self::Inside { .. } => Kind::Request,
        }
    }
}

pub(crate) async fn url(session: &Session, global: &Global, flags: &args::Url) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    let asked: Vec<String> = flags.service.iter().cloned().collect();
    target::check_services(&profile, &asked)?;
    let running = target::running(session, &profile).await?;
    let services = deploy::status::observe(&running.client, &profile).await?;
    let found: Vec<_> =
        services.iter().map(|service| (service, status::urls(&profile, service, &running.band))).collect();
    let json: Vec<_> = found.iter().map(|(service, urls)| json!({"service": service.service, "urls": urls})).collect();
    let Some(name) = &flags.service else {
        let rows = found.iter().filter(|(_, urls)| !urls.is_empty());
        let rows: Vec<Vec<String>> =
            rows.map(|(service, urls)| vec![service.service.clone(), urls.join("  ")]).collect();
        return Ok(Answer { text: ui::table::lines(&rows), json: json!(json) });
    };
    match found.iter().find(|(service, _)| service.service == *name) {
        Some((_, urls)) if !urls.is_empty() => {
            Ok(Answer { text: ui::answer::lines(urls), json: json!({"service": name, "urls": urls}) })
        }
        Some((service, _)) if service.state != "absent" => {
            let service = profile.services.iter().find(|service| service.key == *name).expect("it was checked above");
            let why = if service.ports.is_empty() && !service.ports_from_image {
                "no ports"
            } else if service.expose == Expose::Cluster {
                "`expose: cluster`"
            } else {
                "no node port that reaches this machine"
            };
            Err(Error::Inside { service: name.clone(), host: service.service_name.clone(), why: why.to_owned() }.into())
        }
        _ => Err(Error::NotDeployed { service: name.clone() }.into()),
    }
}
