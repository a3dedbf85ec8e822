//! What can go wrong between Coracle and a cluster, one variant each.

use std::path::PathBuf;

use miette::Diagnostic;

use super::explain::report::NotReady;
use crate::error::{Classified, Kind};

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("the kubeconfig `{}` has no usable context `{context}`", path.display())]
    #[diagnostic(code(coracle::deploy::kubeconfig), help("run `coracle up`: it writes the cluster's kubeconfig again"))]
    Kubeconfig { path: PathBuf, context: String, source: Words },

    #[error("the cluster's API server{at} cannot be reached")]
    #[diagnostic(
        code(coracle::deploy::unreachable),
        help("`coracle cluster list` shows whether the cluster runs; `coracle up` starts it again")
    )]
    Unreachable { at: String, source: Words },

    #[error("the cluster's API server did not answer within {seconds} s ({what})")]
    #[diagnostic(
        code(coracle::deploy::no_answer),
        help("the machine may be overloaded; `coracle status` asks again, `coracle up` continues")
    )]
    NoAnswer { what: String, seconds: u64 },

    #[error("the cluster does not accept the kubeconfig's credentials ({what})")]
    #[diagnostic(
        code(coracle::deploy::unauthorised),
        help("run `coracle up`: it writes the cluster's kubeconfig again")
    )]
    Unauthorised { what: String, source: Words },

    #[error("the cluster does not permit it: {what}")]
    #[diagnostic(
        code(coracle::deploy::forbidden),
        help("the answer names the missing permission; whoever runs the cluster can grant it")
    )]
    Forbidden { what: String, source: Words },

    #[error("{what} does not fit the namespace's quota")]
    #[diagnostic(
        code(coracle::deploy::quota),
        help("ask for less with `replicas:` or `resources:`, or have the quota raised")
    )]
    Quota { what: String, source: Words },

    #[error("the API server finds {what} invalid")]
    #[diagnostic(
        code(coracle::deploy::invalid),
        help("`coracle render` shows the object; mend the named field in the profile or its manifest")
    )]
    Invalid { what: String, source: Words },

    #[error("{what} cannot be changed in place")]
    #[diagnostic(
        code(coracle::deploy::immutable),
        help("`coracle down` and then `coracle up` make it anew; claims stay")
    )]
    Immutable { what: String, source: Words },

    #[error("{what} cannot have node port {port}: {owner} has it")]
    #[diagnostic(
        code(coracle::deploy::port_taken),
        help("choose another `node-port:`, or leave it out and one is chosen")
    )]
    PortTaken { what: String, port: u16, owner: String, source: Words },

    #[error("a webhook of the cluster refused {what}")]
    #[diagnostic(code(coracle::deploy::webhook), help("its words say what it wants; it belongs to the cluster"))]
    Webhook { what: String, source: Words },

    #[error("{what} was changed by somebody else at the same moment")]
    #[diagnostic(code(coracle::deploy::conflict), help("run the same command again"))]
    Conflict { what: String, source: Words },

    #[error("{what} is there already, and Coracle did not make it")]
    #[diagnostic(
        code(coracle::deploy::foreign),
        help("rename the service, or delete the other one; Coracle changes only what carries its own label and name")
    )]
    Foreign { what: String },

    #[error("the cluster does not know the kind `{kind}` of `{api_version}`")]
    #[diagnostic(
        code(coracle::deploy::unknown_kind),
        help("add the manifest that defines it to `manifests:`, or mend its `apiVersion:`")
    )]
    UnknownKind { api_version: String, kind: String },

    #[error("the API server answered something else than expected ({what})")]
    #[diagnostic(code(coracle::deploy::api), help("run the same command again; `-v` shows more"))]
    Api { what: String, source: Words },

    #[error("namespace `{namespace}` is still being deleted after {seconds} s")]
    #[diagnostic(
        code(coracle::deploy::namespace_terminating),
        help("wait until `kubectl get namespace {namespace}` finds nothing, then run it again")
    )]
    Terminating { namespace: String, seconds: u64, source: Words },

    #[error("another `coracle up` of profile `{profile}` changed it meanwhile")]
    #[diagnostic(code(coracle::deploy::overtaken), help("run it again: it plans against what is there now"))]
    Overtaken { profile: String },

    #[error("profile `{profile}` already runs from another folder\n  there: {there}\n  here:  {here}")]
    #[diagnostic(
        code(coracle::deploy::other_folder),
        help("give this one another `name:`, or run `coracle down` in {there} first")
    )]
    OtherFolder { profile: String, there: String, here: String },

    #[error("{what} still there after {seconds} s")]
    #[diagnostic(
        code(coracle::deploy::still_there),
        help("run the same command again: it continues where this stopped")
    )]
    StillThere { what: String, seconds: u64, source: Words },

    #[error("the cluster has no service `{service}` of profile `{profile}`")]
    #[diagnostic(code(coracle::deploy::no_service), help("the profile's services: {known}"))]
    NoService { service: String, profile: String, known: String },

    #[error("interrupted: {stands}")]
    #[diagnostic(code(coracle::interrupted), help("run the same command again to continue"))]
    Interrupted { stands: String },

    #[error(transparent)]
    #[diagnostic(transparent)]
    NotReady(Box<NotReady>),
}

/// The cause's own words, sanitised, perhaps of several lines.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Words(pub(crate) String);

impl Words {
    pub(crate) fn new(text: &str) -> Self {
        Self(crate::ui::sanitize::block(text.trim()))
    }
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Kubeconfig { .. } | Self::Unreachable { .. } | Self::NoAnswer { .. } => Kind::Absent,
            Self::Unauthorised { .. }
            | Self::Forbidden { .. }
            | Self::Quota { .. }
            | Self::PortTaken { .. }
            | Self::Webhook { .. }
            | Self::Foreign { .. }
            | Self::Overtaken { .. }
            | Self::OtherFolder { .. } => Kind::Refused,
            Self::Invalid { .. } | Self::UnknownKind { .. } | Self::NoService { .. } => Kind::Request,
            Self::Immutable { .. }
            | Self::Conflict { .. }
            | Self::Api { .. }
            | Self::Terminating { .. }
            | Self::StillThere { .. } => Kind::Work,
            Self::Interrupted { .. } => Kind::Interrupted,
            Self::NotReady(report) => report.kind(),
        }
    }
}
