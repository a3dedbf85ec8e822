//! What a Dockerfile says: its bases, the ports of its last stage, and common mistakes.
//!
//! Only what a plan needs is read, and only of the stages that the target stands on;
//! whether the Dockerfile builds is Docker's to say. Read [`read`] first.

pub(crate) mod ca;
mod lint;
mod locate;
pub(crate) mod recipe;
mod scope;
mod source;
mod stage;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use parse_dockerfile::Instruction;

use crate::error::{Classified, Kind};
use crate::ui::sanitize;

/// A Dockerfile's text and the facts that plans need.
#[derive(Debug, Clone)]
pub(crate) struct Dockerfile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// External base images, with build args followed; stages and `scratch` left out.
    /// Only what the target needs: a stage that it does not stand on is not built.
    pub(crate) bases: Vec<String>,
    /// TCP ports of EXPOSE, of the target stage and the stages it builds on, build args followed.
    pub(crate) exposed: Vec<u16>,
    /// Whether the target stage (or one it builds on) has a CMD or an ENTRYPOINT.
    pub(crate) has_command: bool,
    /// The external base image of the target stage.
    pub(crate) base: Option<String>,
    /// Sentences about probable mistakes, each with file and line.
    pub(crate) warnings: Vec<String>,
}

/// Why a Dockerfile could not be read.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("there is no Dockerfile at `{}`", path.display())]
    #[diagnostic(code(coracle::image::dockerfile_missing), help("{mend}"))]
    Missing { path: PathBuf, mend: String },
    #[error("`{}` could not be read", path.display())]
    #[diagnostic(code(coracle::image::dockerfile_unreadable), help("make it a readable file"))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` is not a Dockerfile that can be built: {reason}", path.display())]
    #[diagnostic(
        code(coracle::image::dockerfile_syntax),
        help("the reference of all instructions: https://docs.docker.com/reference/dockerfile/")
    )]
    Syntax {
        path: PathBuf,
        reason: String,
        #[source_code]
        source_code: Arc<NamedSource<String>>,
        #[label("here")]
        place: Option<SourceSpan>,
    },
    #[error("`{}` has no stage `{target}`", path.display())]
    #[diagnostic(code(coracle::image::target_missing), help("{mend}"))]
    Target { path: PathBuf, target: String, mend: String },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

/// Reads a Dockerfile. `target` is a stage's name or number; without it, the last stage.
/// `args` are the build args; one that is absent has the Dockerfile's default.
pub(crate) fn read(path: &Path, target: Option<&str>, args: &BTreeMap<String, String>) -> Result<Dockerfile, Error> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::Missing { path: path.to_owned(), mend: did_you_mean(path) }
        }
        _ => Error::Unreadable { path: path.to_owned(), source },
    })?;
    let text = String::from_utf8_lossy(&bytes);
    understand(path, text.strip_prefix('\u{feff}').unwrap_or(&text), target, args)
}

/// Returns what a Dockerfile's text says; nothing where it says nothing that can be read.
pub(crate) fn facts(
    path: &Path,
    text: &str,
    target: Option<&str>,
    args: &BTreeMap<String, String>,
) -> Option<Dockerfile> {
    understand(path, text, target, args).ok()
}

fn understand(
    path: &Path,
    text: &str,
    target: Option<&str>,
    args: &BTreeMap<String, String>,
) -> Result<Dockerfile, Error> {
    let mut dockerfile = Dockerfile {
        path: path.to_owned(),
        text: text.to_owned(),
        bases: Vec::new(),
        exposed: Vec::new(),
        has_command: true,
        base: None,
        warnings: Vec::new(),
    };
    let instructions = match instructions(text) {
        Ok(instructions) => instructions,
        // Another front end may know more instructions than we do, and is asked later.
        Err(_) if names_its_syntax(text) => return Ok(dockerfile),
        Err(error) => return Err(syntax(path, text, &error)),
    };
    let stages = stage::resolve(&instructions, args);
    let Some(last) = stage::find_target(&stages, target) else {
        return Err(no_target(path, &stages, target.unwrap_or_default()));
    };
    let chain = stage::chain(&stages, last);
    dockerfile.bases = stage::bases(&stages, last);
    dockerfile.base = stages[chain[0]].external_base();
    dockerfile.exposed = stage::exposed(&stages, &chain);
    dockerfile.has_command = chain
        .iter()
        .flat_map(|&at| &stages[at].steps)
        .any(|step| matches!(step.instruction, Instruction::Cmd(_) | Instruction::Entrypoint(_)));
    dockerfile.warnings = lint::warnings(path, text, &instructions);
    Ok(dockerfile)
}

fn instructions(text: &str) -> Result<Vec<Instruction<'_>>, parse_dockerfile::Error> {
    // Not `parse`, which refuses two stages of one name: BuildKit builds them.
    parse_dockerfile::parse_iter(text)?.collect()
}

fn names_its_syntax(text: &str) -> bool {
    let comments = text.lines().map(str::trim).take_while(|line| line.starts_with('#'));
    comments
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .any(|(key, _)| key.trim().eq_ignore_ascii_case("syntax"))
}

fn syntax(path: &Path, text: &str, error: &parse_dockerfile::Error) -> Error {
    let place = error.line().checked_sub(1).and_then(|index| {
        let line = text.split('\n').nth(index)?;
        let start: usize = text.split('\n').take(index).map(|line| line.len() + 1).sum();
        let indent = line.len() - line.trim_start().len();
        Some(SourceSpan::from((start + indent, line.trim().len())))
    });
    let name = path.display().to_string();
    Error::Syntax {
        path: path.to_owned(),
        reason: sanitize::line(&format!("{error:#}")),
        source_code: Arc::new(NamedSource::new(sanitize::line(&name), text.to_owned())),
        place,
    }
}

fn no_target(path: &Path, stages: &[stage::Stage<'_, '_>], target: &str) -> Error {
    let names: Vec<&str> = stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
    let near = names.iter().map(|name| (strsim::jaro_winkler(name, &target.to_lowercase()), *name));
    let near = near.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let mend = match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if names.is_empty() => "no stage has a name; give one with `FROM IMAGE AS NAME`".to_owned(),
        None => {
            format!("its stages are {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    };
    Error::Target { path: path.to_owned(), target: sanitize::line(target), mend: sanitize::line(&mend) }
}

/// Names the files that look like a Dockerfile, in the folder and in those below it.
fn did_you_mean(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    let children = |folder: &Path| -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|child| child.path()).collect();
        all.sort();
        all
    };
    let looks_like_one = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        (name.contains("dockerfile") || name.contains("containerfile"))
            && !name.ends_with(".dockerignore")
            && path.is_file()
    };
    let here = children(folder);
    let below: Vec<PathBuf> = here.iter().filter(|child| child.is_dir()).flat_map(|child| children(child)).collect();
    let found: Vec<String> = here
        .iter()
        .chain(&below)
        .filter(looks_like_one)
        .take(3)
        .filter_map(|path| path.strip_prefix(folder).ok())
        .map(|path| format!("`{}`", sanitize::line(&path.display().to_string())))
        .collect();
    if found.is_empty() {
        "write one, or have `build:` name the folder that has one".to_owned()
    } else {
        format!("did you mean {}? say so with `build: {{context: …, dockerfile: …}}`", found.join(" or "))
    }
}

#[cfg(test)]
mod tests;
