//! Secrets and files. Their names carry a digest of their content: a changed value is
//! another object, and so rolls the pods that use it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Scope;
use crate::deploy::object::{Object, digest, fit};

/// Returns the service's Secret, if it has secrets.
pub(super) fn secret(scope: &Scope) -> Option<Object> {
    let name = secret_name(scope)?;
    Some(scope.object("v1", "Secret", &name, json!({"type": "Opaque", "data": secret_data(scope)})))
}

pub(super) fn secret_name(scope: &Scope) -> Option<String> {
    if scope.service.secrets.is_empty() {
        return None;
    }
    let content = digest(Value::Object(secret_data(scope)).to_string().as_bytes());
    Some(format!("{}-{content}", fit(&scope.service.name, 240)))
}

fn secret_data(scope: &Scope) -> Map<String, Value> {
    let values = scope.material.secrets.get(&scope.service.key);
    values.into_iter().flatten().map(|(key, value)| (key.clone(), STANDARD.encode(value).into())).collect()
}

/// Returns the `env` entries that read the service's secrets.
pub(super) fn secret_env(scope: &Scope) -> Vec<Value> {
    let Some(name) = secret_name(scope) else { return Vec::new() };
    let reference = |key: &str| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}});
    scope.service.secrets.iter().map(|(key, _)| reference(key)).collect()
}

/// Returns the `ConfigMap` with the service's files, if it has any.
pub(super) fn files(scope: &Scope) -> Option<Object> {
    let name = files_name(scope)?;
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (path, content) in scope.material.files.get(&scope.service.key).into_iter().flatten() {
        match str::from_utf8(content) {
            Ok(text) => data.insert(file_key(path), text.into()),
            Err(_) => binary.insert(file_key(path), STANDARD.encode(content).into()),
        };
    }
    let body = json!({"data": super::nonempty(data.into()), "binaryData": super::nonempty(binary.into())});
    Some(scope.object("v1", "ConfigMap", &name, body))
}

pub(super) fn files_name(scope: &Scope) -> Option<String> {
    let files = scope.material.files.get(&scope.service.key).filter(|files| !files.is_empty())?;
    let mut content = Vec::new();
    for (path, bytes) in files {
        content.extend_from_slice(path.as_bytes());
        content.extend_from_slice(&bytes.len().to_be_bytes());
        content.extend_from_slice(bytes);
    }
    Some(format!("{}-files-{}", fit(&scope.service.name, 230), digest(&content)))
}

/// Returns the key for a path. Keys know no `/`, and two paths must not become one key.
pub(super) fn file_key(path: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
    let file = path.rsplit('/').next().unwrap_or_default();
    let file: String = file.chars().map(|c| if legal(c) { c } else { '_' }).collect();
    format!("{}-{}", &digest(path.as_bytes())[..8], fit(&file, 200))
}
