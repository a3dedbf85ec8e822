//! The structural comparison: every rendered field must be what is live; live may have more.

use serde_json::{Map, Value};

use super::{FieldChange, quantity};
use crate::deploy::object::{Object, RENDERED, digest};

/// Returns the rendered fields that are not what is live.
pub(super) fn differences(rendered: &Object, live: &Object) -> Vec<FieldChange> {
    let mut walk = Walk { secret: rendered.kind() == "Secret", changes: Vec::new() };
    walk.map("", as_map(&rendered.0), as_map(&live.0));
    walk.changes
}

fn as_map(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

struct Walk {
    secret: bool,
    changes: Vec<FieldChange>,
}

impl Walk {
    fn map(&mut self, path: &str, rendered: &Map<String, Value>, live: &Map<String, Value>) {
        for (key, wanted) in rendered {
            if key == RENDERED || (path.is_empty() && key == "status") {
                continue;
            }
            self.value(&join(path, key), wanted, live.get(key));
        }
    }

    fn value(&mut self, path: &str, wanted: &Value, live: Option<&Value>) {
        // The server leaves out what is zero, and so does a null in what is rendered.
        if wanted.is_null() || (is_zero(wanted) && live.is_none_or(|live| live.is_null() || is_zero(live))) {
            return;
        }
        match (wanted, live) {
            (Value::Object(wanted), Some(Value::Object(live))) => self.map(path, wanted, live),
            (Value::Array(wanted), Some(Value::Array(live))) => self.list(path, wanted, live),
            (wanted, Some(live)) if same_scalar(path, wanted, live) => {}
            (wanted, live) => self.differ(path, live, Some(wanted)),
        }
    }

    fn list(&mut self, path: &str, wanted: &[Value], live: &[Value]) {
        if let Some(key) = list_key(wanted) {
            for item in wanted {
                let same = live.iter().find(|other| key.iter().all(|key| same_key(item, other, key)));
                self.value(&element(path, item, key), item, same);
            }
            return;
        }
        let objects = wanted.iter().all(Value::is_object);
        if !objects && wanted == live {
            return;
        }
        if !objects || wanted.len() != live.len() {
            self.differ(path, Some(&Value::from(live)), Some(&Value::from(wanted)));
            return;
        }
        for (index, (item, other)) in wanted.iter().zip(live).enumerate() {
            self.value(&format!("{path}[{index}]"), item, Some(other));
        }
    }

    fn differ(&mut self, path: &str, live: Option<&Value>, wanted: Option<&Value>) {
        let shown = |value: &Value| shown(self.secret, path, value);
        let change = FieldChange { field: path.to_owned(), live: live.map(shown), wanted: wanted.map(shown) };
        self.changes.push(change);
    }
}

/// Returns a value as it may be shown: of a secret's content only digests.
pub(super) fn shown(secret: bool, path: &str, value: &Value) -> Value {
    if !secret || !(path.starts_with("data") || path.starts_with("stringData")) {
        return value.clone();
    }
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shown(secret, path, value))).collect(),
        other => {
            let bytes = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            format!("sha256:{}…", digest(bytes.as_bytes())).into()
        }
    }
}

/// Returns `path.key`, or `path[key]` for keys with dots.
pub(super) fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        _ if key.contains(['.', '/']) => format!("{path}[{key}]"),
        _ => format!("{path}.{key}"),
    }
}

/// Returns `path[NAME]` for an element of a list.
fn element(path: &str, item: &Value, keys: &[&str]) -> String {
    let name = item[keys[0]].as_str().map_or_else(|| item[keys[0]].to_string(), str::to_owned);
    format!("{path}[{name}]")
}

/// Returns what tells the elements of a list of objects apart: the first that all have and
/// that is unique. `None`: their place does.
fn list_key(items: &[Value]) -> Option<&'static [&'static str]> {
    const KEYS: [&[&str]; 5] =
        [&["mountPath"], &["name"], &["containerPort", "protocol"], &["port", "protocol"], &["ip"]];
    KEYS.into_iter().find(|keys| {
        let has = items.iter().all(|item| item.get(keys[0]).is_some());
        let twice = |(index, item): (usize, &Value)| {
            items[..index].iter().any(|other| keys.iter().all(|key| same_key(item, other, key)))
        };
        !items.is_empty() && has && !items.iter().enumerate().any(twice)
    })
}

/// Compares one key of two elements; an absent protocol is TCP.
fn same_key(one: &Value, other: &Value, key: &str) -> bool {
    let of = |item: &Value| match item.get(key) {
        None if key == "protocol" => Value::from("TCP"),
        None => Value::Null,
        Some(value) => value.clone(),
    };
    of(one) == of(other)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn same_scalar(path: &str, wanted: &Value, live: &Value) -> bool {
    if wanted == live {
        return true;
    }
    if let (Value::Number(wanted), Value::Number(live)) = (wanted, live) {
        return wanted.as_f64() == live.as_f64();
    }
    is_quantity(path) && quantity::parse(wanted).is_some_and(|wanted| Some(wanted) == quantity::parse(live))
}

/// True where a field holds a quantity, which the server writes in its own way.
fn is_quantity(path: &str) -> bool {
    path.split(['.', '[']).any(|part| {
        matches!(
            part.trim_end_matches(']'),
            "resources" | "requests" | "limits" | "capacity" | "hard" | "sizeLimit" | "divisor" | "averageValue"
        )
    }) || (path.starts_with("spec.limits[") && path.rsplit('.').next() != Some("type"))
}
