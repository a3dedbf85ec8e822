use std::path::{Path, PathBuf};

use super::*;
use crate::dev::rules::Verdict;
use crate::dev::tree::{Node, Thing};

fn tree(paths: &[&str]) -> Tree {
    let mut tree = Tree::new();
    for path in paths {
        for folder in Path::new(path).ancestors().skip(1).filter(|it| !it.as_os_str().is_empty()) {
            tree.insert(folder.to_owned(), Node { mode: 0o755, thing: Thing::Folder });
        }
        tree.insert(PathBuf::from(path), Node { mode: 0o644, thing: Thing::File { digest: [0; 32], size: 0 } });
    }
    tree
}

fn inferred(text: &str, paths: &[&str], process: &Process) -> Inferred {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
    let build = Build::of_folder(folder.path());
    let dockerfile = crate::image::dockerfile::read(&folder.path().join("Dockerfile"), None, &build.args).unwrap();
    infer(&dockerfile, &build, &tree(paths), process)
}

/// Says for each path what its change does.
fn shown(text: &str, paths: &[&str]) -> String {
    let process = Process { is_asked: true, ..Process::default() };
    let inferred = inferred(text, paths, &process);
    verdicts(&inferred, paths)
}

fn verdicts(inferred: &Inferred, paths: &[&str]) -> String {
    let tree = tree(paths);
    let lines = paths.iter().map(|path| match inferred.rules.verdict(Path::new(path), &tree[Path::new(path)]) {
        Verdict::Sync { targets, restart } => {
            let targets: Vec<String> = targets.iter().map(|it| it.target.display().to_string()).collect();
            format!("{path} -> {}{}", targets.join(" "), if restart { " restart" } else { "" })
        }
        Verdict::Rebuild { reason } => format!("{path}: {reason}"),
        Verdict::Nothing { .. } => format!("{path}: nothing"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn python_with_requirements() {
    let text = "FROM python:3-slim\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\nCMD [\"python\", \"app.py\"]\n";
    insta::assert_snapshot!(shown(text, &["app.py", "requirements.txt", "static/x.css", "Dockerfile"]), @r#"
    app.py -> /app/app.py restart
    requirements.txt: `requirements.txt` is used by `RUN pip install -r requirements.txt` (Dockerfile:4)
    static/x.css -> /app/static/x.css
    Dockerfile -> /app/Dockerfile restart
    "#);
}

#[test]
fn one_file_and_nothing_else() {
    let text = "FROM python:3\nWORKDIR /app\nCOPY app.py why.txt ./\nCMD python3 app.py\n";
    insta::assert_snapshot!(shown(text, &["app.py", "why.txt", "README.md"]), @r#"
    app.py -> /app/app.py restart
    why.txt -> /app/why.txt restart
    README.md: nothing
    "#);
}

#[test]
fn a_reloading_server_is_left_alone() {
    let text = "FROM python:3\nWORKDIR /workspace\nCOPY . .\nCMD [\"gunicorn\", \"--reload\", \"app:app\"]\n";
    insta::assert_snapshot!(shown(text, &["app.py"]), @r#"
    app.py -> /workspace/app.py
    "#);
    let quiet = inferred(text, &["app.py"], &Process::default());
    insta::assert_snapshot!(quiet.sentences.join("\n"), @r#"
    `.` is synced to `/workspace` (Dockerfile:3)
    nothing is restarted: gunicorn --reload takes changes up by itself
    "#);
}

#[test]
fn node_with_lockfile() {
    let text = "FROM node:20\nWORKDIR /srv\nCOPY package*.json ./\nRUN npm ci --omit=dev\nCOPY src ./src\nCOPY public public/\nCMD [\"node\", \"src/index.js\"]\n";
    insta::assert_snapshot!(shown(text, &["package.json", "package-lock.json", "src/index.js", "public/a.js", "test/t.js"]), @r#"
    package.json: `package.json` is used by `RUN npm ci --omit=dev` (Dockerfile:4)
    package-lock.json: `package-lock.json` is used by `RUN npm ci --omit=dev` (Dockerfile:4)
    src/index.js -> /srv/src/index.js restart
    public/a.js -> /srv/public/a.js
    test/t.js: nothing
    "#);
}

#[test]
fn node_that_is_built_into_nginx() {
    let text = "FROM node:20 AS build\nWORKDIR /w\nCOPY package.json .\nRUN npm install\nCOPY . .\nRUN npm run build\nFROM nginx\nCOPY --from=build /w/dist /usr/share/nginx/html\nCOPY nginx.conf /etc/nginx/conf.d/default.conf\n";
    insta::assert_snapshot!(shown(text, &["src/a.ts", "package.json"]), @r#"
    src/a.ts: `src/a.ts` is used by `RUN npm run build` (Dockerfile:6)
    package.json: `package.json` is used by `RUN npm install` (Dockerfile:4)
    "#);
}

#[test]
fn static_files() {
    let text = "FROM nginx:alpine\nCOPY site /usr/share/nginx/html\nCOPY nginx.conf /etc/nginx/nginx.conf\n";
    insta::assert_snapshot!(shown(text, &["site/index.html", "site/css/a.css", "nginx.conf"]), @r#"
    site/index.html -> /usr/share/nginx/html/index.html
    site/css/a.css -> /usr/share/nginx/html/css/a.css
    nginx.conf -> /etc/nginx/nginx.conf restart
    "#);
}

#[test]
fn copies_from_a_stage_are_followed() {
    let text = "FROM python:3 AS code\nWORKDIR /src\nCOPY . .\nFROM python:3-slim\nCOPY --from=code /src/app /app\nCOPY --from=code /src/run.py /\nCOPY --from=busybox /bin/sh /sh\nCMD python /app/main.py\n";
    insta::assert_snapshot!(shown(text, &["app/main.py", "run.py", "docs/x"]), @r#"
    app/main.py -> /app/main.py restart
    run.py -> /run.py restart
    docs/x: no `sync` rule matches `docs/x`
    "#);
}

#[test]
fn a_stage_on_a_stage() {
    let text = "FROM ruby:3 AS base\nWORKDIR /app\nCOPY Gemfile Gemfile.lock ./\nRUN bundle install\nFROM base\nCOPY --chown=1000:1000 --link . .\nCMD [\"bundle\", \"exec\", \"puma\"]\n";
    insta::assert_snapshot!(shown(text, &["Gemfile", "Gemfile.lock", "app.rb"]), @r#"
    Gemfile: `Gemfile` is used by `RUN bundle install` (Dockerfile:4)
    Gemfile.lock: `Gemfile.lock` is used by `RUN bundle install` (Dockerfile:4)
    app.rb -> /app/app.rb restart
    "#);
}

#[test]
fn php_reads_files_for_each_request() {
    let text = "FROM php:8-apache\nCOPY src/ .\nCMD [\"apache2-foreground\"]\n";
    insta::assert_snapshot!(shown(text, &["src/index.php"]), @r#"
    src/index.php -> /var/www/html/index.php
    "#);
}

#[test]
fn compiled_languages_build() {
    let text = "FROM golang:1 AS build\nWORKDIR /src\nCOPY go.mod go.sum ./\nRUN go mod download\nCOPY . .\nRUN CGO_ENABLED=0 go build -o /app ./cmd\nFROM scratch\nCOPY --from=build /app /app\nENTRYPOINT [\"/app\"]\n";
    insta::assert_snapshot!(shown(text, &["main.go", "go.mod"]), @r#"
    main.go: `main.go` is used by `RUN CGO_ENABLED=0 go build -o /app ./cmd` (Dockerfile:6)
    go.mod: `go.mod` is used by `RUN go mod download` (Dockerfile:4)
    "#);
    let inferred = inferred(text, &["main.go", "go.mod"], &Process::default());
    insta::assert_snapshot!(format!("{}\n{}", inferred.sentences.join("\n"), inferred.rules.rules.len()), @r#"
    a compiled program is built, so every change of what it is made of builds
    0
    "#);
}

#[test]
fn renames_modes_excludes_and_variables() {
    let text = "FROM python:3\nARG HOME=/home/app\nENV DIR=$HOME/code\nWORKDIR ${DIR}\nCOPY --chmod=755 start.sh /start\nCOPY [\"a b.py\", \"./\"]\nCOPY --exclude=*.md lib lib\nCOPY conf/*.toml /etc/app/\nCMD [\"python\", \"x.py\"]\n";
    insta::assert_snapshot!(shown(text, &["start.sh", "a b.py", "lib/x.py", "lib/notes.md", "conf/a.toml"]), @r#"
    start.sh -> /start restart
    a b.py -> /home/app/code/a b.py restart
    lib/x.py -> /home/app/code/lib/x.py restart
    lib/notes.md: nothing
    conf/a.toml -> /etc/app/a.toml restart
    "#);
}

#[test]
fn the_last_copy_counts() {
    let text = "FROM python:3\nWORKDIR /app\nCOPY . .\nCOPY config/prod.py /app/settings.py\nCMD python app.py\n";
    let paths = ["config/prod.py", "settings.py"];
    insta::assert_snapshot!(shown(text, &paths), @r#"
    config/prod.py -> /app/settings.py /app/config/prod.py restart
    settings.py -> /app/settings.py restart
    "#);
    let rules = inferred(text, &paths, &Process::default()).rules;
    assert_eq!(rules.rules[0].path, Path::new("/app/settings.py"));
}

#[test]
fn archives_urls_heredocs_and_mounts() {
    let text = "FROM python:3\nWORKDIR /app\nADD data.tar.gz /data\nADD https://example.org/x /x\nCOPY <<EOF /etc/motd\nhello\nEOF\nRUN --mount=type=bind,source=tools,target=/t /t/run\nCOPY . .\nCMD python app.py\n";
    insta::assert_snapshot!(shown(text, &["data.tar.gz", "tools/run", "app.py"]), @r#"
    data.tar.gz: `data.tar.gz` is unpacked by `ADD data.tar.gz /data` (Dockerfile:3)
    tools/run: `tools/run` is used by `RUN --mount=type=bind,source=tools,target=/t /t/run` (Dockerfile:8)
    app.py -> /app/app.py restart
    "#);
}

#[test]
fn what_a_run_names_is_used() {
    let text = "FROM python:3\nWORKDIR /app\nCOPY . .\nRUN chmod +x entrypoint.sh && chown -R app /app\nRUN pip install -e .\nRUN python manage.py collectstatic\nCMD [\"python\", \"manage.py\"]\n";
    insta::assert_snapshot!(shown(text, &["entrypoint.sh", "setup.py", "manage.py", "shop/views.py"]), @r#"
    entrypoint.sh: `entrypoint.sh` is used by `RUN chmod +x entrypoint.sh && chown -R app /app` (Dockerfile:4)
    setup.py: `setup.py` is used by `RUN pip install -e .` (Dockerfile:5)
    manage.py: `manage.py` is used by `RUN python manage.py collectstatic` (Dockerfile:6)
    shop/views.py -> /app/shop/views.py restart
    "#);
}

#[test]
fn a_package_that_installs_itself_builds() {
    let text = "FROM python:3\nWORKDIR /app\nCOPY pyproject.toml .\nCOPY src src\nRUN pip install --no-cache-dir .\nCMD [\"shop\"]\n";
    insta::assert_snapshot!(shown(text, &["pyproject.toml", "src/shop.py"]), @r#"
    pyproject.toml: `pyproject.toml` is used by `RUN pip install --no-cache-dir .` (Dockerfile:5)
    src/shop.py: `src/shop.py` is used by `RUN pip install --no-cache-dir .` (Dockerfile:5)
    "#);
}

#[test]
fn what_the_profile_says_of_restarts_counts() {
    let text = "FROM python:3\nCOPY app.py /app/\nCMD python /app/app.py\n";
    for restart in [false, true] {
        let process = Process { restart: Some(restart), ..Process::default() };
        assert_eq!(inferred(text, &["app.py"], &process).rules.rules[0].restart, restart);
    }
    let command = Some(vec!["uvicorn".to_owned(), "app:app".to_owned(), "--reload".to_owned()]);
    let process = Process { command, ..Process::default() };
    assert!(!inferred(text, &["app.py"], &process).rules.rules[0].restart);
}

#[test]
fn what_cannot_be_followed_builds() {
    let text = "FROM example.org/own:1\nCOPY app.py .\nCMD python app.py\n";
    insta::assert_snapshot!(shown(text, &["app.py"]), @r#"
    app.py: `app.py` is copied by `COPY app.py .` (Dockerfile:2)
    "#);
}
