use std::path::Path;

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
        context: folder.to_owned(),
        dockerfile: folder.join("Dockerfile"),
        target: None,
        args: BTreeMap::from([("WHO".to_owned(), "me".to_owned())]),
        secrets: Vec::new(),
        ssh: Vec::new(),
        platform: None,
        network: Some("none".to_owned()),
        ca: None,
    };
    let (context, dockerfile) = super::super::tag::read(&build).unwrap();
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
    assert_eq!((images[tag].exposed.clone(), images[tag].has_command), (vec![8080], true));
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
