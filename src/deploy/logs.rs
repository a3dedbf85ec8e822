//! Logs of services: followed across pod replacement, prefixed, sanitised.
//!
//! A container's life is followed until it ends; a new life (a restart, another pod) is followed
//! from its beginning. Lines carry the node's timestamps, so that none is sent twice.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Error;
use super::backoff::Pauses;
use super::live::selector;
use super::object::{Object, SERVICE};
use super::request::{Resource, list};
use super::seen::{name, text, uid};
use crate::profile::Profile;
use crate::session::Session;

#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Keys; empty: all.
    pub(crate) services: Vec<String>,
    pub(crate) follow: bool,
    pub(crate) previous: bool,
    pub(crate) since: Option<std::time::Duration>,
    pub(crate) tail: Option<i64>,
}

/// One line of a container's output, sanitised.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Line {
    pub(crate) service: String,
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) text: String,
}

/// Sends lines until there are no more, or with `follow` until cancelled.
pub(crate) async fn stream(
    session: &Session,
    client: &kube::Client,
    profile: &Profile,
    options: &Options,
    sink: mpsc::Sender<Line>,
) -> Result<(), Error> {
    let selector = selector_of(profile, options)?;
    let work = async {
        if options.follow && !options.previous {
            follow(client, profile, &selector, options, sink).await;
            Ok(())
        } else {
            once(client, profile, &selector, options, sink).await
        }
    };
    tokio::select! {
        result = work => result,
        () = session.cancel.cancelled() => Ok(()),
    }
}

fn selector_of(profile: &Profile, options: &Options) -> Result<String, Error> {
    let known = |key: &&String| !profile.services.iter().any(|service| service.key == **key);
    if let Some(unknown) = options.services.iter().find(known) {
        let keys: Vec<&str> = profile.services.iter().map(|service| service.key.as_str()).collect();
        return Err(Error::NoService {
            service: crate::ui::sanitize::line(unknown),
            profile: profile.name.clone(),
            known: keys.join(", "),
        });
    }
    let instance = selector(profile);
    if options.services.is_empty() {
        return Ok(instance);
    }
    Ok(format!("{instance},{SERVICE} in ({})", options.services.join(",")))
}

/// One life of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Life {
    service: String,
    pod: String,
    uid: String,
    container: String,
    restarts: i64,
}

/// Returns the containers of a pod that have, or had, something to say.
fn lives(pod: &Value) -> Vec<Life> {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let statuses = lists.iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    let started = |status: &&Value| {
        let state = &status["state"];
        state["running"].is_object() || state["terminated"].is_object() || status["lastState"]["terminated"].is_object()
    };
    let service = text(&pod["metadata"]["labels"][SERVICE]);
    statuses
        .filter(started)
        .map(|status| Life {
            service: if service.is_empty() { name(pod) } else { service }.to_owned(),
            pod: name(pod).to_owned(),
            uid: uid(pod).to_owned(),
            container: text(&status["name"]).to_owned(),
            restarts: status["restartCount"].as_i64().unwrap_or(0),
        })
        .collect()
}

async fn once(
    client: &kube::Client,
    profile: &Profile,
    selector: &str,
    options: &Options,
    sink: mpsc::Sender<Line>,
) -> Result<(), Error> {
    let resource = Resource::known("v1", "Pod").expect("the table of known kinds has Pod");
    let pods = list(client, &resource, &profile.namespace, Some(selector)).await?;
    let api = Api::<Pod>::namespaced(client.clone(), &profile.namespace);
    for life in pods.iter().flat_map(|Object(pod)| lives(pod)) {
        if options.previous && life.restarts == 0 {
            continue;
        }
        let mut last = None;
        read(&api, &life, params(&life, options, false), &mut last, &sink).await;
    }
    Ok(())
}

fn params(life: &Life, options: &Options, follow: bool) -> LogParams {
    LogParams {
        container: Some(life.container.clone()),
        follow,
        previous: options.previous,
        since_seconds: options.since.and_then(|since| i64::try_from(since.as_secs().max(1)).ok()),
        tail_lines: options.tail,
        timestamps: true,
        ..LogParams::default()
    }
}

/// Watches pods, and reads each new life of a container as it begins.
async fn follow(client: &kube::Client, profile: &Profile, selector: &str, options: &Options, sink: mpsc::Sender<Line>) {
    let api = Api::<Pod>::namespaced(client.clone(), &profile.namespace);
    let config = watcher::Config::default().labels(selector);
    let mut pods = std::pin::pin!(watcher(api.clone(), config).backoff(Pauses::default()));
    let mut newest: BTreeMap<(String, String), mpsc::UnboundedSender<Life>> = BTreeMap::new();
    let mut readers = JoinSet::new();
    let mut first = true;
    loop {
        // A watch that fails begins anew after a pause.
        let event = match pods.try_next().await {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(_) => continue,
        };
        let pod = match event {
            watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => {
                serde_json::to_value(pod).unwrap_or_default()
            }
            watcher::Event::InitDone => {
                first = false;
                continue;
            }
            watcher::Event::Delete(pod) => {
                let gone = pod.metadata.uid.unwrap_or_default();
                newest.retain(|(uid, _), _| *uid != gone);
                continue;
            }
            watcher::Event::Init => continue,
        };
        for life in lives(&pod) {
            let key = (life.uid.clone(), life.container.clone());
            let reader = newest.entry(key).or_insert_with(|| {
                let (sender, receiver) = mpsc::unbounded_channel();
                // What `--since` and `--tail` leave out is the past of what runs already.
                let past = if first { options.clone() } else { Options { follow: true, ..Options::default() } };
                readers.spawn(read_lives(api.clone(), past, receiver, sink.clone()));
                sender
            });
            drop(reader.send(life));
        }
        if sink.is_closed() {
            return;
        }
    }
}

/// Reads one container's lives, one after the other; the timestamp of the last line carries over.
async fn read_lives(
    api: Api<Pod>,
    options: Options,
    mut lives: mpsc::UnboundedReceiver<Life>,
    sink: mpsc::Sender<Line>,
) {
    let mut last = None;
    let mut read_before: Option<i64> = None;
    while let Some(life) = lives.recv().await {
        if read_before == Some(life.restarts) {
            continue;
        }
        let options =
            if read_before.is_some() { Options { follow: true, ..Options::default() } } else { options.clone() };
        read_before = Some(life.restarts);
        read(&api, &life, params(&life, &options, true), &mut last, &sink).await;
    }
}

/// Sends a log's lines that are newer than `last`; ends with the log.
async fn read(
    api: &Api<Pod>,
    life: &Life,
    params: LogParams,
    last: &mut Option<jiff::Timestamp>,
    sink: &mpsc::Sender<Line>,
) {
    let before = *last;
    // The container may be between two states for a moment.
    for attempt in 0..5_u64 {
        let Ok(reader) = api.log_stream(&life.pod, &params).await else {
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            continue;
        };
        let mut reader = std::pin::pin!(reader);
        let mut bytes = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut bytes).await {
            let raw = String::from_utf8_lossy(&bytes).into_owned();
            bytes.clear();
            let (time, text) = split(raw.trim_end_matches(['\n', '\r']));
            if time.is_some() && time <= before {
                continue;
            }
            *last = time.or(*last);
            let said = Line {
                service: life.service.clone(),
                pod: life.pod.clone(),
                container: life.container.clone(),
                text: crate::ui::sanitize::line(text),
            };
            if sink.send(said).await.is_err() {
                return;
            }
        }
        return;
    }
}

/// `2026-11-21T10:00:00.123Z text` → its time and text.
fn split(line: &str) -> (Option<jiff::Timestamp>, &str) {
    let Some((time, rest)) = line.split_once(' ') else { return (line.parse().ok(), "") };
    match time.parse() {
        Ok(time) => (Some(time), rest),
        Err(_) => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::profile;
    use super::*;

    #[test]
    fn timestamps_are_taken_off() {
        assert_eq!(split("2026-11-21T10:00:00.5Z  indented").1, " indented");
        assert_eq!(split("no time here"), (None, "no time here"));
    }

    #[test]
    fn a_restart_is_another_life() {
        let pod = |restarts: i64| {
            json!({"metadata": {"name": "web-1", "uid": "u", "labels": {SERVICE: "web"}},
                "status": {"containerStatuses": [{"name": "web", "restartCount": restarts, "state": {"running": {}}}]}})
        };
        assert_ne!(lives(&pod(0)), lives(&pod(1)));
        let waiting = json!({"metadata": {"name": "web-1"}, "status": {"containerStatuses": [{"name": "web", "state": {"waiting": {}}}]}});
        assert!(lives(&waiting).is_empty());
    }

    #[test]
    fn a_service_that_is_not_in_the_profile_is_named() {
        let options = Options { services: vec!["wbe".to_owned()], ..Options::default() };
        let error = selector_of(&profile(), &options).unwrap_err();
        assert_eq!(error.to_string(), "the cluster has no service `wbe` of profile `shop`");
    }
}
