//! An image's tag: a digest of its inputs. Same inputs, same tag, nothing to do.
//!
//! What decides is what the build sees: names, modes and content, never where the folder
//! is or when a file was written. The values of build secrets do not count, as they do
//! not for Docker's cache.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use miette::Diagnostic;
use sha2::{Digest, Sha256};

use super::context::{self, Context, What};
use super::dockerfile::{self, Dockerfile};
use super::own::HOST;
use crate::error::{Classified, Kind};
use crate::profile;

/// Changes whenever the encoding below does, or what a build makes of the same inputs.
const VERSION: &str = "coracle image 2";

/// What a tag is a digest of, beside `build` itself.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) build: &'a profile::Build,
    pub(crate) context: &'a Context,
    pub(crate) dockerfile: &'a Dockerfile,
    /// Content of the private certificate authority, if any.
    pub(crate) ca: Option<&'a [u8]>,
}

/// Why a build's inputs could not be read.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Context(#[from] context::Error),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dockerfile(#[from] dockerfile::Error),
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Context(error) => error.kind(),
            Self::Dockerfile(error) => error.kind(),
        }
    }
}

/// Returns 12 hex digits that are equal where a build would give the same image.
/// Folder names do not count; names, modes and content of files do.
pub(crate) fn digest(inputs: &Inputs<'_>) -> String {
    let mut all = Encoder(Sha256::new());
    all.bytes(VERSION.as_bytes());
    all.count(inputs.context.entries.len());
    for entry in &inputs.context.entries {
        all.bytes(entry.path.as_os_str().as_bytes());
        all.bytes(&entry.mode.to_be_bytes());
        match &entry.what {
            What::Folder => all.bytes(b"folder"),
            What::Link(target) => {
                all.bytes(b"link");
                all.bytes(target.as_os_str().as_bytes());
            }
            What::File { digest, .. } => {
                all.bytes(b"file");
                all.bytes(digest);
            }
        }
    }
    all.bytes(inputs.dockerfile.text.as_bytes());
    let build = inputs.build;
    all.pairs(&build.args);
    all.option(build.target.as_deref().map(str::as_bytes));
    all.option(build.platform.as_deref().map(str::as_bytes));
    all.option(build.network.as_deref().map(str::as_bytes));
    all.count(build.secrets.len());
    for (id, _) in &build.secrets {
        all.bytes(id.as_bytes());
    }
    all.count(build.ssh.len());
    for id in &build.ssh {
        all.bytes(id.as_bytes());
    }
    all.option(inputs.ca);
    let digest = all.0.finalize();
    super::digest::hex(&digest[..6])
}

/// Hashes values so that no two different sequences of them give the same bytes: each has
/// its length in front.
struct Encoder(Sha256);

impl Encoder {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn option(&mut self, bytes: Option<&[u8]>) {
        self.count(usize::from(bytes.is_some()));
        self.bytes(bytes.unwrap_or_default());
    }

    fn pairs(&mut self, pairs: &BTreeMap<String, String>) {
        self.count(pairs.len());
        for (key, value) in pairs {
            self.bytes(key.as_bytes());
            self.bytes(value.as_bytes());
        }
    }
}

/// Returns `coracle.local/PROFILE/NAME:DIGEST`.
pub(crate) fn local(profile: &str, name: &str, digest: &str) -> String {
    format!("{HOST}{profile}/{name}:{digest}")
}

/// Returns the local tag of an image that is pulled: it names the content, so that a moved
/// tag is a change. `id` is the engine's (`sha256:…`).
pub(crate) fn pulled(profile: &str, name: &str, id: &str) -> String {
    let hex = id.rsplit(':').next().unwrap_or(id);
    local(profile, &pulled_name(name), hex.get(..12).unwrap_or(hex))
}

/// Returns what stands before the digest in the local tag of a pulled image.
pub(crate) fn pulled_name(name: &str) -> String {
    let safe = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    name.chars().map(safe).collect::<String>().trim_matches('-').to_owned()
}

/// How often both are read while somebody writes the Dockerfile.
const ATTEMPTS: usize = 3;

/// Reads a build's context and Dockerfile from disk, as they were at one moment. What is
/// known of the context is kept in the folder `cache`, if any.
pub(crate) fn read(build: &profile::Build, cache: Option<&Path>) -> Result<(Context, Dockerfile), Error> {
    let path = &build.dockerfile;
    // The Dockerfile first: its faults are known at once, a large context takes its time.
    let mut dockerfile = dockerfile::read(path, build.target.as_deref(), &build.args)?;
    for _ in 0..ATTEMPTS {
        let context = context::read(&build.context, path, cache)?;
        let again = dockerfile::read(path, build.target.as_deref(), &build.args)?;
        if again.text == dockerfile.text {
            return Ok((context, dockerfile));
        }
        dockerfile = again;
    }
    Err(context::Error::Changed { path: path.clone() }.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn build(root: &Path) -> profile::Build {
        profile::Build::of_folder(root)
    }

    fn digest_of(build: &profile::Build, ca: Option<&[u8]>) -> String {
        let (context, dockerfile) = read(build, None).unwrap();
        digest(&Inputs { build, context: &context, dockerfile: &dockerfile, ca })
    }

    fn folder() -> TempDir {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY . .\n").unwrap();
        fs::write(folder.path().join("src/app.py"), "print(1)").unwrap();
        symlink("src/app.py", folder.path().join("link")).unwrap();
        folder
    }

    fn plain(root: &Path) -> String {
        digest_of(&build(root), None)
    }

    #[test]
    fn where_the_folder_is_and_when_it_was_written_do_not_count() {
        let folder = folder();
        let before = plain(folder.path());
        assert!(before.len() == 12 && before.bytes().all(|b| b.is_ascii_hexdigit()));
        let file = fs::File::open(folder.path().join("src/app.py")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let elsewhere = TempDir::new().unwrap();
        let renamed = elsewhere.path().join("anders wö");
        fs::rename(folder.path(), &renamed).unwrap();
        assert_eq!(plain(&renamed), before);
    }

    #[test]
    fn every_input_counts() {
        type Change = fn(&mut profile::Build);
        let changes: [Change; 13] = [
            |_| {},
            |b| fs::write(b.context.join("src/app.py"), "print(2)").unwrap(),
            |b| fs::rename(b.context.join("src/app.py"), b.context.join("src/b.py")).unwrap(),
            |b| fs::set_permissions(b.context.join("src/app.py"), fs::Permissions::from_mode(0o755)).unwrap(),
            |b| fs::set_permissions(b.context.join("src"), fs::Permissions::from_mode(0o700)).unwrap(),
            |b| fs::create_dir(b.context.join("empty")).unwrap(),
            |b| {
                fs::remove_file(b.context.join("link")).unwrap();
                symlink("src", b.context.join("link")).unwrap();
            },
            |b| drop(b.args.insert("A".to_owned(), "1".to_owned())),
            |b| b.platform = Some("linux/arm64".to_owned()),
            |b| b.network = Some("host".to_owned()),
            |b| b.secrets.push(("id".to_owned(), profile::SecretSource::Env("X".to_owned()))),
            |b| b.ssh.push("default".to_owned()),
            |b| {
                fs::write(b.context.join(".dockerignore"), "Dockerfile").unwrap();
                fs::write(&b.dockerfile, "FROM scratch\n").unwrap();
            },
        ];
        let mut digests: Vec<String> = changes
            .iter()
            .map(|change| {
                let folder = folder();
                let mut build = build(folder.path());
                change(&mut build);
                plain_of(&build)
            })
            .collect();
        let folder = folder();
        digests.push(digest_of(&build(folder.path()), Some(b"")));
        digests.push(digest_of(&build(folder.path()), Some(b"PEM")));
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    fn plain_of(build: &profile::Build) -> String {
        digest_of(build, None)
    }

    #[test]
    fn the_encoding_is_fixed() {
        let dockerfile = folder();
        let (mut context, dockerfile) = read(&build(dockerfile.path()), None).unwrap();
        context.entries.clear();
        let build = build(Path::new("/"));
        let inputs = Inputs { build: &build, context: &context, dockerfile: &dockerfile, ca: None };
        assert_eq!(digest(&inputs), "0dfc02f22e90");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn any_byte_counts(content in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let folder = folder();
            fs::write(folder.path().join("data"), &content).unwrap();
            let before = plain(folder.path());
            let mut changed = content.clone();
            changed[at.index(content.len())] ^= 1_u8 << bit;
            fs::write(folder.path().join("data"), &changed).unwrap();
            prop_assert_ne!(plain(folder.path()), before);
        }
    }
}
