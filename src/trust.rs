//! Trust: commands that a profile would run on this machine run only once their exact
//! content is known to the user.
//!
//! What was allowed is remembered by a digest of the profile's path, the commands, and the
//! files of the project that they name, so a changed command asks again, a changed script does,
//! and a copied profile too. This does not judge commands, and does not run them.

use std::io::Write;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use sha2::{Digest, Sha256};

use crate::error::{Classified, Kind};
use crate::session::Session;
use crate::ui::sanitize;

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error("`{}` runs commands on this machine that were not allowed yet: {commands}", file.display())]
    #[diagnostic(
        code(coracle::trust::unknown),
        help("read them, then run the same command once in a terminal, where it asks")
    )]
    Unknown { file: PathBuf, commands: String },

    #[error("the commands of `{}` were not allowed: {commands}", file.display())]
    #[diagnostic(
        code(coracle::trust::declined),
        help("nothing was run; take the `command:` sources out of the profile, or allow them")
    )]
    Declined { file: PathBuf, commands: String },

    #[error("the question about the commands of `{}` was interrupted", file.display())]
    #[diagnostic(code(coracle::interrupted), help("nothing was run; run the same command again to continue"))]
    Interrupted { file: PathBuf },

    #[error("`{}` could not be written, so nothing can be remembered as allowed", path.display())]
    #[diagnostic(code(coracle::trust::state), help("make it writable, or set XDG_STATE_HOME to a folder that is"))]
    State { path: PathBuf, source: std::io::Error },
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown { .. } | Self::Declined { .. } => Kind::Refused,
            Self::Interrupted { .. } => Kind::Interrupted,
            Self::State { .. } => Kind::Absent,
        }
    }
}

/// Returns when all `commands` of the profile `file` may run: known already, or allowed now.
pub(crate) async fn check(session: &Session, file: &Path, commands: &[Vec<String>]) -> Result<(), Error> {
    if commands.is_empty() {
        return Ok(());
    }
    let mark = session.surroundings.state.join("trust").join(digest(file, commands));
    if mark.exists() {
        return Ok(());
    }
    let (file, shown) = (file.to_path_buf(), shown(commands));
    if !session.surroundings.can_ask {
        return Err(Error::Unknown { file, commands: shown });
    }
    let question = format!("`{}` runs on this machine: {shown}. Allow it?", file.display());
    let answer = tokio::task::spawn_blocking(move || {
        inquire::Confirm::new(&question).with_default(false).with_help_message("asked again when it changes").prompt()
    })
    .await;
    match answer {
        Ok(Ok(true)) => remember(&mark).map_err(|source| Error::State { path: mark, source }),
        Ok(Ok(false)) => Err(Error::Declined { file, commands: shown }),
        Ok(Err(inquire::InquireError::OperationCanceled | inquire::InquireError::OperationInterrupted)) => {
            Err(Error::Interrupted { file })
        }
        // No terminal after all.
        Ok(Err(_)) | Err(_) => Err(Error::Unknown { file, commands: shown }),
    }
}

fn shown(commands: &[Vec<String>]) -> String {
    let words = |command: &Vec<String>| {
        // Quotes show where words end, so that `rm "-rf /"` cannot pose as something else.
        let word = |word: &String| {
            let clean = sanitize::line(word);
            if clean.is_empty() || clean.contains(char::is_whitespace) { format!("{clean:?}") } else { clean }
        };
        format!("`{}`", command.iter().map(word).collect::<Vec<_>>().join(" "))
    };
    commands.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// Returns the file below `folder` that a word of a command names, as itself or behind a `=`.
fn named(folder: &Path, word: &str) -> Option<PathBuf> {
    let behind = word.split_once('=').map(|(_, path)| path);
    [Some(word), behind].into_iter().flatten().filter(|path| !path.is_empty()).find_map(|path| {
        let path = folder.join(path).canonicalize().ok()?;
        (path.starts_with(folder) && path.is_file()).then_some(path)
    })
}

/// Returns 64 hex digits over everything that was shown, and the content of the project's files
/// among it. Each word carries its length, so that no two lists of commands look alike.
fn digest(file: &Path, commands: &[Vec<String>]) -> String {
    let mut hash = Sha256::new();
    let mut word = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    word(file.as_os_str().as_encoded_bytes());
    // A profile without a file is its folder.
    let folder = if file.is_dir() { Some(file) } else { file.parent() };
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    for command in commands {
        word(&(command.len() as u64).to_le_bytes());
        for part in command {
            word(part.as_bytes());
            if let Some(path) = folder.as_ref().and_then(|folder| named(folder, part)) {
                // One that cannot be read cannot be run either.
                word(&std::fs::read(path).unwrap_or_default());
            }
        }
    }
    hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn remember(mark: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = mark.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(mark)?;
    file.write_all(b"allowed\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Events;
    use crate::session::Surroundings;

    fn session(state: &Path) -> Session {
        let surroundings = Surroundings { state: state.to_owned(), ..Surroundings::default() };
        Session {
            events: Events::channel().0,
            cancel: tokio_util::sync::CancellationToken::new(),
            surroundings: surroundings.into(),
        }
    }

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[tokio::test]
    async fn unknown_commands_are_refused_without_a_terminal() {
        let state = tempfile::tempdir().unwrap();
        let commands = [command(&["pass", "show", "my db"])];
        let error = check(&session(state.path()), Path::new("/app/coracle.yaml"), &commands).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/app/coracle.yaml` runs commands on this machine that were not allowed yet: `pass show \"my db\"`"
        );
        assert_eq!(error.kind(), Kind::Refused);
        assert!(std::fs::read_dir(state.path()).unwrap().next().is_none(), "nothing is remembered");
    }

    #[tokio::test]
    async fn what_was_allowed_is_allowed_only_as_it_was() {
        let state = tempfile::tempdir().unwrap();
        let (session, file) = (session(state.path()), Path::new("/app/coracle.yaml"));
        let allowed = [command(&["pass", "show"])];
        remember(&state.path().join("trust").join(digest(file, &allowed))).unwrap();
        check(&session, file, &allowed).await.unwrap();
        check(&session, file, &[command(&["pass", "show", "x"])]).await.unwrap_err();
        check(&session, file, &[command(&["pass"]), command(&["show"])]).await.unwrap_err();
        check(&session, Path::new("/other/coracle.yaml"), &allowed).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_changed_script_of_the_project_asks_again() {
        let (state, app) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (session, file) = (session(state.path()), app.path().join("coracle.yaml"));
        let commands = [command(&["sh", "get.sh", "--with=data"])];
        let write = |name: &str, text: &str| std::fs::write(app.path().join(name), text).unwrap();
        let allow = || remember(&state.path().join("trust").join(digest(&file, &commands))).unwrap();
        write("get.sh", "echo 1");
        allow();
        check(&session, &file, &commands).await.unwrap();
        write("get.sh", "curl evil");
        check(&session, &file, &commands).await.unwrap_err();
        allow();
        write("data", "1");
        check(&session, &file, &commands).await.unwrap_err();
        allow();
        write("other", "of nobody's concern");
        check(&session, &file, &commands).await.unwrap();
    }

    #[tokio::test]
    async fn a_profile_without_commands_needs_no_trust() {
        check(&session(Path::new("/nowhere")), Path::new("/app/coracle.yaml"), &[]).await.unwrap();
    }
}
