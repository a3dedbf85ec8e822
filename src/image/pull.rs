//! Images that are pulled, not built: fetched by the engine if absent, and tagged by content.
//!
//! The engine pulls; this asks with the user's credentials, tells how far it is, and says
//! which of the many "no" of registries it was.

use std::collections::BTreeMap;
use std::fmt::Display;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use miette::Diagnostic;

use super::Error;
use super::credentials::{self, Account};
use super::engine::{Engine, cause_of, is_disk_full};
use super::error::Cause;
use crate::error::{Classified, Kind};
use crate::event::{Progress, Subject, Unit};
use crate::session::Session;
use crate::ui::sanitize;

/// An image that could not be had from its registry.
#[derive(Debug, thiserror::Error)]
#[error("{subject}")]
pub(crate) struct PullFailed {
    /// A whole sentence: what could not be done.
    subject: String,
    image: String,
    registry: String,
    /// "logged in as `ann`".
    account: String,
    pub(crate) reason: Reason,
    #[source]
    cause: Cause,
}

/// Why a registry did not give an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    NotFound,
    WrongPlatform,
    Unauthorised,
    TooMany,
    Unreachable,
    Other,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::WrongPlatform => "wrong_platform",
            Self::Unauthorised => "unauthorised",
            Self::TooMany => "too_many_pulls",
            Self::Unreachable => "registry_unreachable",
            Self::Other => "pull_failed",
        }
    }

    fn help(self, image: &str, registry: &str, account: &str) -> String {
        match self {
            Self::NotFound => format!("check the name and the tag of `{image}`; registry `{registry}` has none such"),
            Self::WrongPlatform => format!("`{image}` is not made for this engine's processor; choose another tag"),
            Self::Unauthorised => format!(
                "at registry `{registry}`, {account}: check the name, or log in with `docker login {registry}` as one \
                 who may read it"
            ),
            Self::TooMany => format!("at registry `{registry}`, {account}: wait, or `docker login {registry}`"),
            Self::Unreachable => format!(
                "see that this machine is online and registry `{registry}` can be reached from the engine; images that \
                 are already here need no network"
            ),
            Self::Other => format!("`docker pull {image}` asks the same"),
        }
    }
}

impl Diagnostic for PullFailed {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(format!("coracle::image::{}", self.reason.name())))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(self.reason.help(&self.image, &self.registry, &self.account)))
    }
}

impl Classified for PullFailed {
    fn kind(&self) -> Kind {
        match self.reason {
            Reason::Unauthorised => Kind::Refused,
            Reason::NotFound | Reason::WrongPlatform | Reason::TooMany | Reason::Unreachable => Kind::Absent,
            Reason::Other => Kind::Work,
        }
    }
}

/// Returns the error of a registry's words.
pub(super) fn failed(subject: String, image: &str, account: &Account, text: &str) -> PullFailed {
    PullFailed {
        subject,
        image: image.to_owned(),
        registry: super::reference::registry_of(image),
        account: account.described(),
        reason: classify(text),
        cause: Cause::new(text.trim_start_matches("failed to solve: ")),
    }
}

/// Tells a registry's many words for "no" apart.
fn classify(text: &str) -> Reason {
    let text = text.to_ascii_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    if says(&["toomanyrequests", "rate limit", "429 too many"]) {
        Reason::TooMany
    } else if says(&[
        "no such host",
        "dial tcp",
        "i/o timeout",
        "connection refused",
        "handshake timeout",
        "network is unreachable",
        "name resolution",
        "server misbehaving",
        "proxyconnect",
        "request canceled while waiting",
        "deadline exceeded",
        "x509:",
        "tls:",
    ]) {
        Reason::Unreachable
    } else if says(&["no matching manifest", "no match for platform", "does not match the specified platform"]) {
        Reason::WrongPlatform
    } else if says(&[
        "unauthorized",
        "authentication required",
        "access denied",
        "denied:",
        "forbidden",
        "no basic auth",
    ]) {
        Reason::Unauthorised
    } else if says(&["manifest unknown", "not found", "name unknown", "does not exist"]) {
        Reason::NotFound
    } else {
        Reason::Other
    }
}

/// Has the engine pull `reference` for the engine's platform, with the credentials that
/// Docker has for its registry.
pub(crate) async fn pull(session: &Session, engine: &Engine, reference: &str) -> Result<(), Error> {
    tokio::select! {
        done = run(session, engine, reference) => done,
        () = session.cancel.cancelled() => Err(Error::Cancelled { what: format!("the pull of `{reference}`") }),
    }
}

async fn run(session: &Session, engine: &Engine, reference: &str) -> Result<(), Error> {
    let registry = super::reference::registry_of(reference);
    let account = credentials::lookup(&session.surroundings, &registry).await?;
    let architecture = engine.architecture().await?;
    let options = CreateImageOptionsBuilder::default()
        .from_image(&whole(reference))
        .platform(&format!("linux/{architecture}"))
        .build();
    // The time limit of bollard is for the first answer only, and a registry may be slow.
    let docker = engine.docker.clone().with_timeout(std::time::Duration::from_secs(3600));
    let mut stream = std::pin::pin!(docker.create_image(Some(options), None, account.for_bollard(&registry)));
    let subject = Subject::Pull { image: reference.to_owned() };
    let mut layers = Layers::default();
    let mut failure = None;
    // Errors come as items, and the stream is read to its end so that the last one counts.
    while let Some(item) = stream.next().await {
        match item {
            Ok(info) => {
                if let Some(message) = info.error_detail.as_ref().and_then(|detail| detail.message.clone()) {
                    failure = Some(bollard::errors::Error::DockerStreamError { error: message });
                } else if let Some(progress) = layers.hear(&info) {
                    session.events.progress(&subject, progress);
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    let Some(error) = failure else { return Ok(()) };
    let text = cause_of(&error);
    let said = matches!(
        error,
        bollard::errors::Error::DockerResponseServerError { .. } | bollard::errors::Error::DockerStreamError { .. }
    );
    if said && !is_disk_full(&text) {
        let subject = format!("image `{}` could not be pulled", sanitize::line(reference));
        return Err(Box::new(failed(subject, reference, &account, &text)).into());
    }
    // A good pull may end in a broken stream; the image itself tells.
    if !said && engine.local_images(&[reference.to_owned()]).await.is_ok_and(|images| !images.is_empty()) {
        return Ok(());
    }
    Err(engine.failed(format!("the pull of image `{reference}`"), &error).await)
}

/// Returns a reference with its tag: without one the engine would pull every tag.
fn whole(reference: &str) -> String {
    if reference.contains('@') {
        return reference.to_owned();
    }
    let (repository, tag) = super::reference::repository_and_tag(reference);
    format!("{repository}:{tag}")
}

/// Bytes of each layer: done and total.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    /// Takes a line of the engine's in; returns how far it all is, if that changed.
    fn hear(&mut self, info: &CreateImageInfo) -> Option<Progress> {
        let status = info.status.as_deref()?;
        let layer = info.id.clone()?;
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        match status {
            "Downloading" => {
                let detail = info.progress_detail.as_ref()?;
                self.0.insert(layer, (bytes(detail.current), bytes(detail.total)));
            }
            "Download complete" | "Pull complete" => {
                let part = self.0.get_mut(&layer)?;
                part.0 = part.1;
            }
            "Extracting" => {}
            _ => return None,
        }
        let (done, total) = self.0.values().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let detail = if status == "Extracting" { "unpacking" } else { "downloading" };
        Some(Progress { done, total: (total > 0).then_some(total), unit: Unit::Bytes, detail: detail.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_no_of_a_registry_is_told_apart() {
        let cases = [
            ("manifest for python:nope not found: manifest unknown: manifest unknown", Reason::NotFound),
            ("failed to resolve reference \"docker.io/library/python:nope\": not found", Reason::NotFound),
            (
                "pull access denied for acme/x, repository does not exist or may require 'docker login': denied: \
                 requested access to the resource is denied",
                Reason::Unauthorised,
            ),
            ("Get \"https://ghcr.io/v2/\": unauthorized: authentication required", Reason::Unauthorised),
            (
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
                Reason::Unreachable,
            ),
            ("toomanyrequests: You have reached your unauthenticated pull rate limit.", Reason::TooMany),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries", Reason::WrongPlatform),
            ("something new", Reason::Other),
        ];
        for (text, reason) in cases {
            assert_eq!(classify(text), reason, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_registry_and_account() {
        let account = Account::Password { user: "ann".to_owned(), password: "s3cret".to_owned() };
        let error =
            failed("image `ghcr.io/a/b:1` could not be pulled".to_owned(), "ghcr.io/a/b:1", &account, "denied: no");
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(error.code().unwrap().to_string(), "coracle::image::unauthorised");
        assert_eq!(
            error.help().unwrap().to_string(),
            "at registry `ghcr.io`, logged in as `ann`: check the name, or log in with `docker login ghcr.io` as one \
             who may read it"
        );
    }

    #[test]
    fn a_reference_without_tag_is_the_latest() {
        assert_eq!(whole("redis"), "redis:latest");
        assert_eq!(whole("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(whole("a@sha256:0"), "a@sha256:0");
    }
}
