//! A folder without a Dockerfile: what it is written in, and a good small Dockerfile for it.
//!
//! Only what files say plainly is used; a guess is said to be one.

mod python;

use self::python::python;
use super::survey::{Found, has_end};

/// A Dockerfile that could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// `a Flask application`
    pub(crate) what: String,
    pub(crate) dockerfile: String,
    pub(crate) ignore: String,
}

impl Offer {
    /// Adds the files to what was found, as if they were there.
    pub(crate) fn add_to(&self, found: &mut Found) {
        found.add("Dockerfile", &self.dockerfile);
        found.add(".dockerignore", &self.ignore);
    }
}

/// Returns what could be written for a folder.
pub(crate) fn offer(found: &Found) -> Option<Offer> {
    [python, node, go, rust, java, site].into_iter().find_map(|known| known(found))
}

fn offered(what: &str, dockerfile: String, ignored: &[&str]) -> Offer {
    let ignore = [".git", "Dockerfile", ".dockerignore", "coracle.yaml", ".env"].iter().chain(ignored);
    let ignore = ignore.fold(String::new(), |text, line| text + line + "\n");
    Offer { what: what.to_owned(), dockerfile, ignore }
}

/// Returns the first port that a source writes after one of these.
fn number_after(source: &str, marks: &[&str]) -> Option<u16> {
    let number = |rest: &str| {
        let rest = rest.trim_start();
        let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u16>().ok().filter(|port| *port >= 80)
    };
    marks.iter().find_map(|mark| source.split(mark).skip(1).find_map(number))
}

fn exec(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

fn node(found: &Found) -> Option<Offer> {
    let package: serde_json::Value = serde_json::from_str(found.text("package.json")?).ok()?;
    let script = |name: &str| package["scripts"][name].as_str();
    let main = package["main"].as_str().map(str::to_owned);
    let file = ["server.js", "index.js", "app.js", "main.js", "src/index.js", "src/server.js"]
        .into_iter()
        .find(|name| found.files.contains(*name));
    let builds = script("build").is_some();
    let (lock, install, run) = if found.files.contains("yarn.lock") {
        ("yarn.lock", "corepack enable && yarn install --frozen-lockfile", "yarn")
    } else if found.files.contains("pnpm-lock.yaml") {
        ("pnpm-lock.yaml", "corepack enable && pnpm install --frozen-lockfile", "pnpm")
    } else if found.files.contains("package-lock.json") {
        ("package-lock.json", if builds { "npm ci" } else { "npm ci --omit=dev" }, "npm")
    } else {
        ("", if builds { "npm install" } else { "npm install --omit=dev" }, "npm")
    };
    let copied = if lock.is_empty() { "package.json".to_owned() } else { format!("package.json {lock}") };
    let begin = format!(
        "WORKDIR /app\n# What is installed changes less often than the source: its layer is kept.\nCOPY {copied} ./\nRUN {install}\nCOPY . .\n"
    );
    let ignored = ["node_modules", "npm-debug.log", "dist", ".next"];
    let start = if script("start").is_some() {
        Some(vec!["npm".to_owned(), "start".to_owned()])
    } else {
        main.filter(|main| found.files.contains(main.trim_start_matches("./")))
            .or(file.map(str::to_owned))
            .map(|file| vec!["node".to_owned(), file])
    };
    let Some(start) = start else {
        // Nothing serves it: what the build makes is a static site.
        let text = format!(
            "FROM node:lts AS build\n{begin}RUN {run} run build\n\n{}",
            serve("COPY --from=build /app/dist /srv\n")
        );
        return builds.then(|| offered("a site that Node builds (into dist/)", text, &ignored));
    };
    let sources: String =
        found.texts().filter(|(path, _)| has_end(path, &["js", "ts", "mjs"])).map(|(_, text)| text).collect();
    let port = number_after(&sources, &["PORT ||", "PORT ??", ".listen("]).unwrap_or(3000);
    let build = if builds { format!("RUN {run} run build\n") } else { String::new() };
    let text = format!(
        "FROM node:lts\n{begin}{build}ENV NODE_ENV=production PORT={port}\nEXPOSE {port}\nCMD {}\n",
        exec(&start)
    );
    Some(offered("a Node application", text, &ignored))
}

fn go(found: &Found) -> Option<Offer> {
    let module = found.text("go.mod")?;
    let sum = if found.files.contains("go.sum") { "go.mod go.sum" } else { "go.mod" };
    let is_main = |path: &str, text: &str| {
        has_end(path, &["go"]) && !path.ends_with("_test.go") && text.lines().any(|line| line.trim() == "package main")
    };
    let mut folders: Vec<&str> =
        found.texts().filter(|(path, text)| is_main(path, text)).map(|(path, _)| super::survey::parent(path)).collect();
    folders.sort_by_key(|folder| (folder.matches('/').count() + usize::from(*folder != "."), *folder));
    let package = match folders.first() {
        Some(&".") | None => ".".to_owned(),
        Some(folder) => format!("./{folder}"),
    };
    let sources: String = found.texts().filter(|(path, _)| has_end(path, &["go"])).map(|(_, text)| text).collect();
    let port = number_after(&sources, &["\":", "0.0.0.0:", "PORT\", \""]).unwrap_or(8080);
    let download = if module.contains("require") { "RUN go mod download\n" } else { "" };
    let text = format!(
        "FROM golang:1 AS build\nWORKDIR /src\nCOPY {sum} ./\n{download}COPY . .\n# Without cgo the program needs nothing of the image that it was built in.\nRUN CGO_ENABLED=0 go build -trimpath -o /app {package}\n\nFROM scratch\nCOPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\nCOPY --from=build /app /app\nEXPOSE {port}\nCMD [\"/app\"]\n"
    );
    Some(offered("a Go program", text, &["bin"]))
}

fn rust(found: &Found) -> Option<Offer> {
    let cargo = found.text("Cargo.toml")?;
    if !found.files.contains("src/main.rs") {
        return None;
    }
    let name = cargo
        .lines()
        .skip_while(|line| line.trim() != "[package]")
        .find_map(|line| line.strip_prefix("name")?.split('"').nth(1));
    let name = name.unwrap_or("app");
    let text = format!(
        "FROM rust:1 AS build\nWORKDIR /src\nCOPY . .\n# The caches stay between builds, so only what changed is compiled.\nRUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \\\n    cargo build --release && cp target/release/{name} /app\n\nFROM debian:stable-slim\nCOPY --from=build /app /app\nEXPOSE 8080\nCMD [\"/app\"]\n"
    );
    Some(offered("a Rust program", text, &["target"]))
}

fn java(found: &Found) -> Option<Offer> {
    let (image, build, jars) = if found.files.contains("pom.xml") {
        ("maven:3-eclipse-temurin-21", "mvn -q -DskipTests package", "target/*.jar")
    } else if found.files.contains("build.gradle") || found.files.contains("build.gradle.kts") {
        ("gradle:8-jdk21", "gradle --no-daemon -q assemble", "build/libs/*.jar")
    } else {
        return None;
    };
    let text = format!(
        "FROM {image} AS build\nWORKDIR /src\nCOPY . .\n# The jar that can be run alone is the largest one.\nRUN {build} && cp \"$(ls -S {jars} | head -n 1)\" /app.jar\n\nFROM eclipse-temurin:21-jre\nCOPY --from=build /app.jar /app.jar\nEXPOSE 8080\nCMD [\"java\", \"-jar\", \"/app.jar\"]\n"
    );
    Some(offered("a Java application", text, &["target", "build", ".gradle"]))
}

fn site(found: &Found) -> Option<Offer> {
    let folder = [".", "public", "site", "www", "html"].into_iter().find(|folder| {
        found.files.contains(&if *folder == "." { "index.html".to_owned() } else { format!("{folder}/index.html") })
    })?;
    Some(offered("a static site", serve(&format!("COPY {folder} /srv\n")), &[]))
}

/// Returns the stage that serves files on port 8080.
fn serve(copy: &str) -> String {
    format!(
        "FROM busybox\n{copy}EXPOSE 8080\n# The first process of a container is not ended by a signal that it does not catch.\nCMD [\"sh\", \"-c\", \"trap 'exit 0' TERM; httpd -f -p 8080 -h /srv & wait\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Offer {
        let mut found = Found::default();
        for (path, text) in files {
            found.add(path, text);
        }
        offer(&found).unwrap()
    }

    #[test]
    fn each_language_is_recognised_by_its_own_files() {
        for (files, what, part) in [
            (
                vec![("requirements.txt", "flask\n"), ("app.py", "from flask import Flask\nweb = Flask(__name__)\n")],
                "a Flask application",
                "\"app:web\"",
            ),
            (
                vec![("requirements.txt", "fastapi\nuvicorn\n"), ("main.py", "api = FastAPI()\n")],
                "a FastAPI application",
                "\"main:api\"",
            ),
            (
                vec![
                    ("requirements.txt", "Django==5\n"),
                    ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')"),
                ],
                "a Django application",
                "\"shop.wsgi\"",
            ),
            (
                vec![
                    ("package.json", r#"{"scripts": {"start": "node x"}}"#),
                    ("x.js", "app.listen(process.env.PORT || 4000)"),
                ],
                "a Node application",
                "EXPOSE 4000",
            ),
            (
                vec![("go.mod", "module x\n"), ("cmd/x/main.go", "package main\nhttp.ListenAndServe(\":9000\", nil)")],
                "a Go program",
                "EXPOSE 9000",
            ),
            (
                vec![("Cargo.toml", "[package]\nname = \"web\"\n"), ("src/main.rs", "")],
                "a Rust program",
                "target/release/web",
            ),
            (vec![("pom.xml", "")], "a Java application", "mvn"),
            (vec![("public/index.html", "")], "a static site", "COPY public /srv"),
        ] {
            let offer = of(&files);
            assert_eq!(offer.what, what);
            assert!(offer.dockerfile.contains(part), "{}", offer.dockerfile);
        }
    }
}
