//! The small applications of `coracle new`: the files of `templates/`, with the folder's name.

use std::path::Path;

use super::dockerfiles::label;

/// A small application.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: &'static str,
    /// What it is, in a few words.
    pub(crate) what: &'static str,
    /// Path → text; `NAME` in the profile is the folder's.
    files: &'static [(&'static str, &'static str)],
}

macro_rules! files {
    ($template:literal: $($path:literal),+) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $template, "/", $path)))),+]
    };
}

/// What `coracle new` knows.
pub(crate) const TEMPLATES: [Template; 5] = [
    Template {
        name: "python-flask",
        what: "a Flask service",
        files: files!("python-flask": "coracle.yaml", "Dockerfile", "dockerignore", "requirements.txt", "app.py"),
    },
    Template {
        name: "node-express",
        what: "an Express service",
        files: files!("node-express": "coracle.yaml", "Dockerfile", "dockerignore", "package.json", "server.js"),
    },
    Template {
        name: "go",
        what: "a Go service with nothing but the standard library",
        files: files!("go": "coracle.yaml", "Dockerfile", "dockerignore", "go.mod", "main.go"),
    },
    Template {
        name: "static",
        what: "a static site",
        files: files!("static": "coracle.yaml", "Dockerfile", "dockerignore", "site/index.html", "site/style.css"),
    },
    Template {
        name: "redis-backed",
        what: "a Flask service that counts in Redis, with a volume",
        files: files!("redis-backed": "coracle.yaml", "web/Dockerfile", "web/dockerignore", "web/requirements.txt", "web/app.py"),
    },
];

/// Returns the files of a template for a folder. Ignore files have no dot in the crate, where
/// they would count.
pub(crate) fn files(template: &Template, folder: &Path) -> Vec<(String, String)> {
    let name = label(&folder.file_name().unwrap_or_default().to_string_lossy());
    let named = |path: &str| match path.strip_suffix("dockerignore") {
        Some(above) => format!("{above}.dockerignore"),
        None => path.to_owned(),
    };
    template.files.iter().map(|(path, text)| (named(path), text.replace("NAME", &name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::resolve::{Request, load};
    use crate::session::Surroundings;

    #[test]
    fn each_template_is_a_profile_without_warnings() {
        for template in &TEMPLATES {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join("Mein Läden");
            for (path, text) in files(template, &folder) {
                let path = folder.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let surroundings = Surroundings { folder, ..Surroundings::default() };
            let profile =
                load(&Request::default(), &surroundings).unwrap_or_else(|error| panic!("{}: {error:?}", template.name));
            assert_eq!((profile.name.as_str(), profile.warnings.len()), ("mein-laeden", 0), "{}", template.name);
        }
    }
}
