//! One service of a compose file, key by key. `settings.rs` has what is nested: the build, the
//! resources, the files.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::dockerfiles;
use super::super::draft::{Line, Service};
use super::super::health;
use super::ports::{self, Port};
use super::{Reader, vars};
use crate::profile::names;
use crate::profile::tree::{Entry, Node};

/// Keys that need no word: Kubernetes does the same, or they mean nothing outside of Compose.
const SILENT: [&str; 16] = [
    "restart",
    "container_name",
    "hostname",
    "networks",
    "links",
    "init",
    "tty",
    "stdin_open",
    "pull_policy",
    "extends",
    "logging",
    "attach",
    "expose",
    "profiles",
    "annotations",
    "depends_on",
];

/// A service on the way.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) service: Service,
    pub(super) built: bool,
    pub(super) context: Option<String>,
    /// The Dockerfile, the target and the arguments of the build.
    pub(super) recipe: Option<(String, Option<String>, BTreeMap<String, String>)>,
    pub(super) ports: Vec<Port>,
    published: bool,
    pub(super) volumes: Vec<(Json, Option<String>)>,
    pub(super) mounts: Vec<(Json, Option<String>)>,
    /// Secrets by id → file.
    pub(super) secret_files: BTreeMap<String, String>,
    pub(super) used_secrets: Vec<String>,
}

impl Made {
    pub(super) fn env(&mut self, name: &str, line: Line) {
        // `environment` is over `env_file`, whichever of the two said that it is a secret.
        if self.service.has("secrets") {
            self.service.section("secrets").retain(|line| line.key != name);
        }
        self.service.put("env", line);
    }
}

impl Reader<'_> {
    pub(super) fn service(&mut self, name: &str, node: &Node) {
        let mut made = Made { service: Service::new(dockerfiles::label(name)), ..Made::default() };
        if self.draft.services.iter().any(|other| other.key == made.service.key) {
            self.draft.leave(
                self.source.of(node),
                format!("`{name}`: another service is named `{}` already", made.service.key),
            );
            return;
        }
        if let Some(profiles) = node.get("profiles").filter(|profiles| !profiles.items().is_empty()) {
            let names: Vec<String> = profiles.items().iter().filter_map(|item| self.text(item)).collect();
            made.service.off = true;
            made.service.why = Some(format!(
                "Only with `--profile {}` in compose: take the `#` away to have it here.",
                names.join("` or `--profile ")
            ));
        }
        if let Some(build) = node.get("build") {
            self.build(&mut made, build);
        }
        if let Some(secrets) = node.get("secrets") {
            self.secret_files(&mut made, secrets);
        }
        if let Some(files) = node.get("env_file") {
            self.env_files(&mut made, files);
        }
        for entry in node.entries() {
            self.key(&mut made, entry);
        }
        self.ported(&mut made, node);
        if let Some(check) = node.get("healthcheck") {
            self.health(&mut made, check);
        }
        if let Some((path, target, args)) = made.recipe.take() {
            dockerfiles::describe(self.found, &path, target.as_deref(), &args, &mut made.service);
        }
        self.close(made, node);
    }

    fn close(&mut self, mut made: Made, node: &Node) {
        for (id, file) in made.secret_files.clone() {
            if !made.used_secrets.contains(&id) {
                let variable = id.to_uppercase().replace(['-', '.'], "_");
                made.service.put("secrets", Line::new(&variable, json!({"file": file})));
                self.draft.leave(
                    self.source.of(node),
                    format!(
                        "`{}`: the file /run/secrets/{id}; its content is in the variable `{variable}`",
                        made.service.key
                    ),
                );
            }
        }
        for (key, items) in
            [("volumes", std::mem::take(&mut made.volumes)), ("mounts", std::mem::take(&mut made.mounts))]
        {
            let (values, whys): (Vec<Json>, Vec<Option<String>>) = items.into_iter().unzip();
            if !values.is_empty() {
                let mut whys: Vec<String> = whys.into_iter().flatten().collect();
                whys.dedup();
                made.service.set(Line::new(key, values).why(whys.join("; ")));
            }
        }
        if made.service.has("build") || made.service.has("image") {
            self.draft.services.push(made.service);
        } else {
            self.draft.leave(
                self.source.of(node),
                format!("service `{}`: it has neither an image nor a build that can be used", made.service.key),
            );
        }
    }

    fn key(&mut self, made: &mut Made, entry: &Entry) {
        let (node, place) = (&entry.value, self.source.of_key(entry));
        let key = made.service.key.clone();
        match entry.key.as_str() {
            "build" | "secrets" | "env_file" | "ports" | "healthcheck" => {}
            "image" if made.built => {
                self.draft
                    .notes
                    .push(format!("{place}: `{key}` is built, so `image` is left out: Coracle names what it builds"));
            }
            "image" => {
                if let Some(image) = node.text() {
                    let line = self.filled("image", &image);
                    made.service.set(line);
                }
            }
            "command" => self.command(made, "args", node, &place),
            "entrypoint" => self.command(made, "command", node, &place),
            "environment" => self.environment(made, node),
            "volumes" => self.volumes(made, node),
            "depends_on" => self.depends_on(made, node),
            "scale" => self.number(made, "replicas", node),
            "deploy" => self.deploy(made, node),
            "mem_limit" | "cpus" => {
                self.limit(made, "limits", if entry.key == "cpus" { "cpu" } else { "memory" }, node);
            }
            "mem_reservation" => self.limit(made, "requests", "memory", node),
            "stop_grace_period" => made.service.lines.extend(self.text(node).map(|text| Line::new("grace", text))),
            "user" => self.user(made, node, &place),
            "read_only" if node.truth() => made.service.put("security", Line::new("read-only-root", true)),
            "cap_add" | "cap_drop" => Self::capabilities(made, &entry.key, node),
            "configs" => self.configs(made, node, &place),
            "working_dir" => {
                if let Some(folder) = self.text(node) {
                    let containers = json!([{"name": key, "workingDir": folder}]);
                    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
                    made.service.set(
                        Line::new("patch", patch)
                            .why("`working_dir` in compose; WORKDIR in a Dockerfile needs no patch"),
                    );
                }
            }
            "platform" => self
                .draft
                .leave(place, format!("`{key}`: `platform`; `build: {{platform: …}}` says it for what is built")),
            "develop" => {
                self.draft.leave(place, format!("`{key}`: `develop`; `coracle dev` brings saved files by itself"));
            }
            other if SILENT.contains(&other) || other.starts_with("x-") => {}
            other => self.draft.leave(place, format!("`{key}`: `{other}`")),
        }
    }

    /// Returns a line with its variables filled in, and a word about those.
    fn filled(&mut self, key: &str, text: &str) -> Line {
        let filled = vars::interpolate(text, &self.variables);
        self.asked.extend(filled.asked.iter().chain(&filled.secret).cloned());
        let line = Line::new(key, filled.text);
        match filled.defaults.first() {
            Some(default) => line.why(format!("the default of ${{{default}}}")),
            None => line,
        }
    }

    fn command(&mut self, made: &mut Made, key: &str, node: &Node, place: &str) {
        let words = if node.is_list() {
            Some(node.items().iter().filter_map(|item| self.text(item)).collect())
        } else {
            self.text(node).and_then(|line| names::words(&line))
        };
        match words {
            Some(words) => {
                let words: Vec<String> = words.iter().map(|word| self.renamed(word)).collect();
                // An empty list is Compose's way to say: not the image's own.
                if !words.is_empty() {
                    made.service.set(Line::new(key, words));
                }
            }
            None => self.draft.leave(place, format!("`{}`: a command with an open quote", made.service.key)),
        }
    }

    fn depends_on(&mut self, made: &mut Made, node: &Node) {
        let mut after: Vec<String> = Vec::new();
        for entry in node.entries() {
            after.push(dockerfiles::label(&entry.key));
            let condition = entry.value.get("condition").and_then(Node::text);
            if condition.as_deref() == Some("service_completed_successfully") {
                self.jobs.push(dockerfiles::label(&entry.key));
            }
        }
        if node.is_list() {
            after.extend(node.items().iter().filter_map(Node::text).map(|name| dockerfiles::label(&name)));
        }
        after.dedup();
        if !after.is_empty() {
            made.service.set(Line::new("after", after).why("waits until these are ready"));
        }
    }

    fn ported(&mut self, made: &mut Made, node: &Node) {
        for item in node.get("ports").map(Node::items).unwrap_or_default() {
            made.published = true;
            let found =
                if item.is_map() { self.long_port(item) } else { self.text(item).and_then(|text| ports::short(&text)) };
            let Some(found) = found else {
                self.draft.leave(
                    self.source.of(item),
                    format!(
                        "`{}`: `{}` is no port that a Service could have, or more than 20",
                        made.service.key,
                        item.text().unwrap_or_default()
                    ),
                );
                continue;
            };
            made.ports.extend(found);
        }
        for item in node.get("expose").map(Node::items).unwrap_or_default() {
            made.ports.extend(self.text(item).and_then(|text| ports::short(&text)).unwrap_or_default());
        }
        let mut unique: Vec<Port> = Vec::new();
        for port in &made.ports {
            if !unique.iter().any(|other| other.container == port.container && other.udp == port.udp) {
                unique.push(*port);
            }
        }
        if unique.is_empty() {
            return;
        }
        // A plain port is its own reason; what `local` is for is not seen.
        let local = unique.iter().any(|port| !port.udp && port.host.is_some_and(|host| host >= 1024));
        let line = Line::new("ports", unique.iter().map(|port| port.json()).collect::<Vec<_>>());
        made.service.set(if local { line.why("`local`: `coracle dev` listens there, as compose does") } else { line });
        if !made.published {
            made.service
                .set(Line::new("expose", "cluster").why("not published by compose: for the other services only"));
        }
        made.ports = unique;
    }

    fn long_port(&self, item: &Node) -> Option<Vec<Port>> {
        let text = |key: &str| item.get(key).and_then(|node| self.text(node));
        let protocol = text("protocol").unwrap_or_else(|| "tcp".into());
        let target = text("target")?;
        let short = match text("published").filter(|published| !published.is_empty()) {
            Some(published) => format!("{published}:{target}/{protocol}"),
            None => format!("{target}/{protocol}"),
        };
        ports::short(&short)
    }

    fn health(&mut self, made: &mut Made, check: &Node) {
        let first = made.ports.iter().find(|port| !port.udp).map(|port| port.container);
        if check.get("disable").is_some_and(Node::truth) {
            made.service.set(Line::new("health", "none").why("disabled in compose"));
            return;
        }
        let Some(test) = check.get("test") else { return };
        let words: Vec<String> = test.items().iter().filter_map(|item| self.text(item)).collect();
        let (shell, command) = match (test.is_list(), words.split_first()) {
            (true, Some((first, _))) if first == "NONE" => {
                made.service.set(Line::new("health", "none").why("disabled in compose"));
                return;
            }
            (true, Some((first, rest))) if first == "CMD" => (false, rest.to_vec()),
            (true, Some((first, rest))) if first == "CMD-SHELL" => (true, rest.to_vec()),
            (false, Some(_)) => (true, words),
            _ => return,
        };
        if command.is_empty() {
            return;
        }
        let said = |key: &str| check.get(key).and_then(|node| self.text(node));
        let timeout = said("timeout").filter(|text| names::duration(text).is_some());
        let retries = said("retries").and_then(|text| text.parse().ok());
        let line = health::timed(health::of_command(&command, shell, first), timeout, retries);
        made.service.set(line);
    }
}
