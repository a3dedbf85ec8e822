//! `docs/profile.md`: the reference page of the profile, from its JSON Schema.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::schema;

const INTRODUCTION: &str = "\
# The profile

`coracle.yaml` says what an application is. Every key that it may have is on this page, which
is made from the types that read it (`coracle schema --markdown`); `coracle schema` prints the
same as a JSON Schema, for editors.

Keys are in kebab-case; one that is not listed is an error. In any text `{service}`, `{namespace}`,
`{user}`, `{env}`, `{env:NAME}` and `{services.NAME.host}` (or `port`, `url`, `image`) are
replaced; other braces are literal, and `$` means nothing. `image` can be asked for in `env` and
in a build's `args`.
";

/// Returns `docs/profile.md`.
pub(crate) fn markdown() -> String {
    let schema = schema::json();
    let mut page = String::from(INTRODUCTION);
    let mut sections = vec![("profile".to_owned(), &schema)];
    let mut seen = vec!["profile".to_owned()];
    let mut next = 0;
    while next < sections.len() {
        let (name, section) = (sections[next].0.clone(), sections[next].1);
        next += 1;
        describe(&mut page, &name, section);
        for target in references(section) {
            if !seen.contains(&target) {
                let found =
                    schema.pointer(&format!("/$defs/{target}")).expect("a derived schema defines what it refers to");
                seen.push(target.clone());
                sections.push((target, found));
            }
        }
    }
    page
}

fn describe(page: &mut String, name: &str, section: &Json) {
    let _ = write!(page, "\n## {name}\n\n{}\n", words(section));
    let Some(properties) = section.get("properties").and_then(Json::as_object) else {
        let _ = write!(page, "\n{}.\n", sentence(&kind(section)));
        return;
    };
    let required: Vec<&str> =
        section.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    page.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, value) in properties {
        let default = match value.get("default") {
            Some(Json::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
            None if required.contains(&key.as_str()) => "needed".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(page, "| `{key}` | {} | {default} | {} |", kind(value), words(value).replace('|', "\\|"));
    }
}

fn words(section: &Json) -> String {
    let text = section.get("description").and_then(Json::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// Returns a schema's type in words, with links.
fn kind(schema: &Json) -> String {
    if let Some(target) = target(schema) {
        return format!("[{target}](#{target})");
    }
    if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
        return options.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(allowed) = schema.get("enum").and_then(Json::as_array) {
        return allowed.iter().filter_map(Json::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    match schema.get("type") {
        Some(Json::Array(_)) => "text".into(),
        Some(Json::String(kind)) => match kind.as_str() {
            "string" => "text".into(),
            "integer" => bounds(schema),
            "boolean" => "`true`, `false`".into(),
            "array" => format!("list of {}", schema.get("items").map_or("anything".into(), kind_of)),
            _ => match schema.get("additionalProperties").filter(|other| other.is_object()) {
                Some(other) => format!("name → {}", kind_of(other)),
                None => "section".into(),
            },
        },
        _ => "anything".into(),
    }
}

fn kind_of(schema: &Json) -> String {
    kind(schema)
}

fn bounds(schema: &Json) -> String {
    let bound = |which: &str| schema.get(which).and_then(Json::as_i64);
    match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) => format!("number, {low} to {high}"),
        (Some(low), None) => format!("number from {low}"),
        _ => "number".into(),
    }
}

fn target(schema: &Json) -> Option<String> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/").map(str::to_owned)
}

/// Returns the types that a section refers to, in the order in which it does.
fn references(section: &Json) -> Vec<String> {
    match section {
        Json::Object(map) => {
            let own = target(section);
            let below = map.iter().filter(|(key, _)| *key != "$defs").flat_map(|(_, value)| references(value));
            own.into_iter().chain(below).collect()
        }
        Json::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
