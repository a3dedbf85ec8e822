//! A build context on a disk on which somebody works.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Random;
use crate::dev::tree::{Node, Thing, Tree};

const NAMES: [&[u8]; 17] = [
    b"app.py",
    b"lib",
    b"lib/a.py",
    b"lib/b.py",
    b"lib/deep",
    b"lib/deep/c.py",
    b"README",
    b"Readme",
    b"static",
    b"static/x.css",
    b"odd\xff\n.py",
    b"requirements.txt",
    b"-rf",
    b"lib/link",
    b"gen",
    b"Dockerfile",
    b"lib/app.py",
];

#[derive(Default)]
pub(super) struct Disk {
    pub(super) tree: Tree,
    /// Files that are being written in place, until when.
    pub(super) writing: BTreeMap<PathBuf, Duration>,
}

pub(super) fn file(content: u64, mode: u32) -> Node {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&content.to_le_bytes());
    Node { mode, thing: Thing::File { digest, size: content } }
}

fn name(random: &mut Random) -> PathBuf {
    OsStr::from_bytes(NAMES[random.below(NAMES.len())]).into()
}

impl Disk {
    pub(super) fn below(&self, root: &Path) -> Tree {
        let found = self.tree.iter().filter(|(path, _)| path.starts_with(root));
        found.map(|(path, node)| (path.clone(), node.clone())).collect()
    }

    fn put(&mut self, path: &Path, node: Node, touched: &mut Vec<PathBuf>) {
        for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            if self.tree.get(folder).is_none_or(|node| node.thing != Thing::Folder) {
                self.tree.insert(folder.to_owned(), Node { mode: 0o755, thing: Thing::Folder });
                touched.push(folder.to_owned());
            }
        }
        if node.thing != Thing::Folder {
            self.remove(path, touched);
        }
        self.tree.insert(path.to_owned(), node);
        touched.push(path.to_owned());
    }

    fn remove(&mut self, path: &Path, touched: &mut Vec<PathBuf>) {
        let gone: Vec<PathBuf> = self.tree.keys().filter(|other| other.starts_with(path)).cloned().collect();
        for path in gone {
            self.tree.remove(&path);
            touched.push(path);
        }
    }

    /// Ends what is written in place.
    pub(super) fn finish(&mut self, path: &Path, content: u64) -> Vec<PathBuf> {
        self.writing.remove(path);
        let mut touched = Vec::new();
        if self.tree.get(path).is_some_and(|node| matches!(node.thing, Thing::File { .. })) {
            self.put(path, file(content, 0o644), &mut touched);
        }
        touched
    }

    /// Somebody does something; returns what the watcher may see, and what is written in place.
    pub(super) fn work(&mut self, random: &mut Random, now: Duration) -> (Vec<PathBuf>, Option<PathBuf>) {
        let mut touched = Vec::new();
        let path = name(random);
        let content = random.next() % 5;
        match random.below(24) {
            0..=7 => self.put(&path, file(content, 0o644), &mut touched),
            8 | 9 => self.remove(&path, &mut touched),
            10 => self.put(&path, file(content, 0o755), &mut touched),
            11 => self.put(&path, Node { mode: 0o777, thing: Thing::Link(name(random)) }, &mut touched),
            12 | 13 => self.put(&path, Node { mode: 0o755, thing: Thing::Folder }, &mut touched),
            14 | 15 => self.rename(&path, &name(random), &mut touched),
            16 => self.rename(Path::new("README"), Path::new("Readme"), &mut touched),
            // A swap file that is ignored, and a touch.
            17 | 18 => touched.extend([PathBuf::from(".app.py.swp"), path]),
            19 | 20 => {
                self.put(&path, file(0, 0o644), &mut touched);
                self.writing.insert(path.clone(), now + random.millis(1, 60));
                return (touched, Some(path));
            }
            21 => self.storm(random, &mut touched),
            22 if self.tree.contains_key(&path) => {
                if let Some(node) = self.tree.get_mut(&path).filter(|node| !matches!(node.thing, Thing::Link(_))) {
                    node.mode ^= 0o111 & 0o100;
                    touched.push(path);
                }
            }
            _ => self.remove(Path::new("gen"), &mut touched),
        }
        (touched, None)
    }

    fn rename(&mut self, from: &Path, to: &Path, touched: &mut Vec<PathBuf>) {
        if to.starts_with(from) || from.starts_with(to) {
            return;
        }
        let moved = self.below(from);
        if moved.is_empty() {
            return;
        }
        self.remove(to, touched);
        self.remove(from, touched);
        for (path, node) in moved {
            let rest = path.strip_prefix(from).unwrap();
            let target = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            self.put(&target, node, touched);
        }
    }

    fn storm(&mut self, random: &mut Random, touched: &mut Vec<PathBuf>) {
        let count = if random.below(20) == 0 { 400 } else { 40 };
        for at in 0..count {
            let path = PathBuf::from(format!("gen/{}/f{at}.py", at % 3));
            if random.below(4) == 0 {
                self.remove(&path, touched);
            } else {
                self.put(&path, file(random.next() % 3, 0o644), touched);
            }
        }
    }
}
