//! Where an image is built from: paths that exist and that a build may use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::closest;
use super::file::{BuildFile, BuildSection, ServiceFile, SyncFile, SyncRuleFile};
use super::resolve::{At, Resolver};
use super::service::texts;
use super::{Build, Sync, SyncRule};

/// Kubernetes takes no larger `ConfigMap`.
const FILE_LIMIT: u64 = 1_000_000;

impl Resolver<'_> {
    pub(super) fn build(&mut self, at: &At, file: &BuildFile) -> Build {
        let (section, context_at) = match file {
            BuildFile::Context(context) => {
                (BuildSection { context: Some(context.clone()), ..BuildSection::default() }, at.clone())
            }
            BuildFile::Section(section) => ((**section).clone(), at.key("context")),
        };
        let written = section.context.clone().unwrap_or_else(|| ".".into());
        let context = self.context(&context_at, &written);
        let dockerfile = match &context {
            Some(context) => self.dockerfile(at, context, &section),
            None => None,
        };
        let platform = section.platform.inspect(|platform| self.platform(&at.key("platform"), platform));
        Build {
            context: context.unwrap_or_default(),
            dockerfile: dockerfile.unwrap_or_default(),
            target: section.target,
            args: texts(section.args.as_ref()),
            secrets: self.secrets(&at.key("secrets"), section.secrets.as_ref(), false),
            ssh: section.ssh.unwrap_or_default(),
            platform,
            network: section.network.map(|network| network.name().to_owned()),
            ca: section.ca.map(|ca| {
                let path = self.folder.join(&ca);
                if !path.is_file() {
                    self.wrong(&at.key("ca"), format!("there is no file `{ca}`"));
                }
                path
            }),
        }
    }

    fn context(&mut self, at: &At, written: &str) -> Option<PathBuf> {
        if written.contains("://") || written.starts_with("git@") {
            self.wrong_help(
                at,
                format!("`{written}` is no folder on this machine"),
                "clone it beside the profile, and build that folder",
            );
            return None;
        }
        let wanted = self.folder.join(written);
        let Ok(context) = wanted.canonicalize() else {
            let near = neighbours(&wanted);
            self.unknown(
                at,
                &format!("there is no folder `{written}`"),
                last(written),
                near.iter().map(String::as_str),
            );
            return None;
        };
        if !context.is_dir() {
            self.wrong(at, format!("`{written}` is no folder; `dockerfile:` names a file"));
            return None;
        }
        self.inside(at, written, &context).then_some(context)
    }

    fn dockerfile(&mut self, at: &At, context: &Path, section: &BuildSection) -> Option<PathBuf> {
        let named = section.dockerfile.is_some();
        let at = if named { at.key("dockerfile") } else { at.clone() };
        let written = section.dockerfile.clone().unwrap_or_else(|| "Dockerfile".into());
        let wanted = context.join(&written);
        if let Some(path) = wanted.canonicalize().ok().filter(|path| path.is_file()) {
            return self.inside(&at, &written, &path).then_some(path);
        }
        let near = neighbours(&wanted);
        let said = format!("there is no `{written}` in `{}`", self.shown(context));
        self.unknown(&at, &said, last(&written), near.iter().map(String::as_str));
        None
    }

    /// A profile from somewhere must not be able to send a whole home folder into a build.
    fn inside(&mut self, at: &At, written: &str, path: &Path) -> bool {
        let fits = path.starts_with(&self.boundary) || path.starts_with(&self.folder);
        if !fits {
            let said = format!("`{written}` lies outside of {}", self.boundary.display());
            let help = "a build may use the folder of the profile, or the git repository around it";
            self.wrong_help(at, said, help);
        }
        fits
    }

    fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.folder) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".into(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }

    pub(super) fn platform(&mut self, at: &At, platform: &str) {
        let parts: Vec<&str> = platform.split('/').collect();
        let fits = matches!(parts.len(), 2 | 3) && parts.iter().all(|part| !part.is_empty());
        if !fits {
            let near =
                closest(platform, ["amd64", "arm64"]).map_or("linux/amd64".into(), |near| format!("linux/{near}"));
            self.wrong_help(at, format!("`{platform}` is no platform"), format!("did you mean `{near}`?"));
        }
    }

    /// A file that becomes part of a `ConfigMap`: of the profile's folder, and of no other.
    pub(super) fn own_file(&mut self, at: &At, written: &str) -> Option<PathBuf> {
        let wanted = self.folder.join(written);
        let Ok(path) = wanted.canonicalize() else {
            let near = neighbours(&wanted);
            self.unknown(at, &format!("there is no file `{written}`"), last(written), near.iter().map(String::as_str));
            return None;
        };
        if !path.starts_with(&self.folder) {
            self.wrong_help(
                at,
                format!("`{written}` lies outside of the profile's folder"),
                "copy it beside the profile",
            );
            return None;
        }
        if !path.is_file() {
            self.wrong(at, format!("`{written}` is no file; each file has a line of its own"));
            return None;
        }
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        if size > FILE_LIMIT {
            self.wrong_help(
                at,
                format!("`{written}` has {size} bytes, too many for a ConfigMap"),
                "COPY it in the Dockerfile, or use a volume",
            );
        }
        Some(path)
    }

    /// A file with a secret: of the project, or the user's own somewhere below HOME, such as
    /// `~/.npmrc`. A profile from somewhere must not get at what is the machine's, by a
    /// symlink neither. What is not there is told when its value is needed.
    pub(super) fn secret_file(&mut self, at: &At, written: &str) -> PathBuf {
        let home = self.surroundings.home.clone();
        let wanted = match written.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => self.folder.join(written),
        };
        let Ok(path) = wanted.canonicalize() else { return wanted };
        let home = home.canonicalize().unwrap_or(home);
        let places = [&self.folder, &self.boundary, &home];
        if !places.into_iter().any(|place| place.is_absolute() && path.starts_with(place)) {
            let said = format!("`{written}` lies outside of the project, and of your home folder");
            self.wrong_help(at, said, "copy it beside the profile (and into .gitignore), or use `env` or `command`");
        } else if !path.is_file() {
            // A pipe would be waited for without end.
            self.wrong(at, format!("`{written}` is no file"));
        }
        path
    }

    pub(super) fn sync(&mut self, at: &At, file: &ServiceFile) -> Sync {
        let at = at.key("sync");
        match &file.sync {
            Some(SyncFile::Word(word)) => {
                if word != "infer" {
                    self.unknown(&at, &format!("`sync` is `infer` or a list of rules, not `{word}`"), word, ["infer"]);
                }
                Sync::Infer
            }
            Some(SyncFile::Rules(rules)) => {
                let rules = rules
                    .iter()
                    .enumerate()
                    .filter_map(|(index, rule)| self.sync_rule(&at.key(index), rule, file.restart.unwrap_or(false)));
                Sync::Rules(rules.collect())
            }
            None => Sync::Default,
        }
    }

    fn sync_rule(&mut self, at: &At, rule: &SyncRuleFile, restart: bool) -> Option<SyncRule> {
        let (pattern, path, restart, run) = match rule {
            SyncRuleFile::Section(section) => {
                let run = self.command(&at.key("run"), section.run.as_ref());
                (section.pattern.trim(), section.path.trim(), section.restart.unwrap_or(restart), run)
            }
            SyncRuleFile::Arrow(text) => {
                let Some((pattern, path)) = text.split_once("->") else {
                    let help = "write `PATTERN -> PATH`, such as `**/*.py -> /workspace`";
                    self.wrong_help(at, format!("`{text}` is no rule"), help);
                    return None;
                };
                (pattern.trim(), path.trim(), restart, None)
            }
        };
        if pattern.is_empty() || pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
            self.wrong_help(
                at,
                format!("`{pattern}` is no pattern for files of the build context"),
                "such as `**/*.py` or `src/**`",
            );
        }
        if !path.starts_with('/') {
            self.wrong_help(
                at,
                format!("the path `{path}` in the container does not begin with `/`"),
                format!("did you mean `/{path}`?"),
            );
        }
        Some(SyncRule { pattern: pattern.to_owned(), path: PathBuf::from(path), restart, run })
    }
}

fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The names beside one that does not exist.
fn neighbours(wanted: &Path) -> Vec<String> {
    let folder = wanted.parent().and_then(|folder| folder.read_dir().ok());
    let names = folder.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(1_000).collect();
    names.sort();
    names
}

/// Build arguments that name other services' images, by service.
pub(super) fn bases(build: &Build) -> Vec<String> {
    let args: &BTreeMap<String, String> = &build.args;
    args.values().flat_map(|value| super::interpolate::image_references(value)).collect()
}
