//! `${…}` of Compose files, and the files that give variables their values.
//!
//! The rules are Compose's own (<https://docs.docker.com/reference/compose-file/interpolation/>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A variable of an env file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: String,
    /// The file, and its line from 1.
    pub(super) file: String,
    pub(super) line: usize,
    /// How the value is written: between these, in the file.
    pub(super) quote: Option<char>,
}

/// A text after interpolation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// With `{env:NAME}` for what only the shell knows.
    pub(super) text: String,
    /// `${PORT:-8000}` whose default was taken.
    pub(super) defaults: Vec<String>,
    /// Variables that must be set before `up`.
    pub(super) asked: Vec<String>,
    /// Variables whose value is a secret in an env file; `whole` if the text is nothing else.
    pub(super) secret: Option<String>,
    pub(super) whole: bool,
}

/// Reads an env file: `NAME=value`, comments, quotes, `export`.
pub(super) fn env_file(file: &str, text: &str) -> Vec<(String, Variable)> {
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if !is_name(name) {
            continue;
        }
        let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (value, quote) = match quote.and_then(|quote| Some((value[1..].split_once(quote)?.0, quote))) {
            Some((inside, quote)) => (inside.to_owned(), Some(quote)),
            None => (value.split(" #").next().unwrap_or_default().trim().to_owned(), None),
        };
        variables.push((name.to_owned(), Variable { value, file: file.to_owned(), line: index + 1, quote }));
    }
    variables
}

/// Whether a variable's name says that nobody else should read it.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    let parts: Vec<&str> = name.split('_').collect();
    let word = |word: &str| parts.contains(&word);
    !word("FILE")
        && (["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIALS", "APIKEY", "PASS", "PWD"].into_iter().any(word)
            || name.ends_with("_KEY") && !word("PUBLIC"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Replaces the variables of a text.
pub(super) fn interpolate(text: &str, known: &BTreeMap<String, Variable>) -> Filled {
    let mut filled = Filled::default();
    fill(text, known, &mut filled, 0);
    filled.whole = filled.secret.as_deref().is_some_and(|name| {
        text == format!("${name}")
            || (text.starts_with(&format!("${{{name}")) && text.find('}') == Some(text.len() - 1))
    });
    filled
}

fn fill(text: &str, known: &BTreeMap<String, Variable>, filled: &mut Filled, depth: usize) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.text.push('$');
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(braced).filter(|_| depth < 8) {
            rest = after;
            variable(inside, known, filled, depth);
        } else {
            let end = rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            if is_name(name) {
                rest = after;
                variable(name, known, filled, depth);
            } else {
                filled.text.push('$');
            }
        }
    }
    filled.text.push_str(rest);
}

/// Splits at the brace that closes the one before the text.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut open = 1;
    for (at, character) in text.char_indices() {
        match character {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn variable(inside: &str, known: &BTreeMap<String, Variable>, filled: &mut Filled, depth: usize) {
    let end = inside.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    let (name, rule) = inside.split_at(end.unwrap_or(inside.len()));
    let set = known.get(name).map(|variable| variable.value.as_str());
    let set = if rule.starts_with(':') { set.filter(|value| !value.is_empty()) } else { set };
    if let Some(other) = rule.strip_prefix(":+").or_else(|| rule.strip_prefix('+')) {
        if set.is_some() {
            fill(other, known, filled, depth + 1);
        }
    } else if let Some(value) = set {
        if is_secret(name) {
            filled.secret = Some(name.to_owned());
            let _ = write!(filled.text, "{{env:{name}}}");
        } else {
            filled.text.push_str(value);
        }
    } else if let Some(default) = rule.strip_prefix(":-").or_else(|| rule.strip_prefix('-')) {
        filled.defaults.push(name.to_owned());
        fill(default, known, filled, depth + 1);
    } else if is_name(name) {
        filled.asked.push(name.to_owned());
        let _ = write!(filled.text, "{{env:{name}}}");
    } else {
        let _ = write!(filled.text, "${{{inside}}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> BTreeMap<String, Variable> {
        env_file(".env", "TAG=1.2\nEMPTY=\nDB_PASSWORD='p w' # mine\nexport A=b # c\n9x=1\n").into_iter().collect()
    }

    fn filled(text: &str) -> String {
        interpolate(text, &known()).text
    }

    #[test]
    fn the_forms_of_compose() {
        assert_eq!(filled("app:${TAG}-$A"), "app:1.2-b");
        assert_eq!(filled("${X:-8000}:${EMPTY:-y}${EMPTY-z}"), "8000:y");
        assert_eq!(filled("${X:-${TAG}}"), "1.2");
        assert_eq!(filled("${X:?must be set}"), "{env:X}");
        assert_eq!(filled("${TAG:+set}${X:+set}"), "set");
        assert_eq!(filled("a$$b $ c${"), "a$b $ c${");
    }

    #[test]
    fn a_secret_of_a_file_is_not_copied() {
        let filled = interpolate("${DB_PASSWORD}", &known());
        assert_eq!((filled.text.as_str(), filled.whole), ("{env:DB_PASSWORD}", true));
        assert!(!interpolate("x:${DB_PASSWORD}", &known()).whole);
        assert!(is_secret("SECRET_KEY") && is_secret("STRIPE_KEY") && is_secret("PGPASSWORD_TOKEN"));
        assert!(!is_secret("POSTGRES_PASSWORD_FILE") && !is_secret("KEYBOARD"));
    }
}
