//! The private kubeconfig of each cluster: written by kind, kept in the state folder, used
//! for every connection. The user's own file is never touched here; see `merge`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Words;
use super::{Error, kubeconfig_path};
use crate::session::Session;

/// Returns the name of the cluster's context in its private kubeconfig.
pub(crate) fn context(cluster: &str) -> String {
    format!("kind-{cluster}")
}

/// A folder beside the private kubeconfig in which kind writes a new one. Gone with its value.
#[derive(Debug)]
pub(super) struct Draft {
    folder: tempfile::TempDir,
}

const DRAFT: &str = "draft-";
/// Older ones are of runs that were killed: no creation takes so long.
const LEFT: Duration = Duration::from_secs(3600);

impl Draft {
    /// Makes the cluster's folder, and in it one for the draft; what a killed run left is removed.
    pub(super) fn new(session: &Session, cluster: &str) -> Result<Self, Error> {
        let path = kubeconfig_path(session, cluster);
        let folder = path.parent().expect("it lies in the cluster's folder");
        super::private_folder(folder).map_err(Error::state("made", folder))?;
        let old = |entry: &std::fs::DirEntry| {
            let age =
                entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
            age.is_some_and(|age| age > LEFT)
        };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(DRAFT) && old(&entry) {
                // What cannot be removed is in nobody's way.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let made = tempfile::Builder::new().prefix(DRAFT).tempdir_in(folder);
        Ok(Self { folder: made.map_err(Error::state("written to", folder))? })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Writes the text of a kubeconfig.
    pub(super) fn write(&self, text: &[u8]) -> Result<(), Error> {
        std::fs::write(self.path(), text).map_err(Error::state("written", self.path()))
    }

    /// Puts the draft in the place of the private kubeconfig, whole or not at all.
    pub(super) fn keep(self, session: &Session, cluster: &str) -> Result<(), Error> {
        let (from, to) = (self.path(), kubeconfig_path(session, cluster));
        let keep = || {
            std::fs::set_permissions(&from, Permissions::from_mode(0o600))?;
            std::fs::File::open(&from)?.sync_all()?;
            std::fs::rename(&from, &to)
        };
        keep().map_err(Error::state("written", &to))
    }
}

/// Returns whether the private kubeconfig is there and points at `port`, where the control
/// plane's API server listens on the host.
pub(super) fn is_current(session: &Session, cluster: &str, port: Option<u16>) -> bool {
    let Ok(read) = read(&kubeconfig_path(session, cluster), &context(cluster)) else { return false };
    let server = read.clusters.iter().find_map(|entry| entry.cluster.as_ref()?.server.clone());
    let known = server.and_then(|server| server.rsplit_once(':')?.1.trim_end_matches('/').parse::<u16>().ok());
    known.is_some() && known == port
}

/// Returns a kubeconfig that has the context.
fn read(path: &Path, context: &str) -> Result<kube::config::Kubeconfig, Error> {
    let unclear = |cause: &dyn std::fmt::Display| Error::Kubeconfig {
        path: path.to_owned(),
        cause: Words::new(&cause.to_string()),
    };
    let text = std::fs::read_to_string(path).map_err(Error::state("read", path))?;
    let read = kube::config::Kubeconfig::from_yaml(&text).map_err(|error| unclear(&error))?;
    if read.contexts.iter().any(|entry| entry.name == context) {
        Ok(read)
    } else {
        Err(unclear(&format!("it has no context `{context}`")))
    }
}

/// Returns a client that asks once and does not hide a starting API server behind retries.
pub(super) async fn client(session: &Session, cluster: &str) -> Result<kube::Client, Error> {
    let path = kubeconfig_path(session, cluster);
    let context = context(cluster);
    let options = kube::config::KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
    let unclear = |cause: String| Error::Kubeconfig { path: path.clone(), cause: Words::new(&cause) };
    let config = kube::Config::from_custom_kubeconfig(read(&path, &context)?, &options).await;
    let mut config = config.map_err(|error| unclear(error.to_string()))?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(3));
    // It is on this machine, whatever proxy the environment has for others.
    config.proxy_url = None;
    kube::Client::try_from(config).map_err(|error| unclear(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: kind-shop\n  cluster: {server: https://127.0.0.1:41183}\n\
                        contexts:\n- name: kind-shop\n  context: {cluster: kind-shop, user: kind-shop}\n\
                        users:\n- name: kind-shop\n  user: {}\n";

    #[test]
    fn a_draft_becomes_the_private_kubeconfig() {
        let state = tempfile::tempdir().unwrap();
        let (session, _events) = crate::cluster::tests::session(state.path());
        let path = kubeconfig_path(&session, "shop");
        let killed = Draft::new(&session, "shop").unwrap().folder.keep();
        let beside = Draft::new(&session, "shop").unwrap();
        assert!(killed.exists(), "it may be somebody's who works at this moment");
        std::fs::File::open(&killed).unwrap().set_modified(std::time::SystemTime::now() - 2 * LEFT).unwrap();
        assert!(!is_current(&session, "shop", Some(41183)));
        let draft = Draft::new(&session, "shop").unwrap();
        draft.write(TEXT.as_bytes()).unwrap();
        assert!(!path.exists());
        draft.keep(&session, "shop").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!killed.exists(), "the draft of a killed run is gone");
        beside.write(TEXT.as_bytes()).expect("another's draft is left alone");
        assert!(is_current(&session, "shop", Some(41183)));
        assert!(!is_current(&session, "shop", Some(41184)), "the cluster was made anew elsewhere");
    }
}
