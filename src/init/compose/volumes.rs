//! `volumes:` of Compose services: claims, files, and sources that `dev` brings anyway.

use serde_json::json;

use super::super::draft::Line;
use super::super::survey::{join, parent};
use super::super::yaml::Source;
use super::Reader;
use super::service::Made;
use crate::profile::tree::Node;

/// More files than this in a folder are data, not settings.
const FILES: usize = 12;

/// One mount of a service.
struct Mount {
    source: Option<String>,
    target: String,
    /// A named volume, by the long form's word.
    kind: Option<String>,
}

impl Reader<'_> {
    pub(super) fn volumes(&mut self, made: &mut Made, node: &Node) {
        for item in node.items() {
            let place = self.source.of(item);
            match self.mount(item) {
                Some(mount) if mount.target.starts_with('/') => self.volume(made, &place, mount),
                _ => self.draft.leave(place, format!("`{}`: a volume that is not understood", made.service.key)),
            }
        }
    }

    fn mount(&self, item: &Node) -> Option<Mount> {
        if item.is_map() {
            let text = |key: &str| item.get(key).and_then(|node| self.text(node));
            return Some(Mount {
                source: text("source").or_else(|| text("src")),
                target: text("target").or_else(|| text("dst"))?,
                kind: text("type"),
            });
        }
        let text = self.text(item)?;
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target) = match parts.as_slice() {
            [target] => (None, *target),
            [source, target] | [source, target, _] => (Some(*source), *target),
            _ => return None,
        };
        Some(Mount { source: source.map(str::to_owned), target: target.to_owned(), kind: None })
    }

    fn volume(&mut self, made: &mut Made, place: &str, mount: Mount) {
        let target = if mount.target.len() > 1 { mount.target.trim_end_matches('/').to_owned() } else { mount.target };
        let key = made.service.key.clone();
        let Some(source) = mount.source else {
            if mount.kind.as_deref() == Some("tmpfs") {
                self.draft.leave(
                    place,
                    format!(
                        "`{key}`: a tmpfs at {target}; a container's files are in memory or on disk as the node has it"
                    ),
                );
            } else if made.built {
                self.draft.leave(place, format!("`{key}`: {target} kept a mounted source folder from hiding what the image has; nothing hides it here"));
            } else {
                self.claim(made, &format!("{key}-data"), &target, "an anonymous volume; a claim keeps it");
            }
            return;
        };
        let bind = mount.kind.as_deref() == Some("bind") || source.starts_with(['.', '/', '~']) || source.contains('/');
        if bind {
            self.bind(made, place, &source, &target);
        } else {
            self.claim(made, &source, &target, "compose knows no sizes; this is one to begin with");
        }
    }

    /// A named volume: a claim of the first service that has it, a mount of that claim in others.
    fn claim(&mut self, made: &mut Made, name: &str, target: &str, why: &str) {
        let label = super::super::dockerfiles::label(name);
        if self.external.iter().any(|external| external == name) {
            made.volumes.push((
                json!({"claim": label, "path": target}),
                Some("external in compose: a claim that exists".to_owned()),
            ));
        } else if let Some((_, claim)) = self.claims.iter().find(|(known, _)| known == name) {
            made.mounts.push((
                json!({"claim": claim, "path": target}),
                Some(format!("`{name}`, shared with another service")),
            ));
        } else {
            // The claim of a service that is not started is nobody's to share.
            if !made.service.off {
                self.claims.push((name.to_owned(), format!("{}-{label}", made.service.key)));
            }
            made.volumes.push((json!({"name": label, "size": "1Gi", "path": target}), Some(why.to_owned())));
        }
    }

    fn bind(&mut self, made: &mut Made, place: &str, source: &str, target: &str) {
        let key = made.service.key.clone();
        let base = parent(self.source.file);
        let path = if source.starts_with(['/', '~']) { None } else { join(base, source) };
        let Some(path) = path else {
            self.draft.leave(
                place,
                format!("`{key}`: {source} is this machine's own, outside of the folder; pods cannot have it"),
            );
            return;
        };
        if self.found.files.contains(&path) {
            made.service.put("files", Line::new(target, format!("./{path}")));
            return;
        }
        let context = made.context.clone();
        let inside = |context: &String| {
            context == "."
                || path == *context
                || path.starts_with(&format!("{context}/"))
                || context.starts_with(&format!("{path}/"))
                || path == "."
        };
        if made.built && context.as_ref().is_some_and(inside) {
            self.draft.leave(place, format!("`{key}`: {source} was mounted over the image's copy of it; `coracle dev` brings each saved file there instead"));
            return;
        }
        let files: Vec<String> = self.found.in_folder(&path).map(str::to_owned).collect();
        let nested = self.found.folders.iter().any(|folder| parent(folder) == path);
        if !files.is_empty() && files.len() <= FILES && !nested {
            for file in files {
                let name = file.rsplit('/').next().unwrap_or_default();
                made.service.put("files", Line::new(format!("{target}/{name}"), format!("./{file}")));
            }
        } else if files.is_empty() && !nested {
            self.claim(made, &path, target, &format!("{source} of this machine in compose; a claim here"));
        } else {
            self.draft.leave(
                place,
                format!("`{key}`: {source} has more files than a ConfigMap should; COPY it in a Dockerfile"),
            );
        }
    }
}

/// Returns the names of volumes that exist already.
pub(super) fn external(source: Source<'_>, root: &Node, left: &mut Vec<(String, String)>) -> Vec<String> {
    let mut names = Vec::new();
    for entry in root.get("volumes").map(Node::entries).unwrap_or_default() {
        if entry.value.get("external").is_some_and(Node::truth) {
            names.push(entry.key.clone());
        }
        for option in
            entry.value.entries().iter().filter(|option| matches!(option.key.as_str(), "driver" | "driver_opts"))
        {
            if option.value.text().as_deref() != Some("local") {
                left.push((
                    source.of_key(option),
                    format!("volume `{}`: `{}`; the cluster's storage class decides", entry.key, option.key),
                ));
            }
        }
    }
    names
}
