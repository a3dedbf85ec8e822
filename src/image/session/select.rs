//! Which files of a local the engine wants: its patterns, and the links that it follows.
//!
//! The engine names the local and what it needs of it in the call's metadata. Patterns are
//! those of `.dockerignore`; the folders above whatever is sent are sent too. A path to
//! follow is a pattern as well, and so is whatever a link on the way to it points to.

use std::collections::BTreeSet;

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::super::ignore::{Ignore, Verdict};
use super::tree::{ItemKind, Tree, in_order};

/// What one call asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) local: String,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) follow: Vec<String>,
}

impl Wish {
    pub(super) fn read(metadata: &MetadataMap) -> Self {
        Self {
            local: values(metadata, "dir-name").into_iter().next().unwrap_or_default(),
            include: values(metadata, "include-patterns"),
            exclude: values(metadata, "exclude-patterns"),
            follow: values(metadata, "followpaths"),
        }
    }

    /// Returns the items of the local that are wanted, in order.
    pub(super) fn select(&self, tree: &Tree) -> Result<Vec<usize>, Status> {
        let order = tree
            .local(&self.local)
            .ok_or_else(|| Status::not_found(format!("no access allowed to dir {:?}", self.local)))?;
        let mut include = self.include.clone();
        if let Some(followed) = follow(tree, &order, &self.follow) {
            include.extend(followed);
            include = without_nested(include).unwrap_or_default();
        }
        let include = matcher(&include)?;
        let exclude = matcher(&self.exclude)?;
        if include.is_none() && exclude.is_none() {
            return Ok(order);
        }
        Ok(filter(tree, &order, include.as_ref(), exclude.as_ref()))
    }
}

/// Returns the values of one key. They are query-escaped where the engine says so, which
/// it does for what is not ASCII.
fn values(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let flag = metadata.get(format!("{key}-encoded").as_str());
    let is_escaped =
        flag.is_some_and(|flag| matches!(flag.as_bytes(), b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True"));
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(&if is_escaped { unescape(bytes) } else { bytes.to_vec() }).into_owned();
    metadata.get_all(key).iter().map(|value| text(value.as_bytes())).collect()
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        rest = after;
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
                rest = &after[2..];
            }
            (b'+', ..) => plain.push(b' '),
            _ => plain.push(*first),
        }
    }
    plain
}

fn matcher(patterns: &[String]) -> Result<Option<Ignore>, Status> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let ignore = Ignore::of_patterns(patterns);
    ignore.map(Some).ok_or_else(|| Status::invalid_argument(format!("invalid patterns: {patterns:?}")))
}

/// A folder that the walk is in.
struct Visited<'a> {
    index: usize,
    path: &'a str,
    include: Option<Verdict>,
    exclude: Option<Verdict>,
    sent: bool,
}

fn filter(tree: &Tree, order: &[usize], include: Option<&Ignore>, exclude: Option<&Ignore>) -> Vec<usize> {
    let mut selected = Vec::new();
    let mut parents: Vec<Visited<'_>> = Vec::new();
    for &index in order {
        let path = tree.items[index].path.as_str();
        while parents.last().is_some_and(|parent| !is_below(path, parent.path)) {
            parents.pop();
        }
        let above = parents.last();
        let include = include.map(|rules| rules.verdict(path, above.and_then(|parent| parent.include.as_ref())));
        let exclude = exclude.map(|rules| rules.verdict(path, above.and_then(|parent| parent.exclude.as_ref())));
        let sent = include.as_ref().is_none_or(|verdict| verdict.ignored)
            && exclude.as_ref().is_none_or(|verdict| !verdict.ignored);
        if sent {
            for parent in parents.iter_mut().filter(|parent| !parent.sent) {
                parent.sent = true;
                selected.push(parent.index);
            }
            selected.push(index);
        }
        if matches!(tree.items[index].kind, ItemKind::Folder) {
            parents.push(Visited { index, path, include, exclude, sent });
        }
    }
    selected
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the patterns that `paths` and the links on the way to them come to; `None` if
/// nothing restricts: no path is given, or one is the whole local.
fn follow(tree: &Tree, order: &[usize], paths: &[String]) -> Option<Vec<String>> {
    let view = View { tree, order };
    let mut resolved = BTreeSet::new();
    // A list of what is still to do, not recursion: chains of links may be long.
    let mut todo: Vec<String> = paths.iter().map(|path| clean(path)).collect();
    while let Some(path) = todo.pop() {
        let mut ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let (end, targets) = ends
            .find_map(|end| view.targets(&path[..end]).map(|targets| (end, Some(targets))))
            .unwrap_or((path.len(), None));
        if resolved.insert(path[..end].to_owned()) {
            let rest = &path[end..];
            todo.extend(targets.into_iter().flatten().map(|target| clean(&format!("/{target}{rest}"))));
        }
    }
    if resolved.is_empty() { None } else { without_nested(resolved.into_iter().collect()) }
}

/// Leaves out what is below another path of the list, which is in order; `None` if one of
/// them is everything.
fn without_nested(paths: Vec<String>) -> Option<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    for path in paths {
        if path == "." {
            return None;
        }
        if kept.last().is_none_or(|last| !is_below(&path, last)) {
            kept.push(path);
        }
    }
    Some(kept)
}

/// Returns the shortest spelling of a path: relative, without `.` and `//`; `.` for the
/// whole. `..` cannot leave what begins with a slash.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// The local's items, looked up by path.
struct View<'a> {
    tree: &'a Tree,
    order: &'a [usize],
}

impl View<'_> {
    /// Returns where the links point to that `path` names, which may be a pattern in its
    /// last part; `None` if it names none.
    fn targets(&self, path: &str) -> Option<Vec<String>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !has_wildcard(name) {
            return self.link(path).map(|target| vec![target]);
        }
        let pattern = Ignore::of_patterns(&[name.to_owned()])?;
        let targets: Vec<String> = self
            .children(folder)
            .filter(|(_, name)| pattern.verdict(name, None).ignored)
            .filter_map(|(path, _)| self.link(path))
            .collect();
        Some(targets).filter(|targets| !targets.is_empty())
    }

    /// Returns the target of the link at `path`, from the top of the local.
    fn link(&self, path: &str) -> Option<String> {
        let ItemKind::Link(target) = &self.tree.items[self.order[self.place(path).ok()?]].kind else {
            return None;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Some(clean(&if target.starts_with('/') { target.clone() } else { format!("/{folder}/{target}") }))
    }

    /// Returns path and name of what is directly in `folder`.
    fn children<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let start = if folder.is_empty() { 0 } else { self.place(folder).map_or(self.order.len(), |place| place + 1) };
        let paths = self.order[start..].iter().map(|&index| self.tree.items[index].path.as_str());
        paths
            .map_while(move |path| match folder {
                "" => Some((path, path)),
                _ => Some((path, path.strip_prefix(folder)?.strip_prefix('/')?)),
            })
            .filter(|(_, name)| !name.contains('/'))
    }

    fn place(&self, path: &str) -> Result<usize, usize> {
        self.order.binary_search_by(|&index| in_order(&self.tree.items[index].path, path))
    }
}

fn has_wildcard(name: &str) -> bool {
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::context::{Context, Entry, What};

    /// Builds a tree: `a/` is a folder, `a -> b` a link, the rest are files.
    fn tree(names: &[&str]) -> Tree {
        let entry = |name: &&str| {
            let (path, what) = match (name.split_once(" -> "), name.strip_suffix('/')) {
                (Some((path, target)), _) => (path, What::Link(target.into())),
                (None, Some(path)) => (path, What::Folder),
                (None, None) => (*name, What::File { digest: [0; 32], size: 0, modified: 0 }),
            };
            Entry { path: path.into(), mode: 0o644, what }
        };
        let mut entries: Vec<Entry> = names.iter().map(entry).collect();
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Tree::new(&Context { root: "/nowhere".into(), entries, size: 0 }, Vec::new()).unwrap()
    }

    fn followed(names: &[&str], paths: &[&str]) -> String {
        let tree = tree(names);
        let follow = paths.iter().map(|path| (*path).to_owned()).collect();
        let wish = Wish { local: "context".to_owned(), follow, ..Wish::default() };
        let selected = wish.select(&tree).unwrap();
        selected.iter().map(|index| tree.items[*index].path.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn links_bring_what_they_point_to() {
        let names = [
            "real/",
            "real/deep/",
            "real/deep/f",
            "real/other",
            "abs -> /real/deep",
            "up/",
            "up/back -> ../lnk",
            "lnk -> real",
            "out -> ../../real/other",
            "loop -> loop2",
            "loop2 -> loop",
            "self -> self/x",
            "dot -> .",
        ];
        for (paths, expected) in [
            (&["real/deep/f"][..], "real real/deep real/deep/f"),
            (&["abs"], "abs real real/deep real/deep/f"),
            (&["lnk/deep/f"], "lnk real real/deep real/deep/f"),
            (&["up/back/other"], "lnk real real/other up up/back"),
            (&["out"], "out real real/other"),
            (&["loop"], "loop loop2"),
            (&["self"], "self"),
            (&["l?k/deep"], "lnk real real/deep real/deep/f"),
            (&["up/*/other"], "lnk real real/other up up/back"),
            (&["/real//deep/../other", "none"], "real real/other"),
        ] {
            assert_eq!(followed(&names, paths), expected, "{paths:?}");
        }
        let all = followed(&names, &[]);
        for everything in [&["."][..], &["/"], &["real/.."], &["dot"]] {
            assert_eq!(followed(&names, everything), all, "{everything:?}");
        }
    }

    #[test]
    fn long_chains_of_links_are_followed() {
        let names: Vec<String> = (0..2_000).map(|number| format!("{number:05} -> {:05}", number + 1)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(followed(&names, &["00000"]).split(' ').count(), 2_000);
    }

    #[test]
    fn escapes_are_undone() {
        for (escaped, plain) in [("a+b", "a b"), ("%C3%A4%2B%", "ä+%"), ("%zz%2", "%zz%2"), ("", "")] {
            assert_eq!(String::from_utf8(unescape(escaped.as_bytes())).unwrap(), plain);
        }
    }
}
