//! Effects: each is carried out in a task, and its result comes back as an input.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::hook;
use super::super::machine::{ContainerId, Effect, Fault, Found, Hints, Input, Key, Op, Told};
use super::Dev;
use crate::event::Event;

impl Dev<'_> {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Scan { service, hints } => self.scan(service, hints),
            Effect::Look { container, targets, .. } => self.look(container, targets),
            Effect::Send { service, container, batch, ops } => self.send(&service, container, batch, ops),
            Effect::Restart { container, .. } => self.restart(container),
            Effect::Run { service, container, command } => self.run_hook(service, container, command),
            Effect::Converge { rebuild } => self.begin_round(rebuild),
            Effect::CancelConverge => self.rounds.cancel(),
            Effect::Tell(told) => self.tell(told),
        }
    }

    /// Runs work beside the loop; its input comes back unless the loop has ended.
    fn spawn(&mut self, work: impl Future<Output = Input> + Send + 'static) {
        let results = self.results.clone();
        self.tasks.spawn(async move { drop(results.send(work.await)) });
    }

    fn scan(&mut self, service: Key, hints: Hints) {
        let Some(scanner) = self.scanners.get(&service).cloned() else {
            // Its folder is nobody's any more; the machine is told of that apart.
            let nothing = Input::Scanned { service, found: Vec::new(), torn: [].into() };
            return self.spawn(async { nothing });
        };
        let events = self.session.events.clone();
        self.spawn(async move {
            let look = move || scanner.lock().expect("a scan does not panic").scan(&hints);
            match tokio::task::spawn_blocking(look).await.expect("a scan does not panic") {
                Ok(all) => {
                    for unreadable in &all.unreadable {
                        events.warn(unreadable.to_string());
                    }
                    Input::Scanned { service, found: all.found, torn: all.torn }
                }
                Err(error) => {
                    // The folder is gone, or its rules are malformed: what is known stays.
                    events.warn(error.to_string());
                    Input::Scanned { service, found: Vec::<Found>::new(), torn: [].into() }
                }
            }
        });
    }

    /// Returns the node that a container is on; absent once it is gone.
    fn node_of(&self, container: &ContainerId) -> Option<String> {
        self.containers.get(container).map(|(_, container)| container.node.clone())
    }

    fn look(&mut self, container: ContainerId, targets: Vec<PathBuf>) {
        let (agents, node) = (self.agents.clone(), self.node_of(&container));
        self.spawn(async move {
            let result = match node {
                Some(node) => agents.look(&node, &container, &targets).await,
                None => Err(Fault::Gone),
            };
            Input::Looked { container, result }
        });
    }

    fn send(&mut self, service: &Key, container: ContainerId, batch: u64, ops: Vec<Op>) {
        let (agents, node) = (self.agents.clone(), self.node_of(&container));
        let root = self.context_of(service);
        self.spawn(async move {
            let result = match (node, root) {
                (Some(node), Some(root)) => agents.send(&node, &container, &root, &ops).await,
                _ => Err(Fault::Gone),
            };
            Input::Sent { container, batch, result }
        });
    }

    /// Returns a service's build context.
    fn context_of(&self, service: &Key) -> Option<PathBuf> {
        super::watched(&self.profile).into_iter().find(|watched| watched.key == *service).map(|watched| watched.root)
    }

    /// Restarts the process in place, unless it is seen to reload by itself.
    fn restart(&mut self, container: ContainerId) {
        let (agents, node) = (self.agents.clone(), self.node_of(&container));
        let (reloading, events) = (self.reloading.clone(), self.session.events.clone());
        let service = self.containers.get(&container).map(|(service, _)| service.clone()).unwrap_or_default();
        self.spawn(async move {
            let Some(node) = node else { return Input::Restarted { container, result: Err(Fault::Gone) } };
            // Asked each time: what reloads by itself may have ended by itself, too.
            let result = match agents.processes(&node, &container).await {
                Ok(processes) if processes.iter().any(|process| process.reloads) => {
                    if reloading.lock().expect("no holder panics").insert(container.clone()) {
                        events.detail(format!("`{service}` reloads by itself: it is not restarted"));
                    }
                    Ok(())
                }
                Ok(_) => agents.restart(&node, &container).await.map(drop),
                Err(fault) => Err(fault),
            };
            Input::Restarted { container, result }
        });
    }

    fn run_hook(&mut self, service: Key, container: ContainerId, command: Vec<String>) {
        let (client, namespace) = (self.client.clone(), self.prepared.profile.namespace.clone());
        let pod = self.containers.get(&container).map(|(_, container)| container.pod.clone());
        let (events, cancel) = (self.session.events.clone(), self.ends.clone());
        self.spawn(async move {
            let Some(pod) = pod else { return Input::Ran { container, result: Err(Fault::Gone) } };
            let ran = hook::run(&client, &namespace, &pod, &service, &command, &cancel).await;
            let result = match ran {
                Ok(said) => {
                    for line in said.lines() {
                        events.send(Event::Dev(super::log(&service, &pod, line)));
                    }
                    Ok(())
                }
                Err(error) => {
                    events.warn(error.to_string());
                    Err(Fault::Refused(error.to_string()))
                }
            };
            Input::Ran { container, result }
        });
    }

    fn begin_round(&mut self, rebuild: BTreeMap<Key, String>) {
        for service in rebuild.keys() {
            self.headers.building(service);
        }
        let services = rebuild.into_keys().collect();
        self.rounds.begin(&self.profile, &services, &self.images);
        self.show_headers();
    }

    fn tell(&mut self, told: Told) {
        self.headers.hear(&told);
        // What did not become ready may do so now; only a round says that it is well, and where.
        if matches!(told, Told::Updated { .. }) && !self.rounds.is_running() && std::mem::take(&mut self.owes.rollout) {
            self.rounds.deploy(&self.prepared);
        }
        for event in super::header::shown(told) {
            self.session.events.send(event);
        }
        self.show_headers();
    }
}
