//! `patch:`: a strategic-merge patch on a workload, the way out for whatever has no key.
//!
//! Maps merge, null deletes, lists of named things merge by their name, other lists are
//! replaced. `$patch: delete` removes an item or a map, `$patch: replace` replaces instead of merging.

use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";

/// Applies `patch` to `base`.
pub(super) fn apply(base: &mut Value, patch: &Value) {
    let (Some(target), Some(patch)) = (base.as_object_mut(), patch.as_object()) else { return };
    if patch.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") {
        target.clear();
    }
    for (key, value) in patch.iter().filter(|(key, _)| *key != DIRECTIVE) {
        merge_key(target, key, value);
    }
}

fn merge_key(target: &mut Map<String, Value>, key: &str, value: &Value) {
    match value {
        Value::Null => {
            target.remove(key);
        }
        Value::Object(map) if map.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") => {
            target.remove(key);
        }
        Value::Object(_) => {
            let entry = target.entry(key).or_insert(Value::Null);
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            apply(entry, value);
        }
        Value::Array(items) if !merge_keys(key).is_empty() => {
            let entry = target.entry(key).or_insert(Value::Null);
            if !entry.is_array() {
                *entry = Value::Array(Vec::new());
            }
            if let Some(list) = entry.as_array_mut() {
                merge_list(list, items, merge_keys(key));
            }
        }
        other => {
            target.insert(key.to_owned(), other.clone());
        }
    }
}

/// Returns what tells the items of a list apart; nothing for lists that are replaced.
fn merge_keys(list: &str) -> &'static [&'static str] {
    match list {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => &["name"],
        "ports" => &["name", "containerPort"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        _ => &[],
    }
}

fn merge_list(list: &mut Vec<Value>, items: &[Value], keys: &[&str]) {
    let directive = |item: &Value, word: &str| item.get(DIRECTIVE).and_then(Value::as_str) == Some(word);
    if items.iter().any(|item| directive(item, "replace")) {
        list.clear();
    }
    let mut added = Vec::new();
    for item in items {
        let place = list.iter().position(|old| keys.iter().any(|key| same(old, item, key)));
        match place {
            Some(place) if directive(item, "delete") => {
                list.remove(place);
            }
            Some(place) => apply(&mut list[place], item),
            None if item.get(DIRECTIVE).is_some() => {}
            None => added.push(super::without_nulls(item.clone())),
        }
    }
    list.extend(added);
}

fn same(old: &Value, item: &Value, key: &str) -> bool {
    item.get(key).is_some_and(|value| old.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut base: Value, patch: &Value) -> Value {
        apply(&mut base, patch);
        base
    }

    #[test]
    fn maps_merge_and_null_deletes() {
        let base = json!({"spec": {"replicas": 1, "paused": true}});
        let patch = json!({"spec": {"paused": null, "minReadySeconds": 5}});
        assert_eq!(patched(base, &patch), json!({"spec": {"replicas": 1, "minReadySeconds": 5}}));
    }

    #[test]
    fn named_items_merge_and_others_are_added() {
        let base = json!({"containers": [{"name": "web", "image": "a", "env": [{"name": "A", "value": "1"}]}]});
        let patch = json!({"containers": [
            {"name": "web", "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]},
            {"name": "more", "image": "b"},
        ]});
        let expected = json!({"containers": [
            {"name": "web", "image": "a", "env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]},
            {"name": "more", "image": "b"},
        ]});
        assert_eq!(patched(base, &patch), expected);
    }

    #[test]
    fn items_are_found_by_the_key_of_their_list() {
        let base = json!({
            "volumeMounts": [{"mountPath": "/data", "name": "data"}],
            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81, "name": "other"}],
        });
        let patch = json!({
            "volumeMounts": [{"mountPath": "/data", "readOnly": true}],
            "ports": [{"containerPort": 80, "hostPort": 8080}, {"name": "other", "$patch": "delete"}],
        });
        let expected = json!({
            "volumeMounts": [{"mountPath": "/data", "name": "data", "readOnly": true}],
            "ports": [{"containerPort": 80, "name": "http", "hostPort": 8080}],
        });
        assert_eq!(patched(base, &patch), expected);
    }

    #[test]
    fn other_lists_are_replaced() {
        let base = json!({"tolerations": [{"key": "a"}, {"key": "b"}], "args": ["x", "y"]});
        let patch = json!({"tolerations": [{"key": "c"}], "args": ["z"]});
        assert_eq!(patched(base, &patch.clone()), patch);
    }

    #[test]
    fn directives_replace_and_delete() {
        let base = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "env": [{"name": "A"}, {"name": "B"}], "lifecycle": {"preStop": {}}});
        let patch = json!({"strategy": {"$patch": "replace", "type": "Recreate"},
            "env": [{"$patch": "replace"}, {"name": "C"}], "lifecycle": {"$patch": "delete"}});
        assert_eq!(patched(base, &patch), json!({"strategy": {"type": "Recreate"}, "env": [{"name": "C"}]}));
    }
}
