//! Compose files: each service with what it has a counterpart for; the rest is listed with its line.
//!
//! [`draft`] is pure. The format is that of <https://docs.docker.com/reference/compose-file/>; what
//! it leaves to a daemon (networks, restarts, logging) Kubernetes does by itself. `service.rs` has
//! the keys of a service.

mod env;
mod ports;
mod service;
mod settings;
mod vars;
mod volumes;

use std::collections::BTreeMap;

pub(super) use self::env::usual_port;
use self::vars::Variable;
use super::dockerfiles::label;
use super::draft::Draft;
use super::survey::{Found, join, parent};
use super::yaml::Source;
use crate::profile::tree::{Node, Value};

/// The names that Compose looks for, in its order.
const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Returns the compose file of a folder: at the top, or the only one right below it.
pub(super) fn file(found: &Found) -> Option<String> {
    if let Some(top) = FILES.iter().find(|name| found.files.contains(**name)) {
        return Some((*top).to_owned());
    }
    let named = |path: &&String| FILES.contains(&super::survey::file_name(path));
    let mut below = found.files.iter().filter(named).filter(|path| path.matches('/').count() == 1);
    below.next().filter(|_| below.next().is_none()).cloned()
}

/// What reading one file needs and collects.
struct Reader<'a> {
    found: &'a Found,
    source: Source<'a>,
    root: &'a Node,
    /// Of `.env`, beside the file.
    variables: BTreeMap<String, Variable>,
    draft: Draft,
    /// Named volumes that have a claim: its name.
    claims: Vec<(String, String)>,
    external: Vec<String>,
    /// How Compose calls a service → its key.
    hosts: BTreeMap<String, String>,
    /// Services that others wait for until they have ended.
    jobs: Vec<String>,
    /// Variables that must be set before `up`.
    asked: Vec<String>,
}

/// Returns the draft of a compose file; the error is why it cannot be read.
pub(super) fn draft(found: &Found, file: &str, text: &str) -> Result<Draft, String> {
    let source = Source { file, text };
    let root = source.read()?;
    let services: Vec<(String, Node)> = root
        .get("services")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    if services.is_empty() {
        return Err(format!("{file}: it has no `services:`"));
    }
    let mut left = Vec::new();
    let external = volumes::external(source, &root, &mut left);
    let env = join(parent(file), ".env").unwrap_or_default();
    let variables = found.text(&env).map(|text| vars::env_file(&env, text)).unwrap_or_default();
    let mut reader = Reader {
        found,
        source,
        root: &root,
        variables: variables.into_iter().collect(),
        draft: Draft::default(),
        claims: Vec::new(),
        external,
        hosts: BTreeMap::new(),
        jobs: Vec::new(),
        asked: Vec::new(),
    };
    for (place, what) in left {
        reader.draft.leave(place, what);
    }
    reader.top();
    let services: Vec<(String, Node)> = services
        .into_iter()
        .map(|(name, node)| {
            let node = reader.extended(&name, node, 0);
            (name, node)
        })
        .collect();
    reader.name_hosts(&services);
    for (name, node) in &services {
        reader.service(name, node);
    }
    reader.related();
    Ok(reader.finish())
}

impl Reader<'_> {
    /// Returns a scalar with its variables filled in.
    fn text(&self, node: &Node) -> Option<String> {
        node.text().map(|text| vars::interpolate(&text, &self.variables).text)
    }

    /// What stands beside the services.
    fn top(&mut self) {
        let file = self.source.file.to_owned();
        self.draft.head.push(format!("Made by `coracle init` from {file}."));
        for entry in self.root.entries() {
            let place = self.source.of_key(entry);
            match entry.key.as_str() {
                "name" => self.draft.name = self.text(&entry.value).map(|name| label(&name)).unwrap_or_default(),
                "include" => {
                    self.draft.leave(place, "`include`: other files are not read; run `coracle init` beside them");
                }
                "networks" if !entry.value.entries().is_empty() => {
                    self.draft.leave(place, "`networks`: the services of a profile share one network");
                }
                _ => {}
            }
        }
        let folder = parent(&file).to_owned();
        for path in self.found.in_folder(&folder) {
            let name = super::survey::file_name(path);
            let more = (name.starts_with("compose.") || name.starts_with("docker-compose.")) && path != file;
            if more && super::survey::is_yaml(name) {
                self.draft.notes.push(format!("{path} is not read: what it lays over {file} is not in the profile"));
            }
        }
    }

    /// Returns a service with what it `extends` below it.
    fn extended(&mut self, name: &str, node: Node, depth: usize) -> Node {
        let Some(extends) = node.get("extends").cloned() else { return node };
        let place = self.source.of(&extends);
        let base = extends.text().or_else(|| extends.get("service").and_then(Node::text)).unwrap_or_default();
        let services = self.root.get("services");
        let below =
            services.and_then(|services| services.get(&base)).filter(|_| extends.get("file").is_none() && depth < 8);
        let Some(below) = below.cloned() else {
            self.draft.leave(place, format!("`{name}`: `extends` of another file; its keys are not here"));
            return node;
        };
        let below = self.extended(&base, below, depth + 1);
        over(below, node)
    }

    /// Notes by which names each service is reached.
    fn name_hosts(&mut self, services: &[(String, Node)]) {
        for (name, _) in services {
            self.hosts.insert(name.clone(), label(name));
        }
        for (name, node) in services {
            let key = label(name);
            let networks = node.get("networks").map(Node::entries).unwrap_or_default();
            let aliases = networks.iter().filter_map(|network| network.value.get("aliases")).flat_map(Node::items);
            let own = ["container_name", "hostname"].into_iter().filter_map(|key| node.get(key));
            for alias in own.chain(aliases).filter_map(Node::text) {
                self.hosts.entry(alias).or_insert_with(|| key.clone());
            }
        }
        for (name, key) in &self.hosts {
            if services.iter().any(|(service, _)| service == name) && name != key {
                self.draft
                    .notes
                    .push(format!("`{name}` is `{key}` here: a name in Kubernetes has a-z, 0-9 and `-` only"));
            }
        }
    }

    /// What one service says of another.
    fn related(&mut self) {
        let off: Vec<String> =
            self.draft.services.iter().filter(|service| service.off).map(|service| service.key.clone()).collect();
        for service in self.draft.services.iter_mut().filter(|service| !service.off) {
            let Some(serde_json::Value::Array(after)) = service.plain("after").cloned() else { continue };
            let kept: Vec<_> = after.into_iter().filter(|key| !off.iter().any(|off| key == off)).collect();
            let why = service.lines.iter().find(|line| line.key == "after").and_then(|line| line.why.clone());
            service.lines.retain(|line| line.key != "after");
            if !kept.is_empty() {
                let mut line = super::draft::Line::new("after", kept);
                line.why = why;
                service.set(line);
            }
        }
        for service in &mut self.draft.services {
            if self.jobs.contains(&service.key) && !service.has("kind") {
                service.set(super::draft::Line::new("kind", "job").why("others wait until it has ended"));
                // Nobody calls something that ends.
                service.lines.retain(|line| !matches!(line.key.as_str(), "ports" | "expose" | "health" | "replicas"));
            }
        }
        self.missing_ports();
    }

    /// A service without ports has no name in Kubernetes: what others ask of it says which it has.
    fn missing_ports(&mut self) {
        let said: Vec<String> = self.draft.services.iter().flat_map(env::texts).collect();
        for service in &mut self.draft.services {
            let job = service.plain("kind").is_some_and(|kind| kind == "job");
            if service.has("ports") || service.has("build") || job {
                continue;
            }
            let asked = said.iter().find_map(|text| env::port_of(text, &service.key));
            let known = service.plain("image").and_then(serde_json::Value::as_str).and_then(env::usual_port);
            let (port, why) = match (asked, known) {
                (Some(port), _) => (port, "other services ask for it"),
                (None, Some(port)) => (port, "the image's usual port"),
                (None, None) => continue,
            };
            service.set(super::draft::Line::new("ports", vec![port]).why(why));
            service.set(
                super::draft::Line::new("expose", "cluster")
                    .why("not published by compose: for the other services only"),
            );
        }
    }

    fn finish(mut self) -> Draft {
        self.asked.sort();
        self.asked.dedup();
        if !self.asked.is_empty() {
            let names: Vec<String> = self.asked.iter().map(|name| format!("{name}=…")).collect();
            self.draft.notes.push(format!("before `coracle up`: `export {}`", names.join(" ")));
        }
        self.draft
    }
}

/// Lays a service over the one that it extends: sections key by key, lists one after the other.
fn over(below: Node, above: Node) -> Node {
    let (Value::Map(mut result), Value::Map(entries)) = (below.value, above.value.clone()) else { return above };
    // What it waits for, and when it is started at all, is each service's own.
    result.retain(|entry| !matches!(entry.key.as_str(), "extends" | "depends_on" | "profiles"));
    for entry in entries.into_iter().filter(|entry| entry.key != "extends") {
        let Some(at) = result.iter().position(|other| other.key == entry.key) else {
            result.push(entry);
            continue;
        };
        let merged = match (&result[at].value.value, &entry.value.value) {
            (Value::Map(_), Value::Map(_)) => over(result[at].value.clone(), entry.value),
            (Value::List(low), Value::List(high))
                if !matches!(entry.key.as_str(), "command" | "entrypoint" | "test") =>
            {
                let items = low.iter().filter(|item| !high.contains(item)).chain(high).cloned().collect();
                Node { value: Value::List(items), ..entry.value }
            }
            _ => entry.value,
        };
        result[at].value = merged;
    }
    Node { value: Value::Map(result), ..above }
}
