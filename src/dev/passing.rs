//! What editors leave beside a file while it is open: swap files, locks, backups, drafts.
//!
//! They lie in the folder for as long as an editor is open, so hashes do not help: without
//! this list, opening a file in vim would rebuild a service. They are left out of every tree
//! that `dev` compares ([`super::tree::of_context`], [`super::scan`]), and only there: what a
//! build sends is `.dockerignore`'s concern alone. What lives for milliseconds only, such as
//! vim's `4913`, needs no entry here: the watcher holds a new file back that was closed empty.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Emacs' locks, `GLib`'s drafts, and our own.
const BEGINNINGS: [&[u8]; 3] = [b".#", b".goutputstream-", b".coracle-"];
/// Backups; `JetBrains`' drafts and backups; VS Code's atomic writes; Kate's swap files.
const ENDS: [&[u8]; 5] = [b"~", b"___jb_tmp___", b"___jb_old___", b".vsctmp", b".kate-swp"];

/// Returns whether a file of this name is an editor's own. Folders never are.
pub(crate) fn is_passing(path: &Path) -> bool {
    let Some(name) = path.file_name().map(OsStrExt::as_bytes) else { return false };
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDS.iter().any(|end| name.len() > end.len() && name.ends_with(end))
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || is_swap(name)
}

/// `.app.py.swp`, then `.swo` down to `.swa`, `.svz` …: vim takes the first that is free.
fn is_swap(name: &[u8]) -> bool {
    matches!(name, [b'.', _, .., b'.', b's', b'w', b'a'..=b'p' | b'x'] | [b'.', _, .., b'.', b's', b'v', b'a'..=b'z'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_files_are_known_by_their_names() {
        for (name, expected) in [
            (".app.py.swp", true),
            ("a/.app.py.swo", true),
            (".app.py.swx", true),
            ("app.py~", true),
            (".#app.py", true),
            ("#app.py#", true),
            ("app.py___jb_tmp___", true),
            ("app.py___jb_old___", true),
            ("settings.json.vsctmp", true),
            ("a.swp", false),
            (".swp", false),
            ("~", false),
            ("#", false),
            ("##", false),
            ("#notes", false),
            ("4913", false),
            (".env", false),
            ("icon.svg", false),
            (".hidden/app.py", false),
        ] {
            assert_eq!(is_passing(Path::new(name)), expected, "{name}");
        }
    }
}
