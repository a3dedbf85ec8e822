//! YAML of others, each value with its line: the profile's own tree, and what Compose files need
//! beyond it (merge keys).

use crate::profile::tree::{self, Entry, Node, Value};

/// One document and its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Returns `compose.yaml:12`.
    pub(super) fn place(&self, at: usize) -> String {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(self.text);
        format!("{}:{}", self.file, before.matches('\n').count() + 1)
    }

    pub(super) fn of_key(&self, entry: &Entry) -> String {
        self.place(entry.key_span.start)
    }

    pub(super) fn of(&self, node: &Node) -> String {
        self.place(node.span.start)
    }

    /// Reads the document; the error is what is wrong and where.
    pub(super) fn read(&self) -> Result<Node, String> {
        let mut node = tree::parse(self.text)
            .map_err(|problem| format!("{}: {}", self.place(problem.span.start), problem.message))?;
        merge(&mut node, 0);
        Ok(node)
    }
}

/// Puts what `<<` names below the keys beside it.
fn merge(node: &mut Node, depth: usize) {
    if depth > 32 {
        return;
    }
    match &mut node.value {
        Value::Map(entries) => {
            let merged: Vec<Entry> = entries.extract_if(.., |entry| entry.key == "<<").collect();
            for entry in merged {
                let sources = match entry.value.value {
                    Value::List(items) => items,
                    _ => vec![entry.value],
                };
                for source in sources {
                    let Value::Map(below) = source.value else { continue };
                    for entry in below {
                        if entry.key != "<<" && entries.iter().all(|own| own.key != entry.key) {
                            entries.push(entry);
                        }
                    }
                }
            }
            for entry in entries {
                merge(&mut entry.value, depth + 1);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| merge(item, depth + 1)),
        _ => {}
    }
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Returns the entries of a section; of anything else none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list; a single value is a list of one, null one of none.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// Returns a scalar as text.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(super) fn truth(&self) -> bool {
        matches!(&self.value, Value::Bool(true)) || self.text().is_some_and(|text| text == "true")
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }
}
