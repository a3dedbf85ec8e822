//! `init` and `new`: a profile from what a folder has, and small applications to start from.
//!
//! [`survey()`] reads a folder; [`profile_of`] makes a profile of what it found, with comments that
//! say why, and sentences about what has no counterpart. What is in the folder decides, in this
//! order: Skaffold, Tilt, Compose, Kubernetes manifests, Dockerfiles. Whatever is returned was read by the
//! profile's own reader first (`settle.rs`), which looks at files and touches nothing else.
//! Writing is left to `cli`.

mod compose;
mod dockerfiles;
mod draft;
mod health;
pub(crate) mod language;
mod manifests;
mod settle;
mod skaffold;
pub(crate) mod starter;
mod survey;
#[cfg(test)]
mod tests;
mod tilt;
mod yaml;

use miette::Diagnostic;

use self::draft::Draft;
pub(crate) use self::survey::{Found, survey};
use crate::error::{Classified, Kind};
use crate::session::Surroundings;

/// The profile's file.
pub(crate) const FILE: &str = "coracle.yaml";

/// A profile that can be written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) yaml: String,
    /// What was left out, and what is to be known, a sentence each.
    pub(crate) said: Vec<String>,
}

/// Why no profile can be made of a folder.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("there is nothing in {folder} that a profile could be made of")]
    #[diagnostic(
        code(coracle::init::nothing),
        help(
            "`init` reads Dockerfiles, compose files, Kubernetes manifests, skaffold.yaml and Tiltfiles, and knows Python, Node, Go, Rust, Java and static sites; `coracle new` makes a small application to start from"
        )
    )]
    Nothing { folder: String },

    #[error("`{file}` could not be understood: {reason}")]
    #[diagnostic(code(coracle::init::unreadable), help("mend the file, then run the same command again"))]
    Unreadable { file: String, reason: String },

    #[error("no profile could be made that runs: {reason}")]
    #[diagnostic(
        code(coracle::init::unsettled),
        help("write coracle.yaml by hand: `coracle schema --markdown` has every key")
    )]
    Unsettled { reason: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

/// Returns the profile of what was found.
pub(crate) fn profile_of(found: &Found, surroundings: &Surroundings) -> Result<Written, Error> {
    let mut draft = draft(found)?;
    settle::settle(found, &mut draft, surroundings)?;
    if draft.services.iter().all(|service| service.off) && draft.manifests.is_empty() {
        let reason = draft.said().join("; ");
        return Err(Error::Unsettled { reason });
    }
    draft.head.push("`coracle up` runs it, `coracle dev` brings every saved file to where it runs.".to_owned());
    draft.head.push("Every key there is: `coracle schema --markdown`.".to_owned());
    Ok(Written { yaml: draft.text(), said: draft.said() })
}

fn draft(found: &Found) -> Result<Draft, Error> {
    let unreadable = |file: &str| {
        let file = file.to_owned();
        move |reason: String| Error::Unreadable { file, reason: crate::ui::sanitize::line(&reason) }
    };
    for file in ["skaffold.yaml", "skaffold.yml"] {
        if let Some(text) = found.text(file) {
            return skaffold::draft(found, file, text).map_err(unreadable(file));
        }
    }
    let mut draft = Draft::default();
    if let Some(text) = found.text("Tiltfile") {
        draft = tilt::draft(found, "Tiltfile", text);
        if !draft.manifests.is_empty() {
            return Ok(draft);
        }
        // One that only starts a compose file, say: what it did is in the list.
        draft = Draft { left: draft.left, ..Draft::default() };
    }
    let mut told = Draft::default();
    let files = manifests::files(found, &mut told);
    if let Some((file, text)) = compose::file(found).and_then(|file| Some((file.clone(), found.text(&file)?))) {
        let mut made = compose::draft(found, &file, text).map_err(unreadable(&file))?;
        if !files.is_empty() {
            made.notes.push(format!("{} are not in the profile, as {file} says the same: `manifests: [{}]` in place of `services:` takes them", manifests::count(&files), manifests::patterns(found, &files).join(", ")));
        }
        made.left.splice(0..0, draft.left);
        return Ok(made);
    }
    draft.left.extend(told.left);
    if files.is_empty() {
        dockerfiles::services(found, &mut draft);
    } else {
        manifests::with_dockerfiles(found, &mut draft, &files);
    }
    if draft.services.is_empty() && draft.manifests.is_empty() {
        return Err(Error::Nothing { folder: found.folder.display().to_string() });
    }
    Ok(draft)
}

/// Returns whether the folder has something that says how it runs.
pub(crate) fn says_how(found: &Found) -> bool {
    !matches!(draft(found), Err(Error::Nothing { .. }))
}
