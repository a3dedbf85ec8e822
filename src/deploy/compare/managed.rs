//! Fields that were rendered once and are not any more: from the live object's managed
//! fields, the list of what this field manager owns.

use serde_json::{Map, Value};

use super::FieldChange;
use super::subset::{join, shown};
use crate::deploy::object::{MANAGER, Object};

/// Returns the live fields that Coracle owns and does not render any more.
pub(super) fn removed(rendered: &Object, live: &Object) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let entries = live.0["metadata"]["managedFields"].as_array();
    let ours = entries.into_iter().flatten().filter(|entry| {
        let main = entry.get("subresource").is_none_or(|resource| resource == "");
        entry["manager"] == MANAGER && entry["operation"] == "Apply" && main
    });
    for entry in ours {
        if let Some(owned) = entry["fieldsV1"].as_object() {
            walk("", owned, Some(&rendered.0), &live.0, &mut changes);
        }
    }
    if rendered.kind() == "Secret" {
        for change in &mut changes {
            change.live = change.live.take().map(|value| shown(true, &change.field, &value));
        }
    }
    changes
}

/// `owned` is a tree with keys like `f:spec`, `k:{"name":"web"}` and `v:"text"`.
fn walk(path: &str, owned: &Map<String, Value>, wanted: Option<&Value>, live: &Value, out: &mut Vec<FieldChange>) {
    for (key, below) in owned {
        let Some((path, wanted, live)) = step(path, key, wanted, live) else { continue };
        match (wanted.filter(|wanted| !wanted.is_null()), below.as_object()) {
            (None, _) => out.push(FieldChange { field: path, live: Some(live.clone()), wanted: None }),
            (Some(wanted), Some(below)) => walk(&path, below, Some(wanted), live, out),
            (Some(_), None) => {}
        }
    }
}

/// Follows one key of the tree; `None` where nothing of it is live.
fn step<'a>(
    path: &str,
    key: &str,
    wanted: Option<&'a Value>,
    live: &'a Value,
) -> Option<(String, Option<&'a Value>, &'a Value)> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => Some((join(path, rest), wanted.and_then(|wanted| wanted.get(rest)), live.get(rest)?)),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
            let found = |list: &'a Value| list.as_array()?.iter().find(|item| has_keys(item, &keys));
            let name = keys.get("name").or_else(|| keys.values().next())?;
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            Some((format!("{path}[{name}]"), wanted.and_then(found), found(live)?))
        }
        "v" => {
            let value: Value = serde_json::from_str(rest).ok()?;
            let found = |list: &'a Value| list.as_array()?.iter().find(|item| **item == value);
            Some((format!("{path}[{rest}]"), wanted.and_then(found), found(live)?))
        }
        _ => None,
    }
}

fn has_keys(item: &Value, keys: &Map<String, Value>) -> bool {
    keys.iter().all(|(key, value)| match item.get(key) {
        None => key == "protocol" && value == "TCP",
        Some(found) => found == value,
    })
}
