//! The profile while it is put together: services, keys and the words beside them, and the
//! YAML that they become.
//!
//! Nothing is judged here: `settle.rs` asks the profile's own reader, and takes out what it
//! does not accept.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::ui::sanitize;

/// Where a comment is broken, in columns.
const WIDTH: usize = 100;

/// The order in which a service's keys are written: what it runs, how it is reached, what it needs.
const ORDER: [&str; 22] = [
    "build",
    "image",
    "deploy",
    "kind",
    "command",
    "args",
    "env",
    "secrets",
    "files",
    "ports",
    "expose",
    "path",
    "health",
    "replicas",
    "resources",
    "volumes",
    "mounts",
    "after",
    "grace",
    "security",
    "patch",
    "sync",
];

/// A profile that is not written yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    /// What it was made from, a sentence each.
    pub(super) head: Vec<String>,
    pub(super) services: Vec<Service>,
    /// Manifest files, relative.
    pub(super) manifests: Vec<String>,
    /// What has no counterpart.
    pub(super) left: Vec<Left>,
    /// What the user should know, and the profile need not say.
    pub(super) notes: Vec<String>,
}

/// Something that the source says and the profile does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    /// `compose.yaml:12`
    pub(super) place: String,
    pub(super) what: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Service {
    pub(super) key: String,
    pub(super) why: Option<String>,
    pub(super) lines: Vec<Line>,
    /// Written as a comment: the source does not start it either.
    pub(super) off: bool,
}

/// One key of a service.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) why: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Plain(Json),
    Map(Vec<Line>),
}

impl Line {
    pub(super) fn new(key: impl Into<String>, value: impl Into<Json>) -> Self {
        Self { key: key.into(), value: Value::Plain(value.into()), why: None }
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }
}

impl Service {
    pub(super) fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    pub(super) fn set(&mut self, line: Line) {
        self.lines.retain(|other| other.key != line.key);
        self.lines.push(line);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.lines.iter().any(|line| line.key == key)
    }

    /// Returns the lines of a section such as `env`, made if it is absent.
    pub(super) fn section(&mut self, key: &str) -> &mut Vec<Line> {
        let at = self.lines.iter().position(|line| line.key == key && matches!(line.value, Value::Map(_)));
        let at = at.unwrap_or_else(|| {
            self.set(Line { key: key.to_owned(), value: Value::Map(Vec::new()), why: None });
            self.lines.len() - 1
        });
        match &mut self.lines[at].value {
            Value::Map(lines) => lines,
            Value::Plain(_) => unreachable!("a section was looked for"),
        }
    }

    /// Sets a key of a section, once.
    pub(super) fn put(&mut self, section: &str, line: Line) {
        let lines = self.section(section);
        lines.retain(|other| other.key != line.key);
        lines.push(line);
    }

    pub(super) fn plain(&self, key: &str) -> Option<&Json> {
        self.lines.iter().find(|line| line.key == key).and_then(|line| match &line.value {
            Value::Plain(value) => Some(value),
            Value::Map(_) => None,
        })
    }
}

impl Draft {
    pub(super) fn leave(&mut self, place: impl Into<String>, what: impl Into<String>) {
        let left = Left { place: place.into(), what: what.into() };
        if !self.left.contains(&left) {
            self.left.push(left);
        }
    }

    /// Returns what is left out and what is to be known, a sentence each.
    pub(super) fn said(&self) -> Vec<String> {
        let left = self.left.iter().map(|left| sanitize::line(&format!("{}: {}", left.place, left.what)));
        left.chain(self.notes.iter().map(|note| sanitize::line(note))).collect()
    }

    /// Takes out what stands at a path of the profile; returns whether there was something.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let service = |draft: &mut Self, key: &str| draft.services.iter().position(|service| service.key == key);
        match path {
            [first, key] if first == "services" => {
                let Some(at) = service(self, key) else { return false };
                self.services.remove(at);
                true
            }
            [first, key, line, rest @ ..] if first == "services" => {
                let Some(at) = service(self, key) else { return false };
                // A service without its image is none.
                if line == "build" || line == "image" {
                    self.services.remove(at);
                    return true;
                }
                remove_line(&mut self.services[at].lines, line, rest)
            }
            _ => false,
        }
    }

    /// Returns the profile's text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for sentence in &self.head {
            comment(&mut text, "", sentence);
        }
        let _ = writeln!(text, "name: {}", scalar(&self.name));
        let (on, off): (Vec<_>, Vec<_>) = self.services.iter().partition(|service| !service.off);
        if !on.is_empty() {
            text.push_str("services:\n");
            for service in on {
                service.write(&mut text);
            }
        }
        for service in off {
            let mut own = String::new();
            service.write(&mut own);
            text.extend(own.lines().map(|line| format!("  # {}\n", line.strip_prefix("  ").unwrap_or(line))));
        }
        if !self.manifests.is_empty() {
            comment(&mut text, "", "Kubernetes objects, kept as they are; images that are built here are put in.");
            text.push_str("manifests:\n");
            text.extend(self.manifests.iter().map(|path| format!("  - {}\n", scalar(path))));
        }
        if !self.left.is_empty() {
            text.push('\n');
            comment(&mut text, "", "Not taken over, because there is no counterpart:");
            for left in &self.left {
                comment(&mut text, "", &format!("  {}: {}", left.place, left.what));
            }
        }
        text
    }
}

/// Takes out what stands at a path of a section; an item of a list alone, if there are others.
fn remove_line(lines: &mut Vec<Line>, key: &str, rest: &[String]) -> bool {
    let Some(at) = lines.iter().position(|line| line.key == key) else { return false };
    let kept = match (&mut lines[at].value, rest.split_first()) {
        (Value::Map(below), Some((key, rest))) => remove_line(below, key, rest) && !below.is_empty(),
        (Value::Plain(Json::Array(items)), Some((index, _))) => {
            let index = index.parse::<usize>().ok().filter(|index| *index < items.len() && items.len() > 1);
            index.map(|index| items.remove(index)).is_some()
        }
        _ => false,
    };
    if !kept {
        lines.remove(at);
    }
    true
}

impl Service {
    fn write(&self, text: &mut String) {
        if let Some(why) = &self.why {
            comment(text, "  ", why);
        }
        let _ = writeln!(text, "  {}:", scalar(&self.key));
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by_key(|line| ORDER.iter().position(|key| *key == line.key).unwrap_or(ORDER.len()));
        for line in lines {
            line.write(text, "    ");
        }
    }
}

impl Line {
    fn write(&self, text: &mut String, indent: &str) {
        let key = scalar(&self.key);
        match &self.value {
            Value::Plain(value) => {
                let line = format!("{indent}{key}: {}", flow(value));
                match self.why.as_deref().map(sanitize::line) {
                    Some(why) if line.chars().count() + why.chars().count() + 4 <= WIDTH => {
                        let _ = writeln!(text, "{line}  # {why}");
                    }
                    Some(why) => {
                        comment(text, indent, &why);
                        let _ = writeln!(text, "{line}");
                    }
                    None => {
                        let _ = writeln!(text, "{line}");
                    }
                }
            }
            Value::Map(lines) if lines.is_empty() => {}
            Value::Map(lines) => {
                if let Some(why) = &self.why {
                    comment(text, indent, why);
                }
                let _ = writeln!(text, "{indent}{key}:");
                for line in lines {
                    line.write(text, &format!("{indent}  "));
                }
            }
        }
    }
}

/// Writes a sentence as comment lines.
fn comment(text: &mut String, indent: &str, sentence: &str) {
    let sentence = sanitize::line(sentence);
    let first = format!("{indent}# ");
    let hang = " ".repeat(sentence.len() - sentence.trim_start().len());
    let below = format!("{indent}# {hang}");
    let options = textwrap::Options::new(WIDTH).initial_indent(&first).subsequent_indent(&below);
    for line in textwrap::wrap(&sentence, options) {
        text.push_str(&line);
        text.push('\n');
    }
}

/// Returns a value in flow style, on one line.
fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            // What a thing is called comes before what it is like.
            const FIRST: [&str; 5] = ["context", "claim", "name", "port", "path"];
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
            let entries = entries.into_iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns a text as YAML: plain where nothing can read it as something else, else in double
/// quotes, as JSON writes it.
pub(super) fn scalar(text: &str) -> String {
    const WORDS: [&str; 12] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "nil"];
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '_'))
        || text.starts_with("./");
    if begins && text.bytes().all(fits) && !WORDS.contains(&text.to_lowercase().as_str()) {
        return text.to_owned();
    }
    if text == "." {
        return text.to_owned();
    }
    // `redis:7` is plain where no blank follows the colon.
    let image = text.split_once(':').filter(|(name, tag)| {
        begins && !tag.is_empty() && name.bytes().all(fits) && tag.bytes().all(|byte| fits(byte) && byte != b'/')
    });
    if image.is_some() {
        return text.to_owned();
    }
    let quoted = serde_json::to_string(text).expect("a text is always JSON");
    // JSON leaves these as they are, and YAML calls them not printable, or line breaks.
    let mut safe = String::with_capacity(quoted.len());
    for character in quoted.chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(safe, "\\u{:04x}", u32::from(character));
            }
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC*|[a-z:/#\\-{}\\[\\], '\"\\\\\n\t]{0,12}|true|0x1f|1e3|~|-|[0-9:]{1,6}") {
            let map: std::collections::BTreeMap<String, serde_json::Value> =
                serde_saphyr::from_str(&format!("{}: [{}]\n", scalar("k"), scalar(&text))).unwrap();
            prop_assert_eq!(&map["k"][0], &serde_json::Value::String(text));
        }
    }

    #[test]
    fn plain_words_are_plain() {
        for text in [".", "web", "redis:7", "./a/b.conf", "/var/lib/x", "node-express"] {
            assert_eq!(scalar(text), text);
        }
        assert_eq!(scalar("no"), "\"no\"");
        assert_eq!(scalar("80:5000"), "\"80:5000\"");
        assert_eq!(scalar("a: b"), "\"a: b\"");
    }
}
