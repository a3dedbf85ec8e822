//! What applying would change: rendered against live. Pure.
//!
//! The digest that an object carries says whether the profile changed; a comparison of each
//! rendered field with the live one says whether somebody else did. What the server adds by
//! itself is never a difference: `subset.rs`. What was rendered once and is not any more is
//! known from the live object's managed fields: `managed.rs`.

mod claim;
mod managed;
pub(super) mod quantity;
mod subset;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::manifest::without_namespace;
use super::object::{Object, RENDERED, SELF, TEMPLATE};

/// What has to happen to the cluster's objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Changes {
    /// To create or update, in the order of rendering.
    pub(crate) apply: Vec<Change>,
    /// Live objects of this instance that nothing renders any more (never claims, never namespaces).
    pub(crate) prune: Vec<Object>,
    /// Sentences about what is wanted and cannot be done: a claim cannot shrink.
    pub(crate) refused: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) object: Object,
    pub(crate) why: Why,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Why {
    /// It is not there.
    New,
    /// The profile says something else than before.
    Changed { fields: Vec<FieldChange> },
    /// Somebody else changed it: these fields are not what was rendered.
    Drifted { fields: Vec<FieldChange> },
}

/// One field that differs. `None`: absent. Values of secrets are digests here.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct FieldChange {
    /// `spec.template.spec.containers[web].image`
    pub(crate) field: String,
    pub(crate) live: Option<serde_json::Value>,
    pub(crate) wanted: Option<serde_json::Value>,
}

/// Compares what is rendered with what is live of this instance. The namespace carries no
/// instance label: unless it is among `live`, it is new, and the caller knows better.
pub(crate) fn compare(rendered: &[Object], live: &[Object]) -> Changes {
    let known: BTreeMap<String, &Object> = live.iter().map(|object| (object.identity(), object)).collect();
    let rendered: Vec<Object> = rendered.iter().map(|object| in_scope(object, &known)).collect();
    let mut changes = Changes::default();
    for object in &rendered {
        match known.get(&object.identity()) {
            None => changes.apply.push(Change { object: object.clone(), why: Why::New }),
            Some(live) => {
                let change = existing(object, live, &mut changes.refused);
                changes.apply.extend(change);
            }
        }
    }
    let wanted: BTreeSet<String> = rendered.iter().map(Object::identity).collect();
    let gone = live.iter().filter(|object| !wanted.contains(&object.identity()) && prunable(object));
    changes.prune = gone.cloned().collect();
    changes
}

/// A custom kind's scope is known to the cluster only: one that is live without a namespace
/// has none.
fn in_scope(object: &Object, known: &BTreeMap<String, &Object>) -> Object {
    let identity = object.identity();
    if object.namespace().is_empty() || known.contains_key(&identity) {
        return object.clone();
    }
    let of_the_cluster = format!("{}/{}//{}", object.group(), object.kind(), object.name());
    if known.contains_key(&of_the_cluster) { without_namespace(object.clone()) } else { object.clone() }
}

/// Compares an object with itself in the cluster.
fn existing(object: &Object, live: &Object, refused: &mut Vec<String>) -> Option<Change> {
    let same = object.annotation(RENDERED) == live.annotation(RENDERED);
    if live.has_failed() {
        // It never tries again by itself: applying it replaces it.
        let field = FieldChange { field: "status".to_owned(), live: Some(json!("Failed")), wanted: None };
        return Some(Change { object: object.clone(), why: Why::Drifted { fields: vec![field] } });
    }
    if object.kind() == "Job" && (same || named_by_template(object)) {
        // A job that the profile renders is named by its template, so this is the same one.
        return None;
    }
    let object = if object.kind() == "PersistentVolumeClaim" {
        claim::keeping_live(object, live, refused)
    } else {
        object.clone()
    };
    let mut fields = subset::differences(&object, live);
    if same {
        return (!fields.is_empty()).then_some(Change { object, why: Why::Drifted { fields } });
    }
    fields.extend(managed::removed(&object, live));
    let digest = format!("annotations[{TEMPLATE}]");
    fields.retain(|change| !change.field.ends_with(&digest));
    Some(Change { object, why: Why::Changed { fields } })
}

fn named_by_template(object: &Object) -> bool {
    let digest = object.template().and_then(|template| template["metadata"]["annotations"][TEMPLATE].as_str());
    digest.is_some_and(|digest| object.name().ends_with(digest))
}

/// Ours to delete: not a copy that somebody's controller made, and nothing that holds data.
fn prunable(object: &Object) -> bool {
    let owners = object.0["metadata"]["ownerReferences"].as_array();
    let controlled = owners.into_iter().flatten().any(|owner| owner["controller"] == true);
    !matches!(object.kind(), "PersistentVolumeClaim" | "Namespace")
        && !controlled
        && object.annotation(SELF) == Some(object.identity().as_str())
}
