//! Folders as people really have them.

use std::time::Duration;

use crate::http;
use crate::sandbox::Sandbox;

const APP: &str = r#"
import signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"found\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer(("", 8123), Handler).serve_forever()
"#;

const DOCKERFILE: &str = "\
FROM python:3-slim
COPY app.py /
EXPOSE 8123
CMD [\"python3\", \"/app.py\"]
";

#[test]
#[ignore = "needs docker and kind"]
fn a_folder_with_spaces_and_umlauts_and_only_a_dockerfile() {
    let sandbox = Sandbox::with_default_cluster();
    let folder =
        sandbox.folder("OneDrive - Universität/Mein schönes Projekt", &[("Dockerfile", DOCKERFILE), ("app.py", APP)]);
    let up = sandbox.coracle(&folder, &["up"]).exits(0);
    let url = up
        .stdout
        .split_whitespace()
        .find(|word| word.starts_with("http://127.0.0.1:") || word.starts_with("http://localhost:"));
    let url = url.unwrap_or_else(|| panic!("`up` printed no local URL\n{up}"));
    assert_eq!(http::get_within(url, Duration::from_secs(5)).body, "found\n");
    sandbox.coracle(&folder, &["up"]).exits(0).within(Duration::from_secs(10));
    sandbox.coracle(&folder, &["down"]).exits(0);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the source tree was written to: {left:?}");
}

#[test]
#[ignore = "needs docker and kind"]
fn two_services_on_one_base_image() {
    let sandbox = Sandbox::shared();
    let profile = "\
name: e2e-one-base
services:
  base: {build: base, deploy: false}
  one: {build: {context: app, args: {BASE: \"{services.base.image}\"}}, ports: [8123]}
  two: {build: {context: app, args: {BASE: \"{services.base.image}\", OTHER: \"2\"}}, ports: [8123]}
cluster: {name: CLUSTER}
";
    let folder = sandbox.folder(
        "one base",
        &[
            ("coracle.yaml", profile),
            ("base/Dockerfile", "FROM python:3-slim\nCOPY app.py /\n"),
            ("base/app.py", APP),
            (
                "app/Dockerfile",
                "ARG BASE\nFROM ${BASE}\nARG OTHER=1\nENV OTHER=${OTHER}\nCMD [\"python3\", \"/app.py\"]\n",
            ),
        ],
    );
    sandbox.coracle(&folder, &["up"]).exits(0);
    for service in ["one", "two"] {
        let answer = http::get_within(&sandbox.url(&folder, service), Duration::from_secs(5));
        assert_eq!(answer.body, "found\n");
    }
    sandbox.coracle(&folder, &["down"]).exits(0);
}
