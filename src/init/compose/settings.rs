//! What a Compose service nests: its build, what it may use, who it runs as, and the files that it is given.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::dockerfiles::Build;
use super::super::draft::{Line, Value};
use super::super::survey::{join, parent};
use super::service::Made;
use super::{Reader, vars};
use crate::profile::tree::Node;

impl Reader<'_> {
    pub(super) fn build(&mut self, made: &mut Made, node: &Node) {
        let place = self.source.of(node);
        let text = |key: &str| node.get(key).and_then(|node| self.text(node));
        let written = if node.is_map() {
            text("context").unwrap_or_else(|| ".".into())
        } else {
            self.text(node).unwrap_or_default()
        };
        let (dockerfile, target) = (text("dockerfile"), text("target"));
        let context = join(parent(self.source.file), &written)
            .filter(|_| !written.contains("://") && !written.starts_with("git@"));
        let Some(context) = context else {
            self.draft.leave(
                place,
                format!("`{}`: `{written}` is no folder here; clone it beside the profile", made.service.key),
            );
            return;
        };
        let path = join(&context, dockerfile.as_deref().unwrap_or("Dockerfile")).unwrap_or_default();
        let mut line = Build { path: path.clone(), context: context.clone(), name: String::new() }.line();
        let mut more = Map::new();
        let mut args = BTreeMap::new();
        for entry in node.entries() {
            let place = self.source.of_key(entry);
            match entry.key.as_str() {
                "args" => args = self.arguments(&entry.value, &place),
                "network" => more.extend(self.text(&entry.value).map(|text| ("network".to_owned(), json!(text)))),
                "context" | "dockerfile" | "target" | "tags" | "cache_from" | "cache_to" | "labels" => {}
                other => self.draft.leave(place, format!("`{}`: `build: {other}`", made.service.key)),
            }
        }
        more.extend(target.clone().map(|target| ("target".to_owned(), json!(target))));
        if !args.is_empty() {
            more.insert("args".to_owned(), json!(args));
        }
        if !more.is_empty() {
            let Value::Plain(value) = line.value else { return };
            let mut section = match value {
                Json::Object(section) => section,
                other => Map::from_iter([("context".to_owned(), other)]),
            };
            section.append(&mut more);
            line.value = Value::Plain(Json::Object(section));
        }
        made.built = true;
        made.context = Some(context);
        made.recipe = Some((path, target, args));
        made.service.set(line);
    }

    pub(super) fn arguments(&mut self, node: &Node, place: &str) -> BTreeMap<String, String> {
        let mut pairs: Vec<(String, Option<String>)> =
            node.entries().iter().map(|entry| (entry.key.clone(), entry.value.text())).collect();
        if node.is_list() {
            let texts = node.items().iter().filter_map(Node::text);
            pairs = texts
                .map(|text| {
                    text.split_once('=')
                        .map_or((text.clone(), None), |(name, value)| (name.to_owned(), Some(value.to_owned())))
                })
                .collect();
        }
        let mut args = BTreeMap::new();
        for (name, value) in pairs {
            let filled = vars::interpolate(&value.unwrap_or_else(|| format!("${{{name}}}")), &self.variables);
            if filled.secret.is_some() {
                self.draft.leave(
                    place,
                    format!(
                        "build argument `{name}`: a secret has no place in an image; `build: {{secrets: …}}` mounts it"
                    ),
                );
                continue;
            }
            self.asked.extend(filled.asked);
            args.insert(name, filled.text);
        }
        args
    }

    pub(super) fn number(&mut self, made: &mut Made, key: &str, node: &Node) {
        let number = self.text(node).and_then(|text| text.parse::<u32>().ok());
        made.service.lines.extend(number.filter(|number| *number != 1).map(|number| Line::new(key, number)));
    }

    pub(super) fn deploy(&mut self, made: &mut Made, node: &Node) {
        for entry in node.entries() {
            match entry.key.as_str() {
                "replicas" => self.number(made, "replicas", &entry.value),
                "resources" => {
                    for (theirs, ours) in [("limits", "limits"), ("reservations", "requests")] {
                        for (name, resource) in [("cpus", "cpu"), ("memory", "memory")] {
                            if let Some(value) = entry.value.get(theirs).and_then(|values| values.get(name)) {
                                self.limit(made, ours, resource, value);
                            }
                        }
                    }
                }
                "restart_policy" | "mode" | "labels" | "endpoint_mode" | "update_config" | "rollback_config" => {}
                other => {
                    let place = self.source.of_key(entry);
                    self.draft.leave(place, format!("`{}`: `deploy: {other}`", made.service.key));
                }
            }
        }
    }

    /// Compose's `M` is 1024², which Kubernetes calls `Mi`; half a processor is `500m`.
    pub(super) fn limit(&mut self, made: &mut Made, which: &str, resource: &str, node: &Node) {
        let Some(text) = self.text(node) else { return };
        let value = if resource == "cpu" {
            text.parse::<f64>().ok().filter(|cpus| *cpus > 0.0).map(|cpus| format!("{:.0}m", cpus * 1000.0))
        } else {
            let low = text.to_lowercase();
            let number = low.trim_end_matches(|last: char| last.is_ascii_alphabetic());
            let unit = match low[number.len()..].trim_end_matches('b').trim_end_matches('i') {
                "k" => "Ki",
                "m" => "Mi",
                "g" => "Gi",
                _ => "",
            };
            number.parse::<f64>().ok().filter(|number| *number > 0.0).map(|_| format!("{number}{unit}"))
        };
        let Some(value) = value else { return };
        let has = made.service.section("resources").iter_mut().find(|line| line.key == which);
        match has {
            Some(Line { value: Value::Plain(Json::Object(map)), .. }) => {
                map.insert(resource.to_owned(), json!(value));
            }
            _ => made.service.put("resources", Line::new(which, json!({resource: value}))),
        }
    }

    pub(super) fn user(&mut self, made: &mut Made, node: &Node, place: &str) {
        let Some(text) = self.text(node) else { return };
        let (user, group) = text.split_once(':').map_or((text.as_str(), None), |(user, group)| (user, Some(group)));
        match (user.parse::<u32>(), group.map(str::parse::<u32>).transpose()) {
            (Ok(user), Ok(group)) => {
                made.service.put("security", Line::new("user", user));
                if let Some(group) = group {
                    made.service.put("security", Line::new("group", group));
                }
            }
            _ => self.draft.leave(
                place,
                format!(
                    "`{}`: `user: {text}`; Kubernetes takes numbers only: `security: {{user: 1000}}`",
                    made.service.key
                ),
            ),
        }
    }

    pub(super) fn capabilities(made: &mut Made, key: &str, node: &Node) {
        let which = if key == "cap_add" { "add" } else { "drop" };
        let names: Vec<String> =
            node.items().iter().filter_map(Node::text).map(|name| name.trim_start_matches("CAP_").to_owned()).collect();
        let section = made.service.section("security");
        let at = section.iter().position(|line| line.key == "capabilities");
        let mut map = match at.map(|at| section.remove(at).value) {
            Some(Value::Plain(Json::Object(map))) => map,
            _ => Map::new(),
        };
        map.insert(which.to_owned(), json!(names));
        section.push(Line::new("capabilities", Json::Object(map)));
    }

    pub(super) fn configs(&mut self, made: &mut Made, node: &Node, place: &str) {
        for item in node.items() {
            let id = item.text().or_else(|| item.get("source").and_then(Node::text)).unwrap_or_default();
            let target = item.get("target").and_then(|node| self.text(node)).unwrap_or_else(|| format!("/{id}"));
            match self.top_file("configs", &id) {
                Some(file) => made.service.put("files", Line::new(target, file)),
                None => self.draft.leave(place, format!("`{}`: config `{id}` is no file here", made.service.key)),
            }
        }
    }

    pub(super) fn secret_files(&mut self, made: &mut Made, node: &Node) {
        for item in node.items() {
            let id = item.text().or_else(|| item.get("source").and_then(Node::text)).unwrap_or_default();
            let variable = self
                .root
                .get("secrets")
                .and_then(|all| all.get(&id))
                .and_then(|secret| secret.get("environment"))
                .and_then(Node::text);
            if let Some(file) = self.top_file("secrets", &id) {
                made.secret_files.insert(id, file);
            } else if let Some(variable) = variable {
                made.service.put("secrets", Line::new(id.to_uppercase(), json!({"env": variable})));
            } else {
                self.draft
                    .leave(self.source.of(item), format!("`{}`: secret `{id}` is no file here", made.service.key));
            }
        }
    }

    /// Returns the file of a secret or a config that the file's own section names.
    pub(super) fn top_file(&self, section: &str, id: &str) -> Option<String> {
        let file = self.root.get(section)?.get(id)?.get("file").and_then(|node| self.text(node))?;
        Some(format!("./{}", join(parent(self.source.file), &file)?))
    }
}
