//! A profile's text as a tree in which every key and value knows its place.
//!
//! This is where hostile or broken text stops: size, depth, aliases, encoding. What the
//! tree says is not looked at here; `structure.rs` does.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::error::Problem;

/// The largest profile that is read, in bytes.
pub(crate) const SIZE_LIMIT: u64 = 1 << 20;

/// Bytes of the text.
pub(crate) type Span = Range<usize>;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Where it stands; for an alias, where the alias stands.
    pub(crate) span: Span,
    /// Where it is written; for an alias, where its anchor stands.
    pub(crate) defined: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, repeated keys included.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// Reads YAML. An error is one problem: a broken text has no second half to look at.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if let Some(at) = text.find('\0') {
        return Err(Problem::new(at..at + 1, "there is a NUL byte here, so this is no text file"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 48,
            max_events: 100_000,
            max_nodes: 50_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Bare>>(text, options) {
        Ok(root) => Ok(root.into()),
        Err(error) => Err(syntax(text, &error)),
    }
}

fn syntax(text: &str, error: &serde_saphyr::Error) -> Problem {
    let error = error.without_snippet();
    let place = error.location().map_or(0..0, |location| span(text, location));
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or(&words).trim();
    let words = words.strip_prefix("error: ").unwrap_or(words);
    if let Some(limit) = beyond(words) {
        return Problem::new(place, limit);
    }
    let mut problem = Problem::new(place.clone(), format!("this is not YAML that can be read: {words}"));
    if text.get(place.start..).is_some_and(|rest| rest.starts_with('\t')) || line_begins_with_tab(text, place.start) {
        problem = problem.help("YAML is indented with spaces, never with tabs");
    }
    problem
}

/// What a limit of `parse` means to somebody who met it.
fn beyond(words: &str) -> Option<&'static str> {
    let limit = words.contains("budget breached") || words.contains("limit");
    if words.contains("Documents") || words.contains("multiple YAML documents") {
        Some("a second document begins here (`---`), and a profile is one")
    } else if limit && (words.contains("Depth") || words.contains("nesting") || words.contains("recursion")) {
        Some("this is nested deeper than any profile is")
    } else if limit {
        Some("this is more than any profile says: too many values, or aliases (`*name`) that expand to too many")
    } else {
        None
    }
}

fn line_begins_with_tab(text: &str, at: usize) -> bool {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    text.get(start..).is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'))
}

/// Syntax errors carry line and column only; values carry bytes.
fn span(text: &str, location: Location) -> Span {
    if let Some(known) = bytes(location) {
        return known.start.min(text.len())..known.end.min(text.len());
    }
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    let within = rest.char_indices().nth(column - 1).map_or(rest.trim_end().len(), |(at, _)| at);
    let start = (start + within).min(text.len());
    start..start
}

fn bytes(location: Location) -> Option<Span> {
    let known = location.span();
    let start = usize::try_from(known.byte_offset()?).ok()?;
    Some(start..start + usize::try_from(known.byte_len()?).ok()?)
}

impl From<Spanned<Bare>> for Node {
    fn from(spanned: Spanned<Bare>) -> Self {
        let place = |location| bytes(location).unwrap_or_default();
        Self { span: place(spanned.referenced), defined: place(spanned.defined), value: spanned.value.0 }
    }
}

/// A value without its place, as serde meets it.
struct Bare(Value);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BareVisitor).map(Bare)
    }
}

struct BareVisitor;

impl<'de> Visitor<'de> for BareVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Bare>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let key_node =
                Node::from(Spanned { value: Bare(Value::Null), referenced: key.referenced, defined: key.defined });
            let value = entries.next_value::<Spanned<Bare>>()?.into();
            map.push(Entry { key: key.value, key_span: key_node.span, value });
        }
        Ok(Value::Map(map))
    }
}

impl Node {
    /// Returns the place of the value at a path, or of the nearest thing above it that the
    /// file has.
    pub(crate) fn place(&self, path: &[String]) -> Span {
        self.find(path, false)
    }

    /// Returns the place of the key at a path.
    pub(crate) fn key_place(&self, path: &[String]) -> Span {
        self.find(path, true)
    }

    /// Returns whether the file itself has something at a path.
    pub(crate) fn has(&self, path: &[String]) -> bool {
        path.iter().try_fold(self, |node, step| node.child(step).map(|(_, child)| child)).is_some()
    }

    /// Returns the keys of the section at a path, in the order of the file.
    pub(crate) fn keys(&self, path: &[String]) -> Vec<String> {
        match path.iter().try_fold(self, |node, step| node.child(step).map(|(_, child)| child)) {
            Some(Node { value: Value::Map(entries), .. }) => entries.iter().map(|entry| entry.key.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn child(&self, step: &str) -> Option<(&Span, &Node)> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|entry| entry.key == step).map(|entry| (&entry.key_span, &entry.value))
            }
            Value::List(items) => {
                step.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (&item.span, item))
            }
            _ => None,
        }
    }

    fn find(&self, path: &[String], want_key: bool) -> Span {
        let (mut node, mut key) = (self, &self.span);
        for (depth, step) in path.iter().enumerate() {
            let Some((child_key, child)) = node.child(step) else {
                return if depth == 0 { 0..0 } else { key.clone() };
            };
            (node, key) = (child, child_key);
        }
        // A section's own span begins with its first key: its name says more.
        match node.value {
            Value::Map(_) | Value::List(_) | Value::Null => key.clone(),
            _ if want_key => key.clone(),
            _ => node.span.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, path: &[&str]) -> &'a str {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        &text[parse(text).unwrap().place(&path)]
    }

    #[test]
    fn every_value_knows_its_bytes() {
        let text = "\u{feff}# ü\na: {b: 'grün', c: [1, 1.10]}\nd: &x \"5\"\ne: *x\n";
        assert_eq!(at(text, &["a", "b"]), "'grün'");
        assert_eq!(at(text, &["a", "c", "1"]), "1.10");
        assert_eq!(at(text, &["e"]), "*x");
        assert_eq!(at(text, &["a"]), "a");
    }

    #[test]
    fn repeated_keys_are_all_in_the_tree() {
        let tree = parse("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(tree.keys(&[]), ["a", "b", "a"]);
    }

    #[test]
    fn hostile_texts_end_quickly_with_one_problem() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb = format!("{bomb}a{level}: &a{level} [{refs}]\n");
        }
        for text in
            [bomb, "[".repeat(5_000), "a: {".repeat(5_000), "a: b: c".into(), "a: \0".into(), "--- 1\n--- 2".into()]
        {
            let begin = std::time::Instant::now();
            parse(&text).unwrap_err();
            assert!(begin.elapsed().as_secs() < 2, "{text:.20}");
        }
    }
}
