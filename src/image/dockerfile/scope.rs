//! Variables: what ARG and ENV set, and `$X` filled in as Docker does it.

use std::collections::BTreeMap;

/// The variables that an instruction sees.
pub(super) type Scope = BTreeMap<String, String>;

/// Returns the words of an instruction's arguments, still quoted.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                word.push('\\');
                word.extend(characters.next());
                continue;
            }
            _ => {}
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns the names and raw values of an ENV or ARG. `ENV NAME some text` is the old form.
pub(super) fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    let words = words(text);
    match words.as_slice() {
        [first, _, ..] if !first.contains('=') => {
            let value = text.trim_start()[first.len()..].trim();
            // ARG takes several names; only ENV has the old form, and ENV always a value.
            vec![(first.clone(), Some(value.to_owned()))]
        }
        words => words
            .iter()
            .map(|word| match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            })
            .collect(),
    }
}

/// Returns `text` with its quotes removed and its variables filled in. An unset one is empty.
pub(super) fn expand(text: &str, scope: &Scope) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut is_double = false;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\'' if !is_double => {
                let end = rest.find('\'').unwrap_or(rest.len());
                out.push_str(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            '"' => is_double = !is_double,
            '\\' => {
                if let Some(next) = rest.chars().next() {
                    out.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
            '$' => rest = variable(rest, scope, &mut out),
            other => out.push(other),
        }
    }
    out
}

/// Fills in the variable whose `$` was just read, and returns what follows it.
fn variable<'a>(rest: &'a str, scope: &Scope, out: &mut String) -> &'a str {
    if let Some(braced) = rest.strip_prefix('{') {
        let Some(end) = closing_brace(braced) else {
            out.push('$');
            return rest;
        };
        let (body, after) = (&braced[..end], &braced[end + 1..]);
        let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
        let (name, operator) = body.split_at(name_end);
        let value = scope.get(name);
        let filled = value.filter(|value| !value.is_empty());
        match operator.split_at(operator.len().min(if operator.starts_with(':') { 2 } else { 1 })) {
            (":-", word) => out.push_str(&filled.cloned().unwrap_or_else(|| expand(word, scope))),
            ("-", word) => out.push_str(&value.cloned().unwrap_or_else(|| expand(word, scope))),
            (":+", word) if filled.is_some() => out.push_str(&expand(word, scope)),
            ("+", word) if value.is_some() => out.push_str(&expand(word, scope)),
            (":+" | "+", _) => {}
            _ => out.push_str(value.map_or("", String::as_str)),
        }
        return after;
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let name = &rest[..end];
    if name.is_empty() {
        out.push('$');
    } else {
        out.push_str(scope.get(name).map_or("", String::as_str));
    }
    &rest[end..]
}

fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_as_in_a_dockerfile() {
        let scope = Scope::from([("A".to_owned(), "x".to_owned()), ("E".to_owned(), String::new())]);
        for (text, expanded) in [
            ("$A-${A}", "x-x"),
            ("$Ab", ""),
            ("${N}y", "y"),
            ("${N:-d}${E:-d}${A:-d}", "ddx"),
            ("${N-d}|${E-d}", "d|"),
            ("${A:+y}${E:+y}${N:+y}", "y"),
            ("${E+y}${N+y}", "y"),
            ("${N:-a${A}b}", "axb"),
            ("'$A' \"$A\" \\$A", "$A x $A"),
            ("100$", "100$"),
            ("${open", "${open"),
        ] {
            assert_eq!(expand(text, &scope), expanded, "{text}");
        }
    }

    #[test]
    fn arguments_are_split_outside_of_quotes() {
        assert_eq!(words("a=\"b c\" d='e f' g\\ h"), ["a=\"b c\"", "d='e f'", "g\\ h"]);
        assert_eq!(pairs("A=1 B"), [("A".to_owned(), Some("1".to_owned())), ("B".to_owned(), None)]);
        assert_eq!(pairs("A some text"), [("A".to_owned(), Some("some text".to_owned()))]);
    }
}
