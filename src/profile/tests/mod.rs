//! What a user sees: whole profiles in, a `Profile` or a rendered report out.

mod examples;
mod load;
mod mutate;
mod rendered;
mod reports;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme};
use tempfile::TempDir;

use super::error::Error;
use super::resolve::{Request, load, parse};
use super::{Profile, Service};
use crate::session::Surroundings;

/// A folder to put files into, and the surroundings of somebody who works there.
struct Sandbox {
    _root: TempDir,
    surroundings: Surroundings,
}

impl Sandbox {
    /// A folder `app` with these files; one that ends in `/` is a folder with a Dockerfile.
    fn new(files: &[&str]) -> Self {
        let root = TempDir::new().unwrap();
        let folder = root.path().canonicalize().unwrap().join("app");
        std::fs::create_dir_all(&folder).unwrap();
        let surroundings = Surroundings {
            variables: BTreeMap::from([("TOKEN".to_owned(), "a$$b".to_owned())]),
            home: root.path().canonicalize().unwrap(),
            folder,
            user: "ada".to_owned(),
            ..Surroundings::default()
        };
        let sandbox = Self { _root: root, surroundings };
        for file in files {
            let path = if file.ends_with('/') { format!("{file}Dockerfile") } else { (*file).to_owned() };
            sandbox.write(&path, "FROM scratch\n");
        }
        sandbox
    }

    fn path(&self) -> PathBuf {
        self.surroundings.folder.clone()
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn parse(&self, text: &str) -> Result<Profile, Error> {
        parse(text, Path::new("coracle.yaml"), &self.surroundings)
    }

    fn load(&self) -> Result<Profile, Error> {
        load(&Request::default(), &self.surroundings)
    }

    /// The report as it is printed, 80 columns wide, without colour.
    fn render(&self, error: &Error) -> String {
        let mut out = String::new();
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_width(80)
            .with_links(false)
            .render_report(&mut out, error)
            .unwrap();
        let out = out.replace(&self.path().display().to_string(), "/home/ada/app");
        out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

/// Every folder that the examples build.
const FOLDERS: [&str; 5] = ["./", "webapp-1/", "apigateway/", "grpc-app-1/server/", "base/"];

fn profile(text: &str) -> Profile {
    let sandbox = Sandbox::new(&FOLDERS);
    sandbox.parse(text).unwrap_or_else(|error| panic!("{}", sandbox.render(&error)))
}

fn service(text: &str) -> Service {
    profile(text).services.remove(0)
}

fn report(text: &str) -> String {
    let sandbox = Sandbox::new(&FOLDERS);
    let error = sandbox.parse(text).expect_err("the profile is wrong");
    sandbox.render(&error)
}

/// The messages and helps alone, one line each.
fn problems(text: &str) -> Vec<String> {
    let sandbox = Sandbox::new(&FOLDERS);
    match sandbox.parse(text).expect_err("the profile is wrong") {
        Error::Invalid { problems, .. } => problems
            .into_iter()
            .map(|problem| {
                let help = problem.help.map(|help| format!(" | {help}")).unwrap_or_default();
                let underlined = text.get(problem.span).unwrap_or("?").replace('\n', "⏎");
                format!("[{underlined}] {}{help}", problem.message)
                    .replace(&sandbox.path().display().to_string(), "APP")
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}
