//! Asks every area what is there. Reads only, everything at the same time.

mod images;
mod inputs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use miette::Diagnostic;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::{self, Band, State};
use crate::deploy::live::{self, Live};
use crate::deploy::raw::Document;
use crate::error::{Classified, Failure, Kind};
use crate::image::context::Context;
use crate::image::dockerfile::Dockerfile;
use crate::image::engine::Engine;
use crate::image::load;
use crate::image::own::Own;
use crate::profile::{self, Profile};
use crate::session::Session;

pub(crate) use self::inputs::{Contexts, read};

/// What is there, before anything is changed.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) inputs: Inputs,
    pub(crate) cluster: State,
    /// Reference → id, of the images to pull that the engine has.
    pub(crate) pulled: BTreeMap<String, String>,
    /// Node → names of the images that it holds. Empty while the cluster does not run.
    pub(crate) nodes: BTreeMap<String, BTreeSet<String>>,
    /// Empty while the cluster does not run.
    pub(crate) live: Live,
    /// This profile's tags in the engine. Not asked for where only images are built.
    pub(crate) own: BTreeMap<String, Own>,
    /// The cluster was started in this run.
    pub(crate) restarted: bool,
}

impl Observed {
    /// Returns what is seen where nothing was looked at: no cluster, no images.
    pub(crate) fn nothing() -> Self {
        Self {
            inputs: Inputs::default(),
            cluster: State::Absent { band: Band::default() },
            pulled: BTreeMap::new(),
            nodes: BTreeMap::new(),
            live: Live::default(),
            own: BTreeMap::new(),
            restarted: false,
        }
    }
}

/// What the profile's files say on this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    pub(crate) builds: BTreeMap<String, Arc<BuildInput>>,
    /// The services that are built, each after those whose image it needs.
    pub(crate) order: Vec<String>,
    /// Image name → reference to pull.
    pub(crate) pulls: BTreeMap<String, String>,
    /// Built services whose image a container of another one runs.
    pub(crate) run_elsewhere: BTreeSet<String>,
    /// Service → key → value.
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Service → path in the container → content.
    pub(crate) files: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(crate) documents: Vec<Document>,
    pub(crate) warnings: Vec<String>,
}

/// One build, read from disk.
#[derive(Debug, Clone)]
pub(crate) struct BuildInput {
    /// Arguments are filled in.
    pub(crate) build: profile::Build,
    pub(crate) context: Context,
    pub(crate) dockerfile: Dockerfile,
    /// Content of its certificate authority.
    pub(crate) ca: Option<Vec<u8>>,
    /// Secrets of the build, by id.
    pub(crate) secrets: BTreeMap<String, Vec<u8>>,
    /// Services whose image it builds on.
    pub(crate) needs: Vec<String>,
    /// Base images that the engine has, reference → id.
    pub(crate) bases: BTreeMap<String, String>,
    /// The tag that the image has, or gets.
    pub(crate) tag: String,
    /// The engine has it.
    pub(crate) built: bool,
    /// Asked for by `--no-cache`.
    pub(crate) no_cache: bool,
    /// The ports that the image exposes; `None` while only a build can tell.
    pub(crate) exposed: Option<Vec<u16>>,
}

/// What is asked for beyond the profile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Images alone: neither the cluster nor what containers need at run time is looked at.
    pub(crate) images_only: bool,
    /// Nothing is rolled out: objects are looked at only for images that the engine has lost.
    pub(crate) loads_only: bool,
    /// `--no-cache`: build these services anew; empty: all of them.
    pub(crate) rebuild: Option<Vec<String>>,
    /// Services that keep the image they have, service → tag, whatever their context says by now.
    pub(crate) pinned: BTreeMap<String, String>,
    /// `--pull`: base images that no build has seen count as new.
    pub(crate) pull: bool,
    /// The cluster was started in this run.
    pub(crate) restarted: bool,
    /// Makes the tag of an image that is built again differ from the one before, and sort after it.
    pub(crate) suffix: String,
    /// Contexts that are being read already; empty: they are read when they are needed.
    pub(crate) contexts: Contexts,
}

impl Asked {
    fn rebuilds(&self, service: &str) -> bool {
        self.rebuild.as_ref().is_some_and(|names| names.is_empty() || names.iter().any(|name| name == service))
    }
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("`{path}` could not be read", path = path.display())]
    #[diagnostic(code(coracle::observe::unreadable), help("service `{service}` names it as {what}"))]
    Unreadable { service: String, what: String, path: PathBuf, source: std::io::Error },

    #[error("the variable {variable} is not set")]
    #[diagnostic(
        code(coracle::observe::unset),
        help("the secret `{key}` of service `{service}` is taken from it: `export {variable}=…`")
    )]
    Unset { service: String, key: String, variable: String },

    #[error("the command for the secret `{key}` of service `{service}` failed")]
    #[diagnostic(code(coracle::observe::secret_command), help("{output}"))]
    SecretCommand { service: String, key: String, output: String },

    #[error("service `{service}` would run nothing: its image has neither CMD nor ENTRYPOINT")]
    #[diagnostic(
        code(coracle::observe::no_command),
        help("add a CMD to its Dockerfile, or `command: […]` to the service")
    )]
    NoCommand { service: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::SecretCommand { .. } => Kind::Work,
            _ => Kind::Request,
        }
    }
}

/// Observes everything that `up` plans from. The profile gets the ports that its images expose.
/// Ends early when the user stops it.
pub(crate) async fn observe(
    session: &Session,
    engine: &Engine,
    profile: &mut Profile,
    asked: &Asked,
) -> Result<Observed, Failure> {
    tokio::select! {
        observed = Box::pin(look(session, engine, profile, asked)) => observed,
        () = session.cancel.cancelled() => Err(Failure::interrupted("nothing was changed")),
    }
}

async fn look(session: &Session, engine: &Engine, profile: &mut Profile, asked: &Asked) -> Result<Observed, Failure> {
    // Nodes take longest to answer, so they are asked first, whatever the cluster turns out to be.
    let early = (!asked.images_only).then(|| ask_nodes(engine, profile));
    let cluster = async {
        if asked.images_only {
            Ok(State::Absent { band: Band::default() })
        } else {
            cluster::observe(session, engine, &profile.cluster).await
        }
    };
    let images = async {
        let mut inputs = read(session, profile, asked).await?;
        let (pulled, own) = images::ask(engine, profile, &mut inputs, asked).await?;
        Ok::<_, Failure>((inputs, pulled, own))
    };
    let (images, state) = tokio::join!(images, cluster);
    let ((inputs, pulled, mut own), state) = (images?, state?);
    let exposed = inputs.builds.iter().map(|(key, input)| (key.clone(), input.exposed.clone().unwrap_or_default()));
    profile::fill_ports(profile, &exposed.collect());
    let lost = inputs.pulls.values().any(|reference| !pulled.contains_key(reference));
    let objects_too = lost || !asked.loads_only;
    let (there, aged) = tokio::join!(
        ask_cluster(session, engine, profile, &inputs, &state, early, objects_too),
        images::ask_ages(engine, &inputs, &mut own, asked)
    );
    aged?;
    let (nodes, mut live) = there?;
    adopt(session, &mut live, profile);
    Ok(Observed { inputs, cluster: state, pulled, nodes, live, own, restarted: asked.restarted })
}

/// A profile whose folder is gone was moved: this is the same one.
fn adopt(session: &Session, live: &mut Live, profile: &Profile) {
    let here = profile.folder.display().to_string();
    if let Some(inventory) = &mut live.inventory
        && inventory.folder != here
        && !std::path::Path::new(&inventory.folder).exists()
    {
        session.events.info(format!(
            "`{}` was brought up from {}, which is gone: it goes on from here",
            profile.name, inventory.folder
        ));
        inventory.folder = here;
    }
}

/// What nodes said; none if the cluster's could not even be listed.
type Held = Option<Result<BTreeMap<String, BTreeSet<String>>, crate::image::Error>>;

/// Begins to ask the nodes for their images. What fails here is asked for again, once it is
/// known that the cluster runs, and said then.
fn ask_nodes(engine: &Engine, profile: &Profile) -> AbortOnDropHandle<Held> {
    let (engine, cluster) = (engine.clone(), profile.cluster.name.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        let nodes = cluster::node_names(&engine, &cluster).await.ok()?;
        Some(load::observe_nodes(&engine, &nodes).await)
    }))
}

/// What a running cluster says: node → images, and what it has of this profile.
type Said = (BTreeMap<String, BTreeSet<String>>, Live);

/// Asks a running cluster for its nodes' images and, `objects_too`, for this profile's objects.
async fn ask_cluster(
    session: &Session,
    engine: &Engine,
    profile: &Profile,
    inputs: &Inputs,
    state: &State,
    early: Option<AbortOnDropHandle<Held>>,
    objects_too: bool,
) -> Result<Said, Failure> {
    let State::Running { nodes, .. } = state else { return Ok(Said::default()) };
    let kinds = inputs.documents.iter().map(|document| {
        let object = &document.object;
        format!("{}/{}", object.api_version(), object.kind())
    });
    let kinds: BTreeSet<String> = kinds.collect();
    let live = async {
        let client = cluster::client(session, engine, &profile.cluster).await?;
        let live = if objects_too {
            live::observe(&client, profile, &kinds).await?
        } else {
            live::observe_inventory(&client, profile).await?
        };
        Ok::<_, Failure>(live)
    };
    let held = async {
        // An early answer of other nodes, or of none, is of a cluster that changed meanwhile.
        if let Some(Ok(Some(Ok(held)))) = futures_util::future::OptionFuture::from(early).await
            && held.keys().eq(nodes.iter().collect::<BTreeSet<_>>())
        {
            return Ok(held);
        }
        load::observe_nodes(engine, nodes).await.map_err(Failure::from)
    };
    let (nodes, live) = tokio::join!(held, live);
    Ok((nodes?, live?))
}
