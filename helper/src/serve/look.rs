//! What is at a path of a container.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::root::{Root, entry, kind_of, normal, refused, split};
use crate::protocol::{Node, Refusal, Thing};

/// Returns what is there; no link is followed at the end.
pub(super) fn look(root: &Root, target: &Path) -> Result<Option<Node>, Refusal> {
    let target = normal(target)?;
    let (parent, name) = split(&target);
    let folder = match root.folder(parent) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(refused(parent, error)),
    };
    let Some(found) = entry(&folder, name).map_err(|error| refused(&target, error))? else { return Ok(None) };
    let mode = u32::from(found.stx_mode) & 0o7777;
    let thing = match kind_of(&found) {
        FileType::Directory => Thing::Folder,
        FileType::Symlink => match rustix::fs::readlinkat(&folder, name, Vec::new()) {
            Ok(to) => Thing::Link(OsString::from_vec(to.into_bytes()).into()),
            Err(_) => Thing::Other,
        },
        FileType::RegularFile => {
            // It may be a pipe by now, which would never open.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            match rustix::fs::openat(&folder, name, flags, Mode::empty()).map(std::fs::File::from) {
                Ok(file) => hash(file).unwrap_or(Thing::Other),
                Err(Errno::NOENT) => return Ok(None),
                Err(_) => Thing::Other,
            }
        }
        _ => Thing::Other,
    };
    Ok(Some(Node { mode: if matches!(thing, Thing::Link(_)) { 0o777 } else { mode }, thing }))
}

fn hash(mut file: std::fs::File) -> std::io::Result<Thing> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Thing::File { digest: hasher.finalize().into(), size }),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
