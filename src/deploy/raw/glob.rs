//! `manifests:` patterns: `*`, `?` and `**`, and folders for the manifests in them.

use std::path::{Path, PathBuf};

/// Returns the files that a pattern means, sorted. Hidden files need a pattern with the dot.
pub(super) fn expand(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let start = if pattern.starts_with('/') { Path::new("/") } else { folder };
    let mut found = Vec::new();
    walk(start, &parts, &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(folder: &Path, parts: &[&str], found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    match *part {
        ".." => walk(&folder.join(".."), rest, found),
        "**" => {
            walk(folder, rest, found);
            // Links are not followed here: they may lead back.
            for entry in entries(folder) {
                if entry.is_dir() && !entry.is_symlink() && !is_hidden(&entry) {
                    walk(&entry, parts, found);
                }
            }
        }
        literal if !literal.contains(['*', '?']) => reach(folder.join(literal), rest, found),
        pattern => {
            for entry in entries(folder) {
                let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if (!name.starts_with('.') || pattern.starts_with('.')) && matches(pattern, &name) {
                    reach(entry, rest, found);
                }
            }
        }
    }
}

fn reach(path: PathBuf, rest: &[&str], found: &mut Vec<PathBuf>) {
    if !rest.is_empty() {
        walk(&path, rest, found);
    } else if path.is_file() {
        found.push(path);
    } else if path.is_dir() {
        let manifest = |file: &PathBuf| {
            file.is_file()
                && !is_hidden(file)
                && file.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
        };
        found.extend(entries(&path).into_iter().filter(manifest));
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Compares a name with a pattern of `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut pos, mut back) = (0, 0, None);
    while pos < name.len() {
        match pattern.get(at) {
            Some('*') => {
                back = Some((at, pos));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[pos] => (at, pos) = (at + 1, pos + 1),
            _ => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                (at, pos) = (star + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a?c*", "abc", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbx", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_find_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["k8s/b.yaml", "k8s/a.yml", "k8s/deep/er/c.yaml", "k8s/.d.yaml", "k8s/notes.txt", "e.yaml"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| {
            let files = expand(folder.path(), pattern).into_iter();
            let names = files.map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("k8s/*.yaml"), "k8s/b.yaml");
        assert_eq!(found("k8s"), "k8s/a.yml k8s/b.yaml");
        assert_eq!(found("./k8s/?.y*"), "k8s/a.yml k8s/b.yaml");
        assert_eq!(found("**/*.yaml"), "e.yaml k8s/b.yaml k8s/deep/er/c.yaml");
        assert_eq!(found("k8s/**/c.yaml"), "k8s/deep/er/c.yaml");
        assert_eq!(found("none/*"), "");
    }
}
