//! The page of `--ui`: services, updates, logs and errors, for this machine's browsers.
//!
//! It is served on 127.0.0.1 at a port and with a secret of this run. Every request is first
//! judged by [`guard`]; what passes sees the board through [`feed`] or sends a [`Wish`]. The
//! page itself is one file, `page.html`, that loads nothing from anywhere.

#[cfg(test)]
mod browser;
mod feed;
mod guard;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use miette::Diagnostic;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use self::guard::Secret;
use super::Shared;
use crate::dev::shown::Wish;
use crate::error::{Classified, Kind};

const PAGE: &str = include_str!("page.html");
/// What stands in the page for the secret of one answer, which its own script and style carry.
const NONCE: &str = "{{nonce}}";
/// How long readers have to take the last state before the server ends.
const GRACE: Duration = Duration::from_millis(300);

/// Why there is no page.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("the page could not be served on 127.0.0.1")]
    #[diagnostic(code(coracle::dev::page_not_served), help("run `coracle dev` without `--ui`"))]
    Listen {
        #[source]
        cause: std::io::Error,
    },
    #[error("the system gave no random numbers for the page's secret")]
    #[diagnostic(code(coracle::dev::no_secret), help("run `coracle dev` without `--ui`"))]
    Secret,
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Work
    }
}

/// The page while it is served.
#[derive(Debug)]
pub(crate) struct Served {
    /// Where it is, with the secret.
    pub(super) url: String,
    server: JoinHandle<()>,
}

impl Served {
    /// Ends the server, after readers had a moment to take the end of the board.
    pub(super) async fn close(self) {
        tokio::time::sleep(GRACE).await;
        self.server.abort();
        // It was ended by us: there is no result.
        drop(self.server.await);
    }
}

/// What every request is answered from.
#[derive(Clone)]
struct Site {
    board: Shared,
    wishes: UnboundedSender<Wish>,
    secret: Arc<Secret>,
    port: u16,
}

/// Serves the page until it is closed.
pub(super) async fn serve(board: Shared, wishes: UnboundedSender<Wish>) -> Result<Served, Error> {
    let listen = |cause| Error::Listen { cause };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(listen)?;
    let port = listener.local_addr().map_err(listen)?.port();
    let secret = Arc::new(Secret::new().ok_or(Error::Secret)?);
    let url = format!("http://127.0.0.1:{port}/?token={}", secret.text());
    let routes = routes(Site { board, wishes, secret, port });
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::warn!("the page is not served any more: {error}");
        }
    });
    Ok(Served { url, server })
}

fn routes(site: Site) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/events", get(feed::events))
        .route("/rebuild", post(rebuild))
        .route("/restart", post(restart))
        .route("/pause", post(pause))
        .fallback(|| async { StatusCode::NOT_FOUND })
        // The last layer is the first to see a request: nothing is reached around it.
        .layer(axum::middleware::from_fn_with_state(site.clone(), guard::judge))
        .with_state(site)
}

async fn page() -> Response {
    let Some(nonce) = Secret::new() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let nonce = nonce.text();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).expect("a nonce is plain ASCII");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (headers, PAGE.replace(NONCE, nonce)).into_response()
}

/// Which service is meant; without one it is every.
#[derive(Debug, serde::Deserialize)]
struct Of {
    service: Option<String>,
}

async fn rebuild(State(site): State<Site>, Query(of): Query<Of>) -> StatusCode {
    site.wish(of, Wish::Rebuild)
}

async fn restart(State(site): State<Site>, Query(of): Query<Of>) -> StatusCode {
    site.wish(of, Wish::Restart)
}

async fn pause(State(site): State<Site>) -> StatusCode {
    site.send(Wish::Pause)
}

impl Site {
    /// Passes a wish on if its service is one.
    fn wish(&self, of: Of, wish: fn(Option<String>) -> Wish) -> StatusCode {
        let known = |name: &String| self.board.read().services.iter().any(|row| row.shown.service == *name);
        match of.service {
            Some(name) if !known(&name) => StatusCode::NOT_FOUND,
            service => self.send(wish(service)),
        }
    }

    fn send(&self, wish: Wish) -> StatusCode {
        match self.wishes.send(wish) {
            Ok(()) => StatusCode::ACCEPTED,
            // The loop has ended.
            Err(_) => StatusCode::GONE,
        }
    }
}
