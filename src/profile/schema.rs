//! The JSON Schema of the profile, from the types of `file/`.

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::file::ProfileFile;

/// Returns the JSON Schema.
pub(crate) fn json() -> Json {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ProfileFile>();
    let mut schema = Json::from(schema);
    tidy(&mut schema);
    schema
}

/// Returns `docs/profile.md`.
pub(crate) fn markdown() -> String {
    super::reference::markdown()
}

/// An absent key is how a profile says nothing: `null` as another way is noise in an editor
/// and in the reference.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            map.values_mut().for_each(tidy);
            if let Some(Json::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [one] = kinds.as_slice() {
                    let one = one.clone();
                    map.insert("type".into(), one);
                }
            }
            if let Some(Json::Array(allowed)) = map.get_mut("enum") {
                allowed.retain(|word| !word.is_null());
            }
            if let Some(Json::Array(options)) = map.get_mut("anyOf") {
                options.retain(|option| option.get("type").is_none_or(|kind| kind != "null"));
                if let [Json::Object(one)] = options.as_slice() {
                    let one = one.clone();
                    map.remove("anyOf");
                    // What the key says of itself is nearer than what its type says.
                    for (key, value) in one {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            // Words of Rust, not of JSON.
            if map.get("format").is_some_and(|format| format.as_str().is_some_and(|name| name.contains("int"))) {
                map.remove("format");
            }
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
