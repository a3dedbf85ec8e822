//! Which changes of a build context reach a running container as files, and which need a new
//! image.

use std::path::PathBuf;

/// A service's rules, the first that matches a path counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
}

/// One rule of `sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    /// A folder in the container, absolute.
    pub(crate) path: PathBuf,
    /// Restart the process afterwards.
    pub(crate) restart: bool,
    /// Run this in the container afterwards.
    pub(crate) run: Option<Vec<String>>,
}
