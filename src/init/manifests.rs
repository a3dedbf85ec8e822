//! Plain Kubernetes manifests: kept as they are, and their images tied to what builds them.
//!
//! A manifest is a YAML file whose documents have a `kind`. Kustomize's overlays and Helm's
//! templates are no manifests before their tools have rendered them; they are named, not read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::compose;
use super::dockerfiles::{self, Build};
use super::draft::{Draft, Line, Service, Value};
use super::survey::{Found, file_name, is_yaml, parent};
use crate::profile::names;

/// An image that something builds, by the name that manifests call it by.
#[derive(Debug, Clone)]
pub(super) struct Artifact {
    pub(super) image: String,
    pub(super) build: Build,
    /// Further keys of `build:`.
    pub(super) more: Map<String, Json>,
    /// Where that is said.
    pub(super) place: String,
}

/// Returns the manifest files of a folder; what only looks like one is named.
pub(super) fn files(found: &Found, draft: &mut Draft) -> Vec<String> {
    let charts: Vec<&str> =
        found.files.iter().filter(|path| file_name(path) == "Chart.yaml").map(|path| parent(path)).collect();
    for chart in &charts {
        draft.leave(
            format!("{chart}/Chart.yaml"),
            "a Helm chart; `helm template` makes manifests of it, which `manifests:` can name",
        );
    }
    let mut files = Vec::new();
    for (path, text) in found.texts() {
        let of_chart = charts.iter().any(|chart| *chart == "." || path.starts_with(&format!("{chart}/")));
        if of_chart || !is_yaml(path) {
            continue;
        }
        let name = file_name(path);
        if name.starts_with("kustomization.") {
            draft.leave(
                path,
                "Kustomize; the files in this folder are taken as they are, without its patches and generators",
            );
        } else if parent(path).split('/').any(|folder| matches!(folder, "overlays" | "patches" | "components")) {
            if is_manifest(text) {
                draft.leave(path, "laid over other manifests by Kustomize; not applied");
            }
        } else if is_manifest(text) {
            files.push(path.to_owned());
        }
    }
    files
}

/// Whether a text has objects of Kubernetes in it.
fn is_manifest(text: &str) -> bool {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    has("kind:")
        && has("apiVersion:")
        && !text
            .lines()
            .any(|line| line.starts_with("apiVersion: skaffold/") || line.starts_with("apiVersion: kustomize."))
}

fn documents(text: &str) -> Vec<Json> {
    // One that cannot be read is named when the whole is checked.
    serde_saphyr::from_multiple::<Json>(text).unwrap_or_default()
}

/// Returns the images of a document's pods.
fn images(value: &Json, into: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                if let (true, Json::Array(containers)) = (key == "containers" || key == "initContainers", value) {
                    into.extend(
                        containers.iter().filter_map(|container| container["image"].as_str()).map(str::to_owned),
                    );
                }
                images(value, into);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| images(item, into)),
        _ => {}
    }
}

/// An image as manifests write it, and the first place that does.
struct Named {
    reference: String,
    place: String,
}

fn named(found: &Found, files: &[String]) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for file in files {
        let text = found.text(file).unwrap_or_default();
        let mut references = Vec::new();
        for document in documents(text) {
            images(&document, &mut references);
        }
        for reference in references {
            let line = text
                .lines()
                .position(|line| line.contains("image:") && line.contains(&reference))
                .map_or(1, |at| at + 1);
            if all.iter().all(|other| other.reference != reference) {
                all.push(Named { reference, place: format!("{file}:{line}") });
            }
        }
    }
    all
}

/// Returns `registry/team/web` of `registry/team/web:1@sha256:…`.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => name,
    }
}

fn has_registry(reference: &str) -> bool {
    reference.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

/// Adds the manifests and a service for each Dockerfile whose image they run.
pub(super) fn with_dockerfiles(found: &Found, draft: &mut Draft, files: &[String]) {
    let builds = dockerfiles::builds(found, draft);
    let named = named(found, files);
    let mut artifacts: Vec<Artifact> = Vec::new();
    for image in &named {
        let name = repository(&image.reference).rsplit('/').next().unwrap_or_default();
        let mut near: Vec<&Build> = builds.iter().filter(|build| build.name == name).collect();
        if near.is_empty() {
            near = builds.iter().filter(|build| is_near(name, &build.name)).collect();
        }
        let strangers = named.iter().filter(|other| compose::usual_port(&other.reference).is_none()).count();
        if near.is_empty()
            && builds.len() == 1
            && strangers == 1
            && compose::usual_port(&image.reference).is_none()
            && !has_registry(&image.reference)
        {
            near = builds.iter().collect();
        }
        match near.as_slice() {
            [] => {}
            [build] => artifacts.push(Artifact {
                image: repository(&image.reference).to_owned(),
                build: (*build).clone(),
                more: Map::new(),
                place: image.place.clone(),
            }),
            several => {
                let paths: Vec<String> = several.iter().map(|build| format!("`{}`", build.path)).collect();
                draft.leave(
                    &image.place,
                    format!(
                        "image `{}` could be any of {}; a service `{name}` with `deploy: false` says which",
                        image.reference,
                        paths.join(", ")
                    ),
                );
            }
        }
    }
    for build in &builds {
        if artifacts.iter().all(|artifact| artifact.build != *build)
            && draft.left.iter().all(|left| !left.what.contains(&format!("`{}`", build.path)))
        {
            draft.leave(&build.path, "no manifest names an image that could be this one");
        }
    }
    draft.head.push(format!("Made by `coracle init` from {}.", count(files)));
    tie(found, draft, files, artifacts);
}

pub(super) fn count(files: &[String]) -> String {
    match files {
        [file] => format!("the manifest {file}"),
        _ => format!("{} manifests", files.len()),
    }
}

/// Whether an image is called nearly like a folder: `shop-web` and `web`, `webapp1` and `webapp-1`.
fn is_near(image: &str, name: &str) -> bool {
    let plain = |text: &str| text.replace(['-', '_', '.'], "");
    plain(image) == plain(name) || image.ends_with(&format!("-{name}")) || image.starts_with(&format!("{name}-"))
}

/// Adds the manifests, and a service that is only built for each artifact that they run.
pub(super) fn tie(found: &Found, draft: &mut Draft, files: &[String], artifacts: Vec<Artifact>) {
    let named = named(found, files);
    for artifact in artifacts {
        let key = artifact.image.rsplit('/').next().unwrap_or_default().to_owned();
        let uses = named.iter().find(|image| repository(&image.reference) == artifact.image);
        if names::service_fault(&key).is_some() {
            draft.leave(
                &artifact.place,
                format!(
                    "image `{}` cannot name a service; call it `{}` in the manifest",
                    artifact.image,
                    dockerfiles::label(&key)
                ),
            );
            continue;
        }
        if let Some(image) = uses.filter(|image| has_registry(&image.reference)) {
            draft.leave(
                &image.place,
                format!(
                    "image `{}` names its registry, so it is pulled; write `image: {key}` there to run what {} builds",
                    image.reference, artifact.build.path
                ),
            );
        }
        if draft.services.iter().any(|service| service.key == key) {
            continue;
        }
        let mut service = Service::new(&key);
        service.why = uses.map(|image| format!("Built for `image: {}` in {}.", image.reference, image.place));
        service.set(with(artifact.build.line(), artifact.more));
        service.set(Line::new("deploy", false).why("the manifests run it"));
        draft.services.push(service);
    }
    let spaces = namespaces(found, files);
    if let [only] = spaces.iter().collect::<Vec<_>>().as_slice() {
        draft.name.clone_from(only);
    }
    draft.manifests.extend(files.iter().cloned());
}

/// Adds keys to a `build:`.
fn with(mut line: Line, more: Map<String, Json>) -> Line {
    if let (Value::Plain(value), false) = (&line.value, more.is_empty()) {
        let mut section = match value {
            Json::Object(section) => section.clone(),
            context => Map::from_iter([("context".to_owned(), context.clone())]),
        };
        section.extend(more);
        line.value = Value::Plain(json!(section));
    }
    line
}

/// Returns the namespaces that the manifests ask for: a profile's name is its namespace.
fn namespaces(found: &Found, files: &[String]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for document in files.iter().filter_map(|file| found.text(file)).flat_map(documents) {
        let own = if document["kind"] == "Namespace" {
            &document["metadata"]["name"]
        } else {
            &document["metadata"]["namespace"]
        };
        let name = own
            .as_str()
            .filter(|name| names::label_fault(name).is_none() && *name != "default" && !name.starts_with("kube-"));
        all.extend(name.map(str::to_owned));
    }
    all
}

/// Returns patterns for files: a folder whose YAML files are all named is one pattern.
pub(super) fn patterns(found: &Found, files: &[String]) -> Vec<String> {
    let mut by_folder: BTreeMap<(&str, &str), Vec<&String>> = BTreeMap::new();
    for file in files {
        by_folder.entry((parent(file), file.rsplit('.').next().unwrap_or_default())).or_default().push(file);
    }
    let mut patterns = Vec::new();
    for ((folder, end), named) in by_folder {
        let all = found.in_folder(folder).filter(|path| path.ends_with(&format!(".{end}"))).count();
        if folder != "." && named.len() > 1 && all == named.len() {
            patterns.push(format!("{folder}/*.{end}"));
        } else {
            patterns.extend(named.into_iter().cloned());
        }
    }
    patterns
}

/// Returns the files that a pattern of another tool means: a file, a folder, `*` in the last part, `**`.
pub(super) fn matching(found: &Found, pattern: &str) -> Vec<String> {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    if found.files.contains(pattern) {
        return vec![pattern.to_owned()];
    }
    let (folder, last) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let (folder, last) = if last.contains('*') { (folder, last) } else { (pattern, "*") };
    let deep = folder.ends_with("**") || last == "**";
    let folder = folder.trim_end_matches("/**");
    let end = last.rsplit('*').next().unwrap_or_default();
    let fits = |path: &&String| {
        let here = parent(path) == folder || (deep && (folder == "**" || path.starts_with(&format!("{folder}/"))));
        here && is_yaml(path) && path.ends_with(end) && !file_name(path).starts_with("kustomization.")
    };
    found.files.iter().filter(fits).filter(|path| found.text(path).is_some_and(is_manifest)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        assert_eq!(repository("localhost:5000/a/web:1@sha256:00"), "localhost:5000/a/web");
        assert_eq!(repository("localhost:5000/web"), "localhost:5000/web");
        assert!(has_registry("gcr.io/p/web") && !has_registry("ada/web"));
        assert!(is_near("shop-web", "web") && is_near("webapp1", "webapp-1") && !is_near("redis", "web"));
    }
}
