//! `push` against an engine that is played: it answers on a socket and pushes for real.

use std::path::Path;
use std::sync::Mutex;

use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use super::raw::{Raw, digest, manifest};
use super::*;
use crate::event::Events;
use crate::image::endpoint::Endpoint;
use crate::image::engine::connect_to;
use crate::session::Surroundings;

/// What the played engine does when it is asked to push.
#[derive(Debug, Clone, Copy)]
enum Act {
    Push,
    /// It uploads a blob that is not what it says, and then waits, as engines do before they try again.
    PushWrong,
    /// It says this.
    Say(&'static str),
    Hang,
}

struct Played {
    engine: Engine,
    session: Session,
    requests: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Played {
    async fn new(act: Act, containerd: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(&socket).unwrap();
        let task = tokio::spawn(play(listener, act, containerd, Arc::clone(&requests)));
        let endpoint = Endpoint {
            host: format!("unix://{}", socket.display()),
            certificates: None,
            source: "the default".to_owned(),
            notice: None,
        };
        let engine = connect_to(endpoint, Duration::from_secs(5)).await.unwrap();
        Self {
            engine,
            session: session(folder.path()),
            requests,
            folder,
            _task: tokio_util::task::AbortOnDropHandle::new(task),
        }
    }

    async fn push(&self) -> Result<Vec<Pushed>, Error> {
        let (_sender, held) = watch::channel(Some(Arc::new(Held::new())));
        let images = self.engine.local_images(&["web:1".to_owned()]).await.unwrap();
        let (tag, image) = images.first_key_value().expect("the engine has it");
        let source = Source { tag, id: &image.id, in_containerd: image.in_containerd };
        push(&self.session, &self.engine, &[source], "amd64", held).await
    }

    /// Returns the requests of one method, without the name that differs each time.
    fn asked(&self, method: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|line| line.starts_with(method)).map(|line| anonymous(line)).collect()
    }
}

fn session(folder: &Path) -> Session {
    let (events, _) = Events::channel();
    let surroundings = Surroundings { cache: folder.join("cache"), ..Surroundings::default() };
    Session { events, cancel: tokio_util::sync::CancellationToken::new(), surroundings: Arc::new(surroundings) }
}

/// Replaces `127.a.b.c:PORT/TOKEN/0`, in a path or a query.
fn anonymous(line: &str) -> String {
    let line = line.replace("%2F", "/").replace("%3A", ":");
    let Some(start) = line.find("127.") else { return line };
    // The last one: a token may begin with it.
    let end = line[start..].rfind("/0").map_or(line.len(), |at| start + at + 2);
    format!("{}NAME{}", &line[..start], &line[end..])
}

async fn play(listener: UnixListener, act: Act, containerd: bool, requests: Arc<Mutex<Vec<String>>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let requests = Arc::clone(&requests);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let account = request.headers().get("x-registry-auth").map(|value| value.to_str().unwrap().to_owned());
            let line = format!("{} {}", request.method(), request.uri());
            requests.lock().unwrap().push(account.map_or(line.clone(), |account| format!("{line} {account}")));
            async move { Ok::<_, std::convert::Infallible>(answer(&line, act, containerd).await) }
        });
        connections
            .spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await) });
    }
}

async fn answer(line: &str, act: Act, containerd: bool) -> Response<Full<Bytes>> {
    let with = |status: StatusCode, body: String| {
        Response::builder().status(status).header("api-version", "1.51").body(Full::from(body)).unwrap()
    };
    let driver = if containerd { "overlayfs" } else { "overlay2" };
    let image = format!(r#"{{"Id":"{}","GraphDriver":{{"Name":"{driver}","Data":{{}}}}}}"#, digest(b"c"));
    match line.split_once(' ').unwrap() {
        ("GET", "/_ping") => with(StatusCode::OK, "OK".to_owned()),
        ("GET", path) if path.ends_with("/json") => with(StatusCode::OK, image),
        ("POST", path) if path.contains("/tag?") => with(StatusCode::CREATED, String::new()),
        ("DELETE", _) => with(StatusCode::OK, "[]".to_owned()),
        ("POST", path) => {
            let name = path.strip_prefix("/images/").unwrap().split_once("/push?").unwrap().0;
            match act {
                Act::Push => pushes(&Raw::new(name)).await,
                Act::PushWrong => {
                    let raw = Raw::new(name);
                    let begun = raw.ask("POST", &raw.path("blobs/uploads/"), &[], b"").await;
                    raw.ask("PUT", &format!("{}?digest={}", begun.header("location"), digest(b"x")), &[], b"y").await;
                    std::future::pending::<()>().await;
                }
                Act::Say(text) => return with(StatusCode::OK, text.to_owned()),
                Act::Hang => std::future::pending().await,
            }
            with(StatusCode::OK, "{\"status\":\"Pushed\"}\r\n".to_owned())
        }
        _ => with(StatusCode::NOT_FOUND, String::new()),
    }
}

async fn pushes(raw: &Raw) {
    let config = raw.config(&[&digest(b"tar")]);
    raw.whole(b"layer").await;
    raw.whole(&config).await;
    let manifest = manifest(&config, &[b"layer"], "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(raw.ask("PUT", &raw.path("manifests/latest"), &[], &manifest).await.status, 201);
}

#[tokio::test]
async fn an_image_is_named_pushed_and_named_no_more() {
    let played = Played::new(Act::Push, false).await;
    let pushed = played.push().await.unwrap();
    assert_eq!(pushed[0].layers[0].digest, digest(b"layer"));
    assert_eq!(
        played.asked("POST"),
        ["POST /images/web:1/tag?repo=NAME&tag=latest", "POST /images/NAME/push?tag=latest e30="]
    );
    assert_eq!(played.asked("DELETE"), ["DELETE /images/NAME:latest?noprune=1"]);
    // What the image told is remembered.
    let known = known::Known::read(&played.folder.path().join("cache"));
    assert_eq!(known.get(&digest(b"layer")), Some((digest(b"tar").as_str(), 5)));
}

#[tokio::test]
async fn of_containerds_store_one_platform_is_pushed() {
    let played = Played::new(Act::Push, true).await;
    played.push().await.unwrap();
    let push = played.asked("POST").remove(1);
    assert_eq!(
        push,
        "POST /images/NAME/push?tag=latest&platform=%7B%22architecture%22:%22amd64%22%2C%22os%22:%22linux%22%7D e30="
    );
}

#[tokio::test]
async fn what_the_engine_says_went_wrong_is_the_error() {
    let said = "{\"status\":\"Preparing\"}\r\n{\"errorDetail\":{\"message\":\"no basic auth\"},\"error\":\"x\"}\r\n";
    let played = Played::new(Act::Say(said), false).await;
    let error = played.push().await.unwrap_err();
    assert_eq!(crate::error::chain(&error), "the push of image `web:1` failed: no basic auth");
    assert_eq!(played.asked("DELETE").len(), 1, "the name stays");
}

#[tokio::test]
async fn a_push_that_pushes_nothing_is_an_error() {
    let played = Played::new(Act::Say("{\"status\":\"Pushed\"}"), false).await;
    let error = played.push().await.unwrap_err();
    assert_eq!(
        crate::error::chain(&error),
        "the push of image `web:1` out of the Docker engine failed: its manifest was not pushed"
    );
}

#[tokio::test]
async fn a_wrong_digest_ends_the_push_at_once() {
    let played = Played::new(Act::PushWrong, false).await;
    let error = played.push().await.unwrap_err();
    assert!(crate::error::chain(&error).contains("but has digest"), "{error}");
    assert_eq!(played.asked("DELETE").len(), 1, "the name stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_dropped_takes_the_name_away() {
    let played = Played::new(Act::Hang, false).await;
    let pushing = async {
        while played.asked("POST").len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = pushing => {}
        ended = played.push() => panic!("{ended:?}"),
    }
    assert_eq!(played.asked("DELETE"), ["DELETE /images/NAME:latest?noprune=1"]);
}

#[test]
fn an_error_in_any_line_counts() {
    let mut lines = Lines::default();
    lines.hear(b"{\"status\":\"a\"}\r\n{\"err").unwrap();
    assert!(matches!(lines.hear(b"or\":\"no\"}\r\n"), Err(Said::Refused(words)) if words == "no"));
    let mut lines = Lines::default();
    lines.hear(b"not json\n{\"errorDetail\":{\"message\":\"late\"}}").unwrap();
    assert!(matches!(lines.end(), Err(Said::Refused(words)) if words == "late"));
    assert!(matches!(Lines::default().hear(&vec![b' '; LINE + 1]), Err(Said::Lost(_))));
}
