//! The four profiles of the repository under `dev`, as a reader of the README would use them.
//! The fourth, timber, is put through the same in [`super`].

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Dev, ROLLOUT, SOON, pods};
use crate::http;
use crate::sandbox::Sandbox;

/// Where a profile's service is edited, and where it shows.
struct Story<'a> {
    profile: &'a str,
    name: &'a str,
    service: &'a str,
    /// Of the service, in the profile's folder.
    context: &'a str,
    app: &'a str,
    path: &'a str,
    /// What is served at `path`, and stands in `app`.
    served: &'a str,
    /// Lines of the profile that say how many replicas there are; changed to the other.
    replicas: (&'a str, &'a str),
    count: usize,
}

/// A gunicorn that reloads by itself may need its turns.
const RELOADED: Duration = Duration::from_secs(30);

impl Story<'_> {
    #[track_caller]
    fn tell(&self, sandbox: &Sandbox) {
        let folder = sandbox.renamed_profile(self.profile, self.name);
        let dev = Dev::start(sandbox, &folder, &[]);
        dev.says_after(0, &[&format!("{}: is ready: http", self.service)], ROLLOUT);
        let root = sandbox.url(&folder, self.service);
        let url = format!("{root}{}", self.path);
        dev.serves(&url, self.served, SOON);
        self.edit(&dev, &url, &folder.join(self.context));
        self.lose_a_pod(&dev, sandbox, &url);

        let profile = folder.join("coracle.yaml");
        let text = fs::read_to_string(&profile).unwrap();
        assert!(text.contains(self.replicas.0), "{text}");
        fs::write(&profile, text.replacen(self.replicas.0, self.replicas.1, 1)).unwrap();
        let started = Instant::now();
        while pods(sandbox, self.name, self.service).len() != self.count {
            assert!(started.elapsed() < ROLLOUT, "not {} pods\n{}", self.count, dev.said());
            thread::sleep(Duration::from_millis(200));
        }
        Self::serves_only(&dev, &url, "later");
        dev.leave();
        sandbox.coracle(&folder, &["down"]).exits(0);
    }

    #[track_caller]
    fn edit(&self, dev: &Dev, url: &str, context: &Path) {
        let app = context.join(self.app);
        let good = fs::read_to_string(&app).unwrap();
        assert!(good.contains(self.served), "{good}");
        let mark = dev.mark();
        fs::write(&app, good.replace(self.served, "edited")).unwrap();
        dev.serves(url, "edited", SOON);
        dev.says_after(mark, &["synced 1 file"], SOON);

        let mark = dev.mark();
        fs::write(&app, format!("{good}\nthis is no python\n")).unwrap();
        dev.says_after(mark, &["SyntaxError"], SOON);
        fs::write(&app, good.replace(self.served, "mended")).unwrap();
        dev.serves(url, "mended", RELOADED);

        let (mark, dockerfile) = (dev.mark(), context.join("Dockerfile"));
        let text = fs::read_to_string(&dockerfile).unwrap();
        fs::write(&dockerfile, format!("{text}ENV E2E=1\n")).unwrap();
        dev.says_after(mark, &["rebuilding, `Dockerfile` says how the image is built"], SOON);
        dev.says_after(mark, &["rebuilt in"], ROLLOUT);
        Self::serves_only(dev, url, "mended");
        let rounds = dev.said()[mark..].matches("rebuilding").count();
        assert_eq!(rounds, 1, "one edit is one build\n{}", dev.said());

        fs::write(&app, good.replace(self.served, "later")).unwrap();
        dev.serves(url, "later", SOON);
    }

    /// What takes its place is brought up to date before long.
    #[track_caller]
    fn lose_a_pod(&self, dev: &Dev, sandbox: &Sandbox, url: &str) {
        let before = pods(sandbox, self.name, self.service);
        sandbox.kubectl(&["-n", self.name, "delete", "pod", &before[0], "--wait=false"]);
        let started = Instant::now();
        loop {
            let now = pods(sandbox, self.name, self.service);
            if now.len() == before.len() && !now.contains(&before[0]) {
                break;
            }
            assert!(started.elapsed() < ROLLOUT, "no new pod\n{}", dev.said());
            thread::sleep(Duration::from_millis(200));
        }
        Self::serves_only(dev, url, "later");
    }

    /// Waits until all replicas serve it: as many answers in a row as luck needs.
    #[track_caller]
    fn serves_only(dev: &Dev, url: &str, part: &str) {
        let (started, mut good) = (Instant::now(), 0);
        while good < 12 {
            let is_good = http::get(url).is_ok_and(|answer| answer.status == 200 && answer.body.contains(part));
            good = if is_good { good + 1 } else { 0 };
            assert!(started.elapsed() < ROLLOUT, "{url} without {part:?}\n{}", dev.said());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
#[ignore = "needs docker and kind"]
fn add_two_is_developed() {
    let story = Story {
        profile: "add-two",
        name: "e2e-dev-add-two",
        service: "k8s-demo",
        context: ".",
        app: "app.py",
        path: "",
        served: "Ada",
        replicas: ("    health: /\n", "    health: /\n    replicas: 2\n"),
        count: 2,
    };
    story.tell(&Sandbox::shared());
}

#[test]
#[ignore = "needs docker and kind"]
fn flask_redis_is_developed() {
    let story = Story {
        profile: "flask-redis",
        name: "e2e-dev-flask-redis",
        service: "flask",
        context: ".",
        app: "app.py",
        path: "hello-service",
        served: "Hello world",
        replicas: ("replicas: 2", "replicas: 3"),
        count: 3,
    };
    story.tell(&Sandbox::shared());
}

#[test]
#[ignore = "needs docker and kind"]
fn api_gateway_is_developed() {
    let story = Story {
        profile: "api-gateway",
        name: "e2e-dev-gateway",
        service: "webapp-1",
        context: "webapp-1",
        app: "app.py",
        path: "_status/healthcheck/",
        served: "OK",
        replicas: ("replicas: 3", "replicas: 2"),
        count: 2,
    };
    story.tell(&Sandbox::shared());
}
