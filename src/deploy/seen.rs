//! What the watches have seen of one instance: plain data, changed by one pure function, so that
//! repeated, late and restarted watches end in the same view.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::object::TEMPLATE;

/// One thing that a watch said about one kind.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The watch begins (again) with a list of all there is.
    Begin,
    Listed(Value),
    /// The list is complete: what was not in it is gone.
    Complete,
    Changed(Value),
    Gone(Value),
    /// The watch broke; it begins again after a pause. What was seen stands.
    Failed(String),
}

/// Events that are kept per object: enough for a reason, and bounded.
const EVENTS: usize = 40;

#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// (kind, name) → object. Events are kept apart.
    objects: BTreeMap<(String, String), Value>,
    /// (kind, name) of the object → event's name → event.
    events: BTreeMap<(String, String), BTreeMap<String, Value>>,
    /// Kind → names of a list that is not complete yet.
    listing: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    /// Takes in one step of the watch of `kind`.
    pub(crate) fn apply(&mut self, kind: &str, step: Step) {
        match step {
            Step::Failed(_) => {}
            Step::Begin => {
                self.listing.insert(kind.to_owned(), BTreeSet::new());
            }
            Step::Listed(object) => {
                if let Some(names) = self.listing.get_mut(kind) {
                    names.insert(name(&object).to_owned());
                }
                self.put(kind, object);
            }
            Step::Complete => {
                let Some(listed) = self.listing.remove(kind) else { return };
                // Events expire on their own; an old reason stays a reason.
                self.objects.retain(|(of, name), _| of != kind || listed.contains(name));
            }
            Step::Changed(object) => self.put(kind, object),
            Step::Gone(object) => {
                let key = (kind.to_owned(), name(&object).to_owned());
                // A late word about one that has been replaced under its name.
                if self.objects.get(&key).is_some_and(|now| uid(now) == uid(&object)) {
                    self.objects.remove(&key);
                }
            }
        }
    }

    fn put(&mut self, kind: &str, object: Value) {
        if kind == "Event" {
            self.put_event(object);
            return;
        }
        let key = (kind.to_owned(), name(&object).to_owned());
        // Versions count for all objects of a kind together: a late word about one that has been
        // replaced under its name is older than its successor.
        let newer = self.objects.get(&key).is_none_or(|now| version(&object) >= version(now));
        if newer {
            self.objects.insert(key, object);
        }
    }

    fn put_event(&mut self, event: Value) {
        let about = &event["involvedObject"];
        let key = (text(&about["kind"]).to_owned(), text(&about["name"]).to_owned());
        let events = self.events.entry(key).or_default();
        let of_event = name(&event).to_owned();
        let newer = events.get(&of_event).is_none_or(|now| version(&event) >= version(now));
        if newer {
            events.insert(of_event, event);
        }
        if events.len() > EVENTS {
            let oldest = events.iter().min_by_key(|(_, event)| last_time(event)).map(|(name, _)| name.clone());
            events.remove(&oldest.expect("there are more than none"));
        }
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), name.to_owned()))
    }

    pub(crate) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |((of, _), _)| of == kind).map(|(_, object)| object)
    }

    /// Returns the events about exactly this object (its UID counts), oldest first.
    pub(crate) fn events(&self, kind: &str, object: &Value) -> Vec<&Value> {
        let key = (kind.to_owned(), name(object).to_owned());
        let about = |event: &&Value| {
            let event_uid = text(&event["involvedObject"]["uid"]);
            event_uid.is_empty() || event_uid == uid(object)
        };
        let mut events: Vec<&Value> =
            self.events.get(&key).into_iter().flat_map(BTreeMap::values).filter(about).collect();
        events.sort_by_key(|event| last_time(event));
        events
    }

    /// Returns every event that is kept, about whatever object.
    pub(crate) fn every_event(&self) -> impl Iterator<Item = &Value> {
        self.events.values().flat_map(BTreeMap::values)
    }

    /// Returns the workload's pods that carry the awaited template (any, where it is empty),
    /// newest first; those that are being deleted are left out.
    pub(crate) fn pods(&self, kind: &str, workload: &str, template: &str) -> Vec<&Value> {
        let mut pods: Vec<&Value> = self
            .all("Pod")
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .filter(|pod| template.is_empty() || template_of(&pod["metadata"]) == template)
            .filter(|pod| self.belongs(pod, kind, workload))
            .collect();
        pods.sort_by(|a, b| {
            let created = |pod: &Value| text(&pod["metadata"]["creationTimestamp"]).to_owned();
            created(b).cmp(&created(a)).then_with(|| name(a).cmp(name(b)))
        });
        pods
    }

    /// Returns the Deployment's `ReplicaSet`s that carry the awaited template.
    pub(crate) fn replica_sets(&self, workload: &str, template: &str) -> Vec<&Value> {
        self.all("ReplicaSet")
            .filter(|set| owner(set).is_some_and(|(kind, name)| kind == "Deployment" && name == workload))
            .filter(|set| template.is_empty() || template_of(&set["spec"]["template"]["metadata"]) == template)
            .collect()
    }

    fn belongs(&self, pod: &Value, kind: &str, workload: &str) -> bool {
        match owner(pod) {
            Some(("ReplicaSet", set)) if kind == "Deployment" => match self.get("ReplicaSet", set).and_then(owner) {
                Some((_, deployment)) => deployment == workload,
                // Its watch is late: the name says it as well.
                None => set.rsplit_once('-').is_some_and(|(deployment, _)| deployment == workload),
            },
            Some((of, name)) => of == kind && name == workload && self.is_controlled_by_seen(pod, kind, workload),
            None => kind == "Pod" && name(pod) == workload,
        }
    }

    /// Pods of a workload that has been replaced under its name are not its successor's.
    fn is_controlled_by_seen(&self, pod: &Value, kind: &str, workload: &str) -> bool {
        let owner = self.get(kind, workload).map(uid).filter(|uid| !uid.is_empty());
        let mut named = owner_uids(pod).peekable();
        owner.is_none_or(|owner| named.peek().is_none() || named.any(|uid| uid == owner))
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

pub(crate) fn uid(object: &Value) -> &str {
    text(&object["metadata"]["uid"])
}

/// Returns the template's digest from metadata that has annotations.
pub(crate) fn template_of(metadata: &Value) -> &str {
    text(&metadata["annotations"][TEMPLATE])
}

/// Returns kind and name of the controller.
pub(crate) fn owner(object: &Value) -> Option<(&str, &str)> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?))
}

/// Returns the UIDs of all owners.
pub(crate) fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

/// Returns the condition of that type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

pub(crate) fn is_true(condition: Option<&Value>) -> bool {
    condition.is_some_and(|condition| condition["status"] == "True")
}

/// Returns seconds since the epoch of an RFC 3339 time.
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// Returns when the event was first and last seen, in seconds since the epoch.
pub(crate) fn first_time(event: &Value) -> i64 {
    seconds(&event["firstTimestamp"])
        .or_else(|| seconds(&event["eventTime"]))
        .or_else(|| seconds(&event["metadata"]["creationTimestamp"]))
        .unwrap_or_default()
}

pub(crate) fn last_time(event: &Value) -> i64 {
    seconds(&event["series"]["lastObservedTime"])
        .or_else(|| seconds(&event["lastTimestamp"]))
        .unwrap_or_else(|| first_time(event))
}

fn version(object: &Value) -> u64 {
    text(&object["metadata"]["resourceVersion"]).parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, uid: &str, version: &str) -> Value {
        json!({"metadata": {"name": name, "uid": uid, "resourceVersion": version}})
    }

    #[test]
    fn a_restarted_watch_forgets_what_is_gone() {
        let mut seen = Seen::default();
        seen.apply("Pod", Step::Changed(pod("a", "1", "5")));
        seen.apply("Pod", Step::Changed(pod("b", "2", "6")));
        seen.apply("Pod", Step::Begin);
        seen.apply("Pod", Step::Listed(pod("b", "2", "6")));
        assert!(seen.get("Pod", "a").is_some(), "an incomplete list proves nothing");
        seen.apply("Pod", Step::Complete);
        assert!(seen.get("Pod", "a").is_none());
        assert!(seen.get("Pod", "b").is_some());
    }

    #[test]
    fn late_and_repeated_words_change_nothing() {
        let mut seen = Seen::default();
        seen.apply("Pod", Step::Changed(pod("a", "1", "7")));
        seen.apply("Pod", Step::Changed(pod("a", "1", "5")));
        assert_eq!(seen.get("Pod", "a").unwrap()["metadata"]["resourceVersion"], "7");
        seen.apply("Pod", Step::Changed(pod("a", "2", "9")));
        seen.apply("Pod", Step::Gone(pod("a", "1", "8")));
        seen.apply("Pod", Step::Changed(pod("a", "1", "8")));
        assert_eq!(seen.get("Pod", "a").unwrap()["metadata"]["uid"], "2");
    }

    #[test]
    fn pods_of_a_job_that_was_replaced_are_not_its_successors() {
        let mut seen = Seen::default();
        let of = |name: &str, job: &str| {
            let mut pod = pod(name, name, "3");
            pod["metadata"]["ownerReferences"] =
                json!([{"kind": "Job", "name": "seed", "uid": job, "controller": true}]);
            pod
        };
        seen.apply("Job", Step::Changed(pod("seed", "new", "5")));
        seen.apply("Pod", Step::Changed(of("seed-a", "old")));
        seen.apply("Pod", Step::Changed(of("seed-b", "new")));
        let names: Vec<&str> = seen.pods("Job", "seed", "").into_iter().map(name).collect();
        assert_eq!(names, ["seed-b"]);
    }

    #[test]
    fn events_of_a_pod_that_was_replaced_are_not_its_successors() {
        let mut seen = Seen::default();
        let event = json!({"metadata": {"name": "e", "resourceVersion": "1"}, "reason": "Unhealthy",
            "involvedObject": {"kind": "Pod", "name": "db-0", "uid": "1"}});
        seen.apply("Event", Step::Changed(event));
        assert_eq!(seen.events("Pod", &pod("db-0", "1", "1")).len(), 1);
        assert!(seen.events("Pod", &pod("db-0", "2", "1")).is_empty());
    }
}
