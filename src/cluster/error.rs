//! What can go wrong with a local cluster, worded.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;

use crate::error::{Classified, Kind};
use crate::exec;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("cluster `{name}` was not made by Coracle, so it is left alone")]
    #[diagnostic(
        code(coracle::cluster::foreign),
        help(
            "use another name, with `cluster: {{name: …}}` in the profile, or, if nobody needs it, \
             `kind delete cluster --name {name}`"
        )
    )]
    Foreign { name: String },

    #[error("the Docker engine could not {doing}")]
    #[diagnostic(code(coracle::cluster::engine), help("`docker ps -a` shows what the engine says"))]
    Engine { doing: String, source: Box<bollard::errors::Error> },

    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] exec::Error),

    #[error("cluster `{name}` could not be {doing}: port {port} of 127.0.0.1 is taken{}", by(holder.as_ref()))]
    #[diagnostic(
        code(coracle::cluster::port_taken),
        help(
            "stop what listens on port {port} (`ss -ltnp 'sport = :{port}'` shows it), then run the same command again"
        )
    )]
    PortTaken {
        name: String,
        /// `created`, `started`.
        doing: &'static str,
        port: u16,
        /// "container `db`", "process 123 (`node`)".
        holder: Option<String>,
        #[source]
        cause: Words,
    },

    #[error("no {size} consecutive ports are free on 127.0.0.1 between {first} and {last}; taken: {taken}")]
    #[diagnostic(
        code(coracle::cluster::no_ports),
        help(
            "stop what holds them (`ss -ltnp` shows it), or delete a cluster that is not used: `coracle cluster list`"
        )
    )]
    NoPorts { size: u16, first: u16, last: u16, taken: String },

    #[error("cluster `{name}` could not be created: its node image could not be pulled")]
    #[diagnostic(code(coracle::cluster::node_image), help("{help}"))]
    NodeImage {
        name: String,
        help: String,
        #[source]
        cause: Words,
    },

    #[error("cluster `{name}` could not be created: a node did not come up, as it does when inotify is used up")]
    #[diagnostic(
        code(coracle::cluster::inotify),
        help(
            "raise the limits, then run the same command again:\n\
             sudo sysctl fs.inotify.max_user_watches=524288\n\
             sudo sysctl fs.inotify.max_user_instances=512"
        )
    )]
    Inotify {
        name: String,
        #[source]
        cause: Words,
    },

    #[error("cluster `{name}` could not be {doing}")]
    #[diagnostic(code(coracle::cluster::provider), help("{help}"))]
    Provider {
        name: String,
        /// `created`, `deleted`, `read`.
        doing: &'static str,
        help: String,
        #[source]
        cause: Words,
    },

    #[error("cluster `{name}` waited {seconds} s for {what}")]
    #[diagnostic(code(coracle::cluster::not_up), help("{help}"))]
    NotUp {
        name: String,
        /// "its API server", "node `x` to be ready".
        what: String,
        seconds: u64,
        help: String,
        #[source]
        last: Words,
    },

    #[error("cluster provider `{name}` cannot be used yet")]
    #[diagnostic(code(coracle::cluster::unsupported), help("use `provider: kind`, or leave `provider` out"))]
    Unsupported { name: String },

    #[error("there is no cluster `{name}`")]
    #[diagnostic(code(coracle::cluster::absent), help("`coracle up` or `coracle cluster create` makes it"))]
    Absent { name: String },

    #[error("`{}` could not be {doing}", path.display())]
    #[diagnostic(
        code(coracle::cluster::state),
        help("make room, or make it yours; another folder can be given with XDG_STATE_HOME")
    )]
    State { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("`{}` is not a kubeconfig file that can be understood", path.display())]
    #[diagnostic(code(coracle::cluster::kubeconfig), help("it was left as it is; repair it, or move it away"))]
    Kubeconfig {
        path: PathBuf,
        #[source]
        cause: Words,
    },

    #[error("`{}` is locked by another program", path.display())]
    #[diagnostic(
        code(coracle::cluster::kubeconfig_locked),
        help("try again; if nothing uses it, delete `{}.lock`", path.display())
    )]
    KubeconfigLocked { path: PathBuf },

    #[error("{holder} holds `{name}`, and still did after {seconds} s")]
    #[diagnostic(code(coracle::cluster::held), help("wait until it ends, or stop it with Ctrl-C, then try again"))]
    Held {
        /// The lock's name.
        name: String,
        /// "`coracle up` (process 123, since 14:02:11)".
        holder: String,
        seconds: u64,
    },

    #[error("interrupted: {stands}")]
    #[diagnostic(code(coracle::interrupted), help("run the same command again to continue"))]
    Interrupted { stands: String },
}

/// A cause that is somebody else's words, sanitised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Words(pub(crate) String);

impl Words {
    pub(super) fn new(text: &impl ToString) -> Self {
        Self(crate::ui::sanitize::block(&text.to_string()))
    }
}

fn by(holder: Option<&String>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

impl Error {
    /// Returns what `map_err` takes: an engine's error, with what was being done.
    pub(super) fn engine(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Engine { doing, source: source.into() }
    }

    pub(super) fn state(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::State { doing, path, source }
    }
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Process(error) => error.kind(),
            Self::Foreign { .. } | Self::Held { .. } | Self::KubeconfigLocked { .. } => Kind::Refused,
            Self::Engine { .. }
            | Self::PortTaken { .. }
            | Self::NoPorts { .. }
            | Self::NodeImage { .. }
            | Self::Inotify { .. }
            | Self::Absent { .. }
            | Self::State { .. } => Kind::Absent,
            Self::Provider { .. } | Self::NotUp { .. } => Kind::Work,
            Self::Unsupported { .. } | Self::Kubeconfig { .. } => Kind::Request,
            Self::Interrupted { .. } => Kind::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the error at width 80, without colour.
    fn rendered(error: &Error) -> String {
        let mut text = String::new();
        let theme = miette::GraphicalTheme::unicode_nocolor();
        miette::GraphicalReportHandler::new_themed(theme)
            .with_width(80)
            .with_links(false)
            .render_report(&mut text, error)
            .unwrap();
        text
    }

    fn failed(last: &str) -> Words {
        let command = "kind create cluster --name shop".to_owned();
        Words::new(&crate::exec::Failed { command, code: Some(1), last: last.to_owned() })
    }

    #[test]
    fn foreign() {
        let error = Error::Foreign { name: "kind".to_owned() };
        assert_eq!(error.kind(), Kind::Refused);
        insta::assert_snapshot!(rendered(&error), @r"
    coracle::cluster::foreign

      × cluster `kind` was not made by Coracle, so it is left alone
      help: use another name, with `cluster: {name: …}` in the profile, or, if
            nobody needs it, `kind delete cluster --name kind`
    ");
    }

    #[test]
    fn port_taken() {
        let error = Error::PortTaken {
            name: "shop".to_owned(),
            doing: "started",
            port: 30005,
            holder: Some("process 123 (`node`)".to_owned()),
            cause: Words::new(&"Bind for 127.0.0.1:30005 failed: port is already allocated"),
        };
        assert_eq!(error.kind(), Kind::Absent);
        insta::assert_snapshot!(rendered(&error), @r"
    coracle::cluster::port_taken

      × cluster `shop` could not be started: port 30005 of 127.0.0.1 is taken by
      │ process 123 (`node`)
      ╰─▶ Bind for 127.0.0.1:30005 failed: port is already allocated
      help: stop what listens on port 30005 (`ss -ltnp 'sport = :30005'` shows
            it), then run the same command again
    ");
    }

    #[test]
    fn inotify() {
        let error = Error::Inotify {
            name: "shop".to_owned(),
            cause: failed("ERROR: failed to create cluster: could not find a log line"),
        };
        assert_eq!(error.kind(), Kind::Absent);
        insta::assert_snapshot!(rendered(&error), @r"
    coracle::cluster::inotify

      × cluster `shop` could not be created: a node did not come up, as it does
      │ when inotify is used up
      ╰─▶ `kind create cluster --name shop` exited with 1
          ERROR: failed to create cluster: could not find a log line
      help: raise the limits, then run the same command again:
            sudo sysctl fs.inotify.max_user_watches=524288
            sudo sysctl fs.inotify.max_user_instances=512
    ");
    }

    #[test]
    fn held() {
        let error = Error::Held {
            name: "cluster-shop".to_owned(),
            holder: "`coracle up` (process 123, since 14:02:11)".to_owned(),
            seconds: 10,
        };
        assert_eq!(error.kind(), Kind::Refused);
        insta::assert_snapshot!(rendered(&error), @r"
    coracle::cluster::held

      × `coracle up` (process 123, since 14:02:11) holds `cluster-shop`, and still
      │ did after 10 s
      help: wait until it ends, or stop it with Ctrl-C, then try again
    ");
    }
}
