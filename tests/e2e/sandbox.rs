//! A home, a kubeconfig and a cluster of the tests' own.
//!
//! The kubeconfig stands for the user's: after every command its bytes must be the same.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tempfile::TempDir;

use crate::engine;
use crate::process::{Outcome, finish, program, run, spawn};

/// The user's own kubeconfig, in a style that no tool would write.
const KUBECONFIG: &str = "\
# mine, by hand
apiVersion: v1
kind: Config
current-context:   production   # never touched
contexts: [{name: production, context: {cluster: far-away, user: me}}]
clusters: [{name: far-away, cluster: {server: \"https://192.0.2.1:6443\"}}]
users: [{name: me, user: {token: canary}}]
";

/// What reaches the binary of this process's environment: how to find the engine, and how
/// to leave the machine. All else is the sandbox's.
const PASSED_ON: &[&str] = &[
    "PATH",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "KIND_NODE_IMAGE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Sandbox {
    folder: TempDir,
    pub(crate) cluster: String,
    delete_cluster: bool,
    variables: Vec<(String, OsString)>,
    _turn: MutexGuard<'static, ()>,
}

impl Sandbox {
    /// With the cluster that most tests share. It is made by the first `up`.
    pub(crate) fn shared() -> Self {
        Self::on(prefix(), false)
    }

    /// With a cluster that is deleted with the sandbox. It is made by the first `up`.
    pub(crate) fn own(suffix: &str) -> Self {
        Self::on(format!("{}-{suffix}", prefix()), true)
    }

    /// With the cluster that a folder without a profile gets. One that was there stays.
    pub(crate) fn with_default_cluster() -> Self {
        let mut sandbox = Self::on("coracle".to_owned(), false);
        sandbox.delete_cluster = engine::containers_of("coracle").is_empty();
        sandbox
    }

    fn on(cluster: String, delete_cluster: bool) -> Self {
        static REAPER: OnceLock<Child> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        REAPER.get_or_init(|| engine::delete_clusters_at_the_end(&prefix()));
        let folder = tempfile::Builder::new().prefix("coracle_e2e_").tempdir_in("/tmp").unwrap();
        let sandbox = Self { folder, cluster, delete_cluster, variables: Vec::new(), _turn: turn };
        fs::create_dir(sandbox.home()).unwrap();
        fs::write(sandbox.kubeconfig(), KUBECONFIG).unwrap();
        sandbox
    }

    /// Sets a variable for every command that follows.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home().join("state")
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home().join("kubeconfig")
    }

    /// Copies one of the repository's profiles, for this sandbox's cluster.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.profile_as(name, None)
    }

    /// Copies one of the repository's profiles under a name of the test's own, so that a test
    /// that failed half-way is in nobody's way.
    pub(crate) fn renamed_profile(&self, name: &str, as_name: &str) -> PathBuf {
        self.profile_as(name, Some(as_name))
    }

    fn profile_as(&self, name: &str, as_name: Option<&str>) -> PathBuf {
        let target = self.path().join(as_name.unwrap_or(name));
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(name), &target);
        let mut text = fs::read_to_string(target.join("coracle.yaml")).unwrap();
        if let Some(as_name) = as_name {
            let rest = text.split_once('\n').expect("the first line is the name").1;
            text = format!("name: {as_name}\n{rest}");
        }
        fs::write(target.join("coracle.yaml"), format!("{text}cluster: {{name: {}}}\n", self.cluster)).unwrap();
        target
    }

    /// Makes a folder of the given files. `CLUSTER` in a profile is this sandbox's.
    pub(crate) fn folder(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.path().join(name);
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("it is in the folder")).unwrap();
            fs::write(path, text.replace("CLUSTER", &self.cluster)).unwrap();
        }
        folder
    }

    /// The binary in `folder`, not started yet.
    pub(crate) fn command(&self, folder: &Path, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_coracle")), folder, args)
    }

    pub(crate) fn command_of(&self, binary: &Path, folder: &Path, args: &[&str]) -> Command {
        let mut command = program(binary);
        command.args(args).current_dir(folder).env_clear();
        command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // The user's Docker context and credentials count; only the rest of the home is ours.
        let docker = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let docker = docker.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
        command.envs(docker.map(|folder| ("DOCKER_CONFIG", folder)));
        command.env("HOME", self.home()).env("KUBECONFIG", self.kubeconfig()).env("USER", "tester");
        for kind in ["STATE", "CACHE", "CONFIG", "DATA"] {
            command.env(format!("XDG_{kind}_HOME"), self.home().join(kind.to_lowercase()));
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `coracle ARGS` in `folder`. The user's kubeconfig must come out of it untouched.
    #[track_caller]
    pub(crate) fn coracle(&self, folder: &Path, args: &[&str]) -> Outcome {
        let outcome = run(&mut self.command(folder, args));
        self.check_kubeconfig();
        outcome
    }

    /// Starts `coracle ARGS`; the closure ends it and returns what it said.
    pub(crate) fn start(&self, folder: &Path, args: &[&str]) -> impl FnOnce() -> Outcome + use<> {
        let mut command = self.command(folder, args);
        let (what, started, child) = (format!("{command:?}"), Instant::now(), spawn(&mut command));
        move || finish(child, what, started)
    }

    #[track_caller]
    pub(crate) fn check_kubeconfig(&self) {
        assert_eq!(fs::read_to_string(self.kubeconfig()).unwrap(), KUBECONFIG, "the user's kubeconfig changed");
    }

    /// Returns the URL that `coracle url SERVICE` prints.
    #[track_caller]
    pub(crate) fn url(&self, folder: &Path, service: &str) -> String {
        let outcome = self.coracle(folder, &["url", service]).exits(0);
        let url = outcome.stdout.split_whitespace().find(|word| word.starts_with("http://"));
        url.unwrap_or_else(|| panic!("no URL on stdout\n{outcome}")).to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.close();
            return;
        }
        engine::show_cluster(&self.cluster);
        // A second panic would hide the first.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.close()));
    }
}

impl Sandbox {
    fn close(&self) {
        if self.delete_cluster {
            engine::delete_cluster(&self.cluster);
        }
        engine::forget_images("coracle.local/e2e-*/*");
    }
}

/// The shared cluster's name, and how every cluster of this run begins. With the process id:
/// two runs at once do not meet. Always as long: reports are folded by length.
fn prefix() -> String {
    format!("coracle-e2e-{:07}", std::process::id())
}

pub(crate) fn copy_folder(source: &Path, target: &Path) {
    fs::create_dir_all(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let path = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &path);
        } else {
            fs::copy(entry.path(), path).unwrap();
        }
    }
}
