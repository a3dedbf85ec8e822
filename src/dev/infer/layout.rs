//! Where the files of a context lie in a stage, copy by copy.

use std::path::{Path, PathBuf};

use super::uses;
use crate::dev::rules::{Lands, Rule, Sources, Trigger};
use crate::dev::tree::{Thing, Tree};
use crate::image::dockerfile::recipe::{Copy, Deed, Recipe, RecipeStep};
use crate::ui::sanitize;

/// Files of the context that a copy put somewhere.
#[derive(Debug, Clone)]
pub(super) struct Laid {
    /// A pattern of the context, as the Dockerfile has it.
    pub(super) source: String,
    exclude: Vec<String>,
    /// Absolute. A folder, or with [`Lands::Exact`] the name of a file.
    pub(super) to: PathBuf,
    lands: Lands,
    mode: Option<u32>,
    pub(super) line: usize,
}

/// What is known at the end of a stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// In order: a later one writes over an earlier one.
    pub(super) laid: Vec<Laid>,
    /// What stages that were copied from are made of.
    pub(super) read: Vec<Laid>,
    pub(super) triggers: Vec<Trigger>,
    /// Everything that reads the context was understood.
    pub(super) is_followed: bool,
    /// `None`: the base image's, which is not known.
    workdir: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Laid {
    pub(super) fn sources(&self) -> Option<Sources> {
        Sources::parse(&self.source, &self.exclude)
    }

    /// Returns the rule that does what the copy did.
    pub(super) fn rule(&self) -> Option<Rule> {
        Some(Rule {
            sources: self.sources()?,
            path: self.to.clone(),
            lands: self.lands,
            restart: false,
            spares_assets: false,
            run: None,
            mode: self.mode,
        })
    }
}

impl Layout {
    pub(super) fn of(recipe: &Recipe, at: usize, file: &str, tree: &Tree) -> Self {
        let stage = &recipe.stages[at];
        let mut layout = match stage.parent.filter(|parent| *parent < at) {
            Some(parent) => Self::of(recipe, parent, file, tree),
            None => Self { is_followed: true, workdir: workdir(stage.base.as_deref()), ..Self::default() },
        };
        for step in &stage.steps {
            match &step.deed {
                Deed::Workdir(folder) => {
                    layout.workdir = layout.absolute(folder);
                    layout.folders.extend(layout.workdir.clone());
                }
                Deed::Copy(copy) => layout.copy(recipe, at, step, copy, file, tree),
                Deed::Run { text, mounts } => layout.run(step, text, mounts, file, tree),
                Deed::Command { .. } | Deed::Other => {}
            }
        }
        layout
    }

    fn absolute(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        let joined = if path.is_absolute() { path.to_owned() } else { self.workdir.as_ref()?.join(path) };
        Some(clean(&joined))
    }

    fn copy(&mut self, recipe: &Recipe, at: usize, step: &RecipeStep, copy: &Copy, file: &str, tree: &Tree) {
        let step_named = format!("`{}` ({file}:{})", sanitize::line(&step.text), step.line);
        let mode = copy.chmod.as_ref().map(|chmod| u32::from_str_radix(chmod, 8));
        let to = self.absolute(&copy.to);
        let (Some(to), None | Some(Ok(_))) = (&to, &mode) else {
            // Where that is, or with which mode, is not known.
            let sources = copy.sources.iter().filter(|_| copy.from.is_none());
            let parsed = sources.filter_map(|source| Sources::parse(&context_path(source), &copy.exclude));
            self.triggers.extend(parsed.map(|sources| Trigger { sources, why: format!("is copied by {step_named}") }));
            self.is_followed &= copy.from.is_none();
            return;
        };
        let is_folder =
            copy.to.ends_with('/') || copy.to.ends_with('.') || copy.sources.len() > 1 || self.is_folder(to);
        let laid = |source: String| Laid {
            source,
            exclude: copy.exclude.clone(),
            to: to.clone(),
            lands: if is_folder { Lands::Item } else { Lands::Exact },
            mode: mode.clone().and_then(Result::ok),
            line: step.line,
        };
        if let Some(from) = &copy.from {
            return self.copy_from(recipe, at, from, copy.sources.iter().map(|it| laid(it.clone())), file, tree);
        }
        for source in copy.sources.iter().filter(|source| !(copy.is_add && is_remote(source))) {
            let mut laid = laid(context_path(source));
            if copy.is_add && is_archive(source) {
                let why = format!("is unpacked by {step_named}");
                self.triggers.extend(laid.sources().map(|sources| Trigger { sources, why }));
                continue;
            }
            if copy.keeps_parents {
                let kept = source.split("/./").next().filter(|_| source.contains("/./"));
                laid.lands = Lands::Strip(kept.map_or(0, |kept| context_path(kept).split('/').count()));
            } else if laid.source.contains(['*', '?', '[']) {
                laid.lands = Lands::Item;
            }
            if is_folder || tree.get(Path::new(&laid.source)).is_none_or(|node| node.thing == Thing::Folder) {
                self.folders.push(laid.to.clone());
            }
            self.laid.push(laid);
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        const KNOWN: [&str; 9] = [
            "/",
            "/tmp",
            "/etc",
            "/opt",
            "/srv",
            "/usr/src",
            "/usr/local/bin",
            "/usr/share/nginx/html",
            "/var/www/html",
        ];
        KNOWN.iter().any(|known| Path::new(known) == path) || self.folders.iter().any(|folder| folder.starts_with(path))
    }

    /// Takes over what another stage has at these places.
    fn copy_from(
        &mut self,
        recipe: &Recipe,
        at: usize,
        from: &str,
        wanted: impl Iterator<Item = Laid>,
        file: &str,
        tree: &Tree,
    ) {
        let name = from.to_lowercase();
        let named = recipe.stages[..at].iter().rposition(|stage| stage.name.as_ref() == Some(&name));
        let Some(other) = named.or_else(|| from.parse().ok().filter(|number| *number < at)) else { return };
        let layout = Self::of(recipe, other, file, tree);
        for wanted in wanted {
            let place = clean(&Path::new("/").join(&wanted.source));
            let moved = layout.laid.iter().filter_map(|laid| moved(laid, &place, &wanted, tree));
            self.laid.extend(moved);
        }
        self.read.extend(layout.laid.into_iter().chain(layout.read));
        self.triggers.extend(layout.triggers);
        self.is_followed &= layout.is_followed;
    }

    fn run(&mut self, step: &RecipeStep, text: &str, mounts: &[String], file: &str, tree: &Tree) {
        let why = format!("is used by `{}` ({file}:{})", short(&step.text), step.line);
        for mount in mounts {
            let part = |names: [&str; 2]| {
                let mut pairs = mount.split(',').filter_map(|part| part.split_once('='));
                pairs.find(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned())
            };
            if part(["type", "type"]).is_none_or(|kind| kind == "bind") {
                self.is_followed &= part(["from", "from"]).is_none();
                let source = part(["source", "src"]).unwrap_or_else(|| ".".to_owned());
                let sources = Sources::parse(&context_path(&source), &[]);
                self.triggers.extend(sources.map(|sources| Trigger { sources, why: why.clone() }));
            }
        }
        let rules: Vec<Rule> = self.laid.iter().filter_map(Laid::rule).collect();
        let used = uses::used(text, self.workdir.as_deref().unwrap_or(Path::new("/")), &rules, tree);
        let new = used.into_iter().map(|sources| Trigger { sources, why: why.clone() });
        self.triggers.extend(new);
    }
}

/// Returns what `laid` becomes when `place` is copied to where `wanted` says.
fn moved(laid: &Laid, place: &Path, wanted: &Laid, tree: &Tree) -> Option<Laid> {
    let has_wildcard = laid.source.contains(['*', '?', '[']);
    let is_folder =
        laid.source == "." || tree.get(Path::new(&laid.source)).is_some_and(|node| node.thing == Thing::Folder);
    let name = Path::new(&laid.source).file_name();
    let at = match (laid.lands, name) {
        (Lands::Item, Some(name)) if !is_folder && !has_wildcard => laid.to.join(name),
        _ => laid.to.clone(),
    };
    if let Ok(rest) = at.strip_prefix(place) {
        let is_itself = rest.as_os_str().is_empty();
        let to = if is_itself { wanted.to.clone() } else { wanted.to.join(rest) };
        let lands = if !is_folder && !has_wildcard && !is_itself { Lands::Exact } else { wanted.lands };
        return Some(Laid { to, lands, line: wanted.line, mode: wanted.mode.or(laid.mode), ..laid.clone() });
    }
    let rest = place.strip_prefix(&at).ok().filter(|_| is_folder)?;
    let source = if laid.source == "." { rest.to_owned() } else { Path::new(&laid.source).join(rest) };
    let source = source.to_str()?.to_owned();
    Some(Laid { source, mode: wanted.mode.or(laid.mode), exclude: laid.exclude.clone(), ..wanted.clone() })
}

/// Returns the working folder of well-known images.
fn workdir(base: Option<&str>) -> Option<PathBuf> {
    let Some(base) = base else { return Some("/".into()) };
    let name = base.split(['@', ':']).next().and_then(|name| name.rsplit('/').next()).unwrap_or(base);
    let folder = match name {
        "php" | "wordpress" => "/var/www/html",
        "httpd" => "/usr/local/apache2",
        "golang" => "/go",
        "caddy" => "/srv",
        "python" | "node" | "ruby" | "nginx" | "debian" | "ubuntu" | "alpine" | "busybox" | "rust" | "fedora"
        | "scratch" | "openjdk" | "eclipse-temurin" | "pypy" | "uv" => "/",
        _ => return None,
    };
    Some(folder.into())
}

fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => cleaned.push(name),
            std::path::Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    cleaned
}

/// Returns a source as a path of the context: `./src/` is `src`. `COPY` knows no `**`.
fn context_path(source: &str) -> String {
    let cleaned = clean(&Path::new("/").join(source));
    let text = cleaned.to_string_lossy().trim_start_matches('/').replace("**", "*");
    if text.is_empty() { ".".to_owned() } else { text }
}

fn is_remote(source: &str) -> bool {
    source.contains("://") || source.starts_with("git@")
}

fn is_archive(source: &str) -> bool {
    [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"]
        .iter()
        .any(|end| source.ends_with(end))
}

fn short(text: &str) -> String {
    let line = sanitize::line(text);
    let short: String = line.chars().take(60).collect();
    if short.len() < line.len() { format!("{}…", short.trim_end()) } else { short }
}
