//! The namespace's events that are about one instance's objects. Pure, from what was seen.
//!
//! Kubernetes keeps an event for an hour, also when its object is gone. Then the object's name
//! tells whose it was: pods and replica sets are named after their workload.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object::{INSTANCE, SERVICE};
use super::seen::{Seen, last_time, text};
use crate::profile::Profile;
use crate::ui::sanitize;

/// What was said about one object, perhaps many times. All text is sanitised.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Line {
    /// When it was last said, in seconds since the epoch.
    pub(crate) time: i64,
    pub(crate) warning: bool,
    /// Empty for what is no service's.
    pub(crate) service: String,
    /// `pod web-5f9468f59d-9cmsm`
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) count: i64,
}

impl Line {
    /// Returns what tells it apart from others.
    pub(crate) fn key(&self) -> (String, String, String) {
        (self.object.clone(), self.reason.clone(), self.message.clone())
    }
}

/// Returns the events of the instance, or of some of its services, newest last; those that say the
/// same of the same object are one.
pub(crate) fn of_seen(seen: &Seen, profile: &Profile, services: &[String]) -> Vec<Line> {
    let mut lines: BTreeMap<(String, String, String), Line> = BTreeMap::new();
    for event in seen.every_event() {
        let Some(service) = service_of(seen, profile, &event["involvedObject"]) else { continue };
        if !services.is_empty() && !services.contains(&service) {
            continue;
        }
        let line = line(event, service);
        let merged = lines.entry(line.key()).or_insert_with(|| Line { count: 0, ..line.clone() });
        merged.count += line.count;
        merged.time = merged.time.max(line.time);
    }
    let mut lines: Vec<Line> = lines.into_values().collect();
    lines.sort_by_key(|line| line.time);
    lines
}

fn line(event: &Value, service: String) -> Line {
    let about = &event["involvedObject"];
    let object = format!("{} {}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
    let count = event["series"]["count"].as_i64().or_else(|| event["count"].as_i64()).unwrap_or(1);
    Line {
        time: last_time(event),
        warning: event["type"] == "Warning",
        service,
        object: sanitize::line(&object),
        reason: sanitize::line(text(&event["reason"])),
        message: sanitize::line(text(&event["message"]).trim()),
        count: count.max(1),
    }
}

/// Returns the key of the service that an event's object belongs to; empty for an object of the instance
/// that is no service's, nothing for an object of somebody else.
fn service_of(seen: &Seen, profile: &Profile, about: &Value) -> Option<String> {
    let (kind, name) = (text(&about["kind"]), text(&about["name"]));
    if let Some(object) = seen.get(kind, name) {
        let labels = &object["metadata"]["labels"];
        if labels[INSTANCE] != profile.instance.as_str() {
            return None;
        }
        return Some(sanitize::line(text(&labels[SERVICE])));
    }
    let is_of = |own: &str| name == own || name.strip_prefix(own).is_some_and(|rest| rest.starts_with('-'));
    let named = profile.services.iter().filter(|service| is_of(&service.name) || is_of(&service.service_name));
    // `api-gateway-5d` is the gateway's, and not of `api`.
    named.max_by_key(|service| service.name.len()).map(|service| service.key.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::manifest::tests::service;
    use super::super::seen::Step;
    use super::super::testing::profile;
    use super::*;

    fn event(name: &str, pod: &str, time: &str, count: i64, message: &str) -> Value {
        json!({"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "name": pod}, "type": "Warning",
            "reason": "BackOff", "message": message, "count": count, "lastTimestamp": time})
    }

    fn seen(events: &[Value]) -> Seen {
        let mut seen = Seen::default();
        for event in events {
            seen.apply("Event", Step::Changed(event.clone()));
        }
        seen
    }

    #[test]
    fn the_same_is_said_once_and_the_newest_is_last() {
        let mut profile = profile();
        profile.services = vec![service("api"), service("api-gateway")];
        let seen = seen(&[
            event("a", "api-gateway-5d-x", "2026-11-21T10:00:09Z", 3, "back-off \u{1b}[31mrestarting"),
            event("b", "api-gateway-5d-x", "2026-11-21T10:00:02Z", 1, "back-off restarting"),
            event("c", "api-7f-y", "2026-11-21T10:00:05Z", 1, "back-off restarting"),
            event("d", "elsewhere-1", "2026-11-21T10:00:07Z", 1, "back-off restarting"),
        ]);
        let lines = of_seen(&seen, &profile, &[]);
        let told: Vec<_> =
            lines.iter().map(|line| (line.service.as_str(), line.count, line.message.as_str())).collect();
        assert_eq!(told, [("api", 1, "back-off restarting"), ("api-gateway", 4, "back-off restarting")]);
        assert_eq!(of_seen(&seen, &profile, &["api".to_owned()]).len(), 1);
    }

    #[test]
    fn an_object_of_another_instance_is_not_ours_whatever_its_name() {
        let mut profile = profile();
        profile.services = vec![service("api")];
        let mut seen = seen(&[event("a", "api-1", "2026-11-21T10:00:09Z", 1, "x")]);
        seen.apply("Pod", Step::Changed(json!({"metadata": {"name": "api-1", "labels": {INSTANCE: "another"}}})));
        assert_eq!(of_seen(&seen, &profile, &[]), []);
    }
}
