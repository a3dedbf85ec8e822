use std::path::Path;

use miette::Diagnostic;

use super::*;
use crate::error::{Classified, Kind};

fn endpoint(path: &Path) -> Endpoint {
    Endpoint {
        host: format!("unix://{}", path.display()),
        certificates: None,
        source: "the default".to_owned(),
        notice: None,
    }
}

async fn fault(path: &Path) -> (String, Kind) {
    let error = connect_to(endpoint(path), Duration::from_millis(300)).await.unwrap_err();
    (error.code().unwrap().to_string(), error.kind())
}

#[tokio::test]
async fn absent_refusing_and_hung_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.sock");
    assert_eq!(fault(&absent).await, ("coracle::engine::absent".to_owned(), Kind::Absent));

    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert_eq!(fault(&stale).await, ("coracle::engine::refused".to_owned(), Kind::Absent));

    let hung = folder.path().join("hung.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&hung).unwrap();
    assert_eq!(fault(&hung).await, ("coracle::engine::hung".to_owned(), Kind::Absent));
}

#[tokio::test]
async fn something_else_that_answers_is_no_engine() {
    let server = wiremock::MockServer::start().await;
    let endpoint = Endpoint {
        host: format!("tcp://{}", server.address()),
        certificates: None,
        source: "DOCKER_HOST".to_owned(),
        notice: None,
    };
    let error = connect_to(endpoint.clone(), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("what answers at `{}` (DOCKER_HOST) is no Docker engine", endpoint.host));
}

#[test]
fn no_permission_is_a_refusal_with_the_command_that_mends_it() {
    let error = fault::unreachable(&endpoint(Path::new("/s")), &std::io::ErrorKind::PermissionDenied.into());
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(error.to_string(), "no permission to use the Docker engine at `unix:///s` (the default)");
    assert!(error.help().unwrap().to_string().contains("sudo usermod -aG docker \"$USER\""));
}

#[test]
fn a_full_disk_is_known_by_many_words() {
    let full = [
        "failed to solve: write /var/lib/docker/overlay2/x/diff/blob: no space left on device",
        "ctr: failed to ingest \"blobs/sha256/ab\": failed to copy: write /var/lib/containerd/x: no space left on device",
        "OSError: [Errno 28] No space left on device",
        "failed to extract layer sha256:ab: mkdir /var/lib/containerd/x: disk quota exceeded: unknown",
        "npm ERR! code ENOSPC",
        "E: You don't have enough free space in /var/cache/apt/archives/.",
    ];
    for text in full {
        assert!(is_disk_full(text), "{text}");
    }
    assert!(!is_disk_full("failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1"));
}

/// An engine that starts every command and never hears of it again.
async fn silent_engine() -> Engine {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).await.unwrap();
            if head[..count].starts_with(b"POST") && head[..count].windows(6).any(|part| part == b"/start") {
                let upgrade = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
                stream.write_all(upgrade).await.unwrap();
                kept.push(stream);
            } else {
                let made = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{\"Id\":\"e\"}";
                stream.write_all(made).await.unwrap();
            }
        }
    });
    Engine::unasked(&format!("tcp://{address}"))
}

#[tokio::test]
async fn a_command_in_a_node_has_an_end() {
    let engine = silent_engine().await;
    let argv = ["ctr", "version"].map(str::to_owned);
    let error = engine.exec("shop-control-plane", argv.into(), Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "`ctr version` on node `shop-control-plane` did not go on for 1 s");
}

#[test]
fn stores_are_told_apart() {
    let store = |json: &str| in_containerd(&serde_json::from_str(json).unwrap());
    assert!(!store(r#"{"GraphDriver": {"Name": "overlay2", "Data": {}}}"#));
    assert!(!store(r#"{"GraphDriver": {"Name": "vfs", "Data": {}}}"#));
    assert!(store(r#"{"GraphDriver": {"Name": "overlayfs", "Data": {}}}"#), "before API 1.48");
    let described = r#""Descriptor": {"mediaType": "m", "digest": "sha256:1", "size": 1}"#;
    assert!(store(&format!(r#"{{"GraphDriver": {{"Name": "zfs", "Data": {{}}}}, {described}}}"#)));
    assert!(store(&format!("{{{described}}}")));
}
