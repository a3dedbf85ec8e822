//! Whether the files that are copied are what runs, or what runs is made of them.

use std::path::Path;

use crate::dev::tree::Tree;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Node,
    Ruby,
    Php,
    Static,
    Compiled,
    Unknown,
}

impl Language {
    /// Judges by the base image, then by the program that runs, then by the files.
    pub(super) fn judge(base: Option<&str>, argv: &[String], tree: &Tree) -> Self {
        let by_base = base.map_or(Self::Unknown, |base| Self::of_words(base.split(['/', ':', '-', '.', '_', '@'])));
        if by_base != Self::Unknown {
            return by_base;
        }
        let words = argv.iter().flat_map(|word| word.split_whitespace()).take(6);
        let by_command = Self::of_words(words.map(|word| word.rsplit('/').next().unwrap_or(word)));
        if by_command != Self::Unknown || argv.is_empty() {
            return by_command;
        }
        Self::of_files(tree)
    }

    fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let known = words.map(|word| match word.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "python" | "pypy" | "flask" | "gunicorn" | "uvicorn" | "hypercorn" | "fastapi" | "django" | "miniconda"
            | "celery" | "streamlit" | "jupyter" => Self::Python,
            "node" | "nodejs" | "npm" | "npx" | "yarn" | "pnpm" | "bun" | "deno" | "nodemon" => Self::Node,
            "ruby" | "rails" | "bundle" | "puma" | "rackup" | "jruby" => Self::Ruby,
            "php" | "php-fpm" | "apache2-foreground" | "wordpress" => Self::Php,
            "nginx" | "httpd" | "caddy" | "lighttpd" => Self::Static,
            "golang" | "rust" | "openjdk" | "eclipse" | "temurin" | "maven" | "gradle" | "dotnet" | "aspnet"
            | "gcc" | "java" | "amazoncorretto" | "jdk" | "jre" | "swift" | "elixir" | "haskell" => Self::Compiled,
            _ => Self::Unknown,
        });
        known.into_iter().find(|language| *language != Self::Unknown).unwrap_or(Self::Unknown)
    }

    /// A program of its own name beside a language's files is made of them.
    fn of_files(tree: &Tree) -> Self {
        let has = |name: &str| tree.contains_key(Path::new(name));
        match () {
            () if ["go.mod", "Cargo.toml", "pom.xml", "build.gradle", "Makefile", "CMakeLists.txt"]
                .iter()
                .any(|it| has(it)) =>
            {
                Self::Compiled
            }
            () if ["requirements.txt", "pyproject.toml", "app.py", "main.py"].iter().any(|it| has(it)) => Self::Python,
            () if has("package.json") => Self::Node,
            () if has("Gemfile") => Self::Ruby,
            () if has("composer.json") || has("index.php") => Self::Php,
            () => Self::Unknown,
        }
    }

    /// Returns whether changed files do nothing by themselves, as far as is known.
    pub(super) fn is_compiled(self) -> bool {
        matches!(self, Self::Compiled | Self::Unknown)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Compiled => "a compiled program",
            _ => "what runs",
        }
    }
}
