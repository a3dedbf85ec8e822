//! A place where the binary runs with nothing of the machine but what a test puts there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A temporary home and project folder, and an engine that does not exist.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What a run left behind, made the same on every machine.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("project")).unwrap();
        std::fs::create_dir_all(root.path().join("home")).unwrap();
        let sandbox = Self { root, variables: Vec::new() };
        sandbox.variable("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_in(&self.project(), arguments)
    }

    #[expect(clippy::disallowed_methods, reason = "tests stand outside the crate and its `exec`")]
    pub(crate) fn run_in(&self, folder: &Path, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_coracle"))
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/nonexistent")
            .env("USER", "ada")
            .env("COLUMNS", "80")
            .envs(self.variables.iter().cloned())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| {
            let root = self.root.path().canonicalize().unwrap();
            String::from_utf8_lossy(bytes).replace(&root.display().to_string(), "[ROOT]")
        };
        Run { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("signal".to_owned(), |code| code.to_string());
        write!(formatter, "exit: {code}\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
