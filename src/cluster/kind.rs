//! kind: making, starting, stopping and deleting its clusters.
//!
//! `kind` itself makes and deletes; all looking, starting and stopping goes through the
//! engine. The user's kubeconfig is out of kind's reach: every call gets a private one, by
//! flag and by environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bollard::errors::Error as EngineError;

use super::error::Words;
use super::node::{self, Node};
use super::output::{self, Steps, Trouble};
use super::wait::{self, Patience};
use super::{Band, Error, config, kubeconfig, kubeconfig_path, making, ports};
use crate::event::Subject;
use crate::exec::{self, Command, Failed};
use crate::image::engine::Engine;
use crate::profile;
use crate::session::Session;

/// Pulling a node image over a slow network is part of it.
const CREATE: Duration = Duration::from_secs(20 * 60);
const OTHER: Duration = Duration::from_secs(120);
/// How long the API server may take after kind says that it is there, or after a start.
const API: Duration = Duration::from_secs(120);
/// How long removed nodes may take to be gone.
const GONE: Duration = Duration::from_secs(30);
/// How often a creation moves to another band: two that begin at once take each other's.
const OTHER_BANDS: u32 = 3;
/// kubelets write whole seconds, by the engine's clock.
const CLOCKS: Duration = Duration::from_secs(2);

/// A kind cluster, there or wanted.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(super) wanted: profile::Cluster,
}

impl Kind {
    fn name(&self) -> &str {
        &self.wanted.name
    }

    fn subject(&self) -> Subject {
        Subject::Cluster { name: self.name().to_owned() }
    }

    /// Returns the nodes, refusing those of a cluster that is not ours.
    async fn nodes(&self, engine: &Engine) -> Result<Vec<Node>, Error> {
        super::ours(self.name(), node::nodes(engine, Some(self.name())).await?)
    }

    /// Returns the nodes of a cluster that must be there.
    async fn present(&self, engine: &Engine) -> Result<Vec<Node>, Error> {
        let nodes = self.nodes(engine).await?;
        if nodes.is_empty() { Err(Error::Absent { name: self.name().to_owned() }) } else { Ok(nodes) }
    }

    pub(super) async fn clear_half_made(&self, engine: &Engine) -> Result<(), Error> {
        let nodes = self.nodes(engine).await?;
        let whole = match super::control_plane(&nodes) {
            Some(node) => node::is_ready(engine, &node.name).await?,
            None => false,
        };
        if whole {
            return Ok(());
        }
        making::end(self.name());
        node::remove(engine, &nodes).await?;
        // A removal that somebody else began is answered before it is done.
        let end = tokio::time::Instant::now() + GONE;
        while !self.nodes(engine).await?.is_empty() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    pub(super) async fn create(
        &self,
        session: &Session,
        engine: &Engine,
        band: &Band,
    ) -> Result<(Vec<String>, Band), Error> {
        exec::find("kind", None)?;
        exec::find("docker", None)?;
        self.clear_half_made(engine).await?;
        // What the observation found was either free or nothing at all.
        let band = if band.0.is_empty() {
            ports::free_band(&node::published(engine, self.name()).await?)?
        } else {
            band.clone()
        };
        making::begin(self.name());
        let made = self.make(session, engine, band).await;
        if made.is_err() {
            // kind cleans up after its own failures, but not when it was stopped. What stands
            // in the way of this cleaning is found again, as half made, by the next run.
            // A whole cluster, made by another run meanwhile, stays.
            if let Err(error) = self.clear_half_made(engine).await {
                session.events.warn(format!("a half-made cluster `{}` was left: {error}", self.name()));
            }
        }
        made
    }

    async fn make(&self, session: &Session, engine: &Engine, band: Band) -> Result<(Vec<String>, Band), Error> {
        let local = match self.wanted.kubernetes {
            Some(_) => node::local_images(engine).await?,
            None => std::collections::BTreeSet::new(),
        };
        let image = config::node_image(&self.wanted, session.surroundings.variable("KIND_NODE_IMAGE"), &local);
        let draft = kubeconfig::Draft::new(session, self.name())?;
        let mark = kubeconfig_path(session, self.name()).with_file_name("mark");
        super::private_folder(&mark).map_err(Error::state("made", &mark))?;

        let band = self.attempt(session, engine, band, |band| {
            let config = config::render(&self.wanted, image.as_deref(), band, &mark);
            command_create(self.name(), &draft.path(), config, &engine.endpoint.child_environment())
        });
        let band = band.await?;
        draft.keep(session, self.name())?;
        session.events.progress(&self.subject(), Steps::new(self.wanted.nodes).last("Waiting for the API server"));
        let help = "`coracle up` makes it anew; if this comes again, look for what uses up memory or CPU";
        wait::api(session, Patience { cluster: self.name(), time: API, help }).await?;
        Ok((super::names(&self.present(engine).await?), band))
    }

    /// Runs kind, with other bands where a port is taken, and returns the band that it got.
    async fn attempt(
        &self,
        session: &Session,
        engine: &Engine,
        mut band: Band,
        command: impl Fn(&Band) -> Command,
    ) -> Result<Band, Error> {
        let mut steps = Steps::new(self.wanted.nodes);
        let mut again = OTHER_BANDS;
        loop {
            let command = command(&band);
            let mut tell = |line: &str| match steps.read(line) {
                Some(progress) => session.events.progress(&self.subject(), progress),
                None => {
                    session.events.send(crate::event::Event::Output { subject: self.subject(), line: line.to_owned() });
                }
            };
            let output = exec::run(&command, &session.cancel, &mut tell).await?;
            if output.succeeded() {
                return Ok(band);
            }
            let trouble = output::trouble(&String::from_utf8_lossy(&output.stderr));
            let published = node::published(engine, self.name()).await?;
            match trouble {
                // Somebody took the port between the look and the creation: again, elsewhere.
                Trouble::Port(port) if again > 0 => {
                    again -= 1;
                    self.clear_half_made(engine).await?;
                    making::begin(self.name());
                    let mut published = published;
                    published.entry(port).or_insert_with(|| "another program".to_owned());
                    band = ports::free_band(&published)?;
                    steps = Steps::new(self.wanted.nodes);
                }
                trouble => {
                    return Err(output::failure(self.name(), &trouble, &Failed::new(&command, &output), &published));
                }
            }
        }
    }

    pub(super) async fn mark_ready(&self, engine: &Engine) -> Result<(), Error> {
        let nodes = self.present(engine).await?;
        let control_plane =
            super::control_plane(&nodes).ok_or_else(|| Error::Absent { name: self.name().to_owned() })?;
        node::mark_ready(engine, &control_plane.name).await
    }

    pub(super) async fn start(&self, session: &Session, engine: &Engine) -> Result<(), Error> {
        let nodes = self.present(engine).await?;
        let paused = nodes.iter().any(|node| node.paused);
        // A paused kubelet goes on where it was, and reports again only after minutes.
        let since = if paused { jiff::Timestamp::MIN } else { jiff::Timestamp::now() - CLOCKS };
        for node in nodes.iter().filter(|node| !node.running) {
            match node::start(engine, node).await {
                // 304: it runs already.
                Ok(()) | Err(EngineError::DockerResponseServerError { status_code: 304, .. }) => {}
                Err(error) => return Err(self.not_started(engine, node, error).await),
            }
        }
        self.ensure_kubeconfig(session, engine).await?;
        let name = self.name();
        let help = format!(
            "a node may have come back with another address; make the cluster anew: \
             `coracle cluster delete {name} && coracle up` (what its volumes hold is lost)"
        );
        let patience = Patience { cluster: name, time: API, help: &help };
        let client = wait::api(session, patience).await?;
        wait::nodes_ready(session, &client, nodes.len(), since, patience).await
    }

    async fn not_started(&self, engine: &Engine, node: &Node, error: EngineError) -> Error {
        let Some(port) = ports::taken_port(&error.to_string()) else {
            return Error::engine(format!("start node `{}`", node.name))(error);
        };
        let published = node::published(engine, self.name()).await.unwrap_or_default();
        Error::PortTaken {
            name: self.name().to_owned(),
            doing: "started",
            port,
            holder: ports::holder(port, &published),
            cause: Words::new(&error),
        }
    }

    pub(super) async fn stop(&self, engine: &Engine) -> Result<(), Error> {
        node::stop(engine, &self.present(engine).await?).await
    }

    /// Asks kind for the private kubeconfig where it is missing or of another time.
    pub(super) async fn ensure_kubeconfig(&self, session: &Session, engine: &Engine) -> Result<(), Error> {
        let nodes = self.present(engine).await?;
        let port = match super::control_plane(&nodes) {
            Some(node) => node::bindings(engine, &node.name).await?.get(&6443).copied(),
            None => None,
        };
        if kubeconfig::is_current(session, self.name(), port) {
            return Ok(());
        }
        let draft = kubeconfig::Draft::new(session, self.name())?;
        let args = ["get", "kubeconfig", "--name", self.name()];
        let command = command(&args, &draft.path(), &engine.endpoint.child_environment());
        let output = exec::run(&command, &session.cancel, &mut |_| ()).await?;
        if !output.succeeded() {
            return Err(self.failed("read", &Failed::new(&command, &output)));
        }
        draft.write(&output.stdout)?;
        draft.keep(session, self.name())
    }

    pub(super) async fn delete(&self, session: &Session, engine: &Engine) -> Result<bool, Error> {
        let nodes = self.nodes(engine).await?;
        let private = kubeconfig_path(session, self.name());
        if !nodes.is_empty() {
            let path = private.to_string_lossy();
            let args = ["delete", "cluster", "--name", self.name(), "--kubeconfig", &path];
            let command = command(&args, &private, &engine.endpoint.child_environment());
            match exec::run(&command, &session.cancel, &mut |_| ()).await {
                Ok(output) if !output.succeeded() => {
                    return Err(self.failed("deleted", &Failed::new(&command, &output)));
                }
                // Without kind its containers are still ours to remove.
                Ok(_) | Err(exec::Error::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            node::remove(engine, &self.nodes(engine).await?).await?;
        }
        making::end(self.name());
        let folder = private.parent().expect("it lies in the cluster's folder");
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::state("removed", folder)(error)),
            _ => Ok(!nodes.is_empty()),
        }
    }

    fn failed(&self, doing: &'static str, cause: &Failed) -> Error {
        let help = "`docker ps -a` shows its nodes; run the same command again".to_owned();
        Error::Provider { name: self.name().to_owned(), doing, help, cause: Words::new(cause) }
    }
}

/// Returns a call of kind that cannot reach the user's kubeconfig.
fn command(args: &[&str], private: &Path, endpoint: &BTreeMap<String, Option<String>>) -> Command {
    let mut env = endpoint.clone();
    env.insert("KIND_EXPERIMENTAL_PROVIDER".to_owned(), Some("docker".to_owned()));
    env.insert("KIND_CLUSTER_NAME".to_owned(), None);
    env.insert("KUBECONFIG".to_owned(), Some(private.to_string_lossy().into_owned()));
    Command {
        program: "kind".to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env,
        stdin: None,
        folder: None,
        deadline: OTHER,
    }
}

fn command_create(
    name: &str,
    kubeconfig: &Path,
    config: String,
    endpoint: &BTreeMap<String, Option<String>>,
) -> Command {
    let path = kubeconfig.to_string_lossy();
    let args = ["create", "cluster", "--name", name, "--config", "-", "--kubeconfig", &path, "--wait", "0s"];
    Command { stdin: Some(config.into_bytes()), deadline: CREATE, ..command(&args, kubeconfig, endpoint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_that_creates() {
        let endpoint = BTreeMap::from([("DOCKER_HOST".to_owned(), Some("unix:///run/docker.sock".to_owned()))]);
        let command = command_create("shop", Path::new("/s/draft/kubeconfig"), "kind: Cluster\n".to_owned(), &endpoint);
        assert_eq!(
            command.line(),
            "kind create cluster --name shop --config - --kubeconfig /s/draft/kubeconfig --wait 0s"
        );
        assert_eq!(command.stdin.as_deref(), Some("kind: Cluster\n".as_bytes()));
        let env: Vec<String> = command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("(removed)")))
            .collect();
        assert_eq!(
            env,
            [
                "DOCKER_HOST=unix:///run/docker.sock",
                "KIND_CLUSTER_NAME=(removed)",
                "KIND_EXPERIMENTAL_PROVIDER=docker",
                "KUBECONFIG=/s/draft/kubeconfig",
            ]
        );
    }
}
