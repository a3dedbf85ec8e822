//! Checks a tree against the schema of `ProfileFile`: unknown and repeated keys, missing
//! ones, values of the wrong kind — all of them, each with its place.
//!
//! What passes comes back as JSON that serde then fills the types from; what does not is
//! left out, so that the checks after this one still see the rest. What a value means is
//! not looked at here.

use serde_json::{Map, Value as Json, json};

use super::error::Problem;
use super::schema;
use super::tree::{Node, Span, Value};

/// Returns what of the tree has the right structure, and what has not.
pub(crate) fn check(text: &str, tree: &Node) -> (Map<String, Json>, Vec<Problem>) {
    let schema = schema::json();
    let mut checker = Checker { text, schema: &schema, problems: Vec::new() };
    if tree.value == Value::Null {
        checker.problems.push(Problem::new(0..0, "the profile is empty").help("it says `services:` at least"));
        return (Map::new(), checker.problems);
    }
    checker.repeated(tree);
    let sound = checker.node(tree, &tree.span, &schema, "the profile");
    let map = match sound {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    (map, checker.problems)
}

struct Checker<'a> {
    text: &'a str,
    schema: &'a Json,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn repeated(&mut self, node: &Node) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.repeated(item)),
            Value::Map(entries) => {
                let mut seen = std::collections::BTreeMap::new();
                for entry in entries {
                    if let Some(first) = seen.insert(&entry.key, entry.key_span.start) {
                        let line = self.text.get(..first).map_or(1, |before| before.matches('\n').count() + 1);
                        let said = format!("the key `{}` is there twice", entry.key);
                        let help = format!("the first is on line {line}");
                        self.problems.push(Problem::new(entry.key_span.clone(), said).help(help));
                    }
                    self.repeated(&entry.value);
                }
            }
            _ => {}
        }
    }

    /// `key` is the place of the name that the node stands under, `name` that name.
    fn node(&mut self, node: &Node, key: &Span, schema: &'a Json, name: &str) -> Option<Json> {
        let schema = self.follow(schema);
        if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
            return self.either(node, key, options, name);
        }
        if let Some(allowed) = schema.get("enum").and_then(Json::as_array) {
            return self.word(node, key, allowed, name);
        }
        let kinds = kinds(schema);
        if kinds.is_empty() {
            return Some(native(node));
        }
        let scalar = matches!(node.value, Value::Bool(_) | Value::Number(_) | Value::Text(_));
        if scalar && kinds.contains(&"string") {
            return Some(Json::String(self.raw(node)));
        }
        match (&node.value, kinds[0]) {
            (Value::Bool(value), "boolean") => Some(json!(value)),
            (Value::Number(number), "integer") if number.is_i64() || number.is_u64() => {
                self.within(node, number, schema, name)
            }
            (Value::Number(number), "number") => Some(Json::Number(number.clone())),
            (Value::List(items), "array") => {
                let items_schema = schema.get("items").unwrap_or(&Json::Null);
                let one = name.strip_suffix('s').unwrap_or(name);
                // Left out as a whole, so that what stays keeps its place in the file.
                let sound: Vec<Option<Json>> =
                    items.iter().map(|item| self.node(item, &item.span, items_schema, one)).collect();
                sound.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
            }
            (Value::Map(_), "object") => self.section(node, key, schema, name),
            _ => {
                self.mismatch(node, key, &describe(&kinds), name);
                None
            }
        }
    }

    fn follow(&self, schema: &'a Json) -> &'a Json {
        let mut schema = schema;
        while let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.schema.pointer(pointer));
            schema = target.expect("a derived schema refers to what it defines");
        }
        schema
    }

    fn either(&mut self, node: &Node, key: &Span, options: &'a [Json], name: &str) -> Option<Json> {
        let options: Vec<&Json> = options.iter().map(|option| self.follow(option)).collect();
        let exact = options.iter().find(|option| kinds(option).iter().any(|kind| fits(&node.value, kind)));
        let scalar = matches!(node.value, Value::Bool(_) | Value::Number(_));
        let texts = || options.iter().find(|option| scalar && kinds(option).contains(&"string"));
        if let Some(option) = exact.or_else(texts) {
            return self.node(node, key, option, name);
        }
        let all: Vec<&str> = options.iter().flat_map(|option| kinds(option)).collect();
        self.mismatch(node, key, &describe(&all), name);
        None
    }

    fn word(&mut self, node: &Node, key: &Span, allowed: &[Json], name: &str) -> Option<Json> {
        let words: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
        if matches!(node.value, Value::Null | Value::List(_) | Value::Map(_)) {
            self.mismatch(node, key, &one_of(&words), name);
            return None;
        }
        let found = self.raw(node);
        if words.contains(&found.as_str()) {
            return Some(Json::String(found));
        }
        let said = format!("`{name}` is {}, not `{found}`", one_of(&words));
        self.problems.push(Problem::new(node.span.clone(), said).suggest(&found, words));
        None
    }

    fn within(&mut self, node: &Node, number: &serde_json::Number, schema: &Json, name: &str) -> Option<Json> {
        let bound = |which: &str| schema.get(which).and_then(Json::as_i64).map(i128::from);
        let value = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))?;
        let (low, high) = (bound("minimum"), bound("maximum"));
        if low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high) {
            return Some(Json::Number(number.clone()));
        }
        let range = match (low, high) {
            (Some(low), Some(high)) => format!("from {low} to {high}"),
            (Some(low), None) => format!("at least {low}"),
            (_, high) => format!("at most {}", high.unwrap_or_default()),
        };
        self.problems.push(Problem::new(node.span.clone(), format!("`{name}` is a number {range}, not {value}")));
        None
    }

    fn section(&mut self, node: &Node, key: &Span, schema: &'a Json, name: &str) -> Option<Json> {
        let Value::Map(entries) = &node.value else { return None };
        let properties = schema.get("properties").and_then(Json::as_object);
        let closed = schema.get("additionalProperties") == Some(&Json::Bool(false));
        let other = schema.get("additionalProperties").filter(|other| other.is_object());
        let required: Vec<&str> =
            schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        let mut sound = Map::new();
        for entry in entries {
            let known = properties.and_then(|properties| properties.get(&entry.key));
            let value = match known.or(other) {
                // A key with nothing after it is a key that is not there.
                Some(_)
                    if entry.value.value == Value::Null
                        && known.is_some()
                        && !required.contains(&entry.key.as_str()) =>
                {
                    continue;
                }
                Some(schema) => self.node(&entry.value, &entry.key_span, schema, &entry.key),
                None if closed => {
                    let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                    let said =
                        format!("there is no key `{}` in `{name}`", entry.key).replace("`the profile`", "a profile");
                    let problem = Problem::new(entry.key_span.clone(), said).suggest(&entry.key, known);
                    self.problems.push(problem);
                    continue;
                }
                None => Some(native(&entry.value)),
            };
            if let Some(value) = value {
                sound.insert(entry.key.clone(), value);
            }
        }
        let mut whole = true;
        for wanted in required {
            if !entries.iter().any(|entry| entry.key == wanted) {
                self.problems.push(Problem::new(key.clone(), format!("`{name}` has no `{wanted}`")));
            }
            whole &= sound.contains_key(wanted);
        }
        whole.then_some(Json::Object(sound))
    }

    fn mismatch(&mut self, node: &Node, key: &Span, wanted: &str, name: &str) {
        let (found, place) = match &node.value {
            Value::Null => ("nothing".to_owned(), key.clone()),
            Value::Bool(value) => (format!("`{value}`"), node.span.clone()),
            Value::Number(_) => (format!("`{}`", self.raw(node)), node.span.clone()),
            Value::Text(text) => {
                (format!("the text `{}`", text.chars().take(40).collect::<String>()), node.span.clone())
            }
            Value::List(_) => ("a list".to_owned(), key.clone()),
            Value::Map(_) => ("a section".to_owned(), key.clone()),
        };
        let problem =
            Problem::new(place, format!("`{name}` is {wanted}, not {found}").replace("`the profile`", "a profile"));
        let helped = match &node.value {
            Value::Text(text) if wanted.contains("number") && text.parse::<f64>().is_ok() => {
                problem.help("remove the quotes")
            }
            Value::Text(_) if wanted == "a list" => problem.help(format!("write `{name}: [{}]`", self.raw(node))),
            Value::Null if wanted.contains("text") => problem.help("an empty text is written `\"\"`"),
            _ => problem,
        };
        self.problems.push(helped);
    }

    /// A scalar as it is written: `1.10` stays `1.10` where a text is wanted.
    fn raw(&self, node: &Node) -> String {
        match &node.value {
            Value::Text(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => {
                let written = self.text.get(node.defined.clone()).unwrap_or_default().trim();
                if written.is_empty() { native(node).to_string() } else { written.to_owned() }
            }
            _ => String::new(),
        }
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Text(_) => kind == "string",
        Value::List(_) => kind == "array",
        Value::Map(_) => kind == "object",
        Value::Number(_) => matches!(kind, "integer" | "number"),
        Value::Bool(_) => kind == "boolean",
    }
}

fn kinds(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).collect(),
        _ if schema.get("enum").is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn describe(kinds: &[&str]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for kind in kinds {
        let word = match *kind {
            "string" => "a text",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" => "`true` or `false`",
            "array" => "a list",
            _ => "a section of `key: value` lines",
        };
        // What may be a text may be a number too: the text says it.
        let implied = kinds.contains(&"string") && matches!(*kind, "number" | "boolean");
        if !implied && !words.contains(&word) {
            words.push(word);
        }
    }
    join(&words)
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    join(&quoted.iter().map(String::as_str).collect::<Vec<_>>())
}

fn join(words: &[&str]) -> String {
    match words {
        [] => "something else".into(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// The value as JSON has it, where a profile takes anything.
fn native(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => Json::Number(number.clone()),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => items.iter().map(native).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), native(&entry.value))).collect())
        }
    }
}
