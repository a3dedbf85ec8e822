//! Which of the copied files a RUN uses, as far as its text says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::dev::rules::{Rule, Rules, Sources};
use crate::dev::tree::{Thing, Tree};

/// What installs dependencies, and what it reads.
const INSTALLS: [(&str, &[&str]); 17] = [
    ("npm ci", NPM),
    ("npm install", NPM),
    ("npm i ", NPM),
    ("yarn", &["package.json", "yarn.lock", ".yarnrc", ".yarnrc.yml", ".npmrc"]),
    ("pnpm i", &["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc"]),
    ("bun install", &["package.json", "bun.lockb", "bun.lock"]),
    ("bundle install", &["Gemfile", "Gemfile.lock"]),
    ("bundle check", &["Gemfile", "Gemfile.lock"]),
    ("composer install", &["composer.json", "composer.lock"]),
    ("composer update", &["composer.json", "composer.lock"]),
    ("poetry install", &["pyproject.toml", "poetry.lock", "poetry.toml"]),
    ("uv sync", &["pyproject.toml", "uv.lock", "uv.toml"]),
    ("pipenv ", &["Pipfile", "Pipfile.lock"]),
    ("pdm ", &["pyproject.toml", "pdm.lock"]),
    ("pip install -e", PACKAGE),
    ("pip install --editable", PACKAGE),
    ("go mod download", &["go.mod", "go.sum"]),
];
const NPM: &[&str] = &["package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"];
const PACKAGE: &[&str] = &["setup.py", "setup.cfg", "pyproject.toml"];

/// What makes something of all files that are there.
const BUILDS: [&str; 30] = [
    "npm run",
    "yarn build",
    "yarn run",
    "pnpm build",
    "pnpm run",
    "bun run",
    "bun build",
    "npx ",
    "tsc",
    "webpack",
    "vite build",
    "next build",
    "ng build",
    "go build",
    "go install",
    "go generate",
    "make",
    "cmake",
    "cargo build",
    "cargo install",
    "mvn",
    "mvnw",
    "gradle",
    "gradlew",
    "dotnet",
    "javac",
    "gcc",
    "python setup.py",
    "pyinstaller",
    "sbt",
];

/// What looks at files and leaves nothing of them in the image.
const HARMLESS: [&str; 14] = [
    "chown", "mkdir", "cd", "ls", "adduser", "useradd", "groupadd", "addgroup", "usermod", "echo", "test", "[",
    "touch", "chmod",
];

/// Returns the files of the context that `text` uses, of those that `copied` put there.
pub(super) fn used(text: &str, workdir: &Path, copied: &[Rule], tree: &Tree) -> Vec<Sources> {
    let commands = commands(text);
    if commands.iter().any(|command| builds(command)) {
        return copied.iter().map(|rule| rule.sources.clone()).collect();
    }
    let places = places(copied, tree);
    let mut paths = BTreeSet::new();
    for command in &commands {
        let line = format!("{} ", command.join(" "));
        let manifests = INSTALLS.iter().filter(|(name, _)| starts(&line, name)).flat_map(|(_, files)| *files);
        for name in manifests {
            // Workspaces have more than one.
            let named = places.values().filter(|path| path.file_name() == Some(std::ffi::OsStr::new(name)));
            paths.extend(named.map(|path| (*path).clone()));
        }
        let is_harmless = command.first().is_some_and(|first| HARMLESS.contains(&first.as_str()));
        for word in command.iter().flat_map(|word| word.split('=')) {
            let place = clean(&workdir.join(word));
            let Some(path) = places.get(&place) else { continue };
            let is_folder = tree.get(*path).is_some_and(|node| node.thing == Thing::Folder);
            if !(is_folder && is_harmless) {
                paths.insert((*path).clone());
            }
        }
        // Everything that is here goes somewhere else.
        let is_moved =
            command.first().is_some_and(|first| ["cp", "mv", "rsync", "tar", "zip"].contains(&first.as_str()));
        if is_moved && command.iter().any(|word| word == "." || word == "./" || word.ends_with("/.")) {
            return copied.iter().map(|rule| rule.sources.clone()).collect();
        }
    }
    paths.iter().filter_map(|path| Sources::parse(&literal(path), &[])).collect()
}

/// Returns the commands of a shell's text, each as its words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let unquoted = text.replace(['"', '\'', '(', ')', ',', '[', ']'], " ");
    let pieces = unquoted.split(['&', ';', '|', '\n']);
    let words = pieces.map(|piece| {
        let words = piece.split_whitespace().map(str::to_owned);
        let is_setting =
            |word: &String| word.starts_with("--") || word.split_once('=').is_some_and(|(name, _)| !name.contains('/'));
        words.skip_while(is_setting).collect::<Vec<_>>()
    });
    words.filter(|words| !words.is_empty()).collect()
}

fn builds(command: &[String]) -> bool {
    let line = format!("{} ", command.join(" "));
    let is_package =
        ["pip install ", "pip3 install ", "python -m pip install ", "python3 -m pip install ", "uv pip install "]
            .iter()
            .any(|name| line.contains(name));
    let is_editable = line.contains(" -e ") || line.contains(" --editable ");
    let installs_itself = is_package
        && !is_editable
        && command.iter().any(|word| word == "." || word.starts_with("./") || word.starts_with(".["));
    let is_install = ["make install", "dotnet restore", "go mod "].iter().any(|name| starts(&line, name))
        && line.contains("restore");
    (BUILDS.iter().any(|name| starts(&line, name)) && !is_install) || installs_itself
}

/// Returns whether a command begins with these words, whatever folder its program is in.
fn starts(line: &str, name: &str) -> bool {
    let (program, rest) = line.split_once(' ').unwrap_or((line, ""));
    let program = program.rsplit('/').next().unwrap_or(program);
    let line = format!("{program} {rest}");
    let after = line.strip_prefix(name);
    after.is_some_and(|after| name.ends_with(' ') || after.starts_with(' ') || after.is_empty() || name.ends_with(" i"))
        || (name.starts_with("pip ")
            && (line.contains(&format!(" {name} ")) || line.starts_with(&name.replace("pip", "pip3"))))
}

/// Returns by place in the image the path of the context that lies there.
fn places<'a>(copied: &[Rule], tree: &'a Tree) -> BTreeMap<PathBuf, &'a PathBuf> {
    // The last copy counts.
    let rules = Rules { rules: copied.iter().rev().cloned().collect(), ..Rules::default() };
    let mut places = BTreeMap::new();
    for (path, node) in tree {
        for landing in rules.landings(path, node) {
            let before = places.insert(landing.target.clone(), (landing.rule, path));
            if let Some(earlier) = before.filter(|(rule, _)| *rule < landing.rule) {
                places.insert(landing.target, earlier);
            }
        }
    }
    places.into_iter().map(|(target, (_, path))| (target, path)).collect()
}

/// Returns a pattern that matches just this path.
fn literal(path: &Path) -> String {
    let mut pattern = String::new();
    for character in path.to_string_lossy().chars() {
        if matches!(character, '*' | '?' | '[' | '\\' | '!') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    cleaned
}
