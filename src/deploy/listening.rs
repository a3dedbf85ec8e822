//! On which ports a container really listens: read through its node, because an image may have
//! no shell to ask in.
//!
//! A kind node is a container of the engine whose name is the node's: `crictl` there knows the
//! container's process, and `/proc/PID/net/tcp` is the pod's. Best effort: no answer is no fact.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt as _;

const DEADLINE: Duration = Duration::from_secs(4);
/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// One listening TCP socket of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Socket {
    pub(crate) port: u16,
    /// Reachable from inside the pod only.
    pub(crate) loopback: bool,
}

/// Asks the node for the listening sockets of a container (`containerd://…` or a bare ID).
pub(crate) async fn listening(docker: &bollard::Docker, node: &str, container: &str) -> Option<Vec<Socket>> {
    let id = container.rsplit('/').next().unwrap_or(container);
    // The ID is the API server's, and still only letters and digits may become an argument.
    if id.is_empty() || !id.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        return None;
    }
    tokio::time::timeout(DEADLINE, ask(docker, node, id)).await.ok()?
}

async fn ask(docker: &bollard::Docker, node: &str, id: &str) -> Option<Vec<Socket>> {
    // Plain JSON: not every `crictl` has templates.
    let inspected = exec(docker, node, &["crictl", "inspect", id]).await?;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).ok()?;
    let pid = inspected["info"]["pid"].as_u64()?;
    let tables = [format!("/proc/{pid}/net/tcp"), format!("/proc/{pid}/net/tcp6")];
    let text = exec(docker, node, &["cat", &tables[0], &tables[1]]).await?;
    // An answer has at least the tables' heads; without them the container was gone.
    text.contains("local_address").then(|| parse_proc_net(&text))
}

async fn exec(docker: &bollard::Docker, node: &str, argv: &[&str]) -> Option<String> {
    let options = CreateExecOptions {
        cmd: Some(argv.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(false),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(node, options).await.ok()?;
    let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec.id, None).await.ok()? else {
        return None;
    };
    let mut bytes = Vec::new();
    while let Some(part) = output.next().await {
        bytes.extend_from_slice(&part.ok()?.into_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the listening sockets of `/proc/net/tcp` and `tcp6`, each once, by port.
pub(crate) fn parse_proc_net(text: &str) -> Vec<Socket> {
    let mut sockets: Vec<Socket> = text.lines().filter_map(parse_line).collect();
    sockets.sort_unstable();
    sockets.dedup();
    // One that is also open to everybody is open.
    let open: Vec<u16> = sockets.iter().filter(|socket| !socket.loopback).map(|socket| socket.port).collect();
    sockets.retain(|socket| !socket.loopback || !open.contains(&socket.port));
    sockets
}

fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    let state = fields.nth(1)?;
    if state != LISTEN {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    // Four bytes each, little-endian: 127.x.y.z ends in 7F; ::1 and ::ffff:127.x.y.z.
    let loopback = match address.len() {
        8 => address.ends_with("7F"),
        32 => {
            address == "00000000000000000000000001000000"
                || (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"))
        }
        _ => return None,
    };
    Some(Socket { port, loopback })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[test]
    fn listening_sockets_are_told_from_connections() {
        let text = format!(
            "{HEAD}   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n   \
             1: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2\n   \
             2: 0500F40A:1388 0100F40A:9C40 06 00000000:00000000 00:00000000 00000000     0        0 3\n"
        );
        assert_eq!(
            parse_proc_net(&text),
            [Socket { port: 5000, loopback: false }, Socket { port: 8000, loopback: true }]
        );
    }

    #[test]
    fn ipv6_any_and_loopback() {
        let zeros = "00000000000000000000000000000000";
        let text = format!(
            "{HEAD}   0: {zeros}:1F90 {zeros}:0000 0A 0 0\n   \
             1: 00000000000000000000000001000000:1F91 {zeros}:0000 0A 0 0\n   \
             2: 0000000000000000FFFF00000100007F:1F92 {zeros}:0000 0A 0 0\n"
        );
        assert_eq!(
            parse_proc_net(&text),
            [
                Socket { port: 8080, loopback: false },
                Socket { port: 8081, loopback: true },
                Socket { port: 8082, loopback: true }
            ]
        );
    }
}
