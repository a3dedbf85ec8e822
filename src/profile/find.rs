//! Which file or folder is the profile, and its text.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::names::dns_label;
use super::resolve::Request;
use super::tree::SIZE_LIMIT;
use crate::session::Surroundings;

/// The file's name.
pub(crate) const FILE: &str = "coracle.yaml";

/// What stands for a profile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    File(PathBuf),
    /// A folder with a Dockerfile.
    Folder(PathBuf),
}

/// Returns `-p`, else the nearest `coracle.yaml` here or above, else this folder's Dockerfile.
pub(crate) fn find(request: &Request, surroundings: &Surroundings) -> Result<Found, Error> {
    if let Some(path) = &request.path {
        let path = surroundings.absolute(path);
        let named = if path.is_dir() { in_folder(&path) } else { path.is_file().then(|| Found::File(path.clone())) };
        return named.ok_or(Error::Absent { path });
    }
    let folder = &surroundings.folder;
    for above in folder.ancestors() {
        if above.join(FILE).is_file() {
            return Ok(Found::File(above.join(FILE)));
        }
        // What lies above a home belongs to somebody else.
        if above == surroundings.home {
            break;
        }
    }
    in_folder(folder).ok_or_else(|| {
        let name = folder_name(folder);
        let name = if name.is_empty() { "my-app".into() } else { name };
        Error::Nothing { folder: folder.clone(), name }
    })
}

fn in_folder(folder: &Path) -> Option<Found> {
    if folder.join(FILE).is_file() {
        return Some(Found::File(folder.join(FILE)));
    }
    folder.join("Dockerfile").is_file().then(|| Found::Folder(folder.to_path_buf()))
}

/// Returns a folder's name as a DNS label; empty where nothing of it fits.
pub(crate) fn folder_name(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    dns_label(&name)
}

/// Reads a profile's text.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let size = size.max(bytes.len() as u64);
    if size > SIZE_LIMIT {
        return Err(Error::TooLarge { path: path.to_path_buf(), size, limit: SIZE_LIMIT });
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
        Error::Encoding { path: path.to_path_buf(), at, line }
    })
}
