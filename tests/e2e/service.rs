//! A small service for tests of images: it serves the files that it was built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::http;
use crate::node::Node;
use crate::process::Outcome;
use crate::sandbox::Sandbox;
use crate::tree;

/// Serves `/srv`. Busybox is PID 1, which ignores a polite signal: `grace` is short.
const DOCKERFILE: &str = "\
FROM busybox:latest
COPY srv/low /srv/low
COPY srv/high /srv/high
EXPOSE 8123
CMD [\"busybox\", \"httpd\", \"-f\", \"-p\", \"8123\", \"-h\", \"/srv\"]
";

/// A profile of one service, `web`, in a folder of its own.
pub(crate) struct Service {
    /// The profile's name, and so its namespace's.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl Service {
    /// With two folders, `low` and `high`, of which each makes a layer.
    pub(crate) fn new(sandbox: &Sandbox, name: &str) -> Self {
        Self::with(sandbox, name, "")
    }

    /// One whose files `dev` syncs.
    pub(crate) fn synced(sandbox: &Sandbox, name: &str) -> Self {
        Self::with(sandbox, name, ", sync: ['srv/** -> /srv']")
    }

    fn with(sandbox: &Sandbox, name: &str, more: &str) -> Self {
        let profile = format!(
            "name: {name}\nservices:\n  web: {{build: ., ports: [8123], grace: 1s{more}}}\ncluster: {{name: CLUSTER}}\n"
        );
        let files = [
            ("coracle.yaml", profile.as_str()),
            ("Dockerfile", DOCKERFILE),
            ("srv/low/page", "low 0\n"),
            ("srv/high/page", "high 0\n"),
        ];
        Self { name: name.to_owned(), folder: sandbox.folder(name, &files) }
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().expect("it is in the folder")).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn dockerfile(&self) -> String {
        fs::read_to_string(self.folder.join("Dockerfile")).unwrap()
    }

    /// Runs `up`, which must load exactly the services `loaded`.
    #[track_caller]
    pub(crate) fn up(&self, sandbox: &Sandbox, loaded: &[&str]) {
        up(sandbox, &self.folder, loaded);
    }

    /// Panics unless the service answers with `body` at `path`.
    #[track_caller]
    pub(crate) fn serves(&self, sandbox: &Sandbox, path: &str, body: &str) {
        serves(sandbox, &self.folder, "web", path, body);
    }

    /// Lists what the image's `/srv` must be.
    #[track_caller]
    pub(crate) fn tree(&self) -> String {
        tree::of_folder(&self.folder.join("srv"))
    }

    /// Panics unless `/srv` of `image` on `node` is what the folder is.
    #[track_caller]
    pub(crate) fn check_image(&self, node: &Node, image: &str) {
        let whose = format!("{image} on {}", node.name());
        tree::assert_equal(&self.tree(), &node.image_tree(image, "srv"), &whose);
    }
}

/// Runs `up`, which must load exactly the services `loaded`.
#[track_caller]
pub(crate) fn up(sandbox: &Sandbox, folder: &Path, loaded: &[&str]) {
    let outcome = sandbox.coracle(folder, &["-o", "json", "up"]).exits(0);
    let answer = answer(&outcome);
    assert_eq!(answer["changed"]["loaded"], serde_json::json!(loaded), "{outcome}");
}

/// Panics unless `service` answers with `body` at `path`.
#[track_caller]
pub(crate) fn serves(sandbox: &Sandbox, folder: &Path, service: &str, path: &str, body: &str) {
    let url = format!("{}/{path}", sandbox.url(folder, service).trim_end_matches('/'));
    assert_eq!(http::get_within(&url, Duration::from_secs(10)).body, body, "{url}");
}

/// Returns the answer on stdout.
#[track_caller]
pub(crate) fn answer(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
}

/// Returns the image of `service` that a `load` or `build` answers with.
#[track_caller]
pub(crate) fn image_of(outcome: &Outcome, service: &str) -> String {
    let answer = answer(outcome);
    answer["images"][service].as_str().unwrap_or_else(|| panic!("no image of {service}\n{outcome}")).to_owned()
}
