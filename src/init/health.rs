//! Health checks of Dockerfiles and compose files: an HTTP path where the command is a plain
//! request of localhost, else the command itself.

use serde_json::{Map, Value as Json, json};

use super::draft::Line;
use crate::profile::names;

/// A request of localhost: its port and path.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    port: u16,
    path: String,
}

/// Returns the request that a command is, where it is `curl` or `wget` of this very container.
fn request(words: &[String]) -> Option<Request> {
    let program = words.first()?.rsplit('/').next()?;
    if program != "curl" && program != "wget" {
        return None;
    }
    let url = words
        .iter()
        .find(|word| word.contains("localhost") || word.contains("127.0.0.1") || word.contains("0.0.0.0"))?;
    // What sends something, or reads the answer, asks more than a probe can.
    if words
        .iter()
        .any(|word| matches!(word.as_str(), "|" | "-d" | "--data" | "-X" | "-H" | "--header" | "&&" | ";" | "-k"))
    {
        return None;
    }
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').map_or((rest, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let port = port.parse().ok().filter(|port| *port > 0)?;
    matches!(name, "localhost" | "127.0.0.1" | "0.0.0.0").then_some(Request { port, path })
}

/// Returns the words before `|| exit 1`.
fn before_or(words: Vec<String>) -> Vec<String> {
    words.into_iter().take_while(|word| word != "||").collect()
}

/// Returns `health:` for a command in a container; `first` is its first port.
pub(super) fn of_command(command: &[String], shell: bool, first: Option<u16>) -> Line {
    let line = command.join(" ");
    let words = if shell { names::words(&line).map(before_or).unwrap_or_default() } else { command.to_vec() };
    let value = match request(&words) {
        Some(request) if first == Some(request.port) => json!(request.path),
        Some(request) => json!({"path": request.path, "port": request.port}),
        None if shell => json!({"exec": ["sh", "-c", line]}),
        None => json!({"exec": command}),
    };
    Line::new("health", value)
}

/// Adds how often and how long, where the source says so and it matters: an HTTP request is cheap.
pub(super) fn timed(line: Line, timeout: Option<String>, retries: Option<u64>) -> Line {
    let super::draft::Value::Plain(Json::Object(section)) = &line.value else { return line };
    if !section.contains_key("exec") {
        return line;
    }
    let mut section: Map<String, Json> = section.clone();
    section.extend(timeout.map(|timeout| ("timeout".to_owned(), json!(timeout))));
    section.extend(retries.filter(|retries| *retries > 0).map(|retries| ("failures".to_owned(), json!(retries))));
    // A process each second is much for a laptop.
    section.insert("period".to_owned(), json!("5s"));
    Line { value: super::draft::Value::Plain(Json::Object(section)), ..line }
}

/// Returns `health:` for the HEALTHCHECK of a Dockerfile, where that is a request.
pub(super) fn of_dockerfile(text: &str, first: Option<u16>) -> Option<Line> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let line = joined.lines().rfind(|line| line.trim_start().to_uppercase().starts_with("HEALTHCHECK "))?;
    let command = line.split_once("CMD")?.1.trim();
    let (words, shell) = match serde_json::from_str::<Vec<String>>(command) {
        Ok(words) => (words, false),
        Err(_) => (vec![command.to_owned()], true),
    };
    let asked = if shell { names::words(command).map(before_or)? } else { words.clone() };
    request(&asked)?;
    Some(of_command(&words, shell, first))
}

#[cfg(test)]
mod tests {
    use super::super::draft::Value;
    use super::*;

    fn shell(line: &str) -> Json {
        match of_command(&[line.to_owned()], true, Some(8000)).value {
            Value::Plain(value) => value,
            Value::Map(_) => Json::Null,
        }
    }

    #[test]
    fn a_request_of_localhost_is_a_path() {
        assert_eq!(shell("curl -f http://localhost:8000/healthz || exit 1"), json!("/healthz"));
        assert_eq!(shell("wget -qO- 127.0.0.1:8000"), json!("/"));
        assert_eq!(shell("wget --spider http://localhost/up"), json!({"path": "/up", "port": 80}));
    }

    #[test]
    fn anything_else_is_a_command() {
        for line in [
            "pg_isready -U app",
            "curl -f http://db:8000/",
            "curl localhost:8000 | grep ok",
            "curl https://localhost:8000/",
        ] {
            assert_eq!(shell(line), json!({"exec": ["sh", "-c", line]}), "{line}");
        }
    }

    #[test]
    fn a_dockerfiles_check_is_taken_where_it_is_certain() {
        let text = "FROM x\nHEALTHCHECK --interval=5s \\\n  CMD curl -f http://localhost:8000/ok || exit 1\n";
        assert!(of_dockerfile(text, Some(8000)).is_some());
        assert!(of_dockerfile("HEALTHCHECK CMD ./check\n", None).is_none());
    }
}
