//! `coracle init`: a profile from what a folder has. It never writes over a file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{self, Global};
use super::{Answer, ask};
use crate::error::{Classified, Failure, Kind};
use crate::init::language::{self, Offer};
use crate::init::{self, FILE, Found};
use crate::session::Session;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum Error {
    #[error("there is a profile already: `{}`", path.display())]
    #[diagnostic(
        code(coracle::init::exists),
        help("it stays as it is; `coracle init --dry-run` prints what `init` would write")
    )]
    Exists { path: PathBuf },

    #[error("there is no folder `{}`", path.display())]
    #[diagnostic(
        code(coracle::init::no_folder),
        help("`coracle init` reads the folder that you are in, `coracle init DIR` another")
    )]
    NoFolder { path: PathBuf },

    #[error("`{}` could not be written", path.display())]
    #[diagnostic(code(coracle::init::unwritable), help("`coracle init --dry-run` prints it"))]
    Unwritable { path: PathBuf, source: std::io::Error },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Exists { .. } => Kind::Refused,
            Self::NoFolder { .. } => Kind::Request,
            Self::Unwritable { .. } => Kind::Absent,
        }
    }
}

/// Writes a profile, and a Dockerfile where there is none and the user agrees; or prints it.
pub(crate) async fn init(session: &Session, global: &Global, flags: &args::Init) -> Result<Answer, Failure> {
    let folder = match &flags.folder {
        Some(folder) => session.surroundings.absolute(folder),
        None => session.surroundings.folder.clone(),
    };
    if !folder.is_dir() {
        return Err(Error::NoFolder { path: folder }.into());
    }
    let path = folder.join(FILE);
    // A link that leads nowhere is somebody's too.
    if !global.dry_run && path.symlink_metadata().is_ok() {
        return Err(Error::Exists { path }.into());
    }
    let mut found = init::survey(&folder);
    let mut printed = String::new();
    if !init::says_how(&found)
        && let Some(offer) = language::offer(&found)
    {
        if global.dry_run {
            return Ok(unwritten(session, &mut found, &offer));
        }
        let question =
            format!("This is {}, and it has no Dockerfile. Write this one?\n\n{}\n", offer.what, offer.dockerfile);
        ask::confirm(session, global, &question).await?;
        for (name, text) in [("Dockerfile", &offer.dockerfile), (".dockerignore", &offer.ignore)] {
            // A .dockerignore that is there is the user's.
            if folder.join(name).symlink_metadata().is_err() {
                write(&folder.join(name), text)?;
                let _ = writeln!(printed, "{}", folder.join(name).display());
            }
        }
        found = init::survey(&folder);
    }
    let written = init::profile_of(&found, &session.surroundings)?;
    written.said.iter().for_each(|said| session.events.warn(said));
    let json = json!({"path": path.display().to_string(), "profile": written.yaml, "said": written.said});
    if global.dry_run {
        return Ok(Answer { text: written.yaml, json });
    }
    write(&path, &written.yaml)?;
    session.events.info("`coracle up` runs it");
    Ok(Answer { text: format!("{printed}{}\n", path.display()), json })
}

/// What would be written where there is no Dockerfile yet.
fn unwritten(session: &Session, found: &mut Found, offer: &Offer) -> Answer {
    session
        .events
        .info(format!("This is {}; `coracle init` would write a Dockerfile first, then its profile", offer.what));
    offer.add_to(found);
    Answer {
        text: format!("# Dockerfile\n{}\n# .dockerignore\n{}", offer.dockerfile, offer.ignore),
        json: json!({"dockerfile": offer.dockerfile, "dockerignore": offer.ignore}),
    }
}

/// Writes a new file; one that is there stays.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let fault = |source| Error::Unwritable { path: path.to_owned(), source };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(fault)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(fault)
}
