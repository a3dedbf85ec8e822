use tempfile::TempDir;

use super::*;
use crate::dev::watch::Watched;

fn wanted(root: &Path) -> Wanted {
    let dockerfile = root.join("Dockerfile");
    Wanted::of_contexts(vec![Watched { key: "api".to_owned(), root: root.to_owned(), dockerfile }])
}

#[test]
fn a_queue_that_overflows_is_told_and_nothing_is_unwatched_afterwards() {
    let most = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    if most > 100_000 {
        return;
    }
    let folder = TempDir::new().unwrap();
    let wanted = wanted(folder.path());
    let mut native = Native::open(folder.path(), &wanted, Limits::default()).unwrap();
    let file = folder.path().join("a");
    for _ in 0..=most / 2 {
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
    }
    // Lost: the folder's making, and what is in it.
    fs::create_dir(folder.path().join("new")).unwrap();
    fs::write(folder.path().join("new/x"), "").unwrap();
    let mut lost = false;
    loop {
        let (changes, more) = native.drain(&wanted).unwrap();
        lost |= changes.contains(&Change::Lost);
        if !more {
            break;
        }
    }
    assert!(lost);
    fs::write(folder.path().join("new/y"), "").unwrap();
    let (changes, _) = native.drain(&wanted).unwrap();
    assert!(changes.contains(&Change::At("new/y".into(), Saw::Closed)), "{changes:?}");
}

#[test]
fn reading_is_no_event() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a"), "1").unwrap();
    let wanted = wanted(folder.path());
    let mut native = Native::open(folder.path(), &wanted, Limits::default()).unwrap();
    fs::read(folder.path().join("a")).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(native.drain(&wanted).unwrap(), (Vec::new(), false));
}

#[test]
fn folders_nobody_wants_are_not_watched() {
    let folder = TempDir::new().unwrap();
    for path in ["a/b", "ignored/c/d", "mine/no", "mine/yes"] {
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    fs::write(folder.path().join(".dockerignore"), "ignored\nmine\n!mine/yes\n").unwrap();
    let wanted = wanted(folder.path());
    let native = Native::open(folder.path(), &wanted, Limits::default()).unwrap();
    let paths: Vec<_> = native.paths.keys().map(|path| path.display().to_string()).collect();
    assert_eq!(paths, ["", "a", "a/b", "mine", "mine/yes"]);
}
