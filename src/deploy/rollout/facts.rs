//! What explaining needs and objects do not say: sockets, storage classes, last log lines.
//! Best effort and bounded: an explanation without them is still one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::LogParams;

use super::super::explain::{self, Facts, LogWish, Subject, Trouble};
use super::super::listening::listening;
use super::super::request::{Resource, list};
use super::super::seen::Seen;

const AGAIN: Duration = Duration::from_secs(3);
const LOG_LINES: i64 = 20;
const LOG_BYTES: i64 = 64 * 1024;
const LOG_DEADLINE: Duration = Duration::from_secs(4);

/// Facts so far, and when they were asked for.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) facts: Facts,
    asked: BTreeMap<String, Instant>,
}

impl Gathered {
    /// Asks for what is missing, each question at most every few seconds.
    pub(super) async fn gather(
        &mut self,
        client: &kube::Client,
        docker: Option<&bollard::Docker>,
        seen: &Seen,
        subjects: &[Subject<'_>],
    ) {
        let pending = seen.all("PersistentVolumeClaim").any(|claim| claim["status"]["phase"] != "Bound");
        if pending && self.due("storage classes") {
            self.facts.storage_classes = storage_classes(client).await;
        }
        let Some(docker) = docker else { return };
        for subject in subjects {
            for (pod, node, container) in explain::wants_listening(seen, *subject) {
                if !self.due(&container) {
                    continue;
                }
                match listening(docker, &node, &container).await {
                    Some(sockets) => self.facts.listening.insert(pod, sockets),
                    None => self.facts.listening.remove(&pod),
                };
            }
        }
    }

    fn due(&mut self, question: &str) -> bool {
        let due = self.asked.get(question).is_none_or(|asked| asked.elapsed() >= AGAIN);
        if due {
            self.asked.insert(question.to_owned(), Instant::now());
        }
        due
    }
}

pub(in super::super) async fn storage_classes(client: &kube::Client) -> Option<std::collections::BTreeSet<String>> {
    let resource = Resource::known("storage.k8s.io/v1", "StorageClass")?;
    let classes = list(client, &resource, "", None).await.ok()?;
    Some(classes.iter().map(|class| class.name().to_owned()).collect())
}

/// Adds the last log lines to the first trouble that a log would tell of.
pub(super) async fn fill_logs(client: &kube::Client, namespace: &str, troubles: &mut [Trouble]) {
    for trouble in troubles.iter_mut().take(3) {
        if let Some(wish) = trouble.log.clone() {
            trouble.lines = last_lines(client, namespace, &wish).await;
        }
    }
}

async fn last_lines(client: &kube::Client, namespace: &str, wish: &LogWish) -> Vec<String> {
    let now = log(client, namespace, wish, wish.previous).await;
    if !now.is_empty() {
        return now;
    }
    // A container that has just been replaced: what it said is the other one's.
    log(client, namespace, wish, !wish.previous).await
}

async fn log(client: &kube::Client, namespace: &str, wish: &LogWish, previous: bool) -> Vec<String> {
    let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client.clone(), namespace);
    let params = LogParams {
        container: Some(wish.container.clone()),
        previous,
        tail_lines: Some(LOG_LINES),
        limit_bytes: Some(LOG_BYTES),
        ..LogParams::default()
    };
    let Ok(Ok(text)) = tokio::time::timeout(LOG_DEADLINE, pods.logs(&wish.pod, &params)).await else {
        return Vec::new();
    };
    // A log that is gone is told in its place.
    let lost = |line: &&str| !line.starts_with("unable to retrieve container logs");
    text.lines().filter(lost).map(crate::ui::sanitize::line).collect()
}
