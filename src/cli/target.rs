//! What most verbs begin with: the profile, the engine, the lock, a client.

use std::time::Duration;

use super::args::Global;
use crate::cluster::{self, Band, State, lock};
use crate::error::{Classified, Failure, Kind};
use crate::image::engine::{self, Engine};
use crate::profile::{Profile, resolve};
use crate::session::Session;

/// How long a verb waits for another one that works on the same profile.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum Error {
    #[error("the cluster `{cluster}` {state}")]
    #[diagnostic(code(coracle::cluster::not_running), help("`coracle up` {mend}"))]
    NotRunning {
        cluster: String,
        state: &'static str,
        mend: &'static str,
        /// It is there, with all that was deployed to it.
        stands: bool,
    },

    #[error("there is no service `{name}` in the profile `{profile}`")]
    #[diagnostic(code(coracle::cli::no_such_service), help("{help}"))]
    NoSuchService { name: String, profile: String, help: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotRunning { .. } => Kind::Absent,
            Self::NoSuchService { .. } => Kind::Request,
        }
    }
}

/// Reads the profile that the flags name.
pub(crate) fn profile(session: &Session, global: &Global) -> Result<Profile, Failure> {
    let request = resolve::Request { path: global.profile.clone(), ..resolve::Request::default() };
    Ok(resolve::load(&request, &session.surroundings)?)
}

/// Checks that the services named on the command line are in the profile.
pub(crate) fn check_services(profile: &Profile, names: &[String]) -> Result<(), Error> {
    let known: Vec<&str> = profile.services.iter().map(|service| service.key.as_str()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let near = known.iter().find(|key| strsim::damerau_levenshtein(key, name) <= 2);
            let help = near
                .map_or_else(|| format!("its services: {}", known.join(", ")), |key| format!("did you mean `{key}`?"));
            Err(Error::NoSuchService { name: name.clone(), profile: profile.name.clone(), help })
        }
    }
}

/// Takes the profile's lock: one verb at a time changes an instance from this machine.
pub(crate) async fn lock(session: &Session, profile: &Profile, verb: &str) -> Result<lock::Lock, Failure> {
    Ok(lock::take(session, &format!("instance-{}", profile.instance), verb, PATIENCE).await?)
}

/// A running cluster of ours, with a client for it.
pub(crate) struct Running {
    pub(crate) client: kube::Client,
    pub(crate) band: Band,
}

/// Connects to the profile's cluster; one that does not run is the error.
pub(crate) async fn running(session: &Session, profile: &Profile) -> Result<Running, Failure> {
    let engine = engine::connect(session).await?;
    match find(session, &engine, profile).await? {
        Ok(running) => Ok(running),
        Err(error) => Err(error.into()),
    }
}

/// Looks for the profile's cluster: running, or the reason why it cannot be asked.
pub(crate) async fn find(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
) -> Result<Result<Running, Error>, Failure> {
    let cluster = profile.cluster.name.clone();
    Ok(match cluster::observe(session, engine, &profile.cluster).await? {
        State::Running { band, .. } => {
            Ok(Running { client: cluster::client(session, engine, &profile.cluster).await?, band })
        }
        State::Stopped { .. } => {
            Err(Error::NotRunning { cluster, state: "is stopped", mend: "starts it", stands: true })
        }
        State::HalfMade { .. } => {
            Err(Error::NotRunning { cluster, state: "was never finished", mend: "makes it again", stands: false })
        }
        State::Absent { .. } => {
            Err(Error::NotRunning { cluster, state: "does not exist", mend: "makes it", stands: false })
        }
    })
}
