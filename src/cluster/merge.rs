//! `coracle kubeconfig --merge`: adds a cluster to the user's own kubeconfig, on request only.
//!
//! Entries are called `coracle-NAME`. Everything else in the file, unknown fields and
//! `current-context` too, stays what it is; only comments and the order of keys are lost.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::error::Words;
use super::{Error, kubeconfig, kubeconfig_path};
use crate::session::{Session, Surroundings};

/// Merges the cluster's cluster, user and context into the user's kubeconfig, and returns its path.
pub(crate) fn merge(session: &Session, cluster: &str) -> Result<PathBuf, Error> {
    let private = kubeconfig_path(session, cluster);
    if !private.exists() {
        return Err(Error::Absent { name: cluster.to_owned() });
    }
    let path = own(&session.surroundings);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::state("made", folder))?;
    }
    let _lock = Locked::take(&path)?;
    let before = read(&path)?;
    let after = merged(before.clone(), &read(&private)?, cluster).map_err(|cause| unclear(&path, &cause))?;
    if before != after {
        let text = serde_saphyr::to_string(&after).map_err(|cause| unclear(&path, &cause))?;
        write(&path, &text).map_err(Error::state("written", &path))?;
    }
    Ok(path)
}

/// Returns the file that kubectl would write to: the first of `$KUBECONFIG`, else `~/.kube/config`.
fn own(surroundings: &Surroundings) -> PathBuf {
    let list = surroundings.variable("KUBECONFIG").unwrap_or_default();
    let first = std::env::split_paths(list).find(|path| !path.as_os_str().is_empty());
    let path = first.map_or_else(|| surroundings.home.join(".kube/config"), |path| surroundings.absolute(&path));
    // A link stays a link: what it points at is replaced.
    path.canonicalize().unwrap_or(path)
}

/// Returns the file's content; `null` where there is none.
fn read(path: &Path) -> Result<Value, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(source) => return Err(Error::state("read", path)(source)),
    };
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str(&text).map_err(|cause| unclear(path, &cause))
}

fn unclear(path: &Path, cause: &impl ToString) -> Error {
    Error::Kubeconfig { path: path.to_owned(), cause: Words::new(cause) }
}

/// Returns `own` with the entries of `private`, which has those of one kind cluster.
fn merged(own: Value, private: &Value, cluster: &str) -> Result<Value, String> {
    let from = kubeconfig::context(cluster);
    let name = format!("coracle-{cluster}");
    let mut own = match own {
        Value::Null => json!({"apiVersion": "v1", "kind": "Config", "current-context": ""}),
        own => own,
    };
    let file = own.as_object_mut().ok_or("it is not a mapping")?;
    for (list, key) in [("clusters", "cluster"), ("users", "user"), ("contexts", "context")] {
        let entries = private[list].as_array().ok_or_else(|| format!("the private kubeconfig has no {list}"))?;
        let found = entries.iter().find(|entry| entry["name"] == from.as_str());
        let mut body = found.ok_or_else(|| format!("the private kubeconfig has no `{from}` in {list}"))?[key].clone();
        if key == "context" {
            body["cluster"] = json!(name);
            body["user"] = json!(name);
        }
        let entry = json!({"name": name, key: body});
        let all = file.entry(list).or_insert(Value::Null);
        if all.is_null() {
            *all = json!([]);
        }
        let all = all.as_array_mut().ok_or_else(|| format!("its `{list}` is not a list"))?;
        match all.iter_mut().find(|entry| entry["name"] == name.as_str()) {
            Some(old) => *old = entry,
            None => all.push(entry),
        }
    }
    Ok(own)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(path.parent().unwrap_or(Path::new("/")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error).map(drop)
}

/// kubectl's own lock for a kubeconfig: a file beside it.
#[derive(Debug)]
struct Locked(PathBuf);

impl Locked {
    fn take(path: &Path) -> Result<Self, Error> {
        let mut lock = path.to_path_buf().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        match OpenOptions::new().write(true).create_new(true).open(&lock) {
            Ok(_) => Ok(Self(lock)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::KubeconfigLocked { path: path.to_owned() })
            }
            Err(source) => Err(Error::state("written", lock)(source)),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str = "apiVersion: v1\nkind: Config\ncurrent-context: kind-shop\nclusters:\n- name: kind-shop\n  cluster: {server: https://127.0.0.1:41183, certificate-authority-data: MTIz}\n\
                           contexts:\n- name: kind-shop\n  context: {cluster: kind-shop, user: kind-shop}\n\
                           users:\n- name: kind-shop\n  user: {client-certificate-data: \"1234\", client-key-data: NWU1}\n";

    struct Here {
        _folder: tempfile::TempDir,
        session: Session,
        own: PathBuf,
    }

    fn here(own: Option<&str>) -> Here {
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings {
            home: folder.path().canonicalize().unwrap(),
            state: folder.path().join("state"),
            ..Surroundings::default()
        };
        let (mut session, _events) = crate::cluster::tests::session(folder.path());
        session.surroundings = surroundings.into();
        let private = kubeconfig_path(&session, "shop");
        std::fs::create_dir_all(private.parent().unwrap()).unwrap();
        std::fs::write(private, PRIVATE).unwrap();
        let path = session.surroundings.home.join(".kube/config");
        if let Some(own) = own {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, own).unwrap();
        }
        Here { _folder: folder, session, own: path }
    }

    #[test]
    fn what_was_there_stays() {
        let here = here(Some(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\nx-unknown: {deep: [1, '2', \"1e5\", null, true]}\n\
             clusters:\n- name: lab\n  cluster: {server: https://lab, new-field: 'yes'}\nusers: null\ncontexts: []\n",
        ));
        let before = read(&here.own).unwrap();
        assert_eq!(merge(&here.session, "shop").unwrap(), here.own);
        let mut after = read(&here.own).unwrap();
        assert_eq!(after["current-context"], "lab");
        assert_eq!(after["clusters"][1]["name"], "coracle-shop");
        assert_eq!(after["clusters"][1]["cluster"]["server"], "https://127.0.0.1:41183");
        assert_eq!(after["contexts"][0]["context"], json!({"cluster": "coracle-shop", "user": "coracle-shop"}));
        assert_eq!(after["users"][0]["user"]["client-certificate-data"], "1234", "a string stays one");
        after["clusters"].as_array_mut().unwrap().pop();
        after["users"] = Value::Null;
        after["contexts"] = json!([]);
        assert_eq!(after, before);
    }

    #[test]
    fn twice_is_once() {
        let here = here(None);
        merge(&here.session, "shop").unwrap();
        let first = std::fs::read(&here.own).unwrap();
        assert_eq!(std::fs::metadata(&here.own).unwrap().permissions().mode() & 0o777, 0o600);
        let time = std::fs::metadata(&here.own).unwrap().modified().unwrap();
        merge(&here.session, "shop").unwrap();
        assert_eq!(std::fs::read(&here.own).unwrap(), first);
        assert_eq!(std::fs::metadata(&here.own).unwrap().modified().unwrap(), time, "nothing was written");
        kube::config::Kubeconfig::read_from(&here.own).expect("kubectl reads it");
        assert!(!here.own.with_file_name("config.lock").exists());
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        let here = here(Some("- not\n- a mapping\n"));
        let error = merge(&here.session, "shop").unwrap_err();
        assert!(matches!(error, Error::Kubeconfig { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&here.own).unwrap(), "- not\n- a mapping\n");
    }

    #[test]
    fn the_first_file_of_the_variable_is_meant() {
        let mut surroundings =
            Surroundings { folder: "/here".into(), home: "/home/u".into(), ..Surroundings::default() };
        assert_eq!(own(&surroundings), Path::new("/home/u/.kube/config"));
        surroundings.variables.insert("KUBECONFIG".to_owned(), ":lab.yaml:/other".to_owned());
        assert_eq!(own(&surroundings), Path::new("/here/lab.yaml"));
    }

    #[test]
    fn kubectls_lock_is_honoured() {
        let here = here(Some("kind: Config\n"));
        std::fs::write(here.own.with_file_name("config.lock"), "").unwrap();
        assert!(matches!(merge(&here.session, "shop"), Err(Error::KubeconfigLocked { .. })));
        std::fs::remove_file(here.own.with_file_name("config.lock")).unwrap();
        merge(&here.session, "shop").unwrap();
    }
}
