//! How editors save, step by step, after what is known of how they do. Only vim's writing in
//! place was recorded (`strace`, vim 9.0); its other way, and those of Emacs, VS Code and
//! `JetBrains`, are re-enacted. While it goes on, what is hinted at is scanned as fast as it
//! comes.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// One editor's way to replace `app.py` by `content`.
type Save = fn(&Path, &str);

fn vim(folder: &Path, content: &str) {
    // `writebackup`, `backupcopy=auto`: a probe, a backup by renaming, the new file.
    let at = |name: &str| folder.join(name);
    fs::write(at(".app.py.swp"), "b0VIM").unwrap();
    drop(OpenOptions::new().write(true).create_new(true).open(at("4913")).unwrap());
    fs::set_permissions(at("4913"), PermissionsExt::from_mode(0o644)).unwrap();
    fs::remove_file(at("4913")).unwrap();
    fs::rename(at("app.py"), at("app.py~")).unwrap();
    let mut file = File::create(at("app.py")).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.sync_all().unwrap();
    drop(file);
    fs::set_permissions(at("app.py"), PermissionsExt::from_mode(0o644)).unwrap();
    fs::remove_file(at("app.py~")).unwrap();
    fs::remove_file(at(".app.py.swp")).unwrap();
}

fn vim_in_place(folder: &Path, content: &str) {
    let swap = folder.join(".app.py.swp");
    drop(OpenOptions::new().write(true).create_new(true).open(&swap).unwrap());
    drop(OpenOptions::new().write(true).create_new(true).open(folder.join(".app.py.swx")).unwrap());
    fs::remove_file(folder.join(".app.py.swx")).unwrap();
    fs::set_permissions(&swap, PermissionsExt::from_mode(0o644)).unwrap();
    let mut file = OpenOptions::new().write(true).open(folder.join("app.py")).unwrap();
    file.set_len(0).unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.sync_all().unwrap();
    drop(file);
    fs::write(&swap, "b0VIM").unwrap();
    fs::remove_file(&swap).unwrap();
}

fn emacs(folder: &Path, content: &str) {
    let at = |name: &str| folder.join(name);
    symlink("user@host.7102", at(".#app.py")).unwrap();
    fs::write(at("#app.py#"), content).unwrap();
    // The first save of a buffer makes a backup, which stays.
    if !at("app.py~").exists() {
        fs::rename(at("app.py"), at("app.py~")).unwrap();
    }
    let mut file = File::create(at("app.py")).unwrap();
    let (first, rest) = content.split_at(1);
    file.write_all(first.as_bytes()).unwrap();
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    drop(OpenOptions::new().write(true).open(at("app.py")).unwrap());
    fs::remove_file(at("#app.py#")).unwrap();
    fs::remove_file(at(".#app.py")).unwrap();
}

fn vs_code(folder: &Path, content: &str) {
    let mut file = OpenOptions::new().write(true).truncate(true).open(folder.join("app.py")).unwrap();
    for part in content.as_bytes().chunks(512) {
        file.write_all(part).unwrap();
    }
    file.seek(std::io::SeekFrom::Start(0)).unwrap();
    file.sync_data().unwrap();
}

fn vs_code_atomic(folder: &Path, content: &str) {
    fs::write(folder.join("app.py.vsctmp"), content).unwrap();
    fs::rename(folder.join("app.py.vsctmp"), folder.join("app.py")).unwrap();
}

fn jetbrains(folder: &Path, content: &str) {
    let at = |name: &str| folder.join(name);
    fs::write(at("app.py___jb_tmp___"), content).unwrap();
    fs::rename(at("app.py"), at("app.py___jb_old___")).unwrap();
    fs::rename(at("app.py___jb_tmp___"), at("app.py")).unwrap();
    fs::remove_file(at("app.py___jb_old___")).unwrap();
}

#[test]
fn a_save_is_one_change_of_one_file_whatever_the_editor() {
    let editors: [(&str, Save); 6] = [
        ("vim", vim),
        ("vim in place", vim_in_place),
        ("emacs", emacs),
        ("VS Code", vs_code),
        ("VS Code, atomic", vs_code_atomic),
        ("JetBrains", jetbrains),
    ];
    // However slow the machine, a save is over before what is held is told.
    let limits = Limits { step: DEADLINE, ..Limits::default() };
    for (editor, save) in editors {
        let mut bench = Bench::with(&[("Dockerfile", ""), ("app.py", "before")], &[], limits);
        for round in 0..20 {
            let folder = bench.root.clone();
            let content = format!("{round} {}", "x".repeat(round * 300));
            std::thread::scope(|scope| {
                let saving = scope.spawn(move || save(&folder, &content));
                while !saving.is_finished() {
                    bench.step(Duration::from_millis(1));
                    assert!(bench.has("app.py"), "{editor}: the file is never gone");
                }
            });
            bench.settle();
        }
        let ever: Vec<_> = bench.ever.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(ever, ["Dockerfile", "app.py"], "{editor}");
    }
}
