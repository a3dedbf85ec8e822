//! Dockerfiles: a service each, its context, its name, its ports.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::draft::{Draft, Line, Service};
use super::health;
use super::survey::{Found, file_name, join, parent};
use crate::image::dockerfile::facts;
use crate::profile::names;

/// Folders that hold a Dockerfile for what is beside or above them, and give it no name.
const NAMELESS: [&str; 8] = ["docker", ".docker", "build", "deploy", "deployment", "container", "ops", "infra"];
/// Variants of one Dockerfile, which are no services of their own.
const VARIANTS: [&str; 12] = [
    "dev",
    "development",
    "prod",
    "production",
    "test",
    "tests",
    "ci",
    "local",
    "debug",
    "staging",
    "release",
    "builder",
];

/// One Dockerfile as a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Build {
    /// The Dockerfile, relative to the folder.
    pub(super) path: String,
    pub(super) context: String,
    /// A name for the service: a DNS label.
    pub(super) name: String,
}

impl Build {
    /// Returns what `build:` says.
    pub(super) fn line(&self) -> Line {
        let context = if self.context == "." { ".".to_owned() } else { format!("./{}", self.context) };
        let standard = join(&self.context, "Dockerfile").as_deref() == Some(self.path.as_str());
        if standard {
            return Line::new("build", context);
        }
        let inside = match self.path.strip_prefix(&format!("{}/", self.context)) {
            Some(inside) => inside.to_owned(),
            None if self.context == "." => self.path.clone(),
            None => format!("{}{}", "../".repeat(self.context.split('/').count()), self.path),
        };
        let line = Line::new("build", json!({"context": context, "dockerfile": inside}));
        if parent(&self.path) == self.context { line } else { line.why("its COPY takes files from this folder") }
    }
}

/// What a Dockerfile's name says.
#[derive(Clone, Copy)]
enum Name<'a> {
    Plain,
    /// `web` of `Dockerfile.web` and `web.Dockerfile`.
    After(&'a str),
}

/// Reads a file's name; `None` if it is not that of a Dockerfile.
fn variant(name: &str) -> Option<Name<'_>> {
    for word in ["Dockerfile", "Containerfile"] {
        if name == word {
            return Some(Name::Plain);
        }
        let of = name.strip_prefix(word).and_then(|rest| rest.strip_prefix(['.', '-', '_']));
        let of = of.or_else(|| name.strip_suffix(&format!(".{word}")));
        let of = of.or_else(|| name.strip_suffix(&format!(".{}", word.to_lowercase())));
        if let Some(of) = of.filter(|of| !of.is_empty() && !of.ends_with("dockerignore")) {
            return Some(Name::After(of));
        }
    }
    None
}

/// Returns every Dockerfile that is a service, in the order of their paths; the others are named.
pub(super) fn builds(found: &Found, draft: &mut Draft) -> Vec<Build> {
    let mut builds: Vec<Build> = Vec::new();
    let named = found.files.iter().filter_map(|path| Some((path.as_str(), variant(file_name(path))?)));
    let all: Vec<(&str, Option<&str>)> = named
        .map(|(path, name)| match name {
            Name::Plain => (path, None),
            Name::After(of) => (path, Some(of)),
        })
        .collect();
    for (path, of) in &all {
        let plain_beside = all.iter().any(|(other, of)| of.is_none() && parent(other) == parent(path));
        if let Some(of) = of.filter(|of| VARIANTS.contains(&of.to_lowercase().as_str()))
            && (plain_beside || builds.iter().any(|build| parent(&build.path) == parent(path)))
        {
            draft.leave(
                *path,
                format!("a variant (`{of}`) of the Dockerfile beside it; `build: {{dockerfile: …}}` chooses it"),
            );
            continue;
        }
        let named = of.filter(|of| !VARIANTS.contains(&of.to_lowercase().as_str()));
        let context = context(found, path);
        let name = unique(&name(found, path, named), &builds);
        builds.push(Build { path: (*path).to_owned(), context, name });
    }
    builds
}

/// Returns a service's name for a Dockerfile.
fn name(found: &Found, path: &str, variant: Option<&str>) -> String {
    if let Some(variant) = variant {
        return label(variant);
    }
    let mut folder = parent(path);
    while folder != "." && NAMELESS.contains(&file_name(folder)) {
        folder = parent(folder);
    }
    if folder == "." {
        label(&found.folder.file_name().unwrap_or_default().to_string_lossy())
    } else {
        label(file_name(folder))
    }
}

/// Returns a name that a service can have.
pub(super) fn label(text: &str) -> String {
    let label = names::near_service(&names::dns_label(text));
    if label.is_empty() { "app".to_owned() } else { label }
}

fn unique(name: &str, builds: &[Build]) -> String {
    let taken = |name: &str| builds.iter().any(|build| build.name == name);
    if !taken(name) {
        return name.to_owned();
    }
    (2..=builds.len() + 2)
        .map(|count| format!("{name}-{count}"))
        .find(|name| !taken(name))
        .expect("there are more numbers than files")
}

/// Returns the build context: the nearest folder at or above the Dockerfile in which all that
/// it copies is there.
fn context(found: &Found, path: &str) -> String {
    let text = found.text(path).unwrap_or_default();
    let sources = copied(text);
    let missing = |folder: &str| {
        sources.iter().filter(|source| !join(folder, source).is_some_and(|path| found.has(&path))).count()
    };
    let own = parent(path);
    let (mut best, mut fewest) = (own, missing(own));
    let mut folder = own;
    while folder != "." && fewest > 0 {
        folder = parent(folder);
        let count = missing(folder);
        if count < fewest {
            (best, fewest) = (folder, count);
        }
    }
    // One that copies nothing it could be told by, in a folder that is only for it.
    if best == own && NAMELESS.contains(&file_name(own)) && sources.is_empty() && found.in_folder(own).count() == 1 {
        best = parent(own);
    }
    best.to_owned()
}

/// Returns what a Dockerfile's COPY and ADD take from the context, where that is written out.
fn copied(text: &str) -> Vec<String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut sources = Vec::new();
    for line in joined.lines() {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default().to_uppercase();
        if verb != "COPY" && verb != "ADD" {
            continue;
        }
        let words: Vec<&str> = words.collect();
        if words.iter().any(|word| word.starts_with("--from")) {
            continue;
        }
        let words: Vec<String> = words
            .into_iter()
            .filter(|word| !word.starts_with("--"))
            .map(|word| word.trim_matches(['[', ']', '"', ',', '\'']).to_owned())
            .collect();
        let Some((_, from)) = words.split_last() else { continue };
        let plain = from
            .iter()
            .filter(|word| !word.is_empty() && !word.contains(['*', '?', '$', '[']) && !word.contains("://"));
        sources.extend(plain.filter(|word| !word.trim_matches(['.', '/']).is_empty()).cloned());
    }
    sources
}

/// Adds the ports that a Dockerfile EXPOSEs, and the health check that it has, where those are certain.
pub(super) fn describe(
    found: &Found,
    path: &str,
    target: Option<&str>,
    args: &BTreeMap<String, String>,
    service: &mut Service,
) {
    let Some(text) = found.text(path) else { return };
    let Some(facts) = facts(path.as_ref(), text, target, args) else { return };
    if !service.has("ports") && !facts.exposed.is_empty() {
        let ports: Vec<Json> = facts.exposed.iter().map(|port| json!(port)).collect();
        service.set(Line::new("ports", ports).why(format!("EXPOSE in {path}")));
    }
    if !service.has("health") {
        let first = facts.exposed.first().copied();
        if let Some(line) = health::of_dockerfile(text, first) {
            service.set(line.why(format!("HEALTHCHECK in {path}")));
        }
    }
}

/// Adds a service for each Dockerfile.
pub(super) fn services(found: &Found, draft: &mut Draft) {
    let builds = builds(found, draft);
    for build in &builds {
        let mut service = Service::new(&build.name);
        service.set(build.line());
        describe(found, &build.path, None, &BTreeMap::new(), &mut service);
        if !service.has("ports") {
            service.why = Some(format!(
                "{} EXPOSEs no port: `coracle up` looks where it listens. Say it with `ports: [8000]`.",
                build.path
            ));
        }
        draft.services.push(service);
    }
    if let [build] = builds.as_slice() {
        draft.head.push(format!("Made by `coracle init` from {}.", build.path));
    } else if !builds.is_empty() {
        draft.head.push(format!("Made by `coracle init` from {} Dockerfiles: a service each.", builds.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Found {
        let mut found = Found { folder: "/home/ada/shop".into(), ..Found::default() };
        for (path, text) in files {
            found.add(path, text);
            let mut folder = parent(path);
            while folder != "." {
                found.folders.insert(folder.to_owned());
                folder = parent(folder);
            }
        }
        found
    }

    fn shown(files: &[(&str, &str)]) -> Vec<String> {
        let builds = builds(&found(files), &mut Draft::default());
        builds.into_iter().map(|build| format!("{} {} {}", build.name, build.context, build.path)).collect()
    }

    #[test]
    fn a_context_is_where_what_is_copied_is() {
        let files =
            [("docker/Dockerfile", "FROM x\nCOPY app.py setup.py \\\n  /srv/\n"), ("app.py", ""), ("setup.py", "")];
        assert_eq!(shown(&files), ["shop . docker/Dockerfile"]);
        let files = [("api/Dockerfile", "FROM x\nCOPY --from=b /x /y\nCOPY . .\n"), ("api/main.py", "")];
        assert_eq!(shown(&files), ["api api api/Dockerfile"]);
    }

    #[test]
    fn variants_are_services_unless_they_are_for_development() {
        let files =
            [("Dockerfile", ""), ("Dockerfile.dev", ""), ("Dockerfile.worker", ""), ("Dockerfile.dockerignore", "")];
        assert_eq!(shown(&files), ["shop . Dockerfile", "worker . Dockerfile.worker"]);
    }

    #[test]
    fn two_folders_of_one_name_are_told_apart() {
        assert_eq!(
            shown(&[("a/api/Dockerfile", ""), ("b/api/Dockerfile", "")]),
            ["api a/api a/api/Dockerfile", "api-2 b/api b/api/Dockerfile"]
        );
    }
}
