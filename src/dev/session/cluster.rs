//! What the cluster says: containers for the machine, header lines and logs for the screen.

use std::time::Duration;

use tokio::sync::mpsc;

use super::super::machine::Input;
use super::super::pods;
use super::super::shown::Shown;
use super::{Dev, header};
use crate::browser;
use crate::deploy::{self, logs, status};
use crate::event::Event;

/// How many lines of what ran before are shown.
const TAIL: i64 = 10;
/// How much output may wait for the screen before services are read more slowly.
const LINES: usize = 1024;
/// How long the logs wait before they are asked for again.
const PAUSE: Duration = Duration::from_secs(1);

impl Dev<'_> {
    /// Tells the machine which containers run now, where that changed.
    pub(super) fn look_at_cluster(&mut self, changed: Result<(), deploy::Error>) {
        if let Err(error) = changed {
            // Its tasks ended: nothing can be seen any more, and this says so once.
            self.session.events.warn(error.to_string());
            self.blind = true;
        }
        self.show_link();
        // A service that comes back is told of anew.
        self.told.retain(|key, _| self.prepared.specs.contains_key(key));
        self.containers.retain(|_, (key, _)| self.told.contains_key(key));
        let keys: Vec<_> = self.prepared.specs.keys().cloned().collect();
        for key in keys {
            let seen = self.watch.seen();
            let Some(service) = self.prepared.profile.services.iter().find(|service| service.key == key) else {
                continue;
            };
            let running = pods::running(seen, &key);
            let wanted = u32::try_from(status::of_seen(seen, service).wanted).unwrap_or(0);
            let now = (running, wanted);
            if self.told.get(&key) == Some(&now) {
                continue;
            }
            self.told.insert(key.clone(), now.clone());
            self.containers.retain(|_, (service, _)| *service != key);
            for container in &now.0 {
                self.containers.insert(container.id.clone(), (key.clone(), container.clone()));
            }
            self.reloading.lock().expect("no holder panics").retain(|id| self.containers.contains_key(id));
            self.take(Input::Containers { service: key, running: now.0, wanted });
        }
        self.show_headers();
    }

    /// Says when the API server stops answering, and when it is back.
    fn show_link(&mut self) {
        let trouble = self.watch.trouble().map(str::to_owned);
        if trouble.is_some() != self.cut {
            self.cut = trouble.is_some();
            let what = format!("cluster `{}`", self.prepared.profile.cluster.name);
            let (up, detail) = (trouble.is_none(), trouble.unwrap_or_default());
            self.session.events.send(Event::Dev(Shown::Link { what, up, detail }));
        }
    }

    pub(super) fn show_headers(&mut self) {
        let specs = &self.prepared.specs;
        let synced = |key: &str| specs.get(key).is_some_and(|spec| spec.rules.takes_files());
        let profile = &self.prepared.profile;
        for event in self.headers.changed(profile, self.watch.seen(), &self.addresses, synced) {
            self.session.events.send(event);
        }
    }

    pub(super) fn show_pods(&self) {
        let pods = header::pods(&self.prepared.profile, self.watch.seen());
        self.session.events.send(Event::Dev(pods));
    }

    /// Shows what the services write, from now on and as long as the loop goes.
    pub(super) fn follow_logs(&mut self) {
        let (sender, mut lines) = mpsc::channel::<logs::Line>(LINES);
        let events = self.session.events.clone();
        self.tasks.spawn(async move {
            while let Some(line) = lines.recv().await {
                events.send(Event::Dev(log(&line.service, &line.pod, &line.text)));
            }
        });
        let (session, client, profile) = (self.session.clone(), self.client.clone(), self.prepared.profile.clone());
        self.tasks.spawn(async move {
            let mut options = logs::Options { follow: true, tail: Some(TAIL), ..logs::Options::default() };
            // It ends only when the screen has; what fails is asked for again.
            while !sender.is_closed() {
                if let Err(error) = logs::stream(&session, &client, &profile, &options, sender.clone()).await {
                    tracing::debug!(%error, "logs");
                }
                options.tail = Some(0);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    /// Opens a service's URL in the browser.
    pub(super) fn open(&self, service: Option<&str>) {
        let Some(url) = self.headers.url(service) else {
            return self.session.events.warn("no service has a URL to open");
        };
        let (events, cancel) = (self.session.events.clone(), self.ends.clone());
        tokio::spawn(async move {
            if let Err(why) = browser::open(&url, &cancel).await {
                events.warn(format!("{url} could not be opened: {why}"));
            }
        });
    }
}

/// A line of a service's output.
pub(super) fn log(service: &str, pod: &str, line: &str) -> Shown {
    Shown::Log { service: service.to_owned(), pod: pod.to_owned(), line: line.to_owned() }
}
