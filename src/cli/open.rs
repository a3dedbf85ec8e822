//! `coracle open`: a service's URL in the browser.

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, status, target};
use crate::error::{Classified, Failure, Kind};
use crate::session::Session;
use crate::{browser, deploy};

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum Error {
    #[error("{what} has no URL to open")]
    #[diagnostic(code(coracle::open::no_url), help("`coracle status` shows what runs, and where it is reached"))]
    NoUrl { what: String },

    #[error("{url} could not be opened: {why}")]
    #[diagnostic(code(coracle::open::no_browser), help("open it yourself; `coracle url` prints it"))]
    NoBrowser { url: String, why: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Absent
    }
}

pub(crate) async fn open(session: &Session, global: &Global, flags: &args::Open) -> Result<Answer, Failure> {
    let profile = target::profile(session, global)?;
    let asked: Vec<String> = flags.service.iter().cloned().collect();
    target::check_services(&profile, &asked)?;
    let running = target::running(session, &profile).await?;
    let services = deploy::status::observe(&running.client, &profile).await?;
    let wanted = services.iter().filter(|service| asked.is_empty() || asked.contains(&service.service));
    let urls = wanted.flat_map(|service| status::urls(&profile, service, &running.band));
    let Some(url) = urls.into_iter().find(|url| url.starts_with("http")) else {
        let what =
            flags.service.as_ref().map_or_else(|| format!("`{}`", profile.name), |name| format!("service `{name}`"));
        return Err(Error::NoUrl { what }.into());
    };
    if !global.dry_run {
        let opened = browser::open(&url, &session.cancel).await;
        opened.map_err(|why| Error::NoBrowser { url: url.clone(), why })?;
    }
    Ok(Answer { json: json!({"url": url}), text: url })
}
