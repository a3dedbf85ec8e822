use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::fsutil::types::Stat;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use tempfile::TempDir;

use super::receiver::{CONTEXT, receive, request, say};
use super::*;
use crate::image::context::{Context, Entry, What};

fn is_file(stat: &Stat) -> bool {
    stat.mode >> 27 == 0
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("coräcle files ").unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn offered(folder: &TempDir) -> Arc<Files> {
    let context = context::read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap();
    Arc::new(Files::offer(&context, Vec::new()).unwrap())
}

#[tokio::test]
async fn everything_is_told_in_order_and_only_what_is_asked_for_is_sent() {
    let names = ["a/b", "a-b", "a b", "a.b", "ä/ö", "new\nline", "[x]*?", "a/sub/deep", "b\\c"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let folder = folder(&files);
    symlink("../out//side", folder.path().join("a/link")).unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let files = offered(&folder);
    let got = receive(&files, &[CONTEXT], |stat| stat.path == "ä/ö" || stat.path == "new\nline").await;
    let expected = [
        "[x]*?",
        "a",
        "a/b",
        "a/link",
        "a/sub",
        "a/sub/deep",
        "a b",
        "a-b",
        "a.b",
        "b\\c",
        "empty",
        "new\nline",
        "ä",
        "ä/ö",
    ];
    assert_eq!(got.paths(), expected);
    let content: Vec<(&str, &[u8])> = got.content.iter().map(|(path, text)| (path.as_str(), &text[..])).collect();
    assert_eq!(content, [("new\nline", &b"new\nline"[..]), ("ä/ö", "ä/ö".as_bytes())]);
    let link = &got.stats[3];
    assert_eq!((link.mode, link.linkname.as_str(), link.size), (1 << 27 | 0o777, "../out//side", 12));
    assert!(got.status.is_none() && files.error().is_none() && files.refusal().is_none());
    assert_eq!(files.sent().1, 2);
    assert!((300..500).contains(&files.sent().0), "{:?}", files.sent());
}

#[tokio::test]
async fn modes_are_gos() {
    let modes = [(0o644, 0o644), (0o4755, 1 << 23 | 0o755), (0o2711, 1 << 22 | 0o711), (0o1777, 1 << 20 | 0o777)];
    let folder = folder(&[("f0", ""), ("f1", ""), ("f2", ""), ("f3", "")]);
    for (index, (mode, _)) in modes.iter().enumerate() {
        let set = fs::Permissions::from_mode(*mode);
        fs::set_permissions(folder.path().join(format!("f{index}")), set.clone()).unwrap();
        fs::create_dir(folder.path().join(format!("d{index}"))).unwrap();
        fs::set_permissions(folder.path().join(format!("d{index}")), set).unwrap();
    }
    let got = receive(&offered(&folder), &[CONTEXT], |_| false).await;
    let expected: Vec<u32> = modes.iter().map(|(_, go)| 1 << 31 | go).chain(modes.iter().map(|(_, go)| *go)).collect();
    assert_eq!(got.stats.iter().map(|stat| stat.mode).collect::<Vec<_>>(), expected);
    assert!(got.stats.iter().all(|stat| stat.uid == 0 && stat.gid == 0));
}

#[tokio::test]
async fn other_content_is_another_time_and_the_same_content_the_same() {
    let folder = folder(&[("a", "one"), ("b", "two"), ("c", "one")]);
    let set = |name: &str, seconds: u64| {
        let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    };
    for name in ["a", "b", "c"] {
        set(name, 1_700_000_000);
    }
    let times = async || {
        let got = receive(&offered(&folder), &[CONTEXT], |_| false).await;
        got.stats.iter().map(|stat| stat.mod_time).collect::<Vec<_>>()
    };
    let before = times().await;
    assert!(before.iter().all(|time| time / 1_000_000_000 == 1_700_000_000), "{before:?}");
    assert_eq!(before[0], before[2]);
    assert_ne!(before[0], before[1]);
    fs::write(folder.path().join("a"), "eno").unwrap();
    set("a", 1_700_000_000);
    set("b", 5);
    let after = times().await;
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1] / 1_000_000_000, 1_000_000_000, "no time before what zip knows");
    assert_eq!(after[2], before[2]);
}

/// What happens to a file between reading and sending.
type Change = fn(&Path);

#[tokio::test]
async fn a_file_that_changed_ends_the_transfer_and_is_named() {
    let big = "x".repeat(300_000);
    let changes: [(&str, Change); 6] = [
        ("content", |path| fs::write(path, "y".repeat(300_000)).unwrap()),
        ("longer", |path| fs::write(path, "x".repeat(300_001)).unwrap()),
        ("shorter", |path| fs::write(path, "x").unwrap()),
        ("mode", |path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap()),
        ("gone", |path| fs::remove_file(path).unwrap()),
        ("a link", |path| {
            fs::remove_file(path).unwrap();
            symlink("/etc/passwd", path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let folder = folder(&[("a", "a"), ("b", &big), ("c", "c")]);
        let files = offered(&folder);
        change(&folder.path().join("b"));
        let got = receive(&files, &[CONTEXT], is_file).await;
        assert!(!got.content.contains_key("b"), "{what}");
        assert!(got.error.as_deref().is_some_and(|error| error.contains("changed while")), "{what}: {:?}", got.error);
        assert_eq!(got.status.unwrap().code(), tonic::Code::Aborted, "{what}");
        let error = files.error().unwrap();
        assert!(matches!(&error, context::Error::Changed { path } if path.ends_with("b")), "{what}: {error:?}");
        assert!(files.refusal().is_none(), "sending it whole would not help");
    }
}

#[tokio::test]
async fn what_changed_but_is_not_asked_for_is_told_as_it_was_recorded() {
    let folder = folder(&[("a", "a"), ("b", "b")]);
    let files = offered(&folder);
    fs::remove_file(folder.path().join("b")).unwrap();
    let got = receive(&files, &[CONTEXT], |stat| stat.path == "a").await;
    assert_eq!(got.paths(), ["a", "b"]);
    assert!(got.status.is_none() && files.error().is_none());
}

#[tokio::test]
async fn large_and_empty_files_arrive_whole() {
    let folder = folder(&[("empty", "")]);
    let large: Vec<u8> = (0..3_000_001_u32).flat_map(|number| number.to_le_bytes()[..1].to_vec()).collect();
    fs::write(folder.path().join("large"), &large).unwrap();
    let got = receive(&offered(&folder), &[CONTEXT], is_file).await;
    assert!(got.content["large"] == large && got.content["empty"].is_empty());
}

#[tokio::test]
async fn an_empty_context_is_told_as_empty() {
    let got = receive(&offered(&folder(&[])), &[CONTEXT], |_| true).await;
    assert!(got.stats.is_empty() && got.status.is_none(), "{got:?}");
}

#[tokio::test]
async fn twenty_thousand_entries_are_told_with_their_folders_first() {
    let folder = folder(&[]);
    let mut entries = Vec::new();
    for outer in 0..100 {
        let path = PathBuf::from(format!("{outer:03}"));
        entries.push(Entry { path: path.clone(), mode: 0o755, what: What::Folder });
        entries.extend((0..199).map(|inner| Entry {
            path: path.join(format!("{inner:03}")),
            mode: 0o777,
            what: What::Link("x".into()),
        }));
    }
    let context = Context { root: folder.path().to_owned(), entries, size: 0 };
    let got = receive(&Arc::new(Files::offer(&context, Vec::new()).unwrap()), &[CONTEXT], |_| false).await;
    assert_eq!(got.stats.len(), 20_000);
    let mut seen = BTreeSet::from([""]);
    for pair in got.paths().windows(2) {
        assert!(Path::new(pair[0]) < Path::new(pair[1]), "{pair:?}");
    }
    for path in got.paths() {
        assert!(seen.contains(path.rsplit_once('/').map_or("", |(parent, _)| parent)), "{path}");
        seen.insert(path);
    }
}

#[test]
fn a_folder_with_another_mode_begins_a_new_tree() {
    let folder = folder(&[("a/x", ""), ("b/x", ""), ("c/x", "")]);
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(folder.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
        offered(&folder).identity()
    };
    let before = ["a", "b", "c"].map(|path| mode(path, 0o755))[2].clone();
    let private = mode("a", 0o700);
    assert_ne!(private, before);
    assert_ne!(mode("a", 0o711), private);
    assert_eq!(mode("a", 0o755), before);
    fs::create_dir(folder.path().join("d")).unwrap();
    assert_eq!(mode("d", 0o755), before, "a folder like the others is only added");
    fs::write(folder.path().join("a/x"), "more").unwrap();
    assert_eq!(offered(&folder).identity(), before);
}

#[test]
fn a_name_that_is_not_utf8_is_not_offered() {
    let folder = folder(&[]);
    let odd = OsStr::from_bytes(b"\xff");
    let name = Entry { path: odd.into(), mode: 0o755, what: What::Folder };
    let target = Entry { path: "link".into(), mode: 0o777, what: What::Link(odd.into()) };
    for entry in [name, target] {
        let context = Context { root: folder.path().to_owned(), entries: vec![entry], size: 0 };
        assert!(Files::offer(&context, Vec::new()).is_none());
    }
}

#[tokio::test]
async fn extra_files_are_only_the_dockerfiles() {
    let folder = folder(&[("b", "theirs"), ("z", "")]);
    let context = context::read(folder.path(), &folder.path().join("Dockerfile"), None).unwrap();
    let extra = vec![("b".to_owned(), b"ours".to_vec()), ("a".to_owned(), Vec::new())];
    let files = Arc::new(Files::offer(&context, extra).unwrap());
    let got = receive(&files, &[("dir-name", "dockerfile")], is_file).await;
    assert_eq!(got.paths(), ["a", "b", "z"]);
    assert_eq!(got.content["b"], b"ours");
    let got = receive(&files, &[CONTEXT], is_file).await;
    assert_eq!(got.content.keys().collect::<Vec<_>>(), ["b", "z"]);
    assert_eq!(got.content["b"], b"theirs");
}

#[tokio::test]
async fn metadata_chooses_what_is_told() {
    let folder = folder(&[("a/x.py", ""), ("a/y.txt", ""), ("ä b", ""), ("c", "")]);
    let files = offered(&folder);
    for (metadata, expected) in [
        (&[("include-patterns", "a/*.py")][..], &["a", "a/x.py"][..]),
        (&[("exclude-patterns", "a"), ("exclude-patterns", "!a/y.txt")], &["a", "a/y.txt", "c", "ä b"]),
        (&[("followpaths", "c"), ("followpaths", "a/y.txt")], &["a", "a/y.txt", "c"]),
        (&[("followpaths", "%C3%A4+b"), ("followpaths-encoded", "1")], &["ä b"]),
        (&[("followpaths", "none")], &[]),
    ] {
        let metadata: Vec<(&'static str, &str)> = [CONTEXT].into_iter().chain(metadata.iter().copied()).collect();
        let got = receive(&files, &metadata, |_| false).await;
        assert_eq!(got.paths(), expected, "{metadata:?}");
    }
    let refused = receive(&files, &[("dir-name", "/etc")], |_| false).await;
    assert_eq!(refused.status.unwrap().code(), tonic::Code::NotFound);
    let malformed = receive(&files, &[CONTEXT, ("include-patterns", "[")], |_| false).await;
    assert_eq!(malformed.status.unwrap().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let folder = folder(&[("a", "a"), ("b/c", "c")]);
    for ids in [&[9][..], &[1], &[0, 0]] {
        let packets = ids.iter().map(|id| request(PacketType::PacketReq, *id)).collect();
        let status = say(&offered(&folder), packets).await.unwrap();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{ids:?}");
    }
}

#[tokio::test]
async fn only_an_engine_that_does_not_take_the_files_refuses() {
    let folder = folder(&[("a", "a")]);
    let files = offered(&folder);
    assert_eq!(files.refusal().as_deref(), Some("it never asked for a file"));
    for (words, refuses) in
        [("changes out of order", true), ("context canceled", false), ("no space left on device", false)]
    {
        let files = offered(&folder);
        let packet = Packet { data: words.as_bytes().to_vec(), ..request(PacketType::PacketErr, 0) };
        assert!(say(&files, vec![packet]).await.unwrap().message().contains(words));
        assert_eq!(files.refusal().is_some(), refuses, "{words}");
    }
}
