//! Probes that fail: which, what it asked, what came back, and whether waiting can help.

use serde_json::Value;

use super::super::listening::Socket;
use super::super::seen::{Seen, first_time, last_time, name, seconds, text};
use super::{Facts, Severity, Trouble};

/// A server that needs longer than this to listen is slow; one that listens elsewhere is wrong.
const STEADY: i64 = 10;

/// Returns the status of the first running container whose probe has failed since it started.
pub(super) fn failing<'a>(seen: &Seen, pod: &'a Value) -> Option<&'a Value> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    statuses.iter().find(|status| status["ready"] != true && last_failure(seen, pod, status).is_some())
}

/// Returns the newest probe event about the container, if it is of its present life.
fn last_failure<'a>(seen: &'a Seen, pod: &Value, status: &Value) -> Option<&'a Value> {
    let started = seconds(&status["state"]["running"]["startedAt"])?;
    let place = format!("{{{}}}", text(&status["name"]));
    seen.events("Pod", pod).into_iter().rev().find(|event| {
        let path = text(&event["involvedObject"]["fieldPath"]);
        event["reason"] == "Unhealthy" && (path.is_empty() || path.contains(&place)) && last_time(event) >= started
    })
}

pub(super) fn trouble(seen: &Seen, pod: &Value, facts: &Facts) -> Option<Trouble> {
    let status = failing(seen, pod)?;
    let event = last_failure(seen, pod, status)?;
    let started = seconds(&status["state"]["running"]["startedAt"])?;
    let container = text(&status["name"]);
    let message = text(&event["message"]);
    let (which, answer) = split(message);
    let spec = probe_spec(pod, container, which);
    let asked = spec.map(describe).unwrap_or_default();
    let failed_for = facts.now - first_time(event).max(started);
    let steady = failed_for >= STEADY;
    let trouble = |severity, code, headline: String| {
        Trouble::new(severity, code, headline)
            .because(&format!("{which} probe {asked}: {}", answer.trim()))
            .at(pod, Some(container))
            .with_log(pod, container, false)
    };
    let wrong = if steady { Severity::Fatal } else { Severity::Slow };
    let port = spec.and_then(|probe| port(pod, container, probe));
    let sockets = facts.listening.get(name(pod));
    if let (Some(port), Some(sockets)) = (port, sockets)
        && let Some((headline, help)) = misplaced(port, sockets, container)
    {
        let code = if help.contains("0.0.0.0") { "loopback" } else { "wrong_port" };
        return Some(trouble(wrong, code, headline).help(help));
    }
    if let Some(code) = status_code(answer) {
        let refused = (400..500).contains(&code);
        let severity = if refused { wrong } else { Severity::Slow };
        let help = if refused {
            "mend `health:`: it must name a path that answers with 200, or be `tcp`"
        } else {
            "the server answers with an error; its log may say why"
        };
        return Some(
            trouble(severity, "probe", format!("container `{container}` answers its {which} probe with {code}"))
                .help(help),
        );
    }
    if answer.contains("does not implement the grpc health protocol") {
        let headline = format!("container `{container}` does not serve gRPC health checks");
        return Some(trouble(wrong, "probe", headline).help("serve `grpc.health.v1.Health`, or set `health: tcp`"));
    }
    let help = "its log may say what it waits for; `health:` says what is asked, `rollout: {deadline: …}` how long it may take";
    let headline = format!("the {which} probe of container `{container}` has failed for {} s", failed_for.max(0));
    Some(trouble(Severity::Slow, "probe", headline).help(help))
}

/// Returns headline and help where the sockets prove that the probe's port is never served.
fn misplaced(port: u16, sockets: &[Socket], container: &str) -> Option<(String, String)> {
    if let Some(here) = sockets.iter().find(|socket| socket.port == port) {
        return here.loopback.then(|| {
            (
                format!(
                    "container `{container}` listens on 127.0.0.1:{port} only, where nobody outside it can reach it"
                ),
                "make the server listen on 0.0.0.0".to_owned(),
            )
        });
    }
    let others: Vec<String> = sockets.iter().map(|socket| socket.port.to_string()).collect();
    let others = others.join(", ");
    (!others.is_empty()).then(|| {
        (
            format!("nothing listens on port {port}; container `{container}` listens on {others}"),
            format!(
                "set the port of the probe (`health:`), or of the container (`ports:`), to {others}, or make the server \
                 listen on {port}"
            ),
        )
    })
}

/// `Readiness probe failed: HTTP…` → (`readiness`, `HTTP…`).
fn split(message: &str) -> (&'static str, &str) {
    let kinds = [("Readiness", "readiness"), ("Liveness", "liveness"), ("Startup", "startup")];
    let which = kinds.iter().find(|(prefix, _)| message.starts_with(prefix)).map_or("readiness", |(_, which)| *which);
    (which, message.split_once(": ").map_or(message, |(_, answer)| answer))
}

fn status_code(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP probe failed with statuscode: ")?.get(..3)?.parse().ok()
}

fn container_spec<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    pod["spec"]["containers"].as_array()?.iter().find(|spec| spec["name"] == container)
}

fn probe_spec<'a>(pod: &'a Value, container: &str, which: &str) -> Option<&'a Value> {
    let probe = &container_spec(pod, container)?[format!("{which}Probe")];
    probe.is_object().then_some(probe)
}

/// Returns the number of the port that the probe asks.
fn port(pod: &Value, container: &str, probe: &Value) -> Option<u16> {
    let checks = [&probe["httpGet"]["port"], &probe["tcpSocket"]["port"], &probe["grpc"]["port"]];
    let port = checks.into_iter().find(|port| !port.is_null())?;
    let number = port.as_u64().or_else(|| {
        let ports = container_spec(pod, container)?["ports"].as_array()?;
        ports.iter().find(|named| named["name"] == *port)?["containerPort"].as_u64()
    });
    number.and_then(|number| u16::try_from(number).ok())
}

fn describe(probe: &Value) -> String {
    let port = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if probe["httpGet"].is_object() {
        let get = &probe["httpGet"];
        return format!("GET {} on port {}", get["path"].as_str().unwrap_or("/"), port(&get["port"]));
    }
    if probe["tcpSocket"].is_object() {
        return format!("TCP connection to port {}", port(&probe["tcpSocket"]["port"]));
    }
    if probe["grpc"].is_object() {
        return format!("gRPC health check on port {}", port(&probe["grpc"]["port"]));
    }
    let command = probe["exec"]["command"].as_array();
    let words: Vec<&str> = command.into_iter().flatten().map(text).collect();
    format!("`{}`", words.join(" "))
}
