//! `coracle dev`: saved files reach what runs, whatever happens meanwhile.

mod profiles;
mod storm;
mod traces;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::http;
use crate::sandbox::Sandbox;

/// A server that reads its file for each request.
const READER: &str = "\
import http.server, pathlib
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try: body = pathlib.Path('/app' + self.path).read_bytes()
        except OSError: return self.send_error(404)
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', 8000), Page).serve_forever()
";

const DOCKERFILE: &str = "\
FROM python:3-slim
WORKDIR /app
COPY . .
EXPOSE 8000
CMD [\"python\", \"-u\", \"server.py\"]
";

/// How long anything may take that is not a new image.
const SOON: Duration = Duration::from_secs(15);
/// How long a new image may take to answer.
const ROLLOUT: Duration = Duration::from_secs(90);

/// A `coracle dev` that runs, and all that it said.
struct Dev {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Dev {
    fn start(sandbox: &Sandbox, folder: &Path, args: &[&str]) -> Self {
        let args = [&["dev"], args].concat();
        let mut command = sandbox.command(folder, &args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let said = said.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut said = said.lock().unwrap();
                    said.push_str(&line);
                    said.push('\n');
                }
            });
        }
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Returns how much was said so far, for [`Self::says_after`].
    fn mark(&self) -> usize {
        self.said.lock().unwrap().len()
    }

    /// Waits until all of `parts` were said since `mark`.
    #[track_caller]
    fn says_after(&self, mark: usize, parts: &[&str], limit: Duration) {
        let started = Instant::now();
        while !parts.iter().all(|part| self.said.lock().unwrap()[mark..].contains(part)) {
            assert!(started.elapsed() < limit, "{parts:?} not said within {limit:?}\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `url` answers with a body that has `part`.
    #[track_caller]
    fn serves(&self, url: &str, part: &str, limit: Duration) {
        let started = Instant::now();
        loop {
            let last = http::get(url);
            if last.as_ref().is_ok_and(|answer| answer.status == 200 && answer.body.contains(part)) {
                return;
            }
            assert!(started.elapsed() < limit, "{url} without {part:?} after {limit:?}: {last:?}\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let mut kill = crate::process::program("kill");
        assert!(kill.args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Ends it as Ctrl-C does; it must leave soon and well.
    #[track_caller]
    fn leave(mut self) -> String {
        self.signal("-INT");
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}\n{}", self.said());
                return self.said();
            }
            assert!(started.elapsed() < SOON, "it did not leave\n{}", self.said());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind; one that left is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the names of a service's pods that are not being deleted.
fn pods(sandbox: &Sandbox, namespace: &str, service: &str) -> Vec<String> {
    let template =
        "go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}";
    let selector = format!("coracle.dev/service={service}");
    let said = sandbox.kubectl(&["-n", namespace, "get", "pods", "-l", &selector, "-o", template]);
    said.split_whitespace().map(str::to_owned).collect()
}

fn pages(sandbox: &Sandbox, name: &str, service: &str) -> PathBuf {
    let profile = format!("name: {name}\ncluster: {{name: CLUSTER}}\nservices:\n  web:\n    build: web\n{service}");
    sandbox.folder(
        name,
        &[
            ("coracle.yaml", &profile),
            ("web/Dockerfile", DOCKERFILE),
            ("web/server.py", READER),
            ("web/page.txt", "first"),
        ],
    )
}

#[test]
#[ignore = "needs docker and kind"]
fn a_saved_file_is_served_and_a_deleted_one_is_not() {
    let sandbox = Sandbox::shared();
    let folder = pages(&sandbox, "e2e-dev-pages", "    sync: ['**/* -> /app']\n");
    let dev = Dev::start(&sandbox, &folder, &[]);
    dev.says_after(0, &["web: is ready"], ROLLOUT);
    let url = sandbox.url(&folder, "web");
    let page = format!("{url}page.txt");
    dev.serves(&page, "first", SOON);
    for number in 0..20 {
        fs::write(folder.join("web/page.txt"), format!("edit {number}")).unwrap();
        dev.serves(&page, &format!("edit {number}"), SOON);
    }
    fs::create_dir_all(folder.join("web/deep/er")).unwrap();
    fs::write(folder.join("web/deep/er/new.txt"), "deep").unwrap();
    dev.serves(&format!("{url}deep/er/new.txt"), "deep", SOON);
    fs::remove_dir_all(folder.join("web/deep")).unwrap();
    let started = Instant::now();
    while http::get(&format!("{url}deep/er/new.txt")).is_ok_and(|answer| answer.status == 200) {
        assert!(started.elapsed() < SOON, "a deleted file is still served\n{}", dev.said());
        thread::sleep(Duration::from_millis(20));
    }
    let said = dev.leave();
    assert!(said.contains("synced 1 file"), "{said}");
}

#[test]
#[ignore = "needs docker and kind"]
fn a_pod_that_was_deleted_comes_back_up_to_date_and_up_brings_the_plain_image_back() {
    let sandbox = Sandbox::shared();
    let folder = pages(&sandbox, "e2e-dev-pods", "    sync: ['**/* -> /app']\n    replicas: 2\n");
    let dev = Dev::start(&sandbox, &folder, &[]);
    dev.says_after(0, &["web: is ready"], ROLLOUT);
    let url = sandbox.url(&folder, "web");
    let page = format!("{url}page.txt");
    fs::write(folder.join("web/page.txt"), "second").unwrap();
    dev.serves(&page, "second", SOON);
    let before = pods(&sandbox, "e2e-dev-pods", "web");
    sandbox.kubectl(&["-n", "e2e-dev-pods", "delete", "pod", "-l", "coracle.dev/service=web", "--wait=false"]);
    let started = Instant::now();
    loop {
        let now = pods(&sandbox, "e2e-dev-pods", "web");
        if now.len() == 2 && now.iter().all(|pod| !before.contains(pod)) {
            break;
        }
        assert!(started.elapsed() < ROLLOUT, "no new pods\n{}", dev.said());
        thread::sleep(Duration::from_millis(200));
    }
    // Both of them, so ask often.
    let mut good = 0;
    while good < 20 {
        let fresh = http::get(&page).is_ok_and(|answer| answer.body.contains("second"));
        good = if fresh { good + 1 } else { 0 };
        assert!(started.elapsed() < ROLLOUT, "a new pod serves old files\n{}", dev.said());
        thread::sleep(Duration::from_millis(20));
    }

    // Killed, it disturbs nobody; and what it synced is gone with the next `up`.
    dev.signal("-KILL");
    drop(dev);
    fs::write(folder.join("web/page.txt"), "first").unwrap();
    sandbox.coracle(&folder, &["up"]).exits(0);
    assert_eq!(http::get(&page).unwrap().body, "first");
    let wanted = ["-n", "e2e-dev-pods", "get", "deployment", "web", "-o", "jsonpath={.spec.template}"];
    let template = sandbox.kubectl(&wanted);
    assert!(!template.contains("coracle.dev/development"), "{template}");
}

#[test]
#[ignore = "needs docker and kind"]
fn broken_syntax_is_shown_and_a_mended_one_recovers() {
    let sandbox = Sandbox::shared();
    let folder = sandbox.renamed_profile("timber", "e2e-dev-timber");
    let dev = Dev::start(&sandbox, &folder, &[]);
    dev.says_after(0, &["is ready"], ROLLOUT);
    let url = format!("{}index", sandbox.url(&folder, "timber-tutorial"));
    dev.serves(&url, "so delicious", SOON);
    let app = folder.join("app.py");
    let good = fs::read_to_string(&app).unwrap();

    let mark = dev.mark();
    fs::write(&app, good.replace("so delicious", "even better")).unwrap();
    dev.serves(&url, "even better", SOON);
    dev.says_after(mark, &["restarted"], SOON);

    let mark = dev.mark();
    fs::write(&app, format!("{good}\nthis is no python\n")).unwrap();
    dev.says_after(mark, &["SyntaxError"], SOON);
    fs::write(&app, good.replace("so delicious", "mended")).unwrap();
    dev.serves(&url, "mended", SOON);

    let mark = dev.mark();
    let dockerfile = fs::read_to_string(folder.join("Dockerfile")).unwrap();
    fs::write(folder.join("Dockerfile"), format!("{dockerfile}\nENV E2E=1\n")).unwrap();
    dev.says_after(mark, &["rebuilding, `Dockerfile` says how the image is built"], SOON);
    dev.says_after(mark, &["rebuilt"], ROLLOUT);
    dev.serves(&url, "mended", SOON);
    dev.leave();
}

#[test]
#[ignore = "needs docker and kind"]
fn a_changed_profile_is_deployed_and_a_broken_one_is_shown() {
    let sandbox = Sandbox::shared();
    let folder = pages(&sandbox, "e2e-dev-profile", "    sync: ['**/* -> /app']\n");
    let dev = Dev::start(&sandbox, &folder, &[]);
    dev.says_after(0, &["web: is ready"], ROLLOUT);
    let page = format!("{}page.txt", sandbox.url(&folder, "web"));
    fs::write(folder.join("web/page.txt"), "synced").unwrap();
    dev.serves(&page, "synced", SOON);

    let profile = folder.join("coracle.yaml");
    let good = fs::read_to_string(&profile).unwrap();
    let mark = dev.mark();
    fs::write(&profile, format!("{good}    replicsa: 2\n")).unwrap();
    dev.says_after(mark, &["replicas"], SOON);
    dev.serves(&page, "synced", SOON);
    fs::write(&profile, format!("{good}    replicas: 2\n")).unwrap();
    let started = Instant::now();
    while pods(&sandbox, "e2e-dev-profile", "web").len() != 2 {
        assert!(started.elapsed() < ROLLOUT, "no second pod\n{}", dev.said());
        thread::sleep(Duration::from_millis(200));
    }
    dev.serves(&page, "synced", SOON);
    dev.leave();
}

#[test]
#[ignore = "needs docker and kind"]
fn what_is_broken_at_the_start_is_shown_and_dev_goes_on_once_it_is_mended() {
    let sandbox = Sandbox::shared();
    let folder = pages(&sandbox, "e2e-dev-broken", "    sync: ['**/* -> /app']\n");
    let dockerfile = folder.join("web/Dockerfile");
    fs::write(&dockerfile, "FORM scratch\n").unwrap();
    let dev = Dev::start(&sandbox, &folder, &[]);
    dev.says_after(0, &["FORM"], ROLLOUT);
    fs::write(&dockerfile, DOCKERFILE).unwrap();
    dev.says_after(0, &["web: is ready: http"], ROLLOUT);
    dev.serves(&format!("{}page.txt", sandbox.url(&folder, "web")), "first", SOON);

    // A service that the profile gets meanwhile is watched like the others.
    let profile = folder.join("coracle.yaml");
    let text = fs::read_to_string(&profile).unwrap();
    fs::create_dir(folder.join("more")).unwrap();
    for name in ["Dockerfile", "server.py", "page.txt"] {
        fs::copy(folder.join("web").join(name), folder.join("more").join(name)).unwrap();
    }
    fs::write(&profile, format!("{text}  more:\n    build: more\n    sync: ['**/* -> /app']\n")).unwrap();
    dev.says_after(0, &["more: is ready"], ROLLOUT);
    let page = format!("{}page.txt", sandbox.url(&folder, "more"));
    fs::write(folder.join("more/page.txt"), "new").unwrap();
    dev.serves(&page, "new", SOON);
    dev.leave();
}
