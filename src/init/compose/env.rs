//! Environment of Compose services: maps, lists, env files, secrets; and what the values tell of
//! other services.

use serde_json::{Value as Json, json};

use super::super::draft::{Line, Service, Value};
use super::super::survey::{join, parent};
use super::Reader;
use super::service::Made;
use super::vars::{self, Variable};
use crate::profile::interpolate::{Piece, pieces};
use crate::profile::tree::Node;

impl Reader<'_> {
    pub(super) fn env_files(&mut self, made: &mut Made, node: &Node) {
        for item in node.items() {
            let place = self.source.of(item);
            let named = if item.is_map() { item.get("path").and_then(|path| self.text(path)) } else { self.text(item) };
            let Some(path) = named.and_then(|name| join(parent(self.source.file), &name)) else { continue };
            let Some(text) = self.found.text(&path) else {
                let there = if self.found.files.contains(&path) { "is not read" } else { "is not there" };
                self.draft.leave(place, format!("`{}`: env file `{path}` {there}", made.service.key));
                continue;
            };
            for (name, variable) in vars::env_file(&path, text) {
                let filled = vars::interpolate(&variable.value, &self.variables);
                if vars::is_secret(&name) && !variable.value.is_empty() {
                    made.service.put("secrets", read_from(&name, &name, &variable));
                } else if filled.asked.is_empty() && plain(&variable.value) {
                    made.env(
                        &name,
                        Line::new(&name, self.renamed(&filled.text)).why(format!("{path}:{}", variable.line)),
                    );
                } else {
                    self.draft.leave(
                        format!("{path}:{}", variable.line),
                        format!("`{}`: `{name}` cannot be copied as it is", made.service.key),
                    );
                }
            }
        }
    }

    pub(super) fn environment(&mut self, made: &mut Made, node: &Node) {
        let mut entries: Vec<(String, Option<String>, String)> = Vec::new();
        for entry in node.entries() {
            entries.push((entry.key.clone(), entry.value.text(), self.source.of_key(entry)));
        }
        if node.is_list() {
            for item in node.items() {
                let Some(text) = item.text() else { continue };
                let (name, value) = match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                entries.push((name, value, self.source.of(item)));
            }
        }
        for (name, value, place) in entries {
            self.variable(made, &name, value, &place);
        }
    }

    fn variable(&mut self, made: &mut Made, name: &str, value: Option<String>, place: &str) {
        // One without a value is the shell's.
        let raw = value.unwrap_or_else(|| format!("${{{name}}}"));
        if let Some(file) = raw.strip_prefix("/run/secrets/").and_then(|id| made.secret_files.get(id))
            && let Some(plain) = name.strip_suffix("_FILE")
        {
            made.service.put("secrets", Line::new(plain, json!({"file": file})).why(format!("`{name}` in compose")));
            made.used_secrets.push(raw.trim_start_matches("/run/secrets/").to_owned());
            return;
        }
        if !plain(&raw) {
            self.draft.leave(
                place,
                format!("`{}`: the value of `{name}` means something else in a profile", made.service.key),
            );
            return;
        }
        let filled = vars::interpolate(&raw, &self.variables);
        if let Some(secret) = filled.secret.as_ref().filter(|_| filled.whole)
            && let Some(variable) = self.variables.get(secret)
        {
            made.service.put("secrets", read_from(name, secret, variable));
            return;
        }
        self.asked.extend(filled.asked.iter().chain(&filled.secret).cloned());
        let mut line = Line::new(name, self.renamed(&filled.text));
        if let Some(default) = filled.defaults.first() {
            line = line.why(format!("the default of ${{{default}}}; `{{env:{default}}}` takes it from your shell"));
        } else if !filled.asked.is_empty() {
            line = line.why("from your shell, as in compose");
        } else if vars::is_secret(name) && !filled.text.is_empty() && filled.secret.is_none() {
            line = line.why("readable here as in compose; `secrets:` takes it from a file or a variable");
        }
        made.env(name, line);
    }

    /// Returns a text in which services are called by their keys.
    pub(super) fn renamed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, key) in self.hosts.iter().filter(|(name, key)| name != key) {
            let mut from = 0;
            while let Some(at) = text[from..].find(name.as_str()).map(|at| from + at) {
                let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
                let bounded = before.is_none_or(|before| "/@=,".contains(before))
                    && after.is_none_or(|after| ":/,".contains(after));
                if bounded {
                    text.replace_range(at..at + name.len(), key);
                    from = at + key.len();
                } else {
                    from = at + name.len();
                }
            }
        }
        text
    }
}

/// Whether nothing in a text would be replaced by a profile.
fn plain(text: &str) -> bool {
    pieces(text).iter().all(|piece| matches!(piece, Piece::Literal(_)))
}

/// A secret that is read from its env file when it is needed: its value is not copied.
fn read_from(name: &str, variable: &str, found: &Variable) -> Line {
    let quote = found.quote.map(String::from).unwrap_or_default();
    let value = if quote.is_empty() { "\\(.*\\)".to_owned() } else { format!("{quote}\\(.*\\){quote}.*") };
    let script = format!("s/^\\(export \\)*{variable}={value}$/\\2/p");
    Line::new(name, json!({"command": ["sed", "-n", script, format!("./{}", found.file)]}))
        .why(format!("read from {}:{} when it is needed, never copied; `coracle up` asks once", found.file, found.line))
}

/// Returns the texts of a service that may name others.
pub(super) fn texts(service: &Service) -> Vec<String> {
    let mut texts = Vec::new();
    for line in &service.lines {
        match (&line.value, line.key.as_str()) {
            (Value::Map(lines), "env") => texts.extend(lines.iter().filter_map(|line| match &line.value {
                Value::Plain(Json::String(text)) => Some(text.clone()),
                _ => None,
            })),
            (Value::Plain(Json::Array(items)), "command" | "args") => {
                texts.extend(items.iter().filter_map(Json::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    texts
}

/// Returns the port at which a text asks for a service: 5432 of `postgres://u:p@db:5432/x`.
pub(super) fn port_of(text: &str, key: &str) -> Option<u16> {
    let at = text.match_indices(key).find(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|before| "/@=,".contains(before)) && text[at + key.len()..].starts_with(':')
    })?;
    let rest = &text[at.0 + key.len() + 1..];
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok().filter(|port| *port > 0)
}

/// Returns the port on which a well-known image listens.
pub(in crate::init) fn usual_port(image: &str) -> Option<u16> {
    let name = image.split('@').next()?.rsplit('/').next()?.split(':').next()?;
    Some(match name {
        "postgres" | "postgis" | "timescaledb" | "pgvector" => 5432,
        "mysql" | "mariadb" | "percona" => 3306,
        "redis" | "valkey" | "keydb" => 6379,
        "mongo" | "mongodb" => 27017,
        "rabbitmq" => 5672,
        "memcached" => 11211,
        "nats" => 4222,
        "elasticsearch" | "opensearch" => 9200,
        "kafka" | "redpanda" => 9092,
        "zookeeper" => 2181,
        "minio" => 9000,
        "nginx" | "httpd" | "traefik" | "caddy" => 80,
        "adminer" | "mailhog" => {
            if name == "adminer" {
                8080
            } else {
                1025
            }
        }
        "influxdb" => 8086,
        "grafana" => 3000,
        "prometheus" => 9090,
        "vault" => 8200,
        "consul" => 8500,
        "etcd" => 2379,
        "neo4j" => 7687,
        "couchdb" => 5984,
        "clickhouse-server" => 8123,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_tells_a_port() {
        assert_eq!(port_of("postgres://u:p@db:5432/x", "db"), Some(5432));
        assert_eq!(port_of("redis:6379", "redis"), Some(6379));
        assert_eq!(port_of("mydb:1", "db"), None);
        assert_eq!(port_of("http://db/x", "db"), None);
    }

    #[test]
    fn a_well_known_image_has_its_port() {
        assert_eq!(usual_port("docker.io/library/postgres:16-alpine"), Some(5432));
        assert_eq!(usual_port("redis@sha256:00"), Some(6379));
        assert_eq!(usual_port("ada/app"), None);
    }
}
