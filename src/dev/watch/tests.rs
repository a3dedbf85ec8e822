mod editors;
mod measure;
mod storm;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::dev::machine::Found;
use crate::dev::scan::{Scanned, Scanner};
use crate::dev::tree::{Tree, of_context};
use crate::image::context;

/// However slow the machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder that is watched, and the tree that is kept from what is seen and scanned.
struct Bench {
    folder: TempDir,
    root: PathBuf,
    watcher: Watcher,
    receiver: Receiver,
    scanner: Scanner,
    tree: Tree,
    /// All that was seen but hints.
    notes: Vec<Seen>,
    /// Every path that any scan ever found.
    ever: BTreeSet<PathBuf>,
    runtime: Runtime,
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

impl Bench {
    /// The context is the folder `up/project` of a temporary one.
    fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, &[], Limits { every: Duration::from_millis(50), ..Limits::default() })
    }

    fn with(files: &[(&str, &str)], single: &[&str], limits: Limits) -> Self {
        let folder = TempDir::with_prefix("coräcle watch ").unwrap();
        let root = folder.path().join("up/project");
        for (path, content) in files {
            write(&root.join(path), content);
        }
        let context = Watched { key: "api".to_owned(), root: root.clone(), dockerfile: root.join("Dockerfile") };
        let single: Vec<PathBuf> = single.iter().map(|path| folder.path().join(path)).collect();
        let (watcher, receiver) = Watcher::open_with(&[context], &single, limits).unwrap();
        let scanner = Scanner::new(&root, &root.join("Dockerfile"), None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (tree, notes, ever) = Default::default();
        let mut bench = Self { folder, root, watcher, receiver, scanner, tree, notes, ever, runtime };
        bench.apply(&Hints::All);
        bench
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn write(&self, path: &str, content: &str) {
        write(&self.at(path), content);
    }

    fn recv(&mut self, within: Duration) -> Option<Seen> {
        let receiver = &mut self.receiver;
        self.runtime.block_on(async { tokio::time::timeout(within, receiver.recv()).await.ok().flatten() })
    }

    /// Takes one message and does what it asks for.
    fn step(&mut self, within: Duration) -> bool {
        match self.recv(within) {
            None => return false,
            Some(Seen::Context { hints, .. }) => self.apply(&hints),
            Some(note) => self.notes.push(note),
        }
        true
    }

    fn apply(&mut self, hints: &Hints) {
        // A folder that is gone says nothing; its return is hinted at.
        let Ok(Scanned { found, torn, .. }) = self.scanner.scan(hints) else { return };
        for Found { root, entries } in found {
            self.ever.extend(entries.keys().cloned());
            let below =
                self.tree.range(root.clone()..).map(|(path, _)| path).take_while(|path| path.starts_with(&root));
            let gone: Vec<_> = below.filter(|path| !torn.contains(*path)).cloned().collect();
            for path in gone {
                self.tree.remove(&path);
            }
            self.tree.extend(entries);
        }
    }

    fn disk(&self) -> Option<Tree> {
        context::read(&self.root, &self.at("Dockerfile"), None).ok().map(|context| of_context(&context))
    }

    /// Waits until the tree is what the disk holds.
    #[track_caller]
    fn settle(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while self.disk().is_none_or(|disk| disk != self.tree) {
            assert!(
                Instant::now() < deadline,
                "kept: {:#?}\ndisk: {:#?}",
                self.tree.keys(),
                self.disk().map(|disk| disk.into_keys().collect::<Vec<_>>())
            );
            self.step(Duration::from_millis(200));
        }
    }

    #[track_caller]
    fn until(&mut self, what: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !self.notes.iter().any(&what) {
            assert!(Instant::now() < deadline, "{:?}", self.notes);
            self.step(Duration::from_millis(200));
        }
    }

    fn has(&self, path: &str) -> bool {
        self.tree.contains_key(Path::new(path))
    }
}

#[test]
fn files_and_folders_that_come_and_go_are_seen() {
    let mut bench = Bench::new(&[("Dockerfile", ""), ("a/b", "1")]);
    bench.write("a/b", "2");
    bench.settle();
    bench.write("deep/er/and/deeper/file", "1");
    bench.settle();
    bench.write("deep/er/and/deeper/file", "2");
    bench.settle();
    fs::rename(bench.at("deep/er"), bench.at("moved")).unwrap();
    bench.settle();
    bench.write("moved/and/deeper/file", "3");
    bench.write("moved/and/new", "3");
    bench.settle();
    assert!(bench.has("moved/and/new") && !bench.has("deep/er"));
    fs::rename(bench.at("moved"), bench.folder.path().join("outside")).unwrap();
    bench.settle();
    fs::write(bench.folder.path().join("outside/and/new"), "4").unwrap();
    fs::rename(bench.folder.path().join("outside"), bench.at("back")).unwrap();
    bench.settle();
    bench.write("back/and/new", "5");
    bench.settle();
    fs::remove_dir_all(bench.at("back")).unwrap();
    std::os::unix::fs::symlink("a", bench.at("back")).unwrap();
    bench.settle();
    fs::remove_file(bench.at("back")).unwrap();
    bench.write("back", "a file");
    bench.settle();
    fs::set_permissions(bench.at("back"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bench.settle();
    fs::hard_link(bench.at("back"), bench.at("linked")).unwrap();
    bench.settle();
    assert_eq!(bench.notes, []);
}

#[test]
fn a_root_that_goes_or_moves_is_found_again() {
    let mut bench = Bench::new(&[("Dockerfile", "1"), ("a/b", "1")]);
    let is_lost = |seen: &Seen| matches!(seen, Seen::Lost { .. });
    fs::remove_dir_all(bench.folder.path().join("up")).unwrap();
    bench.until(is_lost);
    bench.write("Dockerfile", "2");
    bench.write("c/d", "1");
    bench.settle();
    bench.write("c/d", "2");
    bench.settle();
    // Something above it moves, and another takes its place.
    fs::rename(bench.folder.path().join("up"), bench.folder.path().join("down")).unwrap();
    bench.write("Dockerfile", "3");
    bench.settle();
    bench.write("e/f", "1");
    bench.settle();
    let (up, elsewhere) = (bench.folder.path().join("up"), bench.folder.path().join("elsewhere"));
    fs::rename(&up, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &up).unwrap();
    bench.settle();
    bench.write("e/f", "2");
    bench.settle();
    fs::remove_file(&up).unwrap();
    std::os::unix::fs::symlink(bench.folder.path().join("down"), &up).unwrap();
    bench.settle();
    bench.write("c/d", "3");
    bench.settle();
}

#[test]
fn what_is_ignored_is_not_watched_until_the_rules_change() {
    let rules = "node_modules\n!node_modules/mine\nlog\n";
    let files = [("Dockerfile", ""), (".dockerignore", rules), ("node_modules/x/y", ""), ("node_modules/mine/z", "")];
    let mut bench = Bench::new(&files);
    bench.settle();
    bench.write("node_modules/x/y", "2");
    bench.write("log/a", "2");
    bench.write("a", "2");
    let seen = bench.recv(DEADLINE);
    let hints = Hints::Paths(BTreeSet::from(["a".into()]));
    assert_eq!(seen, Some(Seen::Context { key: "api".to_owned(), hints: hints.clone() }), "the only one");
    bench.apply(&hints);
    bench.write("node_modules/mine/z", "2");
    bench.settle();
    fs::write(bench.at("rules.tmp"), "log\n").unwrap();
    fs::rename(bench.at("rules.tmp"), bench.at(".dockerignore")).unwrap();
    bench.settle();
    bench.write("node_modules/x/y", "3");
    bench.settle();
    assert!(bench.has("node_modules/x/y"));
    fs::remove_file(bench.at(".dockerignore")).unwrap();
    bench.settle();
    bench.write("log/b", "1");
    bench.settle();
    bench.write("Dockerfile.dockerignore", "*\n!a\n");
    bench.settle();
    assert!(!bench.has("log"));
}

#[test]
fn single_files_are_seen_through_their_folders() {
    let limits = Limits::default();
    let mut bench = Bench::with(&[("Dockerfile", "")], &["coracle.yaml", "k8s/app.yaml"], limits);
    let profile = bench.folder.path().join("coracle.yaml");
    fs::write(bench.folder.path().join("other"), "").unwrap();
    fs::write(bench.folder.path().join("draft"), "1").unwrap();
    fs::rename(bench.folder.path().join("draft"), &profile).unwrap();
    let expected = Seen::File(profile.clone());
    bench.until(|seen| *seen == expected);
    let manifest = bench.folder.path().join("k8s/app.yaml");
    write(&manifest, "1");
    let expected = Seen::File(manifest);
    bench.until(|seen| *seen == expected);
    bench.notes.clear();
    fs::remove_file(&profile).unwrap();
    bench.until(|seen| *seen == Seen::File(profile.clone()));
}

#[test]
fn rules_that_lie_outside_of_the_context_count() {
    let folder = TempDir::new().unwrap();
    let (root, dockerfile) = (folder.path().join("src"), folder.path().join("docker/Dockerfile"));
    for path in ["src/a/x", "src/b/x", "docker/Dockerfile"] {
        write(&folder.path().join(path), "");
    }
    let context = Watched { key: "api".to_owned(), root: root.clone(), dockerfile };
    let (mut watcher, mut receiver) = Watcher::open(std::slice::from_ref(&context), &[]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut next =
        || runtime.block_on(async { tokio::time::timeout(DEADLINE, receiver.recv()).await.unwrap().unwrap() });
    let all = Seen::Context { key: "api".to_owned(), hints: Hints::All };
    write(&folder.path().join("docker/Dockerfile.dockerignore"), "a\n");
    assert_eq!(next(), all);
    fs::write(root.join("a/x"), "1").unwrap();
    fs::write(root.join("b/x"), "1").unwrap();
    let hints = Hints::Paths(BTreeSet::from(["b/x".into()]));
    assert_eq!(next(), Seen::Context { key: "api".to_owned(), hints });
    // What stays is not told of, what is new is.
    let other = Watched { key: "web".to_owned(), root: root.join("b"), dockerfile: root.join("b/Dockerfile") };
    watcher.rewatch(&[context, other], &[]);
    assert_eq!(next(), Seen::Context { key: "web".to_owned(), hints: Hints::All });
    fs::write(root.join("b/x"), "2").unwrap();
    let keys = BTreeSet::from(
        [next(), next()].map(|seen| if let Seen::Context { key, .. } = seen { key } else { String::new() }),
    );
    assert_eq!(keys, BTreeSet::from(["api".to_owned(), "web".to_owned()]));
}

#[test]
fn without_watches_everything_is_polled_and_that_is_said_once() {
    let limits = Limits { watches: 3, every: Duration::from_millis(20), ..Limits::default() };
    let files = [("Dockerfile", ""), ("a/b", ""), ("c/d/e", ""), (".dockerignore", "log\n")];
    let mut bench = Bench::with(&files, &[], limits);
    bench.until(|seen| matches!(seen, Seen::Polling { why: Why::Watches, .. }));
    for round in 0..5 {
        bench.write("c/d/e", &round.to_string());
        bench.write(&format!("f/{round}"), "");
        bench.write("log/x", "");
        bench.settle();
        fs::rename(bench.at("a"), bench.at("g")).unwrap();
        bench.settle();
        fs::rename(bench.at("g"), bench.at("a")).unwrap();
        bench.settle();
    }
    bench.write(".dockerignore", "c\n");
    bench.settle();
    fs::remove_dir_all(&bench.root).unwrap();
    bench.until(|seen| matches!(seen, Seen::Lost { .. }));
    bench.write("Dockerfile", "2");
    bench.settle();
    bench.write("c/d/e", "2");
    bench.write("h/i/j/k", "2");
    bench.settle();
    assert_eq!(bench.notes.iter().filter(|note| matches!(note, Seen::Polling { .. })).count(), 1);
}

#[test]
fn the_warning_says_what_mends_it() {
    let text = |why: Why| why.warning(Path::new("/src"));
    assert!(text(Why::Watches).contains("`sudo sysctl fs.inotify.max_user_watches=524288`"));
    assert!(text(Why::Instances).contains("max_user_instances"));
    insta::assert_snapshot!(text(Why::FileSystem("NFS")), @"`/src` is looked at every second instead of watched: NFS does not tell of changes; a folder on a local disk is faster.");
}

#[test]
fn the_watcher_ends_when_it_is_dropped() {
    let Bench { watcher, mut receiver, runtime, folder, .. } = Bench::new(&[("Dockerfile", "")]);
    drop(watcher);
    assert_eq!(runtime.block_on(receiver.recv()), None);
    drop(folder);
}
