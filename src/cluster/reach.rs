//! Whether a port of this machine leads to a pod yet.
//!
//! A ready pod is not reached at once: each node's proxy takes changes in at intervals. Until
//! then the engine takes a connection and drops it, or the pod before answers.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::session::Session;

const AGAIN: Duration = Duration::from_millis(100);
/// How long a connection must hold to count as one to a pod, where nobody is to be asked.
const HOLDS: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a proxy takes changes in where its configuration says nothing.
const USUAL_INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take to write its rules then.
const WRITES: Duration = Duration::from_millis(300);

/// A port of 127.0.0.1, and how it is known to lead to a pod.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) number: u16,
    /// Any answer to a HEAD request counts; else a connection that holds.
    pub(crate) http: bool,
    /// How many times in a row: more than once where one of several pods may still be away.
    pub(crate) times: u32,
}

/// Returns how long the proxies of the cluster's nodes may go on sending to pods that were
/// replaced, as kube-proxy's own configuration says.
pub(crate) async fn proxies_lag(client: &kube::Client) -> Duration {
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client.clone(), "kube-system");
    let interval = match maps.get_opt("kube-proxy").await {
        Ok(map) => map.and_then(|map| interval(map.data?.get("config.conf")?)),
        // Who may not read it waits the usual time.
        Err(error) => {
            tracing::debug!(%error, "kube-proxy's configuration could not be read");
            None
        }
    };
    interval.unwrap_or(USUAL_INTERVAL) + WRITES
}

/// Returns the interval of the mode that a kube-proxy configuration names.
fn interval(config: &str) -> Option<Duration> {
    let config: serde_json::Value = serde_saphyr::from_str(config).ok()?;
    let mode = config["mode"].as_str().filter(|mode| !mode.is_empty()).unwrap_or("iptables");
    let text = config[mode]["minSyncPeriod"].as_str()?;
    let milliseconds = match text.strip_suffix("ms") {
        Some(number) => number.parse().ok()?,
        None => text.strip_suffix('s')?.parse::<u64>().ok()?.checked_mul(1000)?,
    };
    // Zero is the proxy's own choice, which is the usual one.
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// Waits until the port is reached; false where that does not happen in 30 s, or the user stops it.
pub(crate) async fn wait(session: &Session, port: &Port) -> bool {
    let reached = async {
        let mut in_a_row = 0;
        while in_a_row < port.times {
            in_a_row = if is_reached(port).await { in_a_row + 1 } else { 0 };
            if in_a_row < port.times {
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    tokio::select! {
        reached = tokio::time::timeout(PATIENCE, reached) => reached.is_ok(),
        () = session.cancel.cancelled() => false,
    }
}

async fn is_reached(port: &Port) -> bool {
    let connecting = tokio::time::timeout(ANSWER, TcpStream::connect(("127.0.0.1", port.number)));
    let Ok(Ok(mut stream)) = connecting.await else { return false };
    if port.http {
        let request = b"HEAD / HTTP/1.0\r\nHost: localhost\r\nUser-Agent: coracle\r\n\r\n";
        let answer = async {
            stream.write_all(request).await?;
            stream.read(&mut [0; 64]).await
        };
        return matches!(tokio::time::timeout(ANSWER, answer).await, Ok(Ok(read)) if read > 0);
    }
    match tokio::time::timeout(HOLDS, stream.read(&mut [0])).await {
        // Nobody speaks first in most protocols: silence is a server that listens.
        Err(_) => true,
        Ok(Ok(read)) => read > 0,
        Ok(Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_own_configuration_says_how_often_it_looks() {
        let iptables = "mode: iptables\niptables:\n  minSyncPeriod: 100ms\nnftables:\n  minSyncPeriod: 2s\n";
        assert_eq!(interval(iptables), Some(Duration::from_millis(100)));
        assert_eq!(interval(&iptables.replace("mode: iptables", "mode: nftables")), Some(Duration::from_secs(2)));
        assert_eq!(interval(&iptables.replace("mode: iptables", "mode: \"\"")), Some(Duration::from_millis(100)));
        assert_eq!(interval("mode: ipvs\nipvs:\n  minSyncPeriod: 0s\n"), None);
        assert_eq!(interval("mode: iptables\niptables:\n  minSyncPeriod: 1m30s\n"), None);
        assert_eq!(interval("{"), None);
    }

    async fn port(serve: impl FnOnce(tokio::net::TcpListener) -> tokio::task::JoinHandle<()>) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        serve(listener);
        port
    }

    #[tokio::test]
    async fn a_connection_that_is_dropped_reaches_nobody() {
        let dropping = port(|listener| {
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    drop(stream);
                }
            })
        });
        let number = dropping.await;
        assert!(!is_reached(&Port { number, http: false, times: 1 }).await);
        assert!(!is_reached(&Port { number, http: true, times: 1 }).await);
        assert!(!is_reached(&Port { number: 1, http: false, times: 1 }).await, "nobody listens there");
    }

    #[tokio::test]
    async fn a_connection_that_holds_reaches_a_server() {
        let silent = port(|listener| {
            tokio::spawn(async move {
                let held = listener.accept().await;
                std::future::pending::<()>().await;
                drop(held);
            })
        });
        assert!(is_reached(&Port { number: silent.await, http: false, times: 1 }).await);
    }

    #[tokio::test]
    async fn an_answer_of_any_kind_reaches_a_web_server() {
        let refusing = port(|listener| {
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    stream.write_all(b"HTTP/1.0 501 Unsupported method\r\n\r\n").await.unwrap();
                }
            })
        });
        assert!(is_reached(&Port { number: refusing.await, http: true, times: 1 }).await);
    }
}
