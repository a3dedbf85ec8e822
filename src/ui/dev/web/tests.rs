use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tower::ServiceExt;

use super::feed::Reader;
use super::*;
use crate::ui::dev::script;

const PORT: u16 = 4000;
const HOST: &str = "127.0.0.1:4000";
/// Every route, and one that is none.
const ROUTES: [(&str, &str); 6] = [
    ("GET", "/"),
    ("GET", "/events"),
    ("POST", "/rebuild"),
    ("POST", "/restart?service=web"),
    ("POST", "/pause"),
    ("GET", "/nothing"),
];

fn site() -> (Site, UnboundedReceiver<Wish>) {
    let (wishes, asked) = unbounded_channel();
    let board = Shared::new(false);
    script::play(&board);
    (Site { board, wishes, secret: Arc::new(Secret::new().unwrap()), port: PORT }, asked)
}

async fn call(site: &Site, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    routes(site.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn cookie(site: &Site) -> String {
    format!("other=1; coracle-dev-{PORT}={}", site.secret.text())
}

fn safe(headers: &HeaderMap) -> bool {
    headers["x-content-type-options"] == "nosniff"
        && headers["x-frame-options"] == "DENY"
        && headers["cache-control"] == "no-store"
        && headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
}

#[tokio::test]
async fn whoever_has_no_right_is_refused_everywhere() {
    let (site, mut asked) = site();
    let cookie = cookie(&site);
    let (cookie, ours) = (("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:4000"));
    let wrong = format!("coracle-dev-{PORT}={}", "0".repeat(site.secret.text().len()));
    let other = format!("coracle-dev-1={}", site.secret.text());
    let short = format!("coracle-dev-{PORT}={}", &site.secret.text()[..10]);
    let cases: [(&str, Vec<(&str, &str)>); 14] = [
        ("no token", vec![("host", HOST), ours]),
        ("wrong token", vec![("host", HOST), ours, ("cookie", &wrong)]),
        ("beginning of the token", vec![("host", HOST), ours, ("cookie", &short)]),
        ("empty token", vec![("host", HOST), ours, ("cookie", "coracle-dev-4000=")]),
        ("token of another port", vec![("host", HOST), ours, ("cookie", &other)]),
        ("no host", vec![ours, cookie]),
        ("wrong host", vec![("host", "192.168.1.2:4000"), ours, cookie]),
        ("wrong port", vec![("host", "127.0.0.1:4001"), ours, cookie]),
        ("two hosts", vec![("host", HOST), ("host", "evil.example"), ours, cookie]),
        ("rebinding", vec![("host", "evil.example:4000"), ("origin", "http://evil.example:4000"), cookie]),
        ("cross origin", vec![("host", HOST), ("origin", "http://evil.example"), cookie]),
        ("another port of this machine", vec![("host", HOST), ("origin", "http://127.0.0.1:8000"), cookie]),
        ("no origin at all", vec![("host", HOST), ("origin", "null"), cookie]),
        ("cross site", vec![("host", HOST), ours, cookie, ("sec-fetch-site", "cross-site")]),
    ];
    for (method, path) in ROUTES {
        for (what, headers) in &cases {
            let response = call(&site, method, path, headers).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{what}: {method} {path}");
            assert!(safe(response.headers()), "{what}: {method} {path}: {:?}", response.headers());
        }
    }
    assert!(asked.try_recv().is_err(), "something was done for one who has no right");
}

#[tokio::test]
async fn whoever_has_the_cookie_is_answered_everywhere() {
    let (site, mut asked) = site();
    let cookie = cookie(&site);
    for host in [HOST, "localhost:4000"] {
        let origin = format!("http://{host}");
        let statuses = [200, 200, 202, 202, 202, 404];
        for ((method, path), status) in ROUTES.into_iter().zip(statuses) {
            let headers = [("host", host), ("origin", &origin), ("cookie", &cookie), ("sec-fetch-site", "same-origin")];
            let response = call(&site, method, path, &headers).await;
            assert_eq!(response.status(), status, "{method} {path}");
            assert!(safe(response.headers()), "{method} {path}");
        }
        assert_eq!(asked.try_recv().unwrap(), Wish::Rebuild(None));
        assert_eq!(asked.try_recv().unwrap(), Wish::Restart(Some("web".into())));
        assert_eq!(asked.try_recv().unwrap(), Wish::Pause);
    }
    let headers = [("host", HOST), ("origin", "http://127.0.0.1:4000"), ("cookie", &cookie)];
    let response = call(&site, "POST", "/rebuild?service=none", &headers).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    // What changes something needs its origin said.
    let response = call(&site, "POST", "/pause", &[("host", HOST), ("cookie", &cookie)]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn the_address_gives_a_cookie_once_and_goes_away() {
    let (site, _asked) = site();
    let path = format!("/?token={}", site.secret.text());
    let response = call(&site, "GET", &path, &[("host", HOST), ("sec-fetch-site", "none")]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/");
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let refused = [
        ("GET", "/?token=".to_owned(), HOST),
        ("GET", path.clone(), "evil.example:4000"),
        ("POST", path.clone(), HOST),
        ("GET", path.replace("/?", "/events?"), HOST),
    ];
    for (method, path, host) in refused {
        let response = call(&site, method, &path, &[("host", host)]).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {host}");
    }
}

#[tokio::test]
async fn the_page_runs_only_what_is_ours() {
    let (site, _asked) = site();
    let get = async || {
        let response = call(&site, "GET", "/", &[("host", HOST), ("cookie", &cookie(&site))]).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (policy, String::from_utf8(body.to_vec()).unwrap())
    };
    let (policy, page) = get().await;
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(!page.contains(NONCE) && !policy.contains("unsafe"), "{policy}");
    assert!(!page.contains(site.secret.text()));
    assert_ne!(get().await.0, policy, "a nonce is used once");
    for outside in ["src=", "@import", "url(", " style=", " onclick="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_gets_everything_then_what_changes_then_the_end() {
    let (site, _asked) = site();
    let mut reader = Reader::new(site.board.clone());
    let first = reader.next().await.unwrap();
    assert_eq!(first["all"], true);
    assert_eq!(first["state"]["services"][0]["service"], "web");
    assert!(!first.to_string().contains("token="), "the page's address is on the page");
    site.board.hear(&script::log("web", "one more"));
    let second = reader.next().await.unwrap();
    assert_eq!((&second["all"], second["lines"].as_array().unwrap().len()), (&Value::from(false), 1));
    assert_eq!(second["lines"][0]["text"], "one more");
    site.board.change(crate::ui::dev::board::Board::end);
    assert_eq!(reader.next().await.unwrap()["state"]["ended"], true);
    assert_eq!(reader.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_the_state_and_no_backlog() {
    let (site, _asked) = site();
    let mut reader = Reader::new(site.board.clone());
    reader.next().await.unwrap();
    for number in 0..5000 {
        site.board.hear(&script::log("web", &number.to_string()));
    }
    let message = reader.next().await.unwrap();
    assert_eq!(message["lines"].as_array().unwrap().len(), 2000);
    assert_eq!((&message["lines"][1999]["text"], &message["missed"]), (&Value::from("4999"), &Value::from(3000)));
}
