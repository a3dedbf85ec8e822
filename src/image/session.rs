//! Our own `BuildKit` session: what a build may ask of this machine while it runs.
//!
//! The engine hijacks one connection (`POST /session`) and calls us over it with gRPC:
//! credentials for private base images, secrets, the ssh agent. bollard has such a
//! session too, but serves no secrets and no agent with it. The context travels with the
//! build's own request, so no file service is registered; one joins in [`Session::open`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
    health_check_response::ServingStatus,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::{Ssh, SshServer};
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use futures_util::{Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use super::credentials::{self, Account};
use super::endpoint::Endpoint;
use super::wire;
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
            .header("X-Docker-Expose-Session-Sharedkey", name);
        for method in METHODS {
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

fn serve(transport: Transport, offer: Offer, end: CancellationToken) {
    let incoming = futures_util::stream::iter([Ok::<_, std::io::Error>(transport)]);
    let services = Services(Arc::new(offer));
    let router = tonic::transport::Server::builder()
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
    wire::hex(&Sha256::digest(seed.as_bytes())[..16])
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

#[tonic::async_trait]
impl Auth for Services {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Answer<CredentialsResponse> {
        let host = &request.get_ref().host;
        let account = credentials::lookup(&self.0.surroundings, host).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Status::failed_precondition(format!("{error}{cause}"))
        })?;
        let (username, secret) = match account {
            Account::Anonymous => (String::new(), String::new()),
            Account::Password { user, password } => (user, password),
            Account::Token(token) => (String::new(), token),
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    // The engine fetches tokens itself with the credentials above when told that this
    // side does not.
    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Answer<FetchTokenResponse> {
        Err(Status::unimplemented("tokens are the engine's own"))
    }

    async fn get_token_authority(&self, _: Request<GetTokenAuthorityRequest>) -> Answer<GetTokenAuthorityResponse> {
        Err(Status::unavailable("tokens are the engine's own"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Answer<VerifyTokenAuthorityResponse> {
        Err(Status::unavailable("tokens are the engine's own"))
    }
}

#[tonic::async_trait]
impl Secrets for Services {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Answer<GetSecretResponse> {
        let id = &request.get_ref().id;
        match self.0.secrets.get(id) {
            Some(value) => Ok(Response::new(GetSecretResponse { data: value.clone() })),
            None => Err(Status::not_found(format!("secret {id} not found"))),
        }
    }
}

impl Services {
    fn agent(&self, id: &str) -> Result<&PathBuf, Status> {
        let id = if id.is_empty() { "default" } else { id };
        self.0.agents.get(id).ok_or_else(|| Status::not_found(format!("unset ssh forward key {id}")))
    }
}

#[tonic::async_trait]
impl Ssh for Services {
    type ForwardAgentStream = Answers<BytesMessage>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Answer<CheckAgentResponse> {
        self.agent(&request.get_ref().id).map(|_| Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(&self, request: Request<Streaming<BytesMessage>>) -> Answer<Self::ForwardAgentStream> {
        let id = request.metadata().get("buildkit.ssh.id").and_then(|id| id.to_str().ok()).unwrap_or("default");
        let agent = tokio::net::UnixStream::connect(self.agent(id)?).await?;
        let (from_agent, mut to_agent) = agent.into_split();
        let mut messages = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if to_agent.write_all(&message.data).await.is_err() {
                    break;
                }
            }
            drop(to_agent.shutdown().await);
        });
        let answers = tokio_util::io::ReaderStream::new(from_agent)
            .map(|chunk| chunk.map(|data| BytesMessage { data: data.to_vec() }).map_err(Status::from));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// The hijacked connection, as tonic wants it.
struct Transport(TokioIo<Upgraded>);

impl Connected for Transport {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
