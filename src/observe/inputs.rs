//! What the profile's files say on this machine: contexts, Dockerfiles, secrets, manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Asked, BuildInput, Error, Inputs};
use crate::deploy::raw::{self, Document};
use crate::error::Failure;
use crate::image::context::Context;
use crate::image::dockerfile::Dockerfile;
use crate::image::tag;
use crate::profile::{self, ImageSource, Profile, SecretSource, interpolate};
use crate::session::Session;
use crate::{exec, trust};

/// Reads what the profile names on this machine: contexts, Dockerfiles, secrets, files, manifests.
pub(crate) async fn read(session: &Session, profile: &Profile, asked: &Asked) -> Result<Inputs, Failure> {
    trust_commands(session, profile).await?;
    let mut inputs = Inputs { warnings: profile.warnings.clone(), ..Inputs::default() };
    inputs.documents = raw::read(profile)?;
    for service in profile.services.iter().filter(|_| !asked.images_only) {
        if !service.secrets.is_empty() {
            let values = secrets(session, &profile.folder, &service.key, &service.secrets).await?;
            inputs.secrets.insert(service.key.clone(), values);
        }
        for (path, source) in &service.files {
            let content = read_file(&service.key, "a file to mount", source)?;
            inputs.files.entry(service.key.clone()).or_default().insert(path.clone(), content);
        }
    }
    inputs.pulls = pulls(profile, &inputs.documents);
    inputs.run_elsewhere = profile.services.iter().flat_map(run_by).collect();
    inputs.run_elsewhere.extend(raw::services(profile, &inputs.documents));
    inputs.order = order(profile);
    read_builds(session, profile, &asked.contexts, &mut inputs).await?;
    Ok(inputs)
}

/// The builds' contexts and Dockerfiles, being read side by side, off the async threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contexts(Arc<Mutex<Vec<(String, Reading)>>>);

type Reading = JoinHandle<Result<(profile::Build, Context, Dockerfile), tag::Error>>;

impl Contexts {
    /// Begins to read; who observes afterwards takes what was read meanwhile.
    pub(crate) fn begin(session: &Session, profile: &Profile) -> Self {
        let begin = |service: &profile::Service| {
            let ImageSource::Build(build) = &service.image else { return None };
            let (build, cache) = (build.clone(), session.surroundings.cache.clone());
            let read =
                move || tag::read(&build, Some(&cache)).map(|(context, dockerfile)| (build, context, dockerfile));
            Some((service.key.clone(), tokio::task::spawn_blocking(read)))
        };
        Self(Arc::new(Mutex::new(profile.services.iter().filter_map(begin).collect())))
    }

    /// Returns what is being read; nothing the second time, for by then it is of the past.
    fn take(&self) -> Vec<(String, Reading)> {
        std::mem::take(&mut *self.0.lock().expect("nobody panics while it is held"))
    }
}

async fn read_builds(
    session: &Session,
    profile: &Profile,
    contexts: &Contexts,
    inputs: &mut Inputs,
) -> Result<(), Failure> {
    let mut reading = contexts.take();
    if reading.is_empty() {
        reading = Contexts::begin(session, profile).take();
    }
    for (key, task) in reading {
        let (build, context, dockerfile) = task.await.expect("reading a context does not panic")?;
        inputs.warnings.extend(dockerfile.warnings.iter().cloned());
        inputs.warnings.extend(context.large());
        let ca = build.ca.as_ref().map(|path| read_file(&key, "its certificate authority", path)).transpose()?;
        let secrets = secrets(session, &profile.folder, &key, &build.secrets).await?;
        let needs = needs(&build);
        let input = BuildInput {
            build,
            context,
            dockerfile,
            ca,
            secrets,
            needs,
            bases: BTreeMap::new(),
            tag: String::new(),
            built: false,
            no_cache: false,
            exposed: None,
        };
        inputs.builds.insert(key, Arc::new(input));
    }
    Ok(())
}

/// Returns image name → reference for everything that is run and not built.
fn pulls(profile: &Profile, documents: &[Document]) -> BTreeMap<String, String> {
    let mut pulls = BTreeMap::new();
    let named: BTreeSet<String> = profile.services.iter().flat_map(run_by).collect();
    for service in profile.services.iter().filter(|service| service.deploy || named.contains(&service.key)) {
        if let ImageSource::Pull(reference) = &service.image {
            pulls.insert(service.key.clone(), reference.clone());
        }
        for container in service.init.iter().chain(&service.sidecars) {
            if let Some(reference) = &container.image
                && interpolate::image_references(reference).is_empty()
            {
                pulls.insert(format!("{}.{}", service.key, container.name), reference.clone());
            }
        }
    }
    for reference in raw::images(profile, documents) {
        pulls.insert(reference.clone(), reference);
    }
    pulls
}

/// Returns the services whose image a container or a variable of this service names.
fn run_by(service: &profile::Service) -> Vec<String> {
    let containers = service.init.iter().chain(&service.sidecars);
    let images = containers.filter_map(|container| container.image.as_deref());
    let values = service.env.iter().map(|(_, value)| value.as_str());
    images.chain(values).flat_map(interpolate::image_references).collect()
}

fn needs(build: &profile::Build) -> Vec<String> {
    build.args.values().flat_map(|value| interpolate::image_references(value)).collect()
}

/// Returns the built services, each after those that it builds on. The profile's reader has
/// refused cycles.
fn order(profile: &Profile) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    let mut left: Vec<(&str, Vec<String>)> = Vec::new();
    for service in &profile.services {
        if let ImageSource::Build(build) = &service.image {
            left.push((&service.key, needs(build)));
        }
    }
    // A name that is not built here is nobody's to wait for.
    let built: BTreeSet<String> = left.iter().map(|(key, _)| (*key).to_owned()).collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(key, needs)| {
            let ready = needs.iter().all(|need| order.contains(need) || !built.contains(need));
            if ready {
                order.push((*key).to_owned());
            }
            !ready
        });
        assert!(left.len() < before, "the profile's reader refuses cycles");
    }
    order
}

/// Commands that the profile would run on this machine run only once they are trusted.
async fn trust_commands(session: &Session, profile: &Profile) -> Result<(), Failure> {
    let builds = profile.services.iter().filter_map(|service| match &service.image {
        ImageSource::Build(build) => Some(&build.secrets),
        ImageSource::Pull(_) => None,
    });
    let sources = profile.services.iter().map(|service| &service.secrets).chain(builds).flatten();
    let commands: Vec<Vec<String>> = sources
        .filter_map(|(_, source)| match source {
            SecretSource::Command(command) => Some(command.clone()),
            _ => None,
        })
        .collect();
    if commands.is_empty() {
        return Ok(());
    }
    let file = profile.file.clone().unwrap_or_else(|| profile.folder.clone());
    Ok(trust::check(session, &file, &commands).await?)
}

async fn secrets(
    session: &Session,
    folder: &Path,
    service: &str,
    sources: &[(String, SecretSource)],
) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut values = BTreeMap::new();
    for (key, source) in sources {
        let value = match source {
            SecretSource::Env(variable) => {
                let unset =
                    || Error::Unset { service: service.to_owned(), key: key.clone(), variable: variable.clone() };
                session.surroundings.variables.get(variable).ok_or_else(unset)?.clone().into_bytes()
            }
            SecretSource::File(path) => read_file(service, &format!("the secret `{key}`"), path)?,
            SecretSource::Command(command) => run_for_secret(session, folder, service, key, command).await?,
        };
        values.insert(key.clone(), value);
    }
    Ok(values)
}

/// Returns what a trusted command printed, without the line break at its end.
async fn run_for_secret(
    session: &Session,
    folder: &Path,
    service: &str,
    key: &str,
    command: &[String],
) -> Result<Vec<u8>, Failure> {
    let command = exec::Command {
        program: command.first().cloned().unwrap_or_default(),
        args: command.iter().skip(1).cloned().collect(),
        env: BTreeMap::new(),
        stdin: None,
        folder: Some(folder.to_owned()),
        deadline: Duration::from_secs(30),
    };
    let output = exec::run(&command, &session.cancel, &mut |_| {}).await?;
    if output.code != Some(0) {
        // Standard error only: the output is the secret.
        let output = crate::ui::sanitize::block(&String::from_utf8_lossy(&output.stderr));
        return Err(Error::SecretCommand { service: service.to_owned(), key: key.to_owned(), output }.into());
    }
    let mut value = output.stdout;
    while value.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        value.pop();
    }
    Ok(value)
}

fn read_file(service: &str, what: &str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Unreadable {
        service: service.to_owned(),
        what: what.to_owned(),
        path: path.to_owned(),
        source,
    })
}
