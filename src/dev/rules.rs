//! Which changes of a build context reach a running container as files, and which need a new
//! image.
//!
//! Patterns are those of `.dockerignore`: `*` stops at `/`, `**` does not, and what matches a
//! folder matches all that is in it. A path is matched as text (bytes that are no UTF-8 stand
//! for `\u{fffd}`, which `*`, `?` and `**` take), but targets are made of the very bytes.
//!
//! **Where a path lands.** A rule's `path` is a folder in the container. The folders that the
//! pattern names before its first wildcard are taken off: `**/*.py -> /workspace` takes
//! `x/y.py` to `/workspace/x/y.py`, `src/** -> /app/src` takes `src/a/b` to `/app/src/a/b`,
//! and `templates -> /app/templates` takes what is below the folder. A literal file lands in
//! the folder under its own name; `app.py -> /app/app.py` says the name once more.
//!
//! **Several rules for one path.** Each rule that matches takes the path to its own target, as
//! two `COPY` do. Where rules lead to the same target, the first one counts, with its `restart`
//! and `run`: so a special rule (`tests/**` without a restart) stands before a general one.
//! Of two paths that lead to one target, the one of the earlier rule is written.
//!
//! **Folders** that a rule matches are kept with their mode, empty ones too. Folders that are
//! only on the way to something that matches are made where they are missing, keep their mode
//! where they are not, and go again when nothing needs them. A folder that nothing matches
//! never needs anything done: what is in it decides. **Links** are files: written as links.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::tree::{Node, Thing};
use crate::image::ignore::Ignore;
use crate::image::ignore::pattern::Pattern;
use crate::profile::SyncRule;
use crate::ui::sanitize;

/// A service's rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "rules are what the profile calls them")]
pub(crate) struct Rules {
    /// The first that leads to a target counts for it.
    pub(crate) rules: Vec<Rule>,
    /// What needs a new image although a rule matches it.
    pub(crate) triggers: Vec<Trigger>,
    /// All that the image is made of; `None` if that is not known, so that it may be anything.
    pub(crate) taken: Option<Vec<Sources>>,
}

/// One rule of `sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) sources: Sources,
    /// A folder in the container, absolute.
    pub(crate) path: PathBuf,
    pub(crate) lands: Lands,
    /// Restart the process afterwards.
    pub(crate) restart: bool,
    /// Files that browsers fetch need no restart in spite of `restart`.
    pub(crate) spares_assets: bool,
    /// Run this in the container afterwards.
    pub(crate) run: Option<Vec<String>>,
    /// Permission bits that everything gets, as `COPY --chmod` does.
    pub(crate) mode: Option<u32>,
}

/// How much of a path is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lands {
    /// So many folders at its beginning.
    Strip(usize),
    /// As `COPY` does it: what the pattern matched; a file keeps its name.
    Item,
    /// As [`Lands::Item`], but a file lands at the rule's path itself.
    Exact,
}

/// What needs a new image, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) sources: Sources,
    /// Follows the path: "is used by `RUN pip install -r requirements.txt` (Dockerfile:4)".
    pub(crate) why: String,
}

/// Paths of a build context.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// As written.
    pub(crate) text: String,
    /// `None`: everything.
    pattern: Option<Pattern>,
    /// Not these, as `COPY --exclude` says.
    excluded: Option<Ignore>,
    exclude: Vec<String>,
}

impl PartialEq for Sources {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.exclude) == (&other.text, &other.exclude)
    }
}

impl Eq for Sources {}

impl Sources {
    /// Reads a pattern; `None` if it is malformed, or begins with `!`.
    pub(crate) fn parse(text: &str, exclude: &[String]) -> Option<Self> {
        let everything = text.split('/').all(|part| part.is_empty() || part == ".");
        let pattern = if everything { None } else { Some(Pattern::parse(text).filter(|pattern| !pattern.negated)?) };
        let excluded = if exclude.is_empty() { None } else { Some(Ignore::of_patterns(exclude)?) };
        Some(Self { text: text.to_owned(), pattern, excluded, exclude: exclude.to_vec() })
    }

    /// Returns how many of the path's components the pattern itself matched; `None` if it does
    /// not match the path and none of the folders that it is in.
    pub(crate) fn covers(&self, path: &Path) -> Option<usize> {
        let text = path.to_string_lossy();
        let covered = self.matched(&text)?;
        let rest = text.splitn(covered + 1, '/').nth(covered).unwrap_or_default();
        // Docker compares with what is below the source.
        let is_out = self.excluded.as_ref().is_some_and(|it| is_excluded(it, &text) || is_excluded(it, rest));
        (!is_out).then_some(covered)
    }

    fn matched(&self, text: &str) -> Option<usize> {
        let Some(pattern) = &self.pattern else { return Some(0) };
        let ends = text.match_indices('/').map(|(at, _)| at).chain([text.len()]);
        ends.enumerate().find(|(_, end)| pattern.matches(&text[..*end])).map(|(index, _)| index + 1)
    }

    /// Returns the folders (and the file) that the pattern names before its first wildcard.
    fn literal(&self) -> (usize, bool) {
        let parts: Vec<&str> = self.text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let literal = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '\\'])).count();
        (literal, literal == parts.len())
    }
}

fn is_excluded(excluded: &Ignore, text: &str) -> bool {
    let mut verdict = None;
    for (end, _) in text.match_indices('/').chain([(text.len(), "")]) {
        verdict = Some(excluded.verdict(&text[..end], verdict.as_ref()));
    }
    verdict.is_some_and(|verdict| verdict.ignored)
}

/// A place in the container that a rule leads a path to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Landing {
    /// Which of the rules.
    pub(crate) rule: usize,
    /// Absolute.
    pub(crate) target: PathBuf,
}

/// What is done about a path that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is written to these places.
    Sync {
        targets: Vec<Landing>,
        restart: bool,
    },
    Rebuild {
        reason: String,
    },
    /// It does not reach the image.
    Nothing {
        reason: String,
    },
}

impl Rule {
    /// Makes a rule of the profile; `Err` with the pattern if it is malformed.
    pub(crate) fn of_profile(rule: &SyncRule) -> Result<Self, String> {
        let sources = Sources::parse(&rule.pattern, &[]).ok_or_else(|| rule.pattern.clone())?;
        let (literal, is_all) = sources.literal();
        let own_name = rule.pattern.rsplit('/').find(|part| !part.is_empty()).map(OsString::from);
        let lands = match is_all && literal > 0 {
            false => Lands::Strip(literal),
            true if own_name.as_deref() == rule.path.file_name() => Lands::Exact,
            true => Lands::Item,
        };
        let path = rule.path.components().collect();
        let (restart, run) = (rule.restart, rule.run.clone());
        Ok(Self { sources, path, lands, restart, spares_assets: false, run, mode: None })
    }

    /// Returns where the rule leads `path`; `None` if it does not match, and for a folder that
    /// is the rule's own: that one is the image's.
    fn target(&self, path: &Path, node: &Node) -> Option<PathBuf> {
        let covered = self.sources.covers(path)?;
        let taken_off = if let Lands::Strip(count) = self.lands { count } else { covered };
        let rest: PathBuf = path.components().skip(taken_off).collect();
        if !rest.as_os_str().is_empty() {
            return Some(self.path.join(rest));
        }
        match self.lands {
            _ if node.thing == Thing::Folder => None,
            Lands::Exact => Some(self.path.clone()),
            Lands::Strip(_) | Lands::Item => Some(self.path.join(path.file_name()?)),
        }
    }

    /// Returns whether the process must be restarted for `path`.
    pub(super) fn restarts(&self, path: &Path) -> bool {
        self.restart && !(self.spares_assets && is_asset(path))
    }
}

impl Rules {
    /// Whether any change reaches a container as a file.
    pub(crate) fn takes_files(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Reads the rules of a profile; `Err` with the pattern that is malformed.
    pub(crate) fn of_profile(rules: &[SyncRule]) -> Result<Self, String> {
        let rules = rules.iter().map(Rule::of_profile).collect::<Result<_, _>>()?;
        Ok(Self { rules, ..Self::default() })
    }

    /// Returns all places that `path` is written to.
    pub(crate) fn landings(&self, path: &Path, node: &Node) -> Vec<Landing> {
        let mut landings: Vec<Landing> = Vec::new();
        for (rule, target) in
            self.rules.iter().enumerate().filter_map(|(at, rule)| Some((at, rule.target(path, node)?)))
        {
            if !landings.iter().any(|landing| landing.target == target) {
                landings.push(Landing { rule, target });
            }
        }
        landings
    }

    /// Returns what is to be done when `path`, which is or was `node`, changes.
    pub(crate) fn verdict(&self, path: &Path, node: &Node) -> Verdict {
        let named = || sanitize::line(&path.to_string_lossy());
        let is_folder = node.thing == Thing::Folder;
        // A folder has no content that a step could use; what is in it triggers by itself.
        if let Some(trigger) = self.triggers.iter().find(|trigger| !is_folder && trigger.sources.covers(path).is_some())
        {
            return Verdict::Rebuild { reason: format!("`{}` {}", named(), trigger.why) };
        }
        let targets = self.landings(path, node);
        if !targets.is_empty() {
            let restart = targets.iter().any(|landing| self.rules[landing.rule].restarts(path));
            return Verdict::Sync { targets, restart };
        }
        if is_folder {
            return Verdict::Nothing { reason: format!("`{}` is a folder, and what is in it counts", named()) };
        }
        match &self.taken {
            Some(taken) if !taken.iter().any(|sources| sources.covers(path).is_some()) => {
                Verdict::Nothing { reason: format!("no `COPY` takes `{}`", named()) }
            }
            _ if self.rules.is_empty() => Verdict::Rebuild { reason: format!("`{}` changed", named()) },
            _ => Verdict::Rebuild { reason: format!("no `sync` rule matches `{}`", named()) },
        }
    }

    /// Returns the folders on the way from a rule's own folder to `target`: of the context, and
    /// of the container.
    pub(crate) fn on_the_way(&self, landing: &Landing, path: &Path) -> Vec<(PathBuf, PathBuf)> {
        let root = &self.rules[landing.rule].path;
        let targets =
            landing.target.ancestors().skip(1).take_while(|folder| *folder != root && folder.starts_with(root));
        let pairs = targets.zip(path.ancestors().skip(1));
        pairs.map(|(target, source)| (source.to_owned(), target.to_owned())).collect()
    }
}

/// Returns whether browsers fetch the file and nothing else reads it.
fn is_asset(path: &Path) -> bool {
    const KINDS: [&str; 18] = [
        "css", "js", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "woff", "woff2", "ttf", "mp3",
        "mp4", "webm", "pdf",
    ];
    let in_folder = path.components().any(|part| {
        matches!(part, Component::Normal(name) if ["static", "public", "assets", "wwwroot"].iter().any(|it| name.as_bytes() == it.as_bytes()))
    });
    let kind = path.extension().and_then(|kind| kind.to_str());
    in_folder && kind.is_some_and(|kind| KINDS.contains(&kind.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests;
