use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("coräcle context ").unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn paths(folder: &TempDir, dockerfile: &str) -> String {
    let context = read(folder.path(), &folder.path().join(dockerfile), None).unwrap();
    let paths: Vec<String> = context.entries.iter().map(|entry| entry.path.display().to_string()).collect();
    paths.join(" ")
}

fn unpack(tar: &[u8]) -> Vec<(String, u32, String)> {
    let mut archive = ::tar::Archive::new(tar);
    let read = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            content = format!("-> {}", target.display());
        }
        (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), content)
    });
    read.collect()
}

#[test]
fn entries_are_sorted_by_component_and_folders_come_first() {
    let folder = folder(&[("a/b", ""), ("a.txt", ""), ("a-b/c", ""), ("Dockerfile", "")]);
    assert_eq!(paths(&folder, "Dockerfile"), "Dockerfile a a/b a-b a-b/c a.txt");
}

#[test]
fn ignored_parents_are_there_only_for_what_comes_back() {
    let files = [("x/keep/deep", ""), ("x/y/z", ""), ("w/v", ""), ("Dockerfile", ""), ("m", "")];
    let folder = folder(&files);
    fs::write(folder.path().join(".dockerignore"), "*\n!x/keep\n!m\n").unwrap();
    assert_eq!(paths(&folder, "Dockerfile"), ".dockerignore Dockerfile m x x/keep x/keep/deep");
    fs::write(folder.path().join(".dockerignore"), "*\n!**/v\n").unwrap();
    assert_eq!(paths(&folder, "x/y/z"), ".dockerignore w w/v x x/y x/y/z");
}

#[test]
fn the_dockerfiles_own_ignore_file_wins() {
    let files = [("a", ""), ("b", ""), (".dockerignore", "a"), ("prod.Dockerfile", ""), ("other", "")];
    let folder = folder(&files);
    fs::write(folder.path().join("prod.Dockerfile.dockerignore"), "*\n!a\n").unwrap();
    assert_eq!(paths(&folder, "prod.Dockerfile"), "a prod.Dockerfile prod.Dockerfile.dockerignore");
    assert_eq!(paths(&folder, "other"), ".dockerignore b other prod.Dockerfile prod.Dockerfile.dockerignore");
}

#[test]
fn special_files_are_left_out_and_links_stay_links() {
    let folder = folder(&[("file", "x"), ("Dockerfile", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    symlink("/etc", folder.path().join("link")).unwrap();
    symlink(".", folder.path().join("loop")).unwrap();
    assert_eq!(paths(&folder, "Dockerfile"), "Dockerfile file link loop");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = folder(&[("Dockerfile", "")]);
    let missing = read(&folder.path().join("none"), &folder.path().join("Dockerfile"), None).unwrap_err();
    assert!(matches!(&missing, Error::Root { path, .. } if path.ends_with("none")));
    let a_file = read(&folder.path().join("Dockerfile"), &folder.path().join("Dockerfile"), None).unwrap_err();
    assert!(matches!(a_file, Error::Root { .. }));
    fs::create_dir(folder.path().join(".dockerignore")).unwrap();
    let unreadable = read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap_err();
    assert!(matches!(&unreadable, Error::Unreadable { path, .. } if path.ends_with(".dockerignore")));
    assert_eq!(unreadable.kind().exit_code(), 2);
    fs::remove_dir(folder.path().join(".dockerignore")).unwrap();
    fs::write(folder.path().join(".dockerignore"), "a\n[b\n").unwrap();
    let malformed = read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap_err().to_string();
    assert!(malformed.starts_with("`[b` on line 2 of"), "{malformed}");
}

#[test]
fn the_tar_is_what_was_recorded() {
    let long = format!("{0}/{0}/file", "d".repeat(90));
    let folder = folder(&[("a/run.sh", "#!/bin/sh"), (&long, "long"), ("Dockerfile", "FROM x")]);
    fs::set_permissions(folder.path().join("a/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("./run.sh", folder.path().join("a/link")).unwrap();
    let context = read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap();
    let mut tar = Vec::new();
    context.write_tar(&[(".coracle-dockerfile".to_owned(), b"FROM y".to_vec())], &mut tar).unwrap();
    let entries = unpack(&tar);
    assert_eq!(entries[0], (".coracle-dockerfile".to_owned(), 0o644, "FROM y".to_owned()));
    assert!(entries.contains(&("a/run.sh".to_owned(), 0o755, "#!/bin/sh".to_owned())));
    assert!(entries.contains(&("a/link".to_owned(), 0o777, "-> ./run.sh".to_owned())));
    assert!(entries.iter().any(|(path, _, content)| *path == long && content == "long"));
}

#[test]
fn a_file_keeps_its_time_but_none_before_1980() {
    let folder = folder(&[("new", "n"), ("old", "o"), ("Dockerfile", "FROM x")]);
    for (name, seconds) in [("new", 1_700_000_000), ("old", 0)] {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(folder.path().join(name)).unwrap().set_modified(time).unwrap();
    }
    let context = read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap();
    let mut tar = Vec::new();
    context.write_tar(&[], &mut tar).unwrap();
    let mut archive = ::tar::Archive::new(tar.as_slice());
    let times: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.size() == 1)
        .map(|entry| entry.header().mtime().unwrap())
        .collect();
    assert_eq!(times, [1_700_000_000, 1_000_000_000]);
}

#[test]
fn a_change_after_the_read_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("same size", |path| fs::write(path, "two").unwrap()),
        ("shorter", |path| fs::write(path, "1").unwrap()),
        ("longer", |path| fs::write(path, "one more").unwrap()),
        ("mode", |path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap()),
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("a link now", |path| {
            fs::rename(path, path.with_extension("old")).unwrap();
            symlink(path.with_extension("old"), path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let folder = folder(&[("file", "one"), ("Dockerfile", "")]);
        let context = read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap();
        change(&folder.path().join("file"));
        let error = context.write_tar(&[], &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, Error::Changed { path } if path.ends_with("file")), "{what}: {error}");
    }
}

#[test]
fn many_files_are_hashed_like_few() {
    let names: Vec<(String, String)> = (0..200).map(|n| (format!("f{n:03}"), format!("content {n}"))).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let many = folder(&files);
    let context = read(many.path(), &many.path().join("f000"), None).unwrap();
    let few = folder(&files[150..151]);
    let one = read(few.path(), &few.path().join("f150"), None).unwrap();
    assert_eq!(context.entries[150], one.entries[0]);
    assert_eq!(context.size, names.iter().map(|(_, content)| content.len() as u64).sum::<u64>());
}

#[test]
fn a_large_context_names_its_largest_parts() {
    let file = |path: &str, megabytes: u64| Entry {
        path: path.into(),
        mode: 0o644,
        what: What::File { digest: [0; 32], size: megabytes * 1_000_000, modified: 0 },
    };
    let context =
        |entries: Vec<Entry>, megabytes: u64| Context { root: "/p".into(), entries, size: megabytes * 1_000_000 };
    let entries =
        vec![file(".git/x", 30), file("data/a", 100), file("data/b", 60), file("logs/a", 40), file("n/a", 50)];
    assert_eq!(
        context(entries, 280).large().unwrap(),
        "The build context `/p` is 280 MB, most of it in `data` (160 MB), `n` (50 MB), `logs` (40 MB), `.git` (30 MB): \
         name what the image does not need in `.dockerignore`."
    );
    assert_eq!(
        context(vec![file(".git/x", 30)], 30).large().unwrap(),
        "The build context `/p` includes `.git` (30 MB): name it in `.dockerignore`."
    );
    assert_eq!(context(vec![file("data/a", 200)], 200).large(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn every_tree_survives_its_tar(names in proptest::collection::btree_set("[ab]{1,2}(/[cdü ]{1,2}){0,2}", 1..8)) {
        let folder = TempDir::new().unwrap();
        for name in &names {
            let path = folder.path().join(name);
            if fs::create_dir_all(path.parent().unwrap()).is_ok() {
                drop(fs::write(path, name));
            }
        }
        let context = read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap();
        let mut tar = Vec::new();
        context.write_tar(&[], &mut tar).unwrap();
        let sent: Vec<String> = unpack(&tar).into_iter().map(|(path, _, _)| path.trim_end_matches('/').to_owned()).collect();
        let recorded: Vec<String> = context.entries.iter().map(|entry| entry.path.display().to_string()).collect();
        prop_assert_eq!(&sent, &recorded);
        prop_assert!(context.entries.is_sorted_by(|a, b| a.path < b.path));
    }
}
