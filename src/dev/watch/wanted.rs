//! What of a folder is wanted: contexts with one root, or single files in it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Watched;
use crate::dev::sieve::{Fate, Sieve};
use crate::image::ignore::Verdict;

/// What is wanted of one folder.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Contexts with the same root. What is kept by one of them is watched for all: a hint too
    /// much is a look in vain.
    Contexts(Vec<Member>),
    /// Names in the folder itself.
    Files(BTreeSet<OsString>),
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) context: Watched,
    sieve: Sieve,
}

/// What the rules of each member say of a folder: `None` where it is out.
pub(super) type Standing = Vec<Option<Verdict>>;

impl Wanted {
    pub(super) fn of_contexts(contexts: Vec<Watched>) -> Self {
        let member = |context: Watched| Member { sieve: read(&context).unwrap_or_default(), context };
        Self::Contexts(contexts.into_iter().map(member).collect())
    }

    /// Returns what is said of the root.
    pub(super) fn top(&self) -> Standing {
        match self {
            // A folder that matched nothing hands nothing on, as if there were none above.
            Self::Contexts(members) => members.iter().map(|member| Some(member.sieve.top())).collect(),
            Self::Files(_) => Vec::new(),
        }
    }

    /// Returns what is said of the folder `path`, which lies in a folder with the standing
    /// `parent`; `None` if nobody wants anything of it.
    pub(super) fn folder(&self, path: &Path, parent: &Standing) -> Option<Standing> {
        let Self::Contexts(members) = self else { return None };
        let standing: Standing = members
            .iter()
            .zip(parent)
            .map(|(member, parent)| {
                let (fate, verdict) = member.sieve.folder(path, parent.as_ref()?);
                (fate != Fate::Out).then_some(verdict)
            })
            .collect();
        standing.iter().any(Option::is_some).then_some(standing)
    }

    /// Returns whether `path`, which is no folder, is wanted.
    pub(super) fn keeps(&self, path: &Path, parent: &Standing) -> bool {
        match self {
            Self::Contexts(members) => {
                let keeps = |(member, parent): (&Member, &Option<Verdict>)| {
                    parent.as_ref().is_some_and(|parent| member.sieve.keeps(path, parent))
                };
                members.iter().zip(parent).any(keeps)
            }
            Self::Files(names) => names.contains(path.as_os_str()),
        }
    }

    /// Returns whether an ignore file may lie at `path` (absolute).
    pub(super) fn is_rules(&self, path: &Path) -> bool {
        let Self::Contexts(members) = self else { return false };
        members.iter().any(|member| member.sieve.files().any(|file| file == path))
    }

    /// Reads the rules again; returns whether they are others, or cannot be read: then the
    /// last good ones stay, and whoever scans will say why.
    pub(super) fn reload(&mut self) -> bool {
        let Self::Contexts(members) = self else { return false };
        let mut changed = false;
        for member in members {
            match read(&member.context) {
                Some(sieve) => {
                    changed |= !member.sieve.is_same(&sieve);
                    member.sieve = sieve;
                }
                None => changed = true,
            }
        }
        changed
    }

    /// Returns whether no ignore file looks different.
    pub(super) fn is_current(&self) -> bool {
        match self {
            Self::Contexts(members) => members.iter().all(|member| member.sieve.is_current()),
            Self::Files(_) => true,
        }
    }

    /// Returns where single files have to be watched for the contexts' sake: what says how a
    /// context is built may lie outside of it.
    pub(super) fn outside(context: &Watched) -> Option<PathBuf> {
        let mut own = context.dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        (!context.dockerfile.starts_with(&context.root)).then(|| own.into())
    }
}

fn read(context: &Watched) -> Option<Sieve> {
    let read = Sieve::read(&context.root, &context.dockerfile);
    read.inspect_err(|error| tracing::debug!(%error, "the ignore rules are not readable")).ok()
}
