//! Any tree becomes any other.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// By path.
type Tree = BTreeMap<PathBuf, Thing>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    Folder,
    Link(PathBuf),
    File(Vec<u8>, u32),
}

/// Few names, so that trees differ in kinds; some that are not text.
fn tree() -> impl Strategy<Value = Tree> {
    use std::os::unix::ffi::OsStringExt;
    let names = [&b"a"[..], b"b", b"-c", b"\xff\n"].map(|name| std::ffi::OsString::from_vec(name.to_vec()));
    let name = proptest::sample::select(names.to_vec());
    let path = proptest::collection::vec(name, 1..4).prop_map(|parts| parts.iter().collect::<PathBuf>());
    let thing = prop_oneof![
        Just(Thing::Folder),
        proptest::sample::select(vec!["a", "/b", "../..", "nowhere"]).prop_map(|to| Thing::Link(to.into())),
        (proptest::collection::vec(any::<u8>(), 0..20), proptest::sample::select(vec![0o644, 0o755, 0o600]))
            .prop_map(|(content, mode)| Thing::File(content, mode)),
    ];
    proptest::collection::vec((path, thing), 0..12).prop_map(|entries| {
        let mut tree = Tree::new();
        for (path, thing) in entries {
            let above: Vec<_> = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
            let free = above.iter().all(|above| matches!(tree.get(*above), None | Some(Thing::Folder)));
            if free && !tree.contains_key(&path) {
                let above: Vec<_> = above.into_iter().map(Path::to_owned).collect();
                for above in above {
                    tree.insert(above, Thing::Folder);
                }
                tree.insert(path, thing);
            }
        }
        tree
    })
}

/// Returns what has to be done to `from`, in no order that would help.
fn changes(from: &Tree, to: &Tree) -> Vec<Change> {
    let target = |path: &Path| Path::new("/srv/app").join(path);
    let gone = from.keys().filter(|path| !to.contains_key(*path)).map(|path| Change::Remove(target(path)));
    let new = to.iter().filter(|(path, thing)| from.get(*path) != Some(thing)).map(|(path, thing)| match thing {
        Thing::Folder => Change::Folder(target(path), 0o755),
        Thing::Link(to) => Change::Link(target(path), to.clone()),
        Thing::File(content, mode) => Change::FileOf(target(path), content.clone(), *mode),
    });
    gone.chain(new).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_container_holds_what_it_was_sent(trees in proptest::collection::vec(tree(), 1..4), turn in any::<bool>()) {
        let container = Container::new();
        let mut before = Tree::new();
        for after in trees {
            let mut changes = changes(&before, &after);
            if turn {
                changes.reverse();
            }
            container.sync(&changes).map_err(|refusal| TestCaseError::fail(format!("{refusal:?}")))?;
            let fresh = Container::new();
            fresh.sync(&self::changes(&Tree::new(), &after)).unwrap();
            std::fs::create_dir_all(fresh.at("/srv/app")).unwrap();
            std::fs::create_dir_all(container.at("/srv/app")).unwrap();
            prop_assert_eq!(container.tree(), fresh.tree());
            let count = fresh.tree().len();
            prop_assert_eq!(count, after.len() + 2);
            before = after;
        }
    }
}
