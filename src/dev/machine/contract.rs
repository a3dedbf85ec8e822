//! What goes into the machine and what comes out: the words that it shares with the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::dev::rules::Rules;
use crate::dev::tree::{Node, Tree};

/// A service's key in the profile.
pub(crate) type Key = String;
/// A container's id, without the runtime's prefix.
pub(crate) type ContainerId = String;

/// Where something may have changed in a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hints {
    /// At or below these paths, relative to the context.
    Paths(BTreeSet<PathBuf>),
    /// Events were lost: anywhere.
    All,
}

/// What the disk holds at and below one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Relative to the context; empty for all of it.
    pub(crate) root: PathBuf,
    /// All that is there and not ignored, by path relative to the context; empty if nothing.
    pub(crate) entries: Tree,
}

/// The main container of one pod of a service, running.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    pub(crate) pod: String,
    pub(crate) node: String,
    /// The image that it runs, as the pod names it.
    pub(crate) image: String,
}

/// Why a container did not take something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The container is gone; its successor is told of by [`Input::Containers`].
    Gone,
    /// The way to it broke; what it holds is not known any more.
    Cut(String),
    /// It cannot take this at all (a read-only root): in words, with the path.
    Refused(String),
    /// A file was not what it was recorded as when it was read again: it is being written.
    Torn(PathBuf),
}

/// What is done to one path of a container. Targets are absolute paths in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Write the file, folder or link; `source` is relative to the context. Whatever else is
    /// there gives way, but a folder only once it is empty. Folders above the target that are
    /// missing are made; a link on the way there is followed within the container's root.
    Put { target: PathBuf, source: PathBuf, node: Node },
    /// Remove the file or link; a folder only if it is empty: one that is not stays, and that
    /// is no fault. Nothing there is well, too.
    Remove { target: PathBuf },
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The watcher saw something.
    Hinted {
        service: Key,
        hints: Hints,
    },
    /// The answer to [`Effect::Scan`].
    Scanned {
        service: Key,
        found: Vec<Found>,
        torn: BTreeSet<PathBuf>,
    },
    /// All running main containers of a service, whenever that changed. `wanted` is how many
    /// replicas there shall be.
    Containers {
        service: Key,
        running: Vec<Container>,
        wanted: u32,
    },
    /// The answer to [`Effect::Look`]: what is at each target that was asked for.
    Looked {
        container: ContainerId,
        result: Result<BTreeMap<PathBuf, Option<Node>>, Fault>,
    },
    /// The answer to [`Effect::Send`].
    Sent {
        container: ContainerId,
        batch: u64,
        result: Result<(), Fault>,
    },
    /// The answers to [`Effect::Restart`] and [`Effect::Run`].
    Restarted {
        container: ContainerId,
        result: Result<(), Fault>,
    },
    Ran {
        container: ContainerId,
        result: Result<(), Fault>,
    },
    /// The answer to [`Effect::Converge`].
    Converged {
        /// Of services whose image came about, whatever became of the rest.
        built: BTreeMap<Key, Built>,
        /// What is known of the services by now; those that are not named stay as they are.
        specs: BTreeMap<Key, Spec>,
        /// Why it failed; `None`: it met something half done, and is to be tried again.
        result: Result<(), Option<String>>,
    },
    /// The profile changed in a way that is valid: all services that there are now. It is
    /// deployed again, and new services are built.
    Reconfigured {
        services: BTreeMap<Key, Spec>,
    },
    /// What could not be reached may be back: what failed is tried again, and deployed.
    Retry,
    /// Somebody asked: `None` means every service.
    Rebuild {
        service: Option<Key>,
    },
    Restart {
        service: Option<Key>,
    },
    /// While paused nothing is scanned or sent; afterwards everything is caught up with.
    Pause(bool),
    /// The time that [`super::Machine::wake`] named has come.
    Tick,
}

/// An image, and what its build context was.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) image: String,
    pub(crate) tree: Arc<Tree>,
    /// [`Spec::inputs`] that it was made of.
    pub(crate) inputs: String,
}

/// What the machine has to know of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) rules: Rules,
    /// The process is run under the helper, so it can be restarted in place. Where it is not,
    /// what needs a restart is rebuilt.
    pub(crate) supervised: bool,
    /// The Dockerfile and its ignore file, where they lie in the context.
    pub(crate) recipes: BTreeSet<PathBuf>,
    /// What else the image is made of, as a digest or any other text: build arguments, target,
    /// a Dockerfile that lies elsewhere or is ignored. When it changes the service is rebuilt.
    pub(crate) inputs: String,
}

/// Something to do. Each is answered with the input that its doc names, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Read these parts of the context: [`Input::Scanned`].
    Scan { service: Key, hints: Hints },
    /// Say what the container holds at these targets (a link is not followed): [`Input::Looked`].
    Look { service: Key, container: ContainerId, targets: Vec<PathBuf> },
    /// All or nothing: [`Input::Sent`].
    Send { service: Key, container: ContainerId, batch: u64, ops: Vec<Op> },
    /// Restart the process in place: [`Input::Restarted`].
    Restart { service: Key, container: ContainerId },
    /// Run a hook: [`Input::Ran`].
    Run { service: Key, container: ContainerId, command: Vec<String> },
    /// Build, load and deploy: [`Input::Converged`]. Services that are not named keep the image
    /// that they run; with none named it deploys only. At most one runs at a time.
    Converge { rebuild: BTreeMap<Key, String> },
    /// Stop the running [`Effect::Converge`]; it is still answered.
    CancelConverge,
    /// For the screen.
    Tell(Told),
}

/// What there is to say about a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Containers that take changes were brought up to date.
    Updated {
        service: Key,
        how: How,
        /// Paths relative to the context, at most a few; `files` counts all.
        paths: Vec<PathBuf>,
        files: usize,
        /// From the first hint to the last acknowledgement.
        took: Duration,
        /// Containers that are up to date, of those that there shall be.
        replicas: (u32, u32),
    },
    /// Work began for a reason, such as "`requirements.txt` is used by `RUN pip install …`".
    Began { service: Key, how: How, reason: String },
    /// Changes came that need nothing done, with the reason.
    Nothing { service: Key, reason: String },
    /// How many containers are in sync now, when that changed.
    InSync { service: Key, replicas: (u32, u32) },
    /// The last change could not be brought there, and why; what ran before still runs. `None`:
    /// that is over.
    Behind { service: Key, reason: Option<String> },
    /// Something that the user should act on: a build loop with its files, a refused sync.
    Warning { service: Key, text: String },
}

/// How a change reaches the containers. Ordered: what is later does what is earlier, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    Nothing,
    Sync,
    Run,
    Restart,
    Rebuild,
}
