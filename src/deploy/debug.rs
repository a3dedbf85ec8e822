//! A throw-away pod beside the services.
//!
//! Its main process reads from a lifeline: an attached input that this process holds. When this process ends,
//! however it does, the input ends, and with it the main process, the pod, and all that was started
//! in it; Kubernetes then deletes the finished job. Until the lifeline is attached, a deadline of
//! the job's does the same. It carries no instance label: `status`, `logs`, `up` and the Services do not see it.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess};
use miette::Diagnostic;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_util::task::AbortOnDropHandle;

use super::Error as DeployError;
use super::apply::delete_params;
use super::error::Words;
use super::object::{MANAGED_BY, MANAGER, Object, PROFILE, SELF};
use super::request::{Call, Fault, Resource, call, get, list};
use super::seen::{name, text};
use crate::error::{Classified, Failure, Kind, chain};
use crate::profile::Profile;
use crate::session::Session;
use crate::ui::sanitize;

/// Label: whose throw-away pod it is. Its value is the instance.
const DEBUG: &str = "coracle.dev/debug";
pub(crate) const CONTAINER: &str = "debug";
/// How long the pod may take to run.
const BEGIN: Duration = Duration::from_secs(60);
/// How long the job stands without a lifeline, in seconds.
const ALONE: u64 = 120;
/// How long it stands at most, in seconds.
const LONGEST: u64 = 12 * 3600;
/// How often something goes through the lifeline, so that nobody between takes it for dead.
const BEAT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const GONE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("there is no namespace `{namespace}` for the pod yet")]
    #[diagnostic(code(coracle::debug::no_namespace), help("`coracle up` makes it, with all that the profile says"))]
    NoNamespace { namespace: String },

    #[error("the throw-away pod of image `{image}` does not run")]
    #[diagnostic(
        code(coracle::debug::not_running),
        help("the image needs `cat`, and a shell or the command; `--image busybox:latest` has both")
    )]
    NotRunning { image: String, source: Words },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoNamespace { .. } => Kind::Absent,
            Self::NotRunning { .. } => Kind::Work,
        }
    }
}

/// A throw-away pod that lives as long as this value.
pub(crate) struct Guest {
    pub(crate) pod: String,
    job: Object,
    client: kube::Client,
    _lifeline: AbortOnDropHandle<()>,
}

impl Guest {
    /// Starts the pod. `reference` is what the nodes have the image as, `image` what the user calls it.
    pub(crate) async fn start(
        session: &Session,
        client: &kube::Client,
        profile: &Profile,
        (image, reference): (&str, &str),
        suffix: &str,
    ) -> Result<Self, Failure> {
        let body = job(profile, reference, suffix);
        let job = match call(client, &jobs().path(&profile.namespace), Call::Create(&body)).await {
            Ok(made) => jobs().of(made),
            Err(Fault::Api(status)) if status.code == 404 => {
                return Err(Error::NoNamespace { namespace: profile.namespace.clone() }.into());
            }
            Err(fault) => return Err(fault.into_error("the throw-away pod").into()),
        };
        match Self::attach(session, client, &job, image).await {
            Ok((pod, lifeline)) => Ok(Self { pod, job, client: client.clone(), _lifeline: lifeline }),
            Err(failure) => {
                // Without a lifeline its deadline would take it as well, only later.
                drop(delete(client, &job).await);
                Err(failure)
            }
        }
    }

    async fn attach(
        session: &Session,
        client: &kube::Client,
        job: &Object,
        image: &str,
    ) -> Result<(String, AbortOnDropHandle<()>), Failure> {
        let pod = tokio::select! {
            pod = running(client, job, image) => pod?,
            () = session.cancel.cancelled() => return Err(Failure::interrupted("the throw-away pod is gone")),
        };
        let api = Api::<Pod>::namespaced(client.clone(), job.namespace());
        let parameters = AttachParams::default().container(CONTAINER).stdin(true).stdout(true).stderr(false);
        let what = || "attaching to the throw-away pod".to_owned();
        let process = match tokio::time::timeout(BEGIN, api.attach(&pod, &parameters)).await {
            Ok(Ok(process)) => process,
            Ok(Err(error)) => return Err(DeployError::Api { what: what(), source: Words::new(&chain(&error)) }.into()),
            Err(_) => return Err(DeployError::NoAnswer { what: what(), seconds: BEGIN.as_secs() }.into()),
        };
        let lifeline = AbortOnDropHandle::new(tokio::spawn(beat(process)));
        let longer = json!({"metadata": {"uid": job.uid()}, "spec": {"activeDeadlineSeconds": LONGEST}});
        let path = jobs().path(job.namespace());
        let patched = call(client, &path, Call::Merge(job.name(), &longer)).await;
        patched.map_err(|fault| fault.into_error("the throw-away pod"))?;
        Ok((pod, lifeline))
    }

    /// Deletes the pod. Whatever goes wrong, the end of the lifeline does the same.
    pub(crate) async fn end(self) -> Result<(), DeployError> {
        delete(&self.client, &self.job).await
    }
}

/// Holds the lifeline until it is dropped or breaks.
async fn beat(mut process: AttachedProcess) {
    let Some(mut input) = process.stdin() else { return };
    while input.write_all(b"\n").await.is_ok() {
        tokio::time::sleep(BEAT).await;
    }
}

fn jobs() -> Resource {
    Resource::known("batch/v1", "Job").expect("the table of known kinds has Job")
}

fn job(profile: &Profile, reference: &str, suffix: &str) -> Value {
    let name = format!("debug-{suffix}");
    let labels = json!({MANAGED_BY: MANAGER, PROFILE: profile.name, DEBUG: profile.instance});
    let env: Vec<Value> =
        variables(profile).iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": profile.namespace,
            "labels": labels,
            "annotations": {SELF: format!("batch/Job/{}/{name}", profile.namespace)},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": ALONE,
            "ttlSecondsAfterFinished": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "automountServiceAccountToken": false,
                    // They would set REDIS_PORT to something else than a port.
                    "enableServiceLinks": false,
                    "containers": [{
                        "name": CONTAINER,
                        "image": reference,
                        "imagePullPolicy": "Never",
                        "command": ["cat"],
                        "stdin": true,
                        "stdinOnce": true,
                        "env": env,
                    }],
                },
            },
        },
    })
}

/// Returns `REDIS_HOST`, `REDIS_PORT` and `REDIS_URL` for a service `redis`, and so on for each that has ports.
pub(crate) fn variables(profile: &Profile) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for service in profile.services.iter().filter(|service| service.deploy) {
        let Some(port) = service.ports.first() else { continue };
        let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
        let key: String = service.key.chars().map(letter).collect();
        let (host, port) = (&service.service_name, port.port);
        variables.push((format!("{key}_HOST"), host.clone()));
        variables.push((format!("{key}_PORT"), port.to_string()));
        let scheme = if crate::ports::speaks_http_first(service) { "http" } else { "tcp" };
        let rest = if (scheme, port) == ("http", 80) { String::new() } else { format!(":{port}") };
        variables.push((format!("{key}_URL"), format!("{scheme}://{host}{rest}")));
    }
    variables
}

/// Waits until the job's pod runs; returns its name.
async fn running(client: &kube::Client, job: &Object, image: &str) -> Result<String, Failure> {
    let resource = Resource::known("v1", "Pod").expect("the table of known kinds has Pod");
    let selector = format!("batch.kubernetes.io/job-name={}", job.name());
    let start = Instant::now();
    loop {
        let pods = list(client, &resource, job.namespace(), Some(&selector)).await?;
        let why = match pods.first() {
            Some(Object(pod)) if pod["status"]["phase"] == "Running" => return Ok(name(pod).to_owned()),
            Some(Object(pod)) => fault(pod),
            None => None,
        };
        let late = start.elapsed() > BEGIN;
        if let Some(why) = why.or_else(|| late.then(|| format!("it did not start within {} s", BEGIN.as_secs()))) {
            return Err(Error::NotRunning { image: sanitize::line(image), source: Words::new(&why) }.into());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Returns why the pod will not run.
fn fault(pod: &Value) -> Option<String> {
    let state = &pod["status"]["containerStatuses"][0]["state"];
    let waiting = text(&state["waiting"]["reason"]);
    let said = match &state["terminated"] {
        Value::Null if waiting.contains("Err") || waiting.contains("BackOff") || waiting == "InvalidImageName" => {
            text(&state["waiting"]["message"])
        }
        Value::Null => return (pod["status"]["phase"] == "Failed").then(|| text(&pod["status"]["message"]).to_owned()),
        ended => text(&ended["message"]),
    };
    Some(if said.is_empty() { "it ended at once".to_owned() } else { said.to_owned() })
}

async fn delete(client: &kube::Client, job: &Object) -> Result<(), DeployError> {
    match call(client, &jobs().path(job.namespace()), Call::Delete(job.name(), &delete_params(job.uid()))).await {
        Ok(_) => Ok(()),
        Err(Fault::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(fault) => Err(fault.into_error("the throw-away pod")),
    }
}

/// Deletes every throw-away pod of the instance, and waits until they are gone.
pub(crate) async fn remove_all(client: &kube::Client, profile: &Profile) -> Result<(), DeployError> {
    let selector = format!("{DEBUG}={}", profile.instance);
    let found = list(client, &jobs(), &profile.namespace, Some(&selector)).await?;
    let ours = |job: &&Object| job.annotation(SELF) == Some(job.identity().as_str());
    for job in found.iter().filter(ours) {
        delete(client, job).await?;
        let start = Instant::now();
        while get(client, &jobs(), job.namespace(), job.name()).await?.is_some_and(|now| now.uid() == job.uid()) {
            if start.elapsed() > GONE {
                let source = Words::new("its pod may be held by a finalizer");
                return Err(DeployError::StillThere {
                    what: format!("{} is", job.title()),
                    seconds: GONE.as_secs(),
                    source,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::service;
    use super::super::object::INSTANCE;
    use super::super::testing::{Server, profile};
    use super::*;

    #[test]
    fn the_pod_ends_with_its_input_and_is_nobody_elses() {
        let job = job(&profile(), "coracle.local/shop/debug:1", "abc");
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["stdinOnce"], true);
        assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 0);
        // No Service selects it, and no plan prunes it.
        assert!(job["metadata"]["labels"][INSTANCE].is_null());
        assert!(job["spec"]["template"]["metadata"]["labels"][INSTANCE].is_null());
        assert_eq!(Object(job.clone()).annotation(SELF), Some(Object(job).identity().as_str()));
    }

    #[test]
    fn names_of_services_become_variables() {
        let mut profile = profile();
        profile.services = vec![service("web-1")];
        let names: Vec<String> = variables(&profile).into_iter().map(|(name, _)| name).collect();
        assert!(names.is_empty() || names == ["WEB_1_HOST", "WEB_1_PORT", "WEB_1_URL"], "{names:?}");
    }

    #[test]
    fn a_pod_that_cannot_run_says_why() {
        let waiting = |reason: &str| json!({"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "no cat"}}}]}});
        assert_eq!(fault(&waiting("ContainerCreating")), None);
        assert_eq!(fault(&waiting("RunContainerError")).as_deref(), Some("no cat"));
        let ended = json!({"status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}});
        assert_eq!(fault(&ended).as_deref(), Some("it ended at once"));
    }

    #[tokio::test]
    async fn only_what_names_itself_is_removed() {
        let mut ours = job(&profile(), "x", "abc");
        ours["metadata"]["uid"] = "u".into();
        let mut copy = ours.clone();
        copy["metadata"]["name"] = "debug-copy".into();
        let server = Server::new(vec![(200, json!({"items": [ours, copy]})), (200, json!({}))]);
        remove_all(&server.client(), &profile()).await.unwrap();
        let lines = server.lines().await;
        assert_eq!(lines.iter().filter(|line| line.starts_with("DELETE")).count(), 1, "{lines:?}");
        assert!(lines[1].contains("/jobs/debug-abc"), "{lines:?}");
    }
}
