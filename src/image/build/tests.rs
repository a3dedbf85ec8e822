use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::event::Events;
use crate::session::Surroundings;

fn here() -> Session {
    let (events, _receiver) = Events::channel();
    Session { events, cancel: CancellationToken::new(), surroundings: std::sync::Arc::new(Surroundings::default()) }
}

fn request(folder: &Path, tag: &str) -> Request {
    let build = profile::Build {
        args: BTreeMap::from([("WHO".to_owned(), "me".to_owned())]),
        network: Some("none".to_owned()),
        ..profile::Build::of_folder(folder)
    };
    let (context, dockerfile) = super::super::tag::read(&build, None).unwrap();
    Request {
        service: "api".to_owned(),
        build,
        context,
        dockerfile,
        tag: tag.to_owned(),
        labels: BTreeMap::from([("coracle.test".to_owned(), "1".to_owned())]),
        secrets: BTreeMap::from([("token".to_owned(), b"s3cret".to_vec())]),
        no_cache: false,
    }
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_secret_is_mounted_and_a_failing_step_is_the_error() {
    let session = here();
    let engine = crate::image::engine::connect(&session).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tag = "coracle.local/coracle-test-build/api:1";
    let good = "FROM busybox\nARG WHO\nCOPY a.txt /a.txt\nRUN --mount=type=secret,id=token test \"$(cat /run/secrets/token)$WHO\" = s3cretme\nEXPOSE 8080\n";
    std::fs::write(folder.path().join("Dockerfile"), good).unwrap();
    std::fs::write(folder.path().join("a.txt"), "a").unwrap();
    let built = build(&session, &engine, &request(folder.path(), tag)).await.unwrap();
    assert!(built.steps >= 3, "{built:?}");
    let images = engine.local_images(&[tag.to_owned(), "coracle.local/none:1".to_owned()]).await.unwrap();
    assert_eq!(images.keys().collect::<Vec<_>>(), [tag]);
    assert_eq!((images[tag].exposed.clone(), images[tag].has_command()), (vec![8080], true));
    let again = build(&session, &engine, &request(folder.path(), tag)).await.unwrap();
    assert!(again.cached >= 2, "{again:?}");
    engine.docker.remove_image(tag, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();

    std::fs::write(folder.path().join("Dockerfile"), "FROM busybox\nRUN echo why; exit 3\n").unwrap();
    let error = build(&session, &engine, &request(folder.path(), tag)).await.unwrap_err();
    let Error::BuildFailed(failed) = error else { panic!("{error:?}") };
    assert_eq!(failed.exit_code, Some(3));
    assert_eq!(failed.cause.to_string(), "`RUN echo why; exit 3` exited with 3\nwhy");
    assert_eq!(failed.span.map(|span| span.offset()), Some(13));
}

/// Answers as an engine that knows nothing of `remote=client-session`; returns the paths
/// of the builds that it was asked for, in the end.
async fn old_engine(listener: tokio::net::UnixListener, builds: tokio::sync::mpsc::UnboundedSender<String>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let builds = builds.clone();
        tokio::spawn(async move {
            let mut words = String::new();
            let mut buffer = [0; 4096];
            let mut hear_until = async |end: &str, stream: &mut tokio::net::UnixStream| {
                while !words.contains(end) {
                    let read = stream.read(&mut buffer).await.unwrap();
                    words.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    assert!(read > 0, "{words}");
                }
                words.clone()
            };
            let head = hear_until("\r\n\r\n", &mut stream).await;
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let answer = if path == "/session" {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            } else if path.contains("remote=client-session") {
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 25\r\n\r\n{\"message\":\"what remote?\"}"
            } else {
                hear_until("0\r\n\r\n", &mut stream).await;
                "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"aux\":{\"ID\":\"sha256:abc\"}}\n"
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
            if path == "/session" {
                // The engine holds it open.
                drop(stream.read(&mut buffer).await);
            } else {
                builds.send(path).unwrap();
            }
        });
    }
}

#[tokio::test]
async fn an_engine_that_takes_no_files_gets_the_archive_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM busybox\nCOPY . /\n").unwrap();
    let sockets = tempfile::tempdir().unwrap();
    let socket = sockets.path().join("engine.sock");
    let (builds, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let serving = tokio::spawn(old_engine(tokio::net::UnixListener::bind(&socket).unwrap(), builds));
    let mut engine = Engine::unasked(&format!("unix://{}", socket.display()));
    engine.api = (1, 41);
    let (events, mut told) = Events::channel();
    let session = Session { events, ..here() };
    run(&session, &engine, &request(folder.path(), "coracle.local/shop/api:1")).await.unwrap();
    serving.abort();
    let paths: Vec<String> = std::iter::from_fn(|| asked.try_recv().ok()).collect();
    let remotes: Vec<bool> = paths.iter().map(|path| path.contains("remote=client-session")).collect();
    assert_eq!(remotes, [true, false], "{paths:?}");
    let told: Vec<String> = std::iter::from_fn(|| told.try_recv().ok()).map(|event| format!("{event:?}")).collect();
    assert_eq!(
        told,
        [
            "Notice { level: Detail, text: \"The build context of `api` is sent as a whole: the engine would not take it \
          file by file (it never asked for a file).\" }"
        ]
    );
}

#[tokio::test]
#[ignore = "needs docker"]
async fn other_content_of_the_same_size_and_time_is_not_served_stale() {
    let session = here();
    let engine = crate::image::engine::connect(&session).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    for content in ["one", "two"] {
        let dockerfile = format!("FROM busybox\nCOPY a.txt /\nRUN test \"$(cat /a.txt)\" = {content}\n");
        std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
        std::fs::write(&path, content).unwrap();
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        let tag = "coracle.local/coracle-test-build/stale:1";
        build(&session, &engine, &request(folder.path(), tag)).await.unwrap();
        engine.docker.remove_image(tag, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
    }
}
