//! Tiltfiles: `docker_build` and `k8s_yaml` with literal arguments.
//!
//! A Tiltfile is a program, and is not run here: a call whose arguments are computed is listed
//! with its line, as is each call that has no counterpart.

use serde_json::Map;

use super::dockerfiles::Build;
use super::draft::Draft;
use super::manifests::{self, Artifact};
use super::survey::{Found, join};

/// Functions of Tilt that need no word.
const SILENT: [&str; 6] = [
    "allow_k8s_contexts",
    "print",
    "version_settings",
    "update_settings",
    "config.define_string",
    "analytics_settings",
];
/// Functions of Tilt that do something which is not here.
const LISTED: [&str; 16] = [
    "custom_build",
    "local_resource",
    "k8s_resource",
    "load",
    "include",
    "local",
    "docker_compose",
    "dc_resource",
    "helm",
    "kustomize",
    "helm_resource",
    "k8s_custom_deploy",
    "default_registry",
    "docker_prune_settings",
    "watch_file",
    "secret_settings",
];

/// A literal argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Text(String),
    List(Vec<String>),
    /// Anything else, as it is written.
    Other(String),
}

#[derive(Debug)]
struct Call {
    name: String,
    line: usize,
    arguments: Vec<(Option<String>, Argument)>,
}

impl Call {
    fn get(&self, name: &str, position: usize) -> Option<&Argument> {
        let named = self.arguments.iter().find(|(key, _)| key.as_deref() == Some(name));
        named.or_else(|| self.arguments.get(position).filter(|(key, _)| key.is_none())).map(|(_, value)| value)
    }

    fn text(&self, name: &str, position: usize) -> Option<String> {
        match self.get(name, position)? {
            Argument::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

pub(super) fn draft(found: &Found, file: &str, text: &str) -> Draft {
    let mut draft = Draft { head: vec![format!("Made by `coracle init` from {file}.")], ..Draft::default() };
    let (mut artifacts, mut files) = (Vec::new(), Vec::new());
    for call in calls(text) {
        let place = format!("{file}:{}", call.line);
        match call.name.as_str() {
            "docker_build" => match artifact(&call, &place, &mut draft) {
                Some(artifact) => artifacts.push(artifact),
                None => draft.leave(place, "`docker_build` whose image or folder is computed"),
            },
            "k8s_yaml" => yaml(found, &call, &place, &mut draft, &mut files),
            name if LISTED.contains(&name) => draft.leave(place, format!("`{name}(…)`")),
            name if SILENT.contains(&name) => {}
            _ => {}
        }
    }
    manifests::tie(found, &mut draft, &files, artifacts);
    draft
}

fn artifact(call: &Call, place: &str, draft: &mut Draft) -> Option<Artifact> {
    let (image, context) = (call.text("ref", 0)?, join(".", &call.text("context", 1)?)?);
    for (key, _) in &call.arguments {
        match key.as_deref() {
            Some("live_update") => draft.leave(
                place,
                format!("`{image}`: `live_update`; `coracle dev` tells from the Dockerfile what to copy"),
            ),
            None | Some("ref" | "context" | "dockerfile" | "target" | "only" | "ignore") => {}
            Some(other) => draft.leave(place, format!("`{image}`: `{other}`")),
        }
    }
    // Tilt's `dockerfile` starts at the Tiltfile, not at the context.
    let path = match call.text("dockerfile", usize::MAX) {
        Some(path) => join(".", &path)?,
        None => join(&context, "Dockerfile")?,
    };
    let mut more = Map::new();
    more.extend(call.text("target", usize::MAX).map(|target| ("target".to_owned(), target.into())));
    Some(Artifact { image, build: Build { path, context, name: String::new() }, more, place: place.to_owned() })
}

fn yaml(found: &Found, call: &Call, place: &str, draft: &mut Draft, files: &mut Vec<String>) {
    let patterns = match call.get("yaml", 0) {
        Some(Argument::Text(text)) => vec![text.clone()],
        Some(Argument::List(items)) => items.clone(),
        Some(Argument::Other(text)) => {
            draft.leave(place, format!("`k8s_yaml({text})`: only files that are written out are taken over"));
            return;
        }
        None => return,
    };
    for pattern in patterns {
        let matched = manifests::matching(found, &pattern);
        if matched.is_empty() {
            draft.leave(place, format!("`k8s_yaml`: no file `{pattern}` here"));
        }
        files.extend(matched.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
}

/// Returns the calls at the beginning of a line, with their arguments.
fn calls(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut offset = 0;
    let mut done = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let start = offset;
        offset += line.len();
        let name_end =
            line.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_' || character == '.'));
        let Some(end) = name_end.filter(|end| *end > 0 && line[*end..].trim_start().starts_with('(') && start >= done)
        else {
            continue;
        };
        let open = start + end + line[end..].find('(').expect("the line has one");
        let Some(close) = closing(text, open) else { continue };
        done = close;
        let arguments = split(&text[open + 1..close]).into_iter().map(argument).collect();
        calls.push(Call { name: line[..end].to_owned(), line: index + 1, arguments });
    }
    calls
}

/// Walks over code outside of strings and comments; stops where `stop` says so.
fn outside(text: &str, from: usize, mut stop: impl FnMut(usize, char) -> bool) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut comment = false;
    let mut escaped = false;
    for (at, character) in text[from..].char_indices().map(|(at, character)| (at + from, character)) {
        match (quote, character) {
            _ if comment => comment = character != '\n',
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') => comment = true,
            (None, _) if stop(at, character) => return Some(at),
            _ => {}
        }
    }
    None
}

fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    outside(text, open, |_, character| {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => return false,
        }
        depth == 0
    })
}

/// Splits at commas that are in no bracket.
fn split(text: &str) -> Vec<String> {
    let (mut cuts, mut depth) = (vec![0], 0_usize);
    outside(text, 0, |at, character| {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => cuts.push(at + 1),
            _ => {}
        }
        false
    });
    let ends = cuts.iter().skip(1).map(|cut| cut - 1).chain([text.len()]);
    let parts = cuts.iter().zip(ends).map(|(from, to)| bare(&text[*from..to]));
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns code without its comment lines and outer blanks.
fn bare(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn argument(text: String) -> (Option<String>, Argument) {
    let key = text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    let named = key.filter(|(key, value)| {
        !value.starts_with('=')
            && !key.is_empty()
            && key.chars().all(|part| part.is_ascii_alphanumeric() || part == '_')
    });
    let (key, value) = match named {
        Some((key, value)) => (Some(key), value),
        None => (None, text),
    };
    let argument = if let Some(text) = literal(&value) {
        Argument::Text(text)
    } else if let Some(items) = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let texts: Option<Vec<String>> = split(items).iter().map(|item| literal(item)).collect();
        texts.map_or(Argument::Other(value.clone()), Argument::List)
    } else {
        Argument::Other(value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    (key, argument)
}

fn literal(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let inside = text.get(1..)?.strip_suffix(quote)?;
    (!inside.contains([quote, '\\', '%'])).then(|| inside.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_with_literal_arguments_are_read() {
        let text = "# docker_build('no', '.')\ndocker_build(\n  'shop/web',  # the image, of course\n  './web', dockerfile=\"docker/web\",\n  live_update=[sync('a', 'b')])\nk8s_yaml(['a.yaml', 'b.yaml'])\nk8s_yaml(helm('x'))\nif x:\n  k8s_yaml('c')\n";
        let calls = calls(text);
        assert_eq!(
            calls.iter().map(|call| (call.name.as_str(), call.line)).collect::<Vec<_>>(),
            [("docker_build", 2), ("k8s_yaml", 6), ("k8s_yaml", 7)]
        );
        assert_eq!(calls[0].text("context", 1).as_deref(), Some("./web"));
        assert_eq!(calls[0].text("dockerfile", 9).as_deref(), Some("docker/web"));
        assert_eq!(calls[1].get("yaml", 0), Some(&Argument::List(vec!["a.yaml".into(), "b.yaml".into()])));
        assert_eq!(calls[2].get("yaml", 0), Some(&Argument::Other("helm('x')".into())));
    }
}
