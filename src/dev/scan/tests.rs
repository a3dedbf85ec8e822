use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::dev::tree::{Tree, of_context};

/// A folder, its scanner, and the tree that is kept from what the scanner says.
struct Bench {
    folder: TempDir,
    scanner: Scanner,
    tree: Tree,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("coräcle scan ").unwrap();
        let scanner = Scanner::new(folder.path(), &folder.path().join("Dockerfile"), None);
        let bench = Self { folder, scanner, tree: Tree::new() };
        for (path, content) in files {
            bench.write(path, content);
        }
        bench
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    fn scan(&mut self, hints: &Hints) -> Scanned {
        let scanned = self.scanner.scan(hints).unwrap();
        apply(&mut self.tree, &scanned);
        scanned
    }

    fn expected(&self) -> Tree {
        of_context(&context::read(self.folder.path(), &self.at("Dockerfile"), None).unwrap())
    }

    fn assert_equal(&self) {
        assert_eq!(names(&self.tree), names(&self.expected()));
        assert_eq!(self.tree, self.expected());
    }
}

pub(in crate::dev) fn apply(tree: &mut Tree, scanned: &Scanned) {
    for Found { root, entries } in &scanned.found {
        tree.retain(|path, _| !path.starts_with(root) || scanned.torn.contains(path));
        tree.extend(entries.iter().map(|(path, node)| (path.clone(), node.clone())));
    }
}

fn names<T>(tree: &BTreeMap<PathBuf, T>) -> String {
    tree.keys().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

fn paths(paths: &[&str]) -> Hints {
    Hints::Paths(paths.iter().map(PathBuf::from).collect())
}

#[test]
fn a_hint_is_answered_with_what_is_there_and_not_ignored() {
    let mut bench =
        Bench::new(&[("a/b/c", "1"), ("a/d", "2"), ("e", "3"), (".dockerignore", "a/d\n"), ("Dockerfile", "")]);
    let roots = |scanned: &Scanned| {
        let found = scanned.found.iter().map(|found| format!("{}: {}", found.root.display(), names(&found.entries)));
        found.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(roots(&bench.scan(&Hints::All)), ": .dockerignore Dockerfile a a/b a/b/c e");
    assert_eq!(
        roots(&bench.scan(&paths(&["a/b", "a/b/c", "a/d", "e/f", "none/at/all", ""]))),
        ": .dockerignore Dockerfile a a/b a/b/c e"
    );
    let scanned = bench.scan(&paths(&["a/b", "a/b/c", "a/d", "e/f", "none/at/all"]));
    assert_eq!(roots(&scanned), "a/b: a/b a/b/c; a/d: ; e/f: ; none/at/all: ");
    fs::rename(bench.at("a"), bench.at("z")).unwrap();
    symlink("z", bench.at("a")).unwrap();
    assert_eq!(roots(&bench.scan(&paths(&["a/b/c"]))), "a/b/c: ");
}

#[test]
fn ignored_folders_come_and_go_with_what_is_in_them() {
    let mut bench = Bench::new(&[("x/other", ""), ("Dockerfile", ""), (".dockerignore", "x\n!x/y/keep*\n")]);
    bench.scan(&Hints::All);
    bench.assert_equal();
    for (step, hint) in [("x/y/keep", "x/y/keep"), ("x/y/keep2", "x/y/keep2")] {
        bench.write(step, "1");
        bench.scan(&paths(&[hint]));
        bench.assert_equal();
    }
    let scanned = bench.scan(&paths(&["x/y/keep"]));
    assert_eq!(scanned.found[0].root, Path::new("x/y/keep"), "nothing above it has to be looked at");
    for gone in ["x/y/keep", "x/y/keep2"] {
        fs::remove_file(bench.at(gone)).unwrap();
        bench.scan(&paths(&[gone]));
        bench.assert_equal();
    }
    assert!(!bench.tree.contains_key(Path::new("x")));
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let mut bench = Bench::new(&[("a", "1"), ("Dockerfile", "")]);
    bench.scan(&Hints::All);
    let path = Path::new("a");
    // As if the file had been at rest when it was read: the digest is taken from memory.
    let known = bench.scanner.known.get_mut(path).unwrap();
    (known.settled, known.digest) = (true, [7; 32]);
    let digest = |bench: &Bench| match &bench.tree[path].thing {
        Thing::File { digest, .. } => *digest,
        other => panic!("{other:?}"),
    };
    bench.scan(&paths(&["a"]));
    assert_eq!(digest(&bench), [7; 32]);
    bench.scanner.known.get_mut(path).unwrap().settled = false;
    bench.scan(&paths(&["a"]));
    assert_ne!(digest(&bench), [7; 32], "a stamp that is too young says nothing");
}

#[test]
fn what_earlier_commands_read_is_not_read_again() {
    let bench = Bench::new(&[("a", "1"), ("Dockerfile", "")]);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    assert!(fs::File::open(bench.at("a")).unwrap().set_modified(old).is_ok());
    let cache = TempDir::new().unwrap();
    let dockerfile = bench.at("Dockerfile");
    context::read(bench.folder.path(), &dockerfile, Some(cache.path())).unwrap();
    let scanner = Scanner::new(bench.folder.path(), &dockerfile, Some(cache.path()));
    // Times of change cannot be set, so what is seconds old only is not kept.
    assert!(scanner.known.len() <= 2);
}

#[test]
fn special_files_are_left_out_and_what_cannot_be_read_is_told_once() {
    let mut bench = Bench::new(&[("a/b", "1"), ("Dockerfile", ""), (".a.swp", ""), ("a~", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(bench.at("socket")).unwrap();
    symlink("/etc", bench.at("link")).unwrap();
    bench.scan(&Hints::All);
    bench.assert_equal();
    assert_eq!(names(&bench.tree), "Dockerfile a a/b link");
    if rustix::process::geteuid().is_root() {
        return;
    }
    fs::set_permissions(bench.at("a/b"), fs::Permissions::from_mode(0o0)).unwrap();
    assert_eq!(bench.scan(&paths(&["a/b"])).unreadable.len(), 1);
    assert_eq!(bench.scan(&paths(&["a/b"])).unreadable.len(), 0);
}

#[test]
fn a_folder_that_is_gone_or_rules_that_are_malformed_say_nothing() {
    let mut bench = Bench::new(&[("Dockerfile", ""), (".dockerignore", "[")]);
    assert!(matches!(bench.scanner.scan(&Hints::All), Err(Error::Ignore { .. })));
    bench.write(".dockerignore", "e\n");
    bench.scan(&paths(&[".dockerignore"]));
    bench.assert_equal();
    fs::remove_dir_all(bench.folder.path()).unwrap();
    assert!(matches!(bench.scanner.scan(&paths(&["e"])), Err(Error::Root { .. })));
}

#[test]
fn files_that_change_while_they_are_read_are_torn_and_never_wrong() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let mut bench = Bench::new(&[("Dockerfile", "")]);
    let (path, stop) = (bench.at("a"), AtomicBool::new(false));
    bench.scan(&Hints::All);
    fs::write(&path, "1").unwrap();
    let digest_of = |size: u64| -> [u8; 32] {
        <sha2::Sha256 as sha2::Digest>::digest(vec![1; usize::try_from(size).unwrap()]).into()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for length in (1..64).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                // All ones, whatever the moment; only the size tells the moments apart.
                fs::write(&path, vec![1; length << 15]).unwrap();
            }
        });
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let mut torn = 0;
        while torn < 3 && std::time::Instant::now() < deadline {
            let scanned = bench.scanner.scan(&paths(&["a"])).unwrap();
            torn += scanned.torn.len();
            for node in scanned.found.iter().flat_map(|found| found.entries.values()) {
                let Thing::File { digest, size } = node.thing else { panic!("a file") };
                // The very first content is the letter.
                assert!(digest == digest_of(size) || size == 1);
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(torn >= 3);
    });
    bench.scan(&paths(&["a"]));
    bench.assert_equal();
}

#[derive(Debug, Clone)]
enum Do {
    Write(String, u8),
    Folder(String),
    Remove(String),
    Rename(String, String),
    Link(String, String),
    Mode(String, u32),
    Ignore(Vec<String>),
}

fn a_path() -> impl Strategy<Value = String> {
    "[abx](/[abx]){0,3}"
}

fn operations() -> impl Strategy<Value = Vec<Do>> {
    let pattern = "!?(\\*\\*/)?[abx*](/[abx*]){0,2}";
    let one = prop_oneof![
        5 => (a_path(), any::<u8>()).prop_map(|(path, byte)| Do::Write(path, byte)),
        2 => a_path().prop_map(Do::Folder),
        3 => a_path().prop_map(Do::Remove),
        3 => (a_path(), a_path()).prop_map(|(from, to)| Do::Rename(from, to)),
        1 => (a_path(), a_path()).prop_map(|(path, to)| Do::Link(path, to)),
        1 => (a_path(), prop_oneof![Just(0o755), Just(0o700)]).prop_map(|(path, mode)| Do::Mode(path, mode)),
        1 => proptest::collection::vec(pattern, 0..4).prop_map(Do::Ignore),
    ];
    proptest::collection::vec(one, 1..12)
}

/// Does it, and names what it touched; what is impossible is left.
fn perform(bench: &Bench, what: &Do, touched: &mut BTreeSet<PathBuf>) {
    match what {
        Do::Write(path, byte) => {
            if fs::write(bench.at(path), [*byte]).is_ok() && !bench.at(path).is_symlink() {
                touched.insert(path.into());
            }
        }
        Do::Folder(path) => {
            let _ = fs::create_dir_all(bench.at(path));
            touched.extend(Path::new(path).ancestors().filter(|path| path.file_name().is_some()).map(Path::to_owned));
        }
        Do::Remove(path) => {
            let _ = fs::remove_file(bench.at(path)).or_else(|_| fs::remove_dir_all(bench.at(path)));
            touched.insert(path.into());
        }
        Do::Rename(from, to) => {
            let _ = fs::rename(bench.at(from), bench.at(to));
            touched.extend([from.into(), to.into()]);
        }
        Do::Link(path, to) => {
            let _ = symlink(to, bench.at(path));
            touched.insert(path.into());
        }
        Do::Mode(path, mode) => {
            if !bench.at(path).is_symlink() {
                let _ = fs::set_permissions(bench.at(path), fs::Permissions::from_mode(*mode));
            }
            touched.insert(path.into());
        }
        Do::Ignore(patterns) => {
            bench.write(".dockerignore", &patterns.join("\n"));
            touched.insert(".dockerignore".into());
        }
    }
}

/// A link in the way would let an operation touch what nobody names.
fn is_plain(bench: &Bench, what: &Do) -> bool {
    let plain = |path: &String| {
        let above = Path::new(path).ancestors();
        above.filter(|path| path.file_name().is_some()).all(|path| !bench.folder.path().join(path).is_symlink())
    };
    match what {
        Do::Write(path, _) | Do::Folder(path) | Do::Remove(path) | Do::Mode(path, _) | Do::Link(path, _) => {
            plain(path)
                || matches!(what, Do::Remove(_))
                    && Path::new(path).parent().is_none_or(|parent| plain(&parent.display().to_string()))
        }
        Do::Rename(from, to) => plain(from) && plain(to),
        Do::Ignore(_) => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_union_of_all_answers_is_what_a_build_reads(
        rounds in proptest::collection::vec(operations(), 1..4),
        ignore in proptest::collection::vec("!?(\\*\\*/)?[abx*](/[abx*]){0,2}", 0..4),
    ) {
        let mut bench = Bench::new(&[("Dockerfile", ""), ("a/b/x", "1"), ("x/a", "2"), ("b/b/b", "3")]);
        bench.write(".dockerignore", &ignore.join("\n"));
        bench.scan(&Hints::All);
        for round in rounds {
            let mut touched = BTreeSet::new();
            for what in round {
                if is_plain(&bench, &what) {
                    perform(&bench, &what, &mut touched);
                }
            }
            bench.scan(&Hints::Paths(touched));
            prop_assert_eq!(&bench.tree, &bench.expected());
            // Its own memory does not lead it astray either.
            let all = bench.scanner.scan(&Hints::All).unwrap();
            prop_assert_eq!(&all.found[0].entries, &bench.tree);
        }
    }
}
