//! `Failure`: the one place where an error gets its exit code and becomes text.
//!
//! Each area has a small enum of its own (`image::Error`), a `miette::Diagnostic` whose
//! variants carry data and whose attributes carry the words. `Failure` adds the kind,
//! which decides the exit code. Rendering is in `ui::report`.

use miette::Diagnostic;

/// What a failure means to a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The work failed: a build, a rollout.
    Work,
    /// The request is wrong: arguments, profile.
    Request,
    /// Something needed is absent or unreachable: the engine, a tool, a port, disk space.
    Absent,
    /// Refused: a guard, a permission, a quota, trust, another run that holds the lock.
    Refused,
    /// The user stopped it.
    Interrupted,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Work => 1,
            Self::Request => 2,
            Self::Absent => 3,
            Self::Refused => 4,
            Self::Interrupted => 130,
        }
    }
}

/// An area's error that knows what it means to a script.
pub(crate) trait Classified: Diagnostic + Send + Sync + 'static {
    fn kind(&self) -> Kind;
}

/// A diagnostic and its kind: what every verb returns when it does not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) report: miette::Report,
}

impl Failure {
    pub(crate) fn interrupted(stands: impl Into<String>) -> Self {
        Interrupted { stands: stands.into() }.into()
    }
}

impl<E: Classified> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { kind: error.kind(), report: miette::Report::new(error) }
    }
}

/// The user pressed Ctrl-C; `stands` says what was left.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("interrupted: {stands}")]
#[diagnostic(code(coracle::interrupted), help("run the same command again to continue"))]
pub(crate) struct Interrupted {
    stands: String,
}

impl Classified for Interrupted {
    fn kind(&self) -> Kind {
        Kind::Interrupted
    }
}

/// Returns an error's words and those of all its sources in one line, each said once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}
