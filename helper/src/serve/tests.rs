//! `serve` against a container that is a folder: what /proc says of it is written by the test.

mod batches;
mod cuts;
mod random;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Finder, serve};
use crate::protocol::{Answer, Frames, Kind, Node, Op, Refusal, Request, Thing, encode};

const ID: &str = "0123456789abcdef";

struct Container {
    folder: tempfile::TempDir,
}

impl Container {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("proc/42");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(folder.path().join("tasks").join(ID)).unwrap();
        std::fs::create_dir_all(folder.path().join("root")).unwrap();
        std::fs::write(folder.path().join("tasks").join(ID).join("init.pid"), "42").unwrap();
        std::fs::write(own.join("cgroup"), format!("0::/kubelet/cri-containerd-{ID}.scope\n")).unwrap();
        symlink(folder.path().join("root"), own.join("root")).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    fn finder(&self) -> Finder {
        Finder::at(self.folder.path().join("tasks"), self.folder.path().join("proc"))
    }

    /// Has a whole session's bytes served; returns the answers, without the greeting.
    fn serve(&self, session: &[u8]) -> Vec<(u32, Answer)> {
        let mut output = Vec::new();
        serve(session, &mut output, &self.finder()).unwrap();
        let (mut frames, mut answers) = (Frames::default(), Vec::new());
        frames.push(&output);
        while let Some(answer) = frames.message().unwrap() {
            answers.push(answer);
        }
        assert!(matches!(answers.remove(0), (0, Answer::Hello { .. })));
        answers
    }

    /// Sends one batch, and returns why it was refused, if it was.
    fn sync(&self, changes: &[Change]) -> Result<(), Refusal> {
        match self.serve(&batch(1, changes)).pop() {
            Some((1, Answer::Done)) => Ok(()),
            Some((1, Answer::Refused(refusal))) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn look(&self, target: &str) -> Option<Node> {
        let targets = vec![target.into()];
        match self.serve(&encode(1, &Request::Look { container: ID.to_owned(), targets })).pop() {
            Some((1, Answer::Looked(mut found))) => found.pop().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Returns all that is in the container: `path mode what`, sorted.
    fn tree(&self) -> Vec<String> {
        let mut lines = Vec::new();
        list(&self.root(), Path::new("/"), &mut lines);
        lines.sort();
        lines
    }
}

fn list(folder: &Path, shown: &Path, lines: &mut Vec<String>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let (entry, shown) = (entry.as_ref().unwrap().path(), shown.join(entry.unwrap().file_name()));
        let found = std::fs::symlink_metadata(&entry).unwrap();
        let (name, mode) = (shown.display(), found.permissions().mode() & 0o7777);
        if found.is_symlink() {
            lines.push(format!("{name} -> {}", std::fs::read_link(&entry).unwrap().display()));
        } else if found.is_dir() {
            lines.push(format!("{name}/ {mode:o}"));
            list(&entry, &shown, lines);
        } else {
            lines.push(format!("{name} {mode:o} {}", String::from_utf8_lossy(&std::fs::read(&entry).unwrap())));
        }
    }
}

/// A change that a test asks for.
#[derive(Debug, Clone)]
enum Change {
    File(&'static str, &'static str),
    FileOf(PathBuf, Vec<u8>, u32),
    Folder(PathBuf, u32),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn op(&self) -> Op {
        let file = |target: &Path, content: &[u8], mode| {
            let thing = Thing::File { digest: Sha256::digest(content).into(), size: content.len() as u64 };
            Op::Put { target: target.to_owned(), node: Node { mode, thing } }
        };
        match self {
            Self::File(target, content) => file(Path::new(target), content.as_bytes(), 0o644),
            Self::FileOf(target, content, mode) => file(target, content, *mode),
            Self::Folder(target, mode) => {
                Op::Put { target: target.clone(), node: Node { mode: *mode, thing: Thing::Folder } }
            }
            Self::Link(target, to) => {
                Op::Put { target: target.clone(), node: Node { mode: 0o777, thing: Thing::Link(to.clone()) } }
            }
            Self::Remove(target) => Op::Remove { target: target.clone() },
        }
    }

    fn content(&self) -> &[u8] {
        match self {
            Self::File(_, content) => content.as_bytes(),
            Self::FileOf(_, content, _) => content,
            _ => &[],
        }
    }
}

/// Returns the frames of a batch.
fn batch(number: u32, changes: &[Change]) -> Vec<u8> {
    let ops = u32::try_from(changes.len()).unwrap();
    let mut session = encode(number, &Request::Sync { container: ID.to_owned(), ops });
    session.extend(encode(number, &Request::Ops(changes.iter().map(Change::op).collect())));
    let data: Vec<u8> = changes.iter().flat_map(|change| change.content().to_vec()).collect();
    for piece in data.chunks(7) {
        session.extend(encode(number, &Request::Data(piece.to_vec())));
    }
    session
}
