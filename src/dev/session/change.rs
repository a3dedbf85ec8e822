//! Changes of the profile, and the ends of rounds: what is deployed becomes what is known.

use std::time::Instant;

use super::super::bring;
use super::super::machine::Input;
use super::super::shown::Shown;
use super::round::Ended;
use super::{Dev, files, watched};
use crate::error::{Failure, Kind};
use crate::event::Event;
use crate::ui;

/// What a problem with the profile is shown under.
const PROFILE: &str = "profile";
/// What the failure of a round is shown under.
const ROUND: &str = "up";

impl Dev<'_> {
    /// Reads the profile again. A broken one is shown, and the last good one goes on.
    pub(super) async fn reload(&mut self) {
        self.unread = false;
        let profile = match (self.reload)() {
            Ok(profile) => profile,
            Err(failure) => return self.show_problem(PROFILE, &failure),
        };
        if profile.instance != self.profile.instance || profile.cluster != self.profile.cluster {
            let text = "the profile has another name or cluster now: leave, and run `coracle dev` again to follow it";
            return self.session.events.warn(text);
        }
        let specs = match bring::specs(self.session, &self.engine, &profile, &self.images).await {
            Ok(specs) => specs,
            Err(failure) => {
                // A context or its Dockerfile cannot be read: with the next change there, maybe.
                self.unread = true;
                return self.show_problem(PROFILE, &failure);
            }
        };
        self.mended(PROFILE);
        self.watcher.rewatch(&watched(&profile), &files(&profile));
        self.profile = profile;
        self.scan_afresh();
        self.session.events.info("The profile changed: what differs is deployed");
        self.take(Input::Reconfigured { services: specs });
    }

    pub(super) async fn round_ended(&mut self, ended: Ended) {
        let Ended { prepared, result, of_machine, is_cancelled } = ended;
        let (built, specs) = match &prepared {
            Some(prepared) => (prepared.built.clone(), prepared.specs.clone()),
            None => Default::default(),
        };
        let were_built = prepared.is_some();
        if let Some(prepared) = prepared {
            self.images.extend(prepared.built.clone());
            self.adopt(prepared);
        }
        self.headers.round_ended();
        let result = match result {
            Ok(addresses) => {
                self.addresses = addresses;
                self.owes.settled();
                self.listen().await;
                self.mended(ROUND);
                Ok(())
            }
            Err(_) if is_cancelled => Err(Some("a newer change came".to_owned())),
            Err(failure) if self.owes.is_torn(&failure) => Err(None),
            Err(failure) => {
                self.round_failed(&failure, were_built);
                Err(Some(failure.report.to_string()))
            }
        };
        if of_machine {
            // What was loaded is what the cluster is to run, ready or not.
            self.take(Input::Converged { built, specs, result });
        }
        self.look_at_cluster(Ok(()));
    }

    /// Shows why a round failed. What could not be reached is tried again in a while; what was
    /// there before the build that failed is deployed, if it never was.
    fn round_failed(&mut self, failure: &Failure, were_built: bool) {
        if !self.owes.is_trying_again() || !self.problems.contains(ROUND) {
            self.show_problem(ROUND, failure);
        }
        if failure.kind == Kind::Absent {
            self.owes.try_again(Instant::now());
        } else if were_built {
            // It was applied, as far as that goes; the rest is the user's to mend.
            self.owes.settled();
            self.owes.rollout = true;
        } else if self.owes.deploy {
            self.rounds.deploy(&self.prepared);
        }
    }

    /// Takes over what a round found out about the services.
    fn adopt(&mut self, prepared: super::Prepared) {
        for sentence in prepared.said.iter().filter(|sentence| !self.prepared.said.contains(sentence)) {
            self.session.events.info(sentence.clone());
        }
        self.prepared = prepared;
    }

    /// Listens on the profile's `local:` ports.
    async fn listen(&mut self) {
        let Self { locals, prepared, addresses, .. } = self;
        if let Err(error) = locals.follow(&prepared.profile, &addresses.node_ports, &addresses.band).await {
            self.show_problem("local ports", &error.into());
        } else {
            self.mended("local ports");
        }
    }

    fn show_problem(&mut self, of: &str, failure: &Failure) {
        self.problems.insert(of.to_owned());
        self.session.events.send(Event::Dev(ui::dev::problem(of, failure)));
    }

    /// Takes a problem off the screen, if there was one.
    fn mended(&mut self, of: &str) {
        if self.problems.remove(of) {
            self.session.events.send(Event::Dev(Shown::Mended { of: of.to_owned() }));
        }
    }
}
