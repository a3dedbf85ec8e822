//! Probable mistakes: things that Docker builds without a word, and that cost hours.

use std::path::Path;

use parse_dockerfile::{Instruction, JsonOrStringArray};

use super::scope::{pairs, words};
use super::source::{Located, locate};
use crate::ui::sanitize;

/// What installs dependencies, and the file that names them where there is one.
const INSTALLS: [(&str, &str); 11] = [
    ("pip install", "requirements.txt"),
    ("pip3 install", "requirements.txt"),
    ("poetry install", "pyproject.toml"),
    ("npm install", "package.json"),
    ("npm ci", "package-lock.json"),
    ("yarn install", "yarn.lock"),
    ("pnpm install", "pnpm-lock.yaml"),
    ("bundle install", "Gemfile"),
    ("composer install", "composer.json"),
    ("go mod download", "go.mod"),
    ("apt-get install", ""),
];

/// Returns a sentence for each probable mistake, `FOLDER/Dockerfile:LINE` first.
pub(super) fn warnings(path: &Path, text: &str, instructions: &[Instruction<'_>]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut copied: Option<Located<'_, '_>> = None;
    for located in locate(text, instructions) {
        let sentence = match located.instruction {
            Instruction::From(_) => {
                copied = None;
                None
            }
            Instruction::Volume(volume) => match &volume.arguments {
                JsonOrStringArray::String(_) if located.rest.starts_with('[') => Some(volume_sentence(&located.rest)),
                _ => None,
            },
            Instruction::Copy(_) | Instruction::Add(_) => {
                if copied.is_none() && copies_everything(&located.rest) {
                    copied = Some(located);
                    continue;
                }
                None
            }
            Instruction::Run(_) => match (&copied, installs(&located.rest)) {
                (Some(copy), Some((command, file))) => {
                    let sentence = install_sentence(copy, command, file);
                    warnings.push(place(path, copy.line, &sentence));
                    copied = None;
                    None
                }
                _ => None,
            },
            Instruction::Arg(_) | Instruction::Env(_) => secret_sentence(&located),
            _ => None,
        };
        warnings.extend(sentence.map(|sentence| place(path, located.line, &sentence)));
    }
    warnings
}

fn place(path: &Path, line: usize, sentence: &str) -> String {
    let folder = path.parent().and_then(Path::file_name).map(|name| format!("{}/", name.to_string_lossy()));
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    sanitize::line(&format!("{}{file}:{line}: {sentence}", folder.unwrap_or_default()))
}

fn volume_sentence(rest: &str) -> String {
    let inner = rest.trim_start_matches('[').trim_end_matches(']');
    let quoted: Vec<String> = inner
        .split([',', ' '])
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect();
    format!(
        "`VOLUME {rest}` is not JSON, so Docker makes a volume that is literally named `{}`; write `VOLUME [{}]`",
        rest.split(' ').next().unwrap_or(rest),
        quoted.join(", ")
    )
}

fn copies_everything(rest: &str) -> bool {
    let words = words(rest);
    let mut words = words.iter().filter(|word| !word.starts_with("--")).peekable();
    let from_elsewhere = rest.split(' ').any(|word| word.starts_with("--from="));
    let first_is_all = words.peek().is_some_and(|first| matches!(first.as_str(), "." | "./" | "*" | "./*"));
    !from_elsewhere && first_is_all
}

/// Returns what `command` installs with; `None` where the install needs the copied files.
fn installs(command: &str) -> Option<(&'static str, &'static str)> {
    INSTALLS.iter().copied().find(|(install, _)| {
        command.match_indices(install).any(|(at, _)| {
            let begins = command[..at].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric());
            let arguments = command[at + install.len()..].split(['&', ';', '|']).next().unwrap_or_default();
            let needs_source = arguments.split(' ').any(|word| {
                matches!(word, "-e" | "--editable") || word == "." || word.starts_with("./") || word.starts_with(".[")
            });
            begins && !needs_source
        })
    })
}

fn install_sentence(copy: &Located<'_, '_>, command: &str, file: &str) -> String {
    let mend = match file {
        "" => "install first, then copy".to_owned(),
        file => format!("copy only what it needs (`{file}`) before it and the rest after it"),
    };
    format!(
        "`{} {}` comes before `{command}`, so every edit installs everything again; {mend}",
        copy.keyword, copy.rest
    )
}

fn secret_sentence(located: &Located<'_, '_>) -> Option<String> {
    let names: Vec<String> = match located.keyword.as_str() {
        "ARG" => words(&located.rest)
            .iter()
            .map(|word| word.split_once('=').map_or(word.as_str(), |(name, _)| name).to_owned())
            .collect(),
        _ => pairs(&located.rest).into_iter().map(|(name, _)| name).collect(),
    };
    let name = names.into_iter().find(|name| looks_secret(name))?;
    Some(format!(
        "`{} {name}` looks like a secret, and whoever has the image can read it; use `RUN --mount=type=secret,id=…` for the build, `secrets:` of the profile for the service",
        located.keyword
    ))
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    let words: Vec<&str> = name.split('_').collect();
    // A path to a secret, or the public half of one, is none.
    let harmless = matches!(words.last(), Some(&("FILE" | "PATH" | "URL" | "DIR"))) || words.contains(&"PUBLIC");
    let telling = words.iter().any(|word| {
        matches!(*word, "PASSWORD" | "PASSWD" | "PASSPHRASE" | "TOKEN" | "SECRET" | "CREDENTIALS" | "APIKEY")
    });
    !harmless && (telling || name.ends_with("_KEY"))
}
