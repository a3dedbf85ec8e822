//! What happens to source trees.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::random::Random;

const LARGEST: usize = 50 << 20;
/// Beyond this the largest file goes, so that rounds stay quick and disks do not fill up.
const MOST: u64 = 64 << 20;
const FOLDERS: [&str; 2] = ["low", "high"];

/// Does one thing to the tree; returns what, to be printed.
pub(crate) fn edit(random: &mut Random, root: &Path) -> String {
    limit(root);
    let paths = below(root);
    let files: Vec<_> = paths.iter().filter(|path| is_file(path)).cloned().collect();
    let folders: Vec<_> = paths.iter().filter(|path| is_folder(path)).cloned().collect();
    let done = match random.below(16) {
        0..=2 => random.choice(&files).cloned().map(|path| write(random, &path, "write")),
        3 | 4 => random.choice(&files).cloned().map(|path| unnoticed(random, &path, false)),
        5 => random.choice(&files).cloned().map(|path| unnoticed(random, &path, true)),
        6 => random.choice(&paths).map(|path| remove(path)),
        7 => random.choice(&files).cloned().map(|path| mode(random, &path, &[0o644, 0o755, 0o600, 0o444, 0o750])),
        8 => random.choice(&folders).cloned().map(|path| mode(random, &path, &[0o755, 0o700, 0o775])),
        9 => random.choice(&paths).cloned().map(|path| rename(random, root, &path)),
        10 => random.choice(&paths).cloned().map(|path| swap(random, &path)),
        11 | 12 => Some(link(random, root, &paths)),
        13 => random.choice(&files).map(|path| touch(path)),
        _ => None,
    };
    done.unwrap_or_else(|| {
        let path = new_path(random, root);
        if random.one_in(6) {
            fs::create_dir_all(&path).unwrap();
            return format!("folder {}", path.display());
        }
        write(random, &path, "new")
    })
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Returns all that is in the two folders, in an order that does not vary; not what the test
/// itself needs.
fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left: Vec<_> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if is_folder(&path) {
                left.push(path.clone());
            }
            if !path.ends_with("high/round") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A path that is free, in a folder that may be new.
fn new_path(random: &mut Random, root: &Path) -> PathBuf {
    const NAMES: &[&str] =
        &["a", "b.txt", "with space", "ümlaut", ".hidden", "-dash", "deep/er/still", "d/e", "d/f", "x y/z"];
    loop {
        let folder = root.join(random.choice(&FOLDERS).expect("there are two"));
        let name = random.choice(NAMES).expect("there are some");
        let path = folder.join(format!("{name}{}", random.below(40)));
        let blocked = path.ancestors().skip(1).any(|above| above.symlink_metadata().is_ok() && !is_folder(above));
        if !blocked && path.symlink_metadata().is_err() {
            fs::create_dir_all(path.parent().expect("it is in a folder")).unwrap();
            return path;
        }
    }
}

/// From nothing to 50 MB; mostly small, as files are.
fn size(random: &mut Random) -> usize {
    match random.below(40) {
        0 => random.below(LARGEST) + 1,
        1..=3 => 0,
        4..=8 => random.below(1 << 20),
        _ => random.below(20_000),
    }
}

fn write(random: &mut Random, path: &Path, what: &str) -> String {
    let size = size(random);
    if random.one_in(2) && is_file(path) {
        fs::remove_file(path).unwrap(); // then it is another inode
    }
    fs::write(path, random.bytes(size)).unwrap();
    format!("{what} {} of {size} B", path.display())
}

/// Another content of the same size and with the same time: in place, or by another file.
fn unnoticed(random: &mut Random, path: &Path, in_place: bool) -> String {
    let before = fs::metadata(path).unwrap();
    let size = usize::try_from(before.len()).expect("files are small");
    let bytes = random.bytes(size);
    let target = if in_place { path.to_owned() } else { path.with_file_name("new beside it") };
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&target).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_permissions(before.permissions()).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    drop(file);
    if !in_place {
        fs::rename(target, path).unwrap();
    }
    format!("same size, same time {}{}", path.display(), if in_place { " in place" } else { "" })
}

fn remove(path: &Path) -> String {
    if is_folder(path) {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
    format!("remove {}", path.display())
}

fn mode(random: &mut Random, path: &Path, modes: &[u32]) -> String {
    let mode = *random.choice(modes).expect("there are some");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    format!("chmod {mode:o} {}", path.display())
}

fn rename(random: &mut Random, root: &Path, path: &Path) -> String {
    let to = new_path(random, root);
    if to.starts_with(path) {
        return write(random, &to, "new"); // a folder does not go into itself
    }
    fs::rename(path, &to).unwrap();
    format!("rename {} to {}", path.display(), to.display())
}

/// A folder, or a link, becomes a file; a file becomes a folder.
fn swap(random: &mut Random, path: &Path) -> String {
    let was_file = is_file(path);
    remove(path);
    if was_file {
        fs::create_dir(path).unwrap();
        return write(random, &path.join("inside"), "file to folder: new");
    }
    write(random, path, "to file: new")
}

/// A link to something, or to nothing.
fn link(random: &mut Random, root: &Path, paths: &[PathBuf]) -> String {
    let path = new_path(random, root);
    let name = random.choice(paths).and_then(|other| other.file_name()).filter(|_| random.one_in(2));
    let target = name.map_or_else(|| PathBuf::from(format!("../nowhere{}", random.below(9))), PathBuf::from);
    symlink(&target, &path).unwrap();
    format!("link {} to {}", path.display(), target.display())
}

fn touch(path: &Path) -> String {
    let file = File::open(path).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    format!("touch {}", path.display())
}

fn limit(root: &Path) {
    let mut files: Vec<_> = below(root).into_iter().filter(|path| is_file(path)).collect();
    let size = |path: &PathBuf| path.symlink_metadata().map_or(0, |metadata| metadata.len());
    files.sort_by_key(size);
    while files.iter().map(size).sum::<u64>() > MOST {
        fs::remove_file(files.pop().expect("their sum is not 0")).unwrap();
    }
}
