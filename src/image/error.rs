//! What can go wrong with an image. The user's Dockerfile failing and the engine failing
//! are different variants with different exit codes.

use miette::Diagnostic;

use super::build::failure::BuildFailed;
use super::engine::Engine;
use super::pull::PullFailed;
use super::sweep::survey::{self, Reclaimable};
use crate::error::{Classified, Kind};

/// The words of somebody else, sanitised, as the cause below a message of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Cause(String);

impl Cause {
    /// `text` may have several lines.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self(crate::ui::sanitize::block(text.as_ref().trim()).trim().to_owned())
    }
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error(transparent)]
    #[diagnostic(transparent)]
    BuildFailed(#[from] Box<BuildFailed>),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Pull(#[from] Box<PullFailed>),

    #[error(transparent)]
    #[diagnostic(transparent)]
    Context(#[from] super::context::Error),

    #[error("{what} failed: the connection to the Docker engine at `{endpoint}` was lost")]
    #[diagnostic(
        code(coracle::image::engine_lost),
        help("see that the engine runs (`docker info`), then run the same command again")
    )]
    EngineLost {
        what: String,
        endpoint: String,
        #[source]
        cause: Cause,
    },

    #[error("{what} failed: the disk of the Docker engine is full")]
    #[diagnostic(code(coracle::image::disk_full), help("{}", free_help(*reclaimable)))]
    DiskFull {
        what: String,
        /// What would come back, where the engine said so.
        reclaimable: Option<Reclaimable>,
        #[source]
        cause: Cause,
    },

    #[error("{what} failed")]
    #[diagnostic(code(coracle::image::engine_refused))]
    Engine {
        what: String,
        #[source]
        cause: Cause,
    },

    #[error("the build of `{service}` ended well, but the engine has no image `{tag}`")]
    #[diagnostic(code(coracle::image::tag_missing), help("something removed it meanwhile; run the same command again"))]
    TagMissing { service: String, tag: String },

    #[error("{what} was stopped")]
    #[diagnostic(code(coracle::interrupted), help("run the same command again to continue"))]
    Cancelled { what: String },

    #[error("the credentials for registry `{registry}` could not be read")]
    #[diagnostic(code(coracle::image::credentials), help("{mend}"))]
    Credentials {
        registry: String,
        mend: String,
        #[source]
        cause: Cause,
    },

    #[error("secret `{id}` for the build of `{service}` could not be read")]
    #[diagnostic(code(coracle::image::build_secret))]
    BuildSecret {
        service: String,
        id: String,
        #[source]
        cause: Cause,
    },

    #[error("image `{image}` is not in the Docker engine")]
    #[diagnostic(code(coracle::image::not_local), help("run `coracle up` again; it makes what is missing"))]
    NotLocal { image: String },

    #[error("node `{node}` does not run")]
    #[diagnostic(code(coracle::load::node_down), help("run `coracle cluster start`, or `coracle up` again"))]
    NodeDown {
        node: String,
        #[source]
        cause: Cause,
    },

    #[error("`{command}` on node `{node}` did not go on for {seconds} s")]
    #[diagnostic(
        code(coracle::load::node_silent),
        help(
            "`docker exec {node} systemctl status containerd` shows how it is; `coracle cluster stop` and `coracle \
             cluster start` begin anew"
        )
    )]
    NodeSilent { node: String, command: String, seconds: u64 },

    #[error("`{command}` on node `{node}` failed")]
    #[diagnostic(code(coracle::load::node_command), help("run `docker exec {node} {command}` to see it again"))]
    NodeCommand {
        node: String,
        command: String,
        #[source]
        cause: Cause,
    },

    #[error("{what} out of the Docker engine failed")]
    #[diagnostic(code(coracle::load::push_failed), help("run the same command again"))]
    Push {
        /// "the push of image `a`".
        what: String,
        #[source]
        cause: Cause,
    },

    #[error("{images} could not be loaded into node `{node}`")]
    #[diagnostic(
        code(coracle::load::import_failed),
        help(
            "run the same command again; if it stays, make the cluster anew: `coracle cluster delete`, then `coracle up`"
        )
    )]
    Import {
        node: String,
        /// "image `a`" or "images `a`, `b`".
        images: String,
        #[source]
        cause: Cause,
    },

    #[error("the disk of node `{node}` is full, so {images} could not be loaded into it")]
    #[diagnostic(
        code(coracle::load::node_full),
        help("{}", free_help(*reclaimable))
    )]
    NodeFull {
        node: String,
        images: String,
        /// [`Error::weighed`] asks.
        reclaimable: Option<Reclaimable>,
        #[source]
        cause: Cause,
    },

    #[error("{images} was loaded into node `{node}`, but is not whole there")]
    #[diagnostic(code(coracle::load::not_on_node), help("run the same command again; it loads what is missing"))]
    NotOnNode {
        node: String,
        images: String,
        #[source]
        cause: Cause,
    },
}

fn free_help(reclaimable: Option<Reclaimable>) -> String {
    let Some(Reclaimable { some, all }) = reclaimable.filter(|bytes| bytes.all > 0) else {
        return "`docker system df` shows what takes the space; nothing of it that can go is Coracle's. Free some where \
                Docker keeps its data (`docker info` names the folder), then run the same command again"
            .to_owned();
    };
    let (least, most) = (size(some), size(all));
    let then = "then run the same command again; `docker system df` shows what else takes the space";
    if some == all {
        format!("`coracle prune` gives back about {least}; {then}")
    } else if some == 0 {
        format!("`coracle prune --all` gives back about {most}; {then}")
    } else {
        format!("`coracle prune` gives back about {least}, `coracle prune --all` about {most}; {then}")
    }
}

impl Error {
    /// Returns the error with the number of bytes that would come back, where it is about a full disk.
    pub(crate) async fn weighed(mut self, engine: &Engine) -> Self {
        if let Self::NodeFull { reclaimable: missing @ None, .. } = &mut self {
            *missing = survey::reclaimable(engine).await;
        }
        self
    }
}

/// Returns a size as people read it: `1.4 GB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::BuildFailed(_)
            | Self::Engine { .. }
            | Self::TagMissing { .. }
            | Self::NodeCommand { .. }
            | Self::NodeSilent { .. }
            | Self::Push { .. }
            | Self::Import { .. }
            | Self::NotOnNode { .. } => Kind::Work,
            Self::Context(error) => error.kind(),
            Self::Pull(error) => error.kind(),
            Self::Cancelled { .. } => Kind::Interrupted,
            Self::EngineLost { .. }
            | Self::DiskFull { .. }
            | Self::Credentials { .. }
            | Self::BuildSecret { .. }
            | Self::NotLocal { .. }
            | Self::NodeDown { .. }
            | Self::NodeFull { .. } => Kind::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_answered_with_what_comes_back() {
        let help = |some, all| free_help(Some(Reclaimable { some, all }));
        let both = help(1_500_000_000, 2_000_000_000);
        assert!(
            both.starts_with("`coracle prune` gives back about 1.5 GB, `coracle prune --all` about 2.0 GB;"),
            "{both}"
        );
        assert!(help(0, 7_000_000).starts_with("`coracle prune --all` gives back about 7.0 MB;"));
        assert!(help(7_000_000, 7_000_000).starts_with("`coracle prune` gives back about 7.0 MB;"));
        assert!(help(0, 0).starts_with("`docker system df` shows") && free_help(None) == help(0, 0));
    }
}
