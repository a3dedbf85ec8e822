//! Skaffold projects, `skaffold/v2` to `v4`: what they build, and their manifests.
//!
//! How they are run (profiles, port forwards, hooks, tests) is listed with its line.

use serde_json::{Map, json};

use super::dockerfiles::Build;
use super::draft::Draft;
use super::manifests::{self, Artifact};
use super::survey::{Found, join};
use super::yaml::Source;
use crate::profile::tree::Node;

pub(super) fn draft(found: &Found, file: &str, text: &str) -> Result<Draft, String> {
    let source = Source { file, text };
    let root = source.read()?;
    let mut draft = Draft { head: vec![format!("Made by `coracle init` from {file}.")], ..Draft::default() };
    draft.name = root.get("metadata").and_then(|data| data.get("name")).and_then(Node::text).unwrap_or_default();
    let mut artifacts = Vec::new();
    for item in root.get("build").and_then(|build| build.get("artifacts")).map(Node::items).unwrap_or_default() {
        artifacts.extend(artifact(source, item, &mut draft));
    }
    let mut patterns: Vec<(String, String)> = Vec::new();
    let lists = [("manifests", "rawYaml"), ("manifests", "kustomize"), ("deploy", "kubectl"), ("deploy", "kustomize")];
    for (section, key) in lists {
        let Some(node) = root.get(section).and_then(|section| section.get(key)) else { continue };
        let list = match key {
            "kubectl" => node.get("manifests"),
            "kustomize" => node.get("paths"),
            _ => Some(node),
        };
        if key == "kustomize" {
            draft.leave(
                source.of(node),
                "Kustomize: the files are taken as they are, without its patches and generators",
            );
        }
        let items = list.map(Node::items).unwrap_or_default();
        patterns.extend(items.iter().filter_map(|item| Some((item.text()?, source.of(item)))));
    }
    if patterns.is_empty() {
        patterns.push(("k8s/*.yaml".to_owned(), file.to_owned()));
    }
    rest(source, &root, &mut draft);
    let mut files: Vec<String> = Vec::new();
    for (pattern, place) in patterns {
        let matched = manifests::matching(found, &pattern);
        if matched.is_empty() {
            draft.leave(place, format!("manifests `{pattern}`: no file here"));
        }
        files.extend(matched.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
    let profile = draft.name.clone();
    manifests::tie(found, &mut draft, &files, artifacts);
    if draft.name == profile {
        draft.name = if profile.is_empty() { profile } else { super::dockerfiles::label(&profile) };
    }
    Ok(draft)
}

fn artifact(source: Source<'_>, item: &Node, draft: &mut Draft) -> Option<Artifact> {
    let image = item.get("image").and_then(Node::text)?;
    let place = source.of(item);
    let others = ["buildpacks", "jib", "ko", "bazel", "custom"];
    for entry in item.entries() {
        let known = ["image", "context", "docker", "kaniko"].iter().chain(&others).any(|known| *known == entry.key);
        if !known {
            draft.leave(
                source.of_key(entry),
                match entry.key.as_str() {
                    "sync" => format!("`{image}`: `sync`; `coracle dev` tells from the Dockerfile what to copy"),
                    "requires" => {
                        format!("`{image}`: `requires`; `args: {{BASE: \"{{services.NAME.image}}\"}}` orders builds")
                    }
                    other => format!("`{image}`: `{other}`"),
                },
            );
        }
    }
    if let Some(other) = others.iter().find(|other| item.get(other).is_some()) {
        draft.leave(&place, format!("image `{image}` is built by {other}; a Dockerfile builds it here"));
        return None;
    }
    let context = item.get("context").and_then(Node::text).unwrap_or_else(|| ".".into());
    let context = join(".", &context)?;
    let docker = item.get("docker").or_else(|| item.get("kaniko"));
    let of = |key: &str| docker.and_then(|docker| docker.get(key));
    let dockerfile = of("dockerfile").and_then(Node::text).unwrap_or_else(|| "Dockerfile".into());
    let mut more = Map::new();
    more.extend(of("target").and_then(Node::text).map(|target| ("target".to_owned(), json!(target))));
    let args: Map<String, serde_json::Value> = of("buildArgs")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), json!(entry.value.text().filter(|text| !text.contains("{{"))?))))
        .collect();
    if !args.is_empty() {
        more.insert("args".to_owned(), json!(args));
    }
    let build = Build { path: join(&context, &dockerfile)?, context, name: String::new() };
    Some(Artifact { image, build, more, place })
}

/// Lists what is neither built nor applied.
fn rest(source: Source<'_>, root: &Node, draft: &mut Draft) {
    for entry in root.entries() {
        let place = source.of_key(entry);
        match entry.key.as_str() {
            "apiVersion" | "kind" | "metadata" | "build" => {}
            "manifests" | "deploy" => {
                for entry in entry.value.entries() {
                    if !matches!(
                        entry.key.as_str(),
                        "rawYaml" | "kubectl" | "kustomize" | "statusCheck" | "statusCheckDeadlineSeconds"
                    ) {
                        draft.leave(source.of_key(entry), format!("`{}`", entry.key));
                    }
                }
            }
            "portForward" => draft
                .leave(place, "`portForward`; a service with `ports` has a URL, and `local:` a port for `coracle dev`"),
            "profiles" => draft.leave(place, "`profiles`; `environments:` says what is different elsewhere"),
            other => draft.leave(place, format!("`{other}`")),
        }
    }
}
