//! What is in a folder: the names of its files, and the texts of those that say how it runs.
//!
//! Reads only. What the texts mean is for the files beside this one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folders below the top that are looked into: `services/api/deploy/k8s/base/x.yaml`.
const DEPTH: usize = 5;
/// More files than this are somebody else's: a dump, a data set.
const FILES: usize = 20_000;
/// The largest text that is read, in bytes.
const TEXT: u64 = 1 << 20;

/// Folders that are made by tools or fetched.
const SKIPPED: [&str; 15] = [
    "node_modules",
    "vendor",
    "target",
    "__pycache__",
    "venv",
    "env",
    "dist",
    "bower_components",
    "site-packages",
    "tmp",
    "testdata",
    "coverage",
    "htmlcov",
    "Pods",
    "obj",
];

/// What is in a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) folder: PathBuf,
    /// Relative, with `/`.
    pub(crate) files: BTreeSet<String>,
    pub(crate) folders: BTreeSet<String>,
    pub(super) texts: BTreeMap<String, String>,
}

impl Found {
    /// Returns the text of a file that says how something runs.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Adds a file that is about to be written.
    pub(super) fn add(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned());
        self.texts.insert(path.to_owned(), text.to_owned());
    }

    /// Returns whether there is a file or a folder.
    pub(super) fn has(&self, path: &str) -> bool {
        path == "." || path.is_empty() || self.files.contains(path) || self.folders.contains(path)
    }

    /// Returns the files right in a folder (`.` is the top).
    pub(super) fn in_folder<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |path| parent(path) == folder)
    }
}

/// Returns the folder of a path; `.` at the top.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn has_end(path: &str, ends: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, end)| ends.contains(&end))
}

pub(super) fn is_yaml(path: &str) -> bool {
    has_end(path, &["yaml", "yml"])
}

/// Joins a relative path to a folder; `None` where it leaves the top.
pub(super) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            other => parts.push(other),
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// Looks through a folder. A folder that cannot be read is as good as empty.
pub(crate) fn survey(folder: &Path) -> Found {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut found = Found { folder: folder.clone(), ..Found::default() };
    let ignored = ignored(&folder);
    walk(&folder, "", DEPTH, &ignored, &mut found);
    found
}

/// Returns the plain names of `.gitignore`: patterns are for git, a name is enough to stay out.
fn ignored(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(".gitignore")).unwrap_or_default();
    let plain =
        text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']) && !line.contains(['*', '?', '[']));
    plain.map(|line| line.trim_matches('/').to_owned()).filter(|line| !line.is_empty()).collect()
}

fn walk(folder: &Path, prefix: &str, depth: usize, ignored: &[String], found: &mut Found) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
        let path = format!("{prefix}{name}");
        if found.files.len() >= FILES {
            return;
        }
        if kind.is_dir() {
            let hidden = name.starts_with('.') && name != ".docker";
            if hidden || SKIPPED.contains(&name.as_str()) || ignored.contains(&name) || ignored.contains(&path) {
                continue;
            }
            found.folders.insert(path.clone());
            if depth > 0 {
                walk(&entry.path(), &format!("{path}/"), depth - 1, ignored, found);
            }
        } else if kind.is_file() {
            if speaks(&name) && entry.metadata().is_ok_and(|data| data.len() <= TEXT) {
                // One that is no text says nothing, and one that cannot be read is Docker's to name.
                if let Ok(text) = std::fs::read_to_string(entry.path()) {
                    found.texts.insert(path.clone(), text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned());
                }
            }
            found.files.insert(path);
        }
    }
}

/// Whether a file's text may say how something runs.
fn speaks(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "Tiltfile",
        "package.json",
        "requirements.txt",
        "pyproject.toml",
        "go.mod",
        "Cargo.toml",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "Pipfile",
    ];
    let low = name.to_lowercase();
    let end = low.rsplit('.').next().unwrap_or_default();
    NAMES.contains(&name)
        || low.contains("dockerfile")
        || low.contains("containerfile")
        || low.contains("env")
        || matches!(end, "yaml" | "yml" | "py" | "go" | "js" | "ts" | "mjs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_inside_of_the_folder_only() {
        assert_eq!(join(".", "./a/../b").as_deref(), Some("b"));
        assert_eq!(join("a/b", "..").as_deref(), Some("a"));
        assert_eq!(join("a", "..").as_deref(), Some("."));
        assert_eq!(join("a", "../.."), None);
    }

    #[test]
    fn what_tools_made_and_git_ignores_is_not_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["web/Dockerfile", "node_modules/x/Dockerfile", "out/Dockerfile", ".git/Dockerfile", ".env"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "FROM scratch\n").unwrap();
        }
        std::fs::write(folder.path().join(".gitignore"), "/out/\n*.pyc\n").unwrap();
        let found = survey(folder.path());
        assert_eq!(found.files.iter().collect::<Vec<_>>(), [".env", ".gitignore", "web/Dockerfile"]);
    }
}
