//! Waiting for a cluster: its nodes' containerd, its API server, its nodes' readiness.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use tokio::time::Instant;

use super::error::Words;
use super::{Error, kubeconfig, making, node};
use crate::error::chain;
use crate::image::engine::Engine;
use crate::session::Session;

const AGAIN: Duration = Duration::from_millis(200);
/// How long one question to an API server may take.
const ANSWER: Duration = Duration::from_secs(3);
/// How long nodes may take until their containerd answers: the node image may be pulled first.
const NODES_UP: Duration = Duration::from_secs(600);

/// How long an API server may take that should be there: that of a machine that has just come
/// up takes about 20 s.
const ANSWERING: Duration = Duration::from_secs(60);
/// When it is said that it is waited for.
const SILENT: Duration = Duration::from_secs(3);

/// What a wait needs to know for its messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) cluster: &'a str,
    pub(super) time: Duration,
    pub(super) help: &'a str,
}

impl Patience<'_> {
    /// Asks again and again until the answer is `Ok`; `Err` says what is missing: for what it
    /// waits, and its last words.
    async fn until<T>(
        &self,
        session: &Session,
        mut ask: impl AsyncFnMut() -> Result<T, (String, String)>,
    ) -> Result<T, Error> {
        let end = Instant::now() + self.time;
        loop {
            let (what, last) = tokio::select! {
                () = session.cancel.cancelled() => return Err(self.interrupted()),
                answer = ask() => match answer {
                    Ok(value) => return Ok(value),
                    Err(missing) => missing,
                },
            };
            if Instant::now() >= end {
                return Err(Error::NotUp {
                    name: self.cluster.to_owned(),
                    what,
                    seconds: self.time.as_secs(),
                    help: self.help.to_owned(),
                    last: Words::new(&last),
                });
            }
            tokio::select! {
                () = session.cancel.cancelled() => return Err(self.interrupted()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted { stands: format!("cluster `{}` was still coming up", self.cluster) }
    }
}

/// Returns the cluster's nodes as soon as `count` of them run and their containerd answers, so
/// that images can be loaded while Kubernetes is still being set up. Meant to run beside
/// [`super::Provider::create`]: nodes count once this process has begun the creation, or
/// another has ended it, so that those which a killed run left are not taken for new ones. It
/// ends by itself only after ten minutes, so drop it when the creation fails.
pub(crate) async fn nodes_up(session: &Session, engine: &Engine, name: &str, count: u32) -> Result<Vec<String>, Error> {
    let patience = Patience { cluster: name, time: NODES_UP, help: "`docker ps -a` shows its nodes" };
    let wanted = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
    patience
        .until(session, async || {
            let up = |last: String| ("its nodes to run".to_owned(), last);
            let nodes = node::nodes(engine, Some(name)).await.map_err(|error| up(error.to_string()))?;
            if !making::begun(name) && !is_whole(engine, &nodes).await {
                return Err(up("its creation has not begun".to_owned()));
            }
            let running: Vec<String> =
                nodes.into_iter().filter(|node| node.ours && node.running).map(|node| node.name).collect();
            if running.len() < wanted {
                return Err(up(format!("{} of {wanted} nodes run", running.len())));
            }
            for node in &running {
                if let Err(error) = containerd_answers(engine, node).await {
                    return Err((format!("containerd in node `{node}`"), error));
                }
            }
            Ok(running)
        })
        .await
}

async fn is_whole(engine: &Engine, nodes: &[node::Node]) -> bool {
    match super::control_plane(nodes) {
        Some(first) => node::is_ready(engine, &first.name).await.unwrap_or(false),
        None => false,
    }
}

async fn containerd_answers(engine: &Engine, node: &str) -> Result<(), String> {
    let argv = ["ctr", "version"].map(str::to_owned);
    let ran = engine.exec(node, argv.into(), ANSWER).await.map_err(|error| error.to_string())?;
    if ran.code == 0 { Ok(()) } else { Err(ran.words) }
}

/// Returns once the API server of a running cluster has answered, whatever it said.
pub(super) async fn answering(session: &Session, cluster: &str) -> Result<(), Error> {
    let help = format!(
        "`docker logs {cluster}-control-plane` shows what its node says; `coracle cluster stop` and \
                        `coracle cluster start` begin anew"
    );
    let waiting = api(session, Patience { cluster, time: ANSWERING, help: &help });
    tokio::pin!(waiting);
    if let Ok(client) = tokio::time::timeout(SILENT, &mut waiting).await {
        return client.map(drop);
    }
    session.events.info(format!("waits for the API server of cluster `{cluster}`, which does not answer yet"));
    waiting.await.map(drop)
}

/// Waits until the API server answers that it is ready. Nodes need not be.
pub(super) async fn api(session: &Session, patience: Patience<'_>) -> Result<kube::Client, Error> {
    let client = kubeconfig::client(session, patience.cluster).await?;
    patience
        .until(session, async || {
            let request = http_get("/readyz");
            let missing = |last: String| ("its API server".to_owned(), last);
            match tokio::time::timeout(ANSWER, client.request_text(request)).await {
                Ok(Ok(_)) => Ok(()),
                // It is there, and will not change its mind about this kubeconfig.
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403) => Ok(()),
                Ok(Err(error)) => Err(missing(chain(&error))),
                Err(_) => Err(missing(format!("no answer within {} s", ANSWER.as_secs()))),
            }
        })
        .await?;
    Ok(client)
}

fn http_get(path: &str) -> hyper::Request<Vec<u8>> {
    hyper::Request::get(path).body(Vec::new()).expect("a plain path makes a request")
}

/// Waits until `count` nodes have reported that they are ready, and did so after `since`: what
/// a stopped cluster last said of its nodes is still there when it starts.
pub(super) async fn nodes_ready(
    session: &Session,
    client: &kube::Client,
    count: usize,
    since: Timestamp,
    patience: Patience<'_>,
) -> Result<(), Error> {
    let nodes: kube::Api<Node> = kube::Api::all(client.clone());
    patience
        .until(session, async || {
            let all = |last: String| ("its nodes to be ready".to_owned(), last);
            let list = tokio::time::timeout(ANSWER, nodes.list(&kube::api::ListParams::default())).await;
            let list = list.map_err(|_| all(format!("no answer within {} s", ANSWER.as_secs())))?;
            let list = list.map_err(|error| all(error.to_string()))?.items;
            if list.len() < count {
                return Err(all(format!("{} of {count} nodes are known", list.len())));
            }
            let unready = list.iter().find_map(|node| {
                let missing = unready(node, since)?;
                let name = node.metadata.name.clone().unwrap_or_default();
                Some((format!("node `{name}` to be ready"), missing))
            });
            unready.map_or(Ok(()), Err)
        })
        .await
}

/// Returns why a node is not ready; a heartbeat before `since` is not believed.
fn unready(node: &Node, since: Timestamp) -> Option<String> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition.type_ == "Ready"));
    let Some(ready) = ready else { return Some("it has not reported yet".to_owned()) };
    if ready.status != "True" {
        return Some(ready.message.clone().unwrap_or_else(|| "it is not ready".to_owned()));
    }
    let fresh = ready.last_heartbeat_time.as_ref().is_some_and(|time| time.0 >= since);
    (!fresh).then(|| "it has not reported since the start".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(status: &str, heartbeat: &str) -> Node {
        serde_json::from_value(serde_json::json!({"status": {"conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": status, "message": "says the kubelet", "lastHeartbeatTime": heartbeat},
        ]}}))
        .unwrap()
    }

    #[test]
    fn a_node_is_ready_once_it_says_so_anew() {
        let since: Timestamp = "2026-03-01T14:00:00Z".parse().unwrap();
        assert_eq!(unready(&node("True", "2026-03-01T14:00:05Z"), since), None);
        assert_eq!(unready(&node("False", "2026-03-01T14:00:05Z"), since).as_deref(), Some("says the kubelet"));
        let stale = unready(&node("True", "2026-03-01T13:59:00Z"), since);
        assert_eq!(stale.as_deref(), Some("it has not reported since the start"));
        assert_eq!(unready(&Node::default(), since).as_deref(), Some("it has not reported yet"));
    }

    /// A machine that has just come up: the node runs, its API server does not answer yet.
    #[tokio::test]
    async fn an_api_server_that_comes_up_is_waited_for_and_said_so_once() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let state = tempfile::tempdir().unwrap();
        let (session, mut events) = crate::cluster::tests::session(state.path());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let path = crate::cluster::kubeconfig_path(&session, "shop");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!(
            "clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n\
             contexts: [{{name: kind-shop, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(path, text).unwrap();
        let server = tokio::spawn(async move {
            tokio::time::sleep(SILENT + Duration::from_millis(300)).await;
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let count = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(count > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        });
        answering(&session, "shop").await.unwrap();
        server.await.unwrap();
        drop(session);
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            told.push(event);
        }
        let [crate::event::Event::Notice { text, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(text, "waits for the API server of cluster `shop`, which does not answer yet");
    }
}
