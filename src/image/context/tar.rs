//! The context as a tar stream: exactly what was recorded, or an error.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{Context, Entry, Error, What};

/// The time of folders and links, and the earliest time of a file, in seconds since 1970:
/// 2001-09-09. zip (Python wheels, jars) knows no time before 1980.
pub(crate) const EARLIEST: u32 = 1_000_000_000;

impl Context {
    /// Writes `extra` files (path, content), then the entries, as a tar. Fails with
    /// [`Error::Changed`] as soon as something is not as it was recorded.
    pub(crate) fn write_tar(&self, extra: &[(String, Vec<u8>)], out: &mut dyn Write) -> Result<(), Error> {
        let mut tar = Builder::new(out);
        for (path, content) in extra {
            let mut header = header(EntryType::Regular, 0o644, content.len() as u64);
            tar.append_data(&mut header, path, content.as_slice()).map_err(send)?;
        }
        for entry in &self.entries {
            append(&mut tar, entry, &self.root.join(&entry.path))?;
        }
        tar.finish().map_err(send)?;
        tar.into_inner().and_then(io::Write::flush).map_err(send)
    }
}

fn append(tar: &mut Builder<&mut dyn Write>, entry: &Entry, full: &Path) -> Result<(), Error> {
    let changed = || Error::Changed { path: full.to_owned() };
    let found = fs::symlink_metadata(full).map_err(|_| changed())?;
    let mode_is_same = found.permissions().mode() & 0o7777 == entry.mode;
    match &entry.what {
        What::Folder if found.is_dir() && mode_is_same => {
            let mut header = header(EntryType::Directory, entry.mode, 0);
            tar.append_data(&mut header, &entry.path, io::empty()).map_err(send)
        }
        What::Link(target) if fs::read_link(full).is_ok_and(|now| now.as_os_str() == target.as_os_str()) => {
            let mut header = header(EntryType::Symlink, entry.mode, 0);
            // The literal form keeps `./` and `//`; it has no room for long targets.
            if target.as_os_str().as_bytes().len() <= 100
                && header.set_link_name_literal(target.as_os_str().as_bytes()).is_ok()
            {
                tar.append_data(&mut header, &entry.path, io::empty()).map_err(send)
            } else {
                tar.append_link(&mut header, &entry.path, target).map_err(send)
            }
        }
        What::File { digest, size, .. } if found.is_file() && mode_is_same && found.len() == *size => {
            let mut header = header(EntryType::Regular, entry.mode, *size);
            // Web servers tell by it that a file of the same size is another one.
            header.set_mtime(u64::try_from(found.mtime()).unwrap_or_default().max(EARLIEST.into()));
            let file = File::open(full).map_err(|source| Error::Unreadable { path: full.to_owned(), source })?;
            let mut reader = Checked { file, hasher: Sha256::new(), left: *size, fault: None };
            let sent = tar.append_data(&mut header, &entry.path, &mut reader);
            match reader.fault.take() {
                Some(Fault::Short) => return Err(changed()),
                Some(Fault::Read(source)) => return Err(Error::Unreadable { path: full.to_owned(), source }),
                None => sent.map_err(send)?,
            }
            let is_longer = reader.file.read(&mut [0]).is_ok_and(|more| more > 0);
            let is_same = reader.hasher.finalize().as_slice() == digest;
            if is_longer || !is_same { Err(changed()) } else { Ok(()) }
        }
        _ => Err(changed()),
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(EARLIEST.into());
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn send(source: io::Error) -> Error {
    Error::Send { source }
}

/// A file that is hashed as it is read, never beyond the size that the header promised.
struct Checked {
    file: File,
    hasher: Sha256,
    left: u64,
    fault: Option<Fault>,
}

enum Fault {
    Short,
    Read(io::Error),
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        match self.file.read(&mut buffer[..most]) {
            Ok(0) => {
                self.fault = Some(Fault::Short);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(read) => {
                self.hasher.update(&buffer[..read]);
                self.left -= read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.fault = Some(Fault::Read(error));
                Err(kind.into())
            }
        }
    }
}
