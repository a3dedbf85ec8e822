//! Who may see the page: a browser of this machine that was given the secret.
//!
//! Every request must name this server as its `Host`, so that a foreign name that was made to
//! lead here (DNS rebinding) is refused; must not come from another site's page; and must
//! carry the secret, in a cookie that other sites' requests do not carry. One refusal looks
//! like another. The secret is in the address once, and then only in the cookie.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;

use super::Site;

/// The bytes of a secret: 256 bits.
const BYTES: usize = 32;

/// A random number that cannot be guessed, as text.
pub(super) struct Secret(String);

impl Secret {
    /// Returns a new one; none if the system has no random numbers.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; BYTES];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
        Some(Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns it in letters, digits, `-` and `_`: short enough for an address on 80 columns.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether `text` is the secret; the time that this takes says nothing about where they differ.
    fn is(&self, text: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), text.as_bytes());
        let differs = ours.iter().zip(theirs).fold(0, |all, (our, their)| std::hint::black_box(all | (our ^ their)));
        ours.len() == theirs.len() && differs == 0
    }
}

/// Answers a request, or refuses it. Adds to every answer what keeps browsers from misusing it.
pub(super) async fn judge(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = match verdict(&site, &request) {
        Verdict::Pass => next.run(request).await,
        Verdict::Enter => enter(&site),
        Verdict::Refuse => {
            (StatusCode::FORBIDDEN, "403: open the address that `coracle dev --ui` printed\n").into_response()
        }
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

enum Verdict {
    Pass,
    /// It brings the secret in the address: it gets the cookie, and an address without.
    Enter,
    Refuse,
}

fn verdict(site: &Site, request: &Request) -> Verdict {
    let headers = request.headers();
    let ours = [format!("127.0.0.1:{}", site.port), format!("localhost:{}", site.port)];
    let Some(host) = only(headers, &header::HOST).filter(|host| ours.iter().any(|our| our == host)) else {
        return Verdict::Refuse;
    };
    // The request line may name a host, too; it wins over the header for whoever believes it.
    if request.uri().authority().is_some_and(|authority| authority.as_str() != host) {
        return Verdict::Refuse;
    }
    let origin = headers.get(header::ORIGIN);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let same = origin.is_some_and(|origin| origin.as_bytes() == format!("http://{host}").as_bytes());
    if !same && (origin.is_some() || !reads) {
        return Verdict::Refuse;
    }
    // Browsers say where a request comes from; the address may also be typed or opened by a program.
    let from = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(from, None | Some(b"same-origin" | b"none")) {
        return Verdict::Refuse;
    }
    if cookie(headers, &name(site.port)).is_some_and(|value| site.secret.is(value)) {
        return if reads && token(request).is_some() { Verdict::Enter } else { Verdict::Pass };
    }
    match token(request) {
        Some(token) if reads && site.secret.is(token) => Verdict::Enter,
        _ => Verdict::Refuse,
    }
}

fn enter(site: &Site) -> Response {
    let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", name(site.port), site.secret.text());
    let cookie = HeaderValue::from_str(&cookie).expect("a secret is plain ASCII");
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, HeaderValue::from_static("/"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Cookies are shared by all ports of a host, so that each has a name of its own.
fn name(port: u16) -> String {
    format!("coracle-dev-{port}")
}

/// Returns the secret in the address of the page.
fn token(request: &Request) -> Option<&str> {
    let query = request.uri().query().filter(|_| request.uri().path() == "/")?;
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Returns a header's value if it stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}
