//! The end of a batch: all is staged and checked, so only renames, small folders and removals
//! are left. New things come before old ones go, except where an old one is in the way.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::batch::{Batch, Staged};
use super::root::{entry, is_folder, refused, split};
use super::wishes::{Wish, make};
use super::{Swept, refuse};
use crate::protocol::{Kind, Refusal};

impl Batch {
    /// Carries the batch out. What went wrong half-way is told as such.
    pub(super) fn commit(mut self, swept: &mut Swept) -> Result<(), Refusal> {
        self.links(swept)?;
        if !self.first.lives() {
            return Err(refuse("", Kind::Gone, "the container ended meanwhile"));
        }
        let mut changed = false;
        self.steps(&mut changed).map_err(|refusal| Refusal { partly: changed, ..refusal })
    }

    fn steps(&mut self, changed: &mut bool) -> Result<(), Refusal> {
        let gone = |(path, wish): (&PathBuf, &Wish)| (*wish == Wish::Gone).then(|| path.clone());
        let gone = self.wishes.0.iter().rev().filter_map(gone);
        let (early, late): (Vec<_>, Vec<_>) =
            gone.partition(|path| self.wishes.below_an_end(path) || self.wishes.has_puts_below(path));
        self.remove(&early, changed)?;
        if !early.is_empty() {
            self.folders.forget();
        }
        self.make_folders(changed)?;
        while let Some(staged) = self.staged.pop() {
            if let Err(refusal) = self.move_in(&staged, changed) {
                self.staged.push(staged);
                return Err(refusal);
            }
        }
        self.remove(&late, changed)
    }

    /// Deepest first, as the paths come.
    fn remove(&mut self, paths: &[PathBuf], changed: &mut bool) -> Result<(), Refusal> {
        for path in paths {
            let (parent, name) = split(path);
            let Some(folder) = self.folders.existing(&self.wishes, parent)? else { continue };
            *changed |= remove(&folder, name).map_err(|error| refused(path, error))?;
        }
        Ok(())
    }

    fn make_folders(&mut self, changed: &mut bool) -> Result<(), Refusal> {
        let folder = |(path, wish): (&PathBuf, &Wish)| match wish {
            Wish::Folder { mode } => Some((path.clone(), *mode)),
            _ => None,
        };
        let folders: Vec<_> = self.wishes.0.iter().filter_map(folder).collect();
        for (path, mode) in folders {
            let refused = |error| refused(&path, error);
            let (parent, name) = split(&path);
            let parent = self.folders.made(&self.wishes, parent)?;
            if let Some(found) = entry(&parent, name).map_err(refused)? {
                if is_folder(&found) {
                    if u32::from(found.stx_mode) & 0o7777 != mode {
                        let folder = super::root::subfolder(&parent, name).map_err(refused)?;
                        rustix::fs::fchmod(folder, Mode::from_raw_mode(mode)).map_err(refused)?;
                        *changed = true;
                    }
                    continue;
                }
                *changed |= remove(&parent, name).map_err(refused)?;
            }
            make(&parent, name, mode).map_err(refused)?;
            *changed = true;
        }
        Ok(())
    }

    fn move_in(&mut self, staged: &Staged, changed: &mut bool) -> Result<(), Refusal> {
        let refused = |error| refused(&staged.target, error);
        let (parent, name) = split(&staged.target);
        let folder = self.folders.made(&self.wishes, parent)?;
        let rename = || rustix::fs::renameat(&*staged.folder, &staged.name, &*folder, name);
        match rename() {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                rustix::fs::unlinkat(&*folder, name, AtFlags::REMOVEDIR).map_err(refused)?;
                *changed = true;
                rename().map_err(refused)?;
            }
            other => other.map_err(refused)?,
        }
        *changed = true;
        Ok(())
    }
}

/// Removes what has this name; returns whether there was something.
fn remove(folder: &OwnedFd, name: &Path) -> rustix::io::Result<bool> {
    let Some(found) = entry(folder, name)? else { return Ok(false) };
    let flags = if is_folder(&found) { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    match rustix::fs::unlinkat(folder, name, flags) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
