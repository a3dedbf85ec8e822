//! The receiver as engines meet it: bytes on a connection.

use std::collections::BTreeSet;
use std::io::Read;

use tokio::sync::watch;

use super::*;
use crate::image::load::push::Held;
use crate::image::load::push::raw::{Raw, digest, manifest};

type Sender = watch::Sender<Option<Arc<Held>>>;

/// A receiver for two images, and how to tell it what the nodes hold.
struct Opened {
    receiver: Receiver,
    raw: Raw,
    held: Sender,
    _cache: tempfile::TempDir,
}

async fn opened(configs: Option<&[String]>, held: Option<Held>) -> Opened {
    let cache = tempfile::tempdir().unwrap();
    let (sender, held) = watch::channel(held.map(Arc::new));
    let configs = configs.map(|configs| configs.iter().cloned().collect::<BTreeSet<_>>());
    let place = Place::find().await.unwrap();
    let raw = Raw::new(&place.repository(0));
    let receiver = Receiver::open(place, Options { images: 2, configs, held, scratch: Scratch::new(cache.path()) });
    Opened { receiver, raw, held: sender, _cache: cache }
}

/// As for the classic store, and nodes that hold nothing.
async fn empty() -> Opened {
    opened(Some(&[]), Some(Held::new())).await
}

/// A receiver for containerd's store, and nodes that hold nothing.
async fn exact() -> Opened {
    opened(None, Some(Held::new())).await
}

#[tokio::test]
async fn a_tls_handshake_is_answered_in_plain_http() {
    let Opened { raw, receiver: _receiver, .. } = empty().await;
    let mut hello = vec![0x16, 0x03, 0x01, 0x02, 0x00];
    hello.extend([0; 512]);
    let answer = raw.bytes(&hello).await;
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn it_listens_on_an_address_of_its_own_while_it_lives() {
    let Opened { raw, receiver, .. } = empty().await;
    let SocketAddr::V4(address) = raw.address else { panic!("{}", raw.address) };
    assert!(address.ip().is_loopback() && *address.ip() != Ipv4Addr::LOCALHOST, "{address}");
    assert_eq!(raw.ask("GET", "/v2/", &[], b"").await.status, 200);
    drop(receiver);
    // The task is aborted, and drops its listener, when it is next run.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn only_peers_of_this_machine_are_near() {
    for (peer, near) in [("127.0.0.1", true), ("127.9.8.7", true), ("172.17.0.2", false), ("::1", false)] {
        assert_eq!(is_near(peer.parse().unwrap()), near, "{peer}");
    }
}

#[tokio::test]
async fn without_the_token_nothing_is_told_and_nothing_taken() {
    let Opened { raw, receiver: _receiver, .. } = empty().await;
    for (method, path) in [
        ("GET", "/v2/_catalog".to_owned()),
        ("POST", "/v2/0/blobs/uploads/".to_owned()),
        ("POST", format!("/v2/{}/0/blobs/uploads/", "0".repeat(TOKEN))),
        ("PUT", format!("/v2/{}/0/manifests/latest", "0".repeat(TOKEN))),
        ("GET", "/".to_owned()),
    ] {
        let answer = raw.ask(method, &path, &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{method} {path}");
        assert!(
            answer.headers.iter().all(|(name, _)| ["content-length", "connection", "date"].contains(&name.as_str()))
        );
    }
    assert_eq!(raw.ask("GET", &raw.path("blobs/uploads/1"), &[], b"").await.status, 404);
}

#[tokio::test]
async fn the_classic_store_sends_post_patch_and_an_empty_put() {
    let Opened { raw, receiver, .. } = empty().await;
    let (layer, config, diff_id) = (b"layer".as_slice(), raw.config(&[&digest(b"tar")]), digest(b"tar"));
    for blob in [layer, &config] {
        assert_eq!(raw.ask("HEAD", &raw.path(&format!("blobs/{}", digest(blob))), &[], b"").await.status, 404);
        let begun = raw.ask("POST", &raw.path("blobs/uploads/"), &[], b"").await;
        assert_eq!(begun.status, 202);
        let (one, two) = blob.split_at(2);
        let chunks = [format!("{:x}\r\n", one.len()).as_bytes(), one, b"\r\n"].concat();
        let rest = [format!("{:x}\r\n", two.len()).as_bytes(), two, b"\r\n0\r\n\r\n"].concat();
        let chunked = [("transfer-encoding", "chunked")];
        let sent = raw.ask("PATCH", begun.header("location"), &chunked, &[chunks, rest].concat()).await;
        assert_eq!((sent.status, sent.header("range")), (202, format!("0-{}", blob.len() - 1).as_str()));
        let put = format!("{}?digest={}", sent.header("location"), digest(blob).replace(':', "%3A"));
        assert_eq!(raw.ask("PUT", &put, &[("content-length", "0")], b"").await.status, 201);
    }
    let manifest = manifest(&config, &[layer], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    let path = raw.path("manifests/latest");
    assert_eq!(raw.ask("HEAD", &path, &[], b"").await.status, 404);
    let put = raw.ask("PUT", &path, &[], &manifest).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (201, digest(&manifest).as_str()));
    assert_eq!(raw.ask("GET", &path, &[], b"").await.body.as_bytes(), manifest);

    let pushed = receiver.pushed(0, "amd64").unwrap();
    assert_eq!((pushed.config_digest, pushed.diff_ids), (digest(&config), vec![diff_id]));
    assert_eq!(pushed.config, config);
    assert_eq!(pushed.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    let mut bytes = Vec::new();
    pushed.layers[0].data.as_ref().unwrap().reader().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, layer);
}

#[tokio::test]
async fn containerds_store_sends_whole_blobs_and_manifests_by_digest() {
    let Opened { raw, receiver, .. } = exact().await;
    let config = raw.config(&[&digest(b"tar")]);
    for blob in [b"layer".as_slice(), &config] {
        assert_eq!(raw.whole(blob).await.status, 201);
    }
    let image = manifest(&config, &[b"layer"], "application/vnd.oci.image.layer.v1.tar+zstd");
    let index = serde_json::json!({ "manifests": [{
        "digest": digest(&image), "size": image.len(), "platform": { "os": "linux", "architecture": "amd64" },
    }]});
    let index = index.to_string().into_bytes();
    let early = raw.ask("PUT", &raw.path("manifests/odd"), &[], b"{\"manifests\":[]}").await;
    assert_eq!(early.status, 201);
    let by_digest = |bytes: &[u8]| raw.path(&format!("manifests/{}", digest(bytes)));
    assert_eq!(raw.ask("PUT", &by_digest(&image), &[], &image).await.status, 201);
    assert_eq!(raw.ask("HEAD", &by_digest(&image), &[], b"").await.status, 200);
    assert_eq!(raw.ask("PUT", &by_digest(&index), &[], &index).await.status, 201);
    assert_eq!(raw.ask("PUT", &raw.path("manifests/latest"), &[], &index).await.status, 201);

    let pushed = receiver.pushed(0, "amd64").unwrap();
    assert_eq!(pushed.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
    assert!(receiver.pushed(0, "arm64").unwrap_err().to_string().contains("not for linux/arm64"));
    assert!(receiver.pushed(1, "amd64").is_err(), "another image's tag");
}

#[tokio::test]
async fn head_waits_for_the_nodes_and_calls_present_what_they_hold() {
    let Opened { raw, held, receiver: _receiver, .. } = opened(Some(&[digest(b"config")]), None).await;
    let path = |blob: &[u8]| raw.path(&format!("blobs/{}", digest(blob)));
    let (paths, other) = ([path(b"base"), path(b"config")], path(b"new"));
    let ask = async {
        let base = raw.ask("HEAD", &paths[0], &[], b"").await;
        assert_eq!((base.status, base.header("content-length")), (200, "900000"));
        assert_eq!(base.header("docker-content-digest"), digest(b"base"));
        // A configuration must arrive, whoever holds it.
        assert_eq!(raw.ask("HEAD", &paths[1], &[], b"").await.status, 404);
        assert_eq!(raw.ask("HEAD", &other, &[], b"").await.status, 404);
    };
    let tell = async {
        // The question is on its way before the answer is known.
        tokio::task::yield_now().await;
        held.send(Some(Arc::new(Held::from([(digest(b"base"), 900_000), (digest(b"config"), 6)])))).unwrap();
    };
    tokio::join!(ask, tell);
}

#[tokio::test]
async fn a_question_outlives_nodes_that_never_answer() {
    let Opened { raw, held, receiver: _receiver, .. } = opened(Some(&[]), None).await;
    let path = raw.path(&format!("blobs/{}", digest(b"base")));
    let early = tokio::time::timeout(Duration::from_millis(50), raw.ask("HEAD", &path, &[], b"")).await;
    assert!(early.is_err(), "it answered before the nodes did");
    drop(held);
    assert_eq!(raw.ask("HEAD", &path, &[], b"").await.status, 404);
}

#[tokio::test]
async fn where_configurations_are_not_known_small_blobs_are_sent() {
    let held = Held::from([(digest(b"small"), 20_000), (digest(b"large"), 900_000)]);
    let Opened { raw, receiver: _receiver, .. } = opened(None, Some(held)).await;
    for (blob, status) in [(b"small", 404), (b"large", 200)] {
        assert_eq!(raw.ask("HEAD", &raw.path(&format!("blobs/{}", digest(blob))), &[], b"").await.status, status);
    }
}

#[tokio::test]
async fn a_mount_is_an_upload_unless_the_blob_is_held() {
    let held = Held::from([(digest(b"base"), 900_000)]);
    let Opened { raw, receiver: _receiver, .. } = opened(Some(&[]), Some(held)).await;
    let mount = |blob: &[u8]| raw.path(&format!("blobs/uploads/?mount={}&from=acme%2Fweb", digest(blob)));
    let begun = raw.ask("POST", &mount(b"new"), &[], b"").await;
    assert_eq!(begun.status, 202);
    assert_eq!(raw.ask("GET", begun.header("location"), &[], b"").await.status, 204);
    let mounted = raw.ask("POST", &mount(b"base"), &[], b"").await;
    assert_eq!((mounted.status, mounted.header("docker-content-digest")), (201, digest(b"base").as_str()));
}

#[tokio::test]
async fn a_blob_with_another_digest_is_refused_and_not_kept() {
    let Opened { raw, receiver, .. } = empty().await;
    let begun = raw.ask("POST", &raw.path("blobs/uploads/"), &[], b"").await;
    let put = format!("{}?digest={}", begun.header("location"), digest(b"right"));
    let answer = raw.ask("PUT", &put, &[], b"wrong").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("DIGEST_INVALID"), "{}", answer.body);
    for blob in [b"right", b"wrong"] {
        assert_eq!(raw.ask("HEAD", &raw.path(&format!("blobs/{}", digest(blob))), &[], b"").await.status, 404);
    }
    assert_eq!(raw.ask("GET", begun.header("location"), &[], b"").await.status, 404, "the upload is over");
    let expected = format!("a blob was pushed as `{}`, but has digest `{}`", digest(b"right"), digest(b"wrong"));
    assert_eq!(receiver.fault().await.to_string(), expected);
}

#[tokio::test]
async fn a_manifest_must_be_itself_and_name_what_is_here() {
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let config = Raw::new("127.0.0.1:1/x/0").config(&[&digest(b"tar")]);
    let large = vec![b' '; (4 << 20) + 1];
    let cases: [(&str, String, Vec<u8>, u16, &str); 5] = [
        ("unknown layer", "latest".to_owned(), manifest(&config, &[b"layer"], tar), 400, "MANIFEST_BLOB_UNKNOWN"),
        ("unknown config", "latest".to_owned(), manifest(b"{}", &[], tar), 400, "MANIFEST_BLOB_UNKNOWN"),
        ("unknown child", "latest".to_owned(), index_of(&digest(b"child")), 400, "MANIFEST_BLOB_UNKNOWN"),
        ("wrong digest", digest(b"other"), manifest(&config, &[], tar), 400, "DIGEST_INVALID"),
        ("too large", "latest".to_owned(), large, 413, "SIZE_INVALID"),
    ];
    for (name, reference, bytes, status, code) in cases {
        let Opened { raw, receiver, .. } = empty().await;
        assert_eq!(raw.whole(&config).await.status, 201);
        let answer = raw.ask("PUT", &raw.path(&format!("manifests/{reference}")), &[], &bytes).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.body.contains(code), "{name}: {}", answer.body);
        receiver.fault().await;
        assert!(receiver.pushed(0, "amd64").is_err(), "{name}");
    }
}

fn index_of(child: &str) -> Vec<u8> {
    serde_json::json!({ "manifests": [{ "digest": child, "size": 5 }] }).to_string().into_bytes()
}

#[tokio::test]
async fn a_size_that_is_not_the_blobs_is_refused() {
    let Opened { raw, receiver, .. } = opened(Some(&[]), Some(Held::from([(digest(b"layer"), 900_000)]))).await;
    let config = raw.config(&[&digest(b"tar")]);
    assert_eq!(raw.whole(&config).await.status, 201);
    let manifest = manifest(&config, &[b"layer"], "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(raw.ask("PUT", &raw.path("manifests/latest"), &[], &manifest).await.status, 400);
    assert!(receiver.fault().await.to_string().ends_with("has 900000 bytes, its manifest says 5"));
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let Opened { raw, receiver: _receiver, .. } = empty().await;
    let begun = raw.ask("POST", &raw.path("blobs/uploads/"), &[], b"").await;
    let place = begun.header("location").to_owned();
    // The connection ends before what was announced.
    raw.bytes(format!("PATCH {place} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhello").as_bytes()).await;
    let state = raw.ask("GET", &place, &[], b"").await;
    assert_eq!((state.status, state.header("range")), (204, "0-4"));
    let again = raw.ask("PATCH", &place, &[("content-range", "0-6")], b"hello w").await;
    assert_eq!((again.status, again.header("range")), (416, "0-4"));
    assert_eq!(raw.ask("PATCH", &place, &[("content-range", "5-6")], b" w").await.status, 202);
    let put = format!("{place}?digest={}", digest(b"hello world"));
    assert_eq!(raw.ask("PUT", &put, &[("content-range", "7-10")], b"orld").await.status, 201);
}

#[tokio::test]
async fn uploads_are_bounded_and_can_be_given_up() {
    let Opened { raw, receiver: _receiver, .. } = empty().await;
    let path = raw.path("blobs/uploads/");
    let mut last = String::new();
    for _ in 0..uploads::MOST {
        raw.ask("POST", &path, &[], b"").await.header("location").clone_into(&mut last);
    }
    assert_eq!(raw.ask("POST", &path, &[], b"").await.status, 429);
    assert_eq!(raw.ask("DELETE", &last, &[], b"").await.status, 204);
    assert_eq!(raw.ask("POST", &path, &[], b"").await.status, 202);
}

#[tokio::test]
async fn a_layer_that_two_images_share_is_sent_once() {
    let Opened { raw, receiver, .. } = exact().await;
    let first = raw.path(&format!("blobs/{}", digest(b"base")));
    let second = first.replace("/0/blobs", "/1/blobs");
    assert_eq!(raw.ask("HEAD", &first, &[], b"").await.status, 404);
    let early = tokio::time::timeout(Duration::from_millis(50), raw.ask("HEAD", &second, &[], b"")).await;
    assert!(early.is_err(), "it did not wait for the other's");
    assert_eq!(raw.ask("HEAD", &first, &[], b"").await.status, 404, "its own is not waited for");
    let (answer, sent) = tokio::join!(raw.ask("HEAD", &second, &[], b""), raw.whole(b"base"));
    assert_eq!((answer.status, answer.header("content-length"), sent.status), (200, "4", 201));

    let lost = format!("blobs/{}", digest(b"lost"));
    assert_eq!(raw.ask("HEAD", &raw.path(&lost), &[], b"").await.status, 404);
    receiver.ended(0);
    let answer = raw.ask("HEAD", &raw.path(&lost).replace("/0/blobs", "/1/blobs"), &[], b"").await;
    assert_eq!(answer.status, 404, "the push that should have sent it is over");
}
