//! Our own `BuildKit` session: what a build may ask of this machine while it runs.
//!
//! The engine hijacks one connection (`POST /session`) and calls us over it with gRPC:
//! the context's files, credentials for private base images, secrets, the ssh agent.
//! bollard has such a session too, but serves no files, and no secrets beside credentials.
//! `files` answers for the context and `auth` for what is secret; whether the context goes
//! this way at all is the build's decision.

mod auth;
pub(super) mod files;
mod select;
mod send;
mod transport;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use futures_util::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};

use self::files::Files;
use self::transport::Transport;
use super::endpoint::Endpoint;
use super::{digest, wire};
use crate::session::Surroundings;

/// What a build may have of this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    /// Secrets' values by id.
    pub(super) secrets: BTreeMap<String, Vec<u8>>,
    /// Agents' sockets by id.
    pub(super) agents: BTreeMap<String, PathBuf>,
    /// Where Docker's credential store is found.
    pub(super) surroundings: Arc<Surroundings>,
    /// The context, where it does not travel with the build's request.
    pub(super) files: Option<Arc<Files>>,
}

/// An open session; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Session {
    /// Goes into the build's request.
    pub(super) id: String,
    _connection: wire::Connection,
    _end: DropGuard,
}

/// The methods that the engine is told of: those that it asks for before it calls.
const METHODS: [&str; 8] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.filesync.v1.Auth/FetchToken",
    "/moby.filesync.v1.Auth/GetTokenAuthority",
    "/moby.filesync.v1.Auth/VerifyTokenAuthority",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
];
const DIFF_COPY: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// How much the engine may send before we have read it, in bytes.
const WINDOW: u32 = 4 * 1024 * 1024;

impl Offer {
    /// Returns the name under which the engine keeps the last tree of a context. It is the
    /// same for the builds of one service from one folder, and no other's: of two that
    /// share it, each would throw away what the other sent.
    fn shared_key(&self, name: &str) -> String {
        match &self.files {
            Some(files) => digest::hex(&Sha256::digest([&files.identity(), name.as_bytes()].concat())[..16]),
            None => name.to_owned(),
        }
    }
}

impl Session {
    /// Opens a session at the engine and serves it in the background.
    pub(super) async fn open(endpoint: &Endpoint, name: &str, offer: Offer) -> std::io::Result<Self> {
        let id = new_id();
        let mut connection = wire::connect(endpoint).await?;
        let mut request = wire::request(hyper::Method::POST, "/session")
            .header(hyper::header::CONNECTION, "Upgrade")
            .header(hyper::header::UPGRADE, "h2c")
            .header("X-Docker-Expose-Session-Uuid", &id)
            .header("X-Docker-Expose-Session-Name", name)
            .header("X-Docker-Expose-Session-Sharedkey", offer.shared_key(name));
        for method in METHODS.into_iter().chain(offer.files.is_some().then_some(DIFF_COPY)) {
            request = request.header("X-Docker-Expose-Session-Grpc-Method", method);
        }
        let request = request.body(wire::empty()).map_err(std::io::Error::other)?;
        let answer = connection.send(request).await.map_err(std::io::Error::other)?;
        if answer.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
            return Err(std::io::Error::other(format!("the engine answered {} to /session", answer.status())));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(std::io::Error::other)?;
        let end = CancellationToken::new();
        serve(Transport(TokioIo::new(upgraded)), offer, end.clone());
        Ok(Self { id, _connection: connection, _end: end.drop_guard() })
    }
}

fn serve<T>(transport: T, offer: Offer, end: CancellationToken)
where
    T: AsyncRead + AsyncWrite + Connected<ConnectInfo = ()> + Send + Unpin + 'static,
{
    let incoming = futures_util::stream::iter([Ok::<_, std::io::Error>(transport)]);
    let files = offer.files.as_ref().map(|files| FileSyncServer::from_arc(files.clone()));
    let services = Services(Arc::new(offer));
    let router = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_optional_service(files)
        .add_service(HealthServer::new(services.clone()))
        .add_service(AuthServer::new(services.clone()))
        .add_service(SecretsServer::new(services.clone()))
        .add_service(SshServer::new(services));
    tokio::spawn(async move {
        // The stream of connections has one item and then waits, so that the server lives
        // as long as the session.
        let incoming = incoming.chain(futures_util::stream::pending());
        let served = router.serve_with_incoming_shutdown(incoming, end.cancelled_owned()).await;
        tracing::debug!(?served, "the build session ended");
    });
}

/// Returns an id that no other session has.
fn new_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = format!("{} {} {}", now.as_nanos(), std::process::id(), RandomState::new().hash_one(0));
    digest::hex(&Sha256::digest(seed.as_bytes())[..16])
}

#[derive(Debug, Clone)]
struct Services(Arc<Offer>);

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Services {
    type WatchStream = Answers<HealthCheckResponse>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Answer<HealthListResponse> {
        Err(Status::unimplemented("only Check is served"))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("only Check is served"))
    }
}
