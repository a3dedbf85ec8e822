//! Names for a push that a killed process left in the engine.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use bollard::query_parameters::ListImagesOptionsBuilder;
use futures_util::future::join_all;

use super::super::receiver::{TOKEN, is_hex};
use super::untag::untag;
use crate::image::engine::Engine;

/// How long a port may take to say that somebody listens on it.
const LISTENS: Duration = Duration::from_millis(500);

/// Takes away the names that pushes of processes left which no longer run. What cannot be
/// asked or removed stays for the next time.
pub(in super::super) async fn sweep_leftovers(engine: &Engine) {
    let filters = HashMap::from([("reference".to_owned(), vec!["127.*/*/*".to_owned()])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = match engine.docker.list_images(Some(options)).await {
        Ok(images) => images,
        Err(error) => return tracing::debug!("looking for leftovers of pushes: {error}"),
    };
    let names = images.iter().flat_map(|image| image.repo_tags.iter().chain(&image.repo_digests));
    let ours = names.filter_map(|name| Some((name, receiver_of(name)?)));
    join_all(ours.map(async |(name, receiver)| {
        if !is_live(receiver).await {
            untag(engine, name).await;
        }
    }))
    .await;
}

/// Returns where the receiver was that a name is for, if it is a name of ours:
/// `127.a.b.c:PORT/TOKEN/N:latest`, or `…/N@sha256:…` as the engine notes what was pushed.
pub(crate) fn receiver_of(name: &str) -> Option<SocketAddrV4> {
    let repository = name.strip_suffix(":latest").or_else(|| Some(name.split_once("@sha256:")?.0))?;
    let (place, path) = repository.split_once('/')?;
    let (token, image) = path.split_once('/')?;
    let number = !image.is_empty() && image.len() <= 4 && image.bytes().all(|byte| byte.is_ascii_digit());
    let place: SocketAddrV4 = place.parse().ok()?;
    let ours = place.ip().is_loopback() && *place.ip() != Ipv4Addr::LOCALHOST && token.len() == TOKEN && is_hex(token);
    (ours && number).then_some(place)
}

/// Whether a receiver is there still: of a process that runs.
pub(crate) async fn is_live(place: SocketAddrV4) -> bool {
    let connect = tokio::time::timeout(LISTENS, tokio::net::TcpStream::connect(place)).await;
    // Only a refusal says that nobody does.
    !matches!(connect, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_form_are_ours() {
        let token = "00112233445566778899aabbccddeeff";
        assert_eq!(
            receiver_of(&format!("127.4.5.6:40001/{token}/12:latest")),
            Some(SocketAddrV4::new(Ipv4Addr::new(127, 4, 5, 6), 40001))
        );
        assert!(receiver_of(&format!("127.4.5.6:40001/{token}/0@sha256:{token}")).is_some());
        for other in [
            format!("127.0.0.1:5000/{token}/0:latest"),
            format!("128.4.5.6:40001/{token}/0:latest"),
            format!("127.4.5.6/{token}/0:latest"),
            format!("127.4.5.6:40001/{token}/0:v1"),
            format!("127.4.5.6:40001/{token}/0"),
            format!("127.4.5.6:40001/{token}:latest"),
            format!("127.4.5.6:40001/{token}/x:latest"),
            format!("127.4.5.6:40001/{token}/:latest"),
            format!("127.4.5.6:40001/{token}/0/1:latest"),
            format!("127.4.5.6:40001/{}/0:latest", &token[1..]),
            "127.4.5.6:40001/acme/0:latest".to_owned(),
            "<none>:<none>".to_owned(),
        ] {
            assert_eq!(receiver_of(&other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_receiver_that_runs_is_noticed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(place) = listener.local_addr().unwrap() else { panic!("not IPv4") };
        assert!(is_live(place).await);
        drop(listener);
        assert!(!is_live(place).await);
    }
}
