//! Batches, one at a time.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

fn folder(path: &str) -> Change {
    Change::Folder(path.into(), 0o755)
}

fn remove(path: &str) -> Change {
    Change::Remove(path.into())
}

fn link(path: &str, to: &str) -> Change {
    Change::Link(path.into(), to.into())
}

#[test]
fn files_folders_and_links_arrive_with_their_modes() {
    let container = Container::new();
    let changes = [
        Change::FileOf("/app/run.sh".into(), b"#!".to_vec(), 0o755),
        Change::File("/app/deep/er/a.py", "print()"),
        Change::File("/app/empty", ""),
        Change::Folder("/app/secret".into(), 0o700),
        link("/app/latest", "deep/er"),
    ];
    container.sync(&changes).unwrap();
    let expected = [
        "/app/ 755",
        "/app/deep/ 755",
        "/app/deep/er/ 755",
        "/app/deep/er/a.py 644 print()",
        "/app/empty 644 ",
        "/app/latest -> deep/er",
        "/app/run.sh 755 #!",
        "/app/secret/ 700",
    ];
    assert_eq!(container.tree(), expected);
    let digest = Sha256::digest("print()").into();
    let thing = Thing::File { digest, size: 7 };
    assert_eq!(container.look("/app/deep/er/a.py"), Some(Node { mode: 0o644, thing }));
    assert_eq!(container.look("/app/latest"), Some(Node { mode: 0o777, thing: Thing::Link("deep/er".into()) }));
    assert_eq!(container.look("/app/secret"), Some(Node { mode: 0o700, thing: Thing::Folder }));
    assert_eq!(container.look("/app/empty/nothing"), None);
    assert_eq!(container.look("/nothing"), None);
}

#[test]
fn whatever_is_there_gives_way() {
    let container = Container::new();
    let before = [
        Change::File("/a/file", "1"),
        Change::File("/a/folder/x/y", "2"),
        link("/a/link", "/a/folder"),
        Change::File("/other/kept", "3"),
        link("/a/away", "/other"),
    ];
    container.sync(&before).unwrap();
    let swapped = [
        folder("/a/file"),
        Change::File("/a/file/inner", "4"),
        remove("/a/folder/x/y"),
        remove("/a/folder/x"),
        Change::File("/a/folder", "5"),
        folder("/a/link"),
        Change::File("/a/link/f", "6"),
        // What is removed below a link that becomes a folder is not what the link leads to.
        folder("/a/away"),
        remove("/a/away/kept"),
    ];
    container.sync(&swapped).unwrap();
    let expected = [
        "/a/ 755",
        "/a/away/ 755",
        "/a/file/ 755",
        "/a/file/inner 644 4",
        "/a/folder 644 5",
        "/a/link/ 755",
        "/a/link/f 644 6",
        "/other/ 755",
        "/other/kept 644 3",
    ];
    assert_eq!(container.tree(), expected);
    container.sync(&[link("/a/file/inner", "gone"), remove("/a/nothing/at/all"), remove("/a/link/f")]).unwrap();
    assert_eq!(std::fs::read_link(container.at("/a/file/inner")).unwrap(), Path::new("gone"));
}

#[test]
fn a_folder_that_would_lose_something_stays_and_so_does_all_else() {
    let container = Container::new();
    container.sync(&[Change::File("/app/data/mine", "1"), Change::File("/app/data/theirs", "2")]).unwrap();
    let before = container.tree();
    let swap = [Change::File("/app/new", "3"), remove("/app/data/mine"), Change::File("/app/data", "4")];
    let refusal = container.sync(&swap).unwrap_err();
    assert_eq!((refusal.kind, refusal.path.as_path()), (Kind::NotEmpty, Path::new("/app/data")));
    assert_eq!(refusal.words, "it is not empty: it has `theirs`");
    let refusal = container.sync(&[remove("/app/data"), Change::File("/app/new", "3")]).unwrap_err();
    assert_eq!((refusal.kind, refusal.partly), (Kind::NotEmpty, false));
    assert_eq!(container.tree(), before);
}

#[test]
fn content_that_is_not_what_was_announced_changes_nothing() {
    let container = Container::new();
    container.sync(&[Change::File("/a", "old"), Change::File("/b", "old")]).unwrap();
    let before = container.tree();
    let mut session = encode(1, &Request::Sync { container: ID.to_owned(), ops: 2 });
    let ops = [Change::File("/a", "new"), Change::File("/b", "new")].iter().map(Change::op).collect();
    session.extend(encode(1, &Request::Ops(ops)));
    session.extend(encode(1, &Request::Data(b"newNEW".to_vec())));
    // What was on its way meanwhile belongs to nothing, and does no harm.
    session.extend(encode(1, &Request::Data(b"more".to_vec())));
    session.extend(encode(1, &Request::Withdraw));
    let answers = container.serve(&session);
    let [(1, Answer::Refused(refusal))] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((refusal.kind, refusal.path.as_path(), refusal.partly), (Kind::Torn, Path::new("/b"), false));
    assert_eq!(container.tree(), before);
}

#[test]
fn a_batch_that_is_withdrawn_changes_nothing() {
    let container = Container::new();
    let mut session = encode(1, &Request::Sync { container: ID.to_owned(), ops: 1 });
    session.extend(encode(1, &Request::Ops(vec![Change::File("/a", "whole").op()])));
    session.extend(encode(1, &Request::Data(b"who".to_vec())));
    session.extend(encode(1, &Request::Withdraw));
    assert_eq!(container.serve(&session), [(1, Answer::Done)]);
    assert_eq!(container.tree(), Vec::<String>::new());
}

#[test]
fn what_is_no_path_in_the_container_is_refused() {
    let container = Container::new();
    for target in ["relative", "/", "/../x", "/a/../../x", ""] {
        let refusal = container.sync(&[Change::FileOf(target.into(), vec![], 0o644)]).unwrap_err();
        assert_eq!(refusal.kind, Kind::Outside, "{target}");
    }
    let twice = [Change::File("/a", "1"), Change::File("/a", "2")];
    assert_eq!(container.sync(&twice).unwrap_err().words, "the batch puts it twice");
    let below = [Change::File("/a", "1"), Change::File("/a/b", "2")];
    assert_eq!(container.sync(&below).unwrap_err().words, "the batch puts a file or link above it");
    std::fs::write(container.at("/file"), "").unwrap();
    let refusal = container.sync(&[Change::File("/file/below", "1")]).unwrap_err();
    assert_eq!((refusal.path.as_path(), refusal.words.as_str()), (Path::new("/file"), "it is not a folder"));
}

#[test]
fn links_of_the_image_lead_nowhere_but_into_the_container() {
    let container = Container::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), container.at("/absolute")).unwrap();
    symlink("../../../../../../../../tmp", container.at("/upwards")).unwrap();
    // An absolute link is the container's own: it leads to nothing here, then to this folder.
    let refusal = container.sync(&[Change::File("/absolute/x", "1")]).unwrap_err();
    assert_eq!(refusal.kind, Kind::Other);
    std::fs::create_dir_all(container.at(outside.path().to_str().unwrap())).unwrap();
    container.sync(&[Change::File("/absolute/x", "1"), Change::File("/upwards/y", "2")]).unwrap();
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(std::fs::read(container.at(outside.path().join("x").to_str().unwrap())).unwrap(), b"1");
    assert_eq!(std::fs::read(container.at("/tmp/y")).unwrap(), b"2");
    // A magic link leads where no path does.
    symlink("/proc/self/root/tmp", container.at("/magic")).unwrap();
    assert!(container.sync(&[Change::File("/magic/z", "3")]).is_err());
    assert_eq!(container.look("/magic/z"), None);
}

#[test]
fn a_folder_that_turns_into_a_link_meanwhile_never_leads_out() {
    let container = Container::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir(container.at("/swap")).unwrap();
    symlink(outside.path(), container.at("/evil")).unwrap();
    let (swap, evil) = (container.at("/swap"), container.at("/evil"));
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let racer = std::thread::spawn(move || {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            renameat_with(CWD, &swap, CWD, &evil, RenameFlags::EXCHANGE).unwrap();
        }
    });
    let mut done = 0;
    for _ in 0..300 {
        done += u32::from(container.sync(&[Change::File("/swap/new/file", "1"), remove("/swap/other")]).is_ok());
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    racer.join().unwrap();
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(done > 0, "some find the folder");
}

#[test]
fn a_file_belongs_to_whom_its_folder_belongs_to() {
    let container = Container::new();
    std::fs::create_dir(container.at("/app")).unwrap();
    if std::os::unix::fs::chown(container.at("/app"), Some(1234), Some(4321)).is_err() {
        return; // Only root gives files away.
    }
    container.sync(&[Change::FileOf("/app/new/a".into(), b"1".to_vec(), 0o4755), link("/app/l", "x")]).unwrap();
    for path in ["/app/new", "/app/new/a", "/app/l"] {
        let found = std::fs::symlink_metadata(container.at(path)).unwrap();
        assert_eq!((found.uid(), found.gid()), (1234, 4321), "{path}");
    }
    assert_eq!(std::fs::metadata(container.at("/app/new/a")).unwrap().permissions().mode() & 0o7777, 0o4755);
}

#[test]
fn edits_of_one_second_have_times_of_their_own() {
    let container = Container::new();
    let mut last = 0;
    for content in ["a=1", "a=2", "a=3"] {
        container.sync(&[Change::File("/a.py", content)]).unwrap();
        let modified = std::fs::metadata(container.at("/a.py")).unwrap().mtime();
        assert!(modified > last, "Python would run what it compiled before");
        last = modified;
    }
}

#[test]
fn a_container_that_is_gone_is_told_as_such() {
    let container = Container::new();
    std::fs::write(container.folder.path().join("proc/42/cgroup"), "0::/another\n").unwrap();
    assert_eq!(container.sync(&[Change::File("/a", "1")]).unwrap_err().kind, Kind::Gone);
    for request in [
        Request::Find { container: ID.to_owned() },
        Request::Restart { container: ID.to_owned() },
        Request::Processes { container: ID.to_owned() },
    ] {
        let answers = container.serve(&encode(3, &request));
        assert!(matches!(&answers[..], [(3, Answer::Refused(Refusal { kind: Kind::Gone, .. }))]), "{answers:?}");
    }
    let strange = Request::Find { container: "../../etc".to_owned() };
    assert!(matches!(&container.serve(&encode(1, &strange))[..], [(1, Answer::Refused(_))]));
}

#[test]
fn a_container_is_found_by_its_control_group_where_nothing_is_written_down() {
    let container = Container::new();
    std::fs::remove_dir_all(container.folder.path().join("tasks")).unwrap();
    std::fs::write(container.folder.path().join("proc/42/status"), "Name:\tx\nNSpid:\t42\t1\n").unwrap();
    let younger = container.folder.path().join("proc/41");
    std::fs::create_dir(&younger).unwrap();
    std::fs::write(younger.join("cgroup"), format!("0::/docker/{ID}\n")).unwrap();
    std::fs::write(younger.join("status"), "NSpid:\t41\t9\n").unwrap();
    std::fs::write(younger.join("cmdline"), "flask\0run\0").unwrap();
    std::fs::write(younger.join("environ"), "A=1\0WERKZEUG_RUN_MAIN=true\0").unwrap();
    container.sync(&[Change::File("/a", "1")]).unwrap();
    assert_eq!(container.tree(), ["/a 644 1"]);
    let answers = container.serve(&encode(1, &Request::Processes { container: ID.to_owned() }));
    let argv = vec![b"flask".to_vec(), b"run".to_vec()];
    let process = crate::protocol::Process { pid: 41, argv, reloads: true };
    assert_eq!(answers, [(1, Answer::Processes(vec![process]))]);
}
