//! YAML with the line of every value.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A document: its content, and for each JSON pointer into it the line that it is at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located {
    pub(super) value: Value,
    /// `/spec/replicas` → line, from 1.
    pub(super) lines: BTreeMap<String, usize>,
}

/// Why a file is not YAML, and the line, where it is known.
pub(super) struct Malformed {
    pub(super) message: String,
    pub(super) line: usize,
}

/// Parses a file with any number of documents; empty ones are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Located>, Malformed> {
    // `defaultMode: 0644` is octal to Kubernetes' own parser.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let nodes: Vec<Spanned<Node>> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| Malformed {
            message: first_line(&error.without_snippet().to_string()),
            line: error.location().map_or(1, |location| line(location.line())),
        })?;
    let documents = nodes.into_iter().filter(|node| !matches!(node.value, Node::Scalar(Value::Null)));
    Ok(documents
        .map(|node| {
            let mut lines = BTreeMap::new();
            let value = locate(node, String::new(), &mut lines);
            Located { value, lines }
        })
        .collect())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn line(line: u64) -> usize {
    usize::try_from(line).unwrap_or(1).max(1)
}

fn locate(node: Spanned<Node>, pointer: String, lines: &mut BTreeMap<String, usize>) -> Value {
    let at = line(node.referenced.line());
    let value = match node.value {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let located = items.into_iter().enumerate();
            located.map(|(index, item)| locate(item, format!("{pointer}/{index}"), lines)).collect()
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let below = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                map.insert(key, locate(value, below, lines));
            }
            Value::Object(map)
        }
    };
    lines.insert(pointer, at);
    value
}

#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let text = "# a\n---\n---\nkind: A\nlist:\n- x: 1\n- x: [true, null, 0644, 1.5, 'no']\n---\nkind: B\n";
        let documents = parse(text).unwrap_or_else(|error| panic!("{}", error.message));
        assert_eq!(documents[0].value, json!({"kind": "A", "list": [{"x": 1}, {"x": [true, null, 420, 1.5, "no"]}]}));
        assert_eq!(documents[0].lines["/list/1/x"], 7);
        assert_eq!(documents[0].lines["/kind"], 4);
        assert_eq!(documents[1].lines["/kind"], 9);
        assert_eq!(documents.len(), 2);
    }

    #[test]
    fn what_is_no_yaml_names_its_line() {
        for (text, line) in [("a: 1\nb: [1\n", 2..=3), ("a: 1\na: 2\n", 2..=2), ("a:\n\t- b\n", 2..=2)] {
            let Err(error) = parse(text) else { panic!("{text:?} was accepted") };
            assert!(line.contains(&error.line), "{text:?}: line {} {}", error.line, error.message);
            assert!(!error.message.is_empty());
        }
    }
}
