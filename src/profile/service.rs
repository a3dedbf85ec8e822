//! One service: its image, its texts, its containers. Ports, probes, storage and the build
//! have files of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::file::{CommandFile, ContainerFile, KindFile, ResourcesFile, SecretFile, SecurityFile, ServiceFile, Text};
use super::interpolate::image_references;
use super::resolve::{At, Resolver, did_you_mean};
use super::{Container, ImageSource, Resources, SecretSource, Security, Service, WorkloadKind, names};
use crate::image::reference::ImageRef;

/// How long `docker stop` waits.
const GRACE: Duration = Duration::from_secs(10);

impl Resolver<'_> {
    pub(super) fn service(&mut self, at: &At, key: &str, mut value: Json) -> Option<Service> {
        self.interpolate(&mut value, at, Some(key));
        let file: ServiceFile = self.typed(at, value)?;
        let facts = self.facts.get(key).cloned().unwrap_or_default();
        let image = self.image(at, key, &file);
        let kind = self.workload(at, &file, &facts.name);
        let ports_from_image = file.ports.is_none() && matches!(image, ImageSource::Build(_));
        let ports = self.ports(at, &file);
        let rollout = self.rollout(at, file.rollout.as_ref());
        let (readiness, liveness, startup) = self.probes(at, &file, &ports, &kind, rollout.deadline);
        let volumes = self.volumes(at, &file, &facts.name);
        let mounts = self.mounts(at, &file);
        let files = self.files(at, &file);
        let grace = file.grace.as_ref().and_then(|text| self.duration(&at.key("grace"), text)).unwrap_or(GRACE);
        let replicas = file.replicas.unwrap_or(1);
        self.shared_volume(at, replicas, &volumes);
        let sync = self.sync(at, &file);
        let path = self.url_path(at, file.path.as_ref());
        Some(Service {
            key: key.to_owned(),
            name: facts.name,
            service_name: facts.service_name,
            image,
            deploy: file.deploy.unwrap_or(true),
            replicas,
            command: self.command(&at.key("command"), file.command.as_ref()),
            args: self.command(&at.key("args"), file.args.as_ref()),
            env: self.env(&at.key("env"), file.env.as_ref()),
            secrets: self.secrets(&at.key("secrets"), file.secrets.as_ref(), true),
            files,
            expose: self.expose(at, &file, &kind, &ports, ports_from_image),
            ports,
            ports_from_image,
            path,
            headless: file.headless.unwrap_or(false),
            session_affinity: file.session_affinity.unwrap_or(false),
            source_ranges: self.source_ranges(at, &file),
            resources: self.resources(&at.key("resources"), file.resources.as_ref()),
            readiness,
            liveness,
            startup,
            rollout,
            grace,
            volumes,
            mounts,
            after: file.after.unwrap_or_default(),
            init: self.containers(&at.key("init"), file.init.as_ref()),
            sidecars: self.containers(&at.key("sidecars"), file.sidecars.as_ref()),
            labels: self.labels(&at.key("labels"), file.labels.as_ref()),
            annotations: self.annotations(&at.key("annotations"), file.annotations.as_ref()),
            node_selector: texts(file.node_selector.as_ref()),
            tolerations: file.tolerations.unwrap_or_default().into_iter().map(Json::Object).collect(),
            service_account: file.service_account,
            security: self.security(&at.key("security"), file.security),
            patch: file.patch.map(Json::Object),
            sync,
            restart: file.restart,
            development: None,
            kind,
        })
    }

    fn image(&mut self, at: &At, key: &str, file: &ServiceFile) -> ImageSource {
        match (&file.build, &file.image) {
            (Some(_), Some(_)) => {
                self.wrong_help(
                    &at.key("image"),
                    format!("`{key}` has both `build` and `image`"),
                    "keep one: Coracle names the images that it builds",
                );
            }
            (Some(build), None) => return ImageSource::Build(self.build(&at.key("build"), build)),
            (None, Some(image)) => {
                self.reference(&at.key("image"), image);
                return ImageSource::Pull(image.clone());
            }
            (None, None) => {
                let near = [key, "."].into_iter().find(|folder| self.folder.join(folder).join("Dockerfile").is_file());
                let help = near
                    .map_or("`build:` is the folder of a Dockerfile, `image:` one that exists".into(), |folder| {
                        format!("there is a Dockerfile: `build: {folder}`")
                    });
                // What stands under a wrong key has been reported with that key.
                if !self.keys(at).iter().any(|key| matches!(key.as_str(), "build" | "image")) {
                    self.wrong_help(at, format!("`{key}` has neither `build` nor `image`"), help);
                }
            }
        }
        ImageSource::Pull(String::new())
    }

    fn reference(&mut self, at: &At, image: &str) {
        // Another service's image gets its name when it is built.
        if !image_references(image).is_empty() {
            return;
        }
        let Err(error) = image.parse::<ImageRef>() else { return };
        let help = match near_reference(image) {
            Some(near) => did_you_mean(&near),
            None => "such as `redis:7` or `registry.example/team/app:1.2`".to_owned(),
        };
        self.wrong_help(at, format!("`{image}` is no image: {}", error.reason), help);
    }

    fn workload(&mut self, at: &At, file: &ServiceFile, name: &str) -> WorkloadKind {
        let kind = file.kind.unwrap_or(KindFile::Deployment);
        if let (Some(_), false) = (&file.schedule, kind == KindFile::Cron) {
            self.wrong_help(&at.key("schedule"), "only a `cron` has a `schedule`", "add `kind: cron`");
        }
        // Kubernetes adds 11 characters to these names.
        if matches!(kind, KindFile::Cron | KindFile::Stateful) && name.len() > 52 {
            self.wrong(
                at,
                format!("the name `{name}` is longer than 52 characters, too long for this kind of workload"),
            );
        }
        match kind {
            KindFile::Deployment => WorkloadKind::Deployment,
            KindFile::Stateful => WorkloadKind::Stateful,
            KindFile::Job => WorkloadKind::Job,
            KindFile::Cron => {
                let schedule = file.schedule.clone().unwrap_or_default();
                let fields = schedule.split_whitespace().count();
                if file.schedule.is_none() {
                    self.wrong_help(
                        &at.key("kind"),
                        "a `cron` needs a `schedule`",
                        "such as `schedule: \"*/5 * * * *\"`",
                    );
                } else if fields != 5 && !schedule.starts_with('@') {
                    let said = format!("`{schedule}` is no schedule: it has {fields} fields, not 5");
                    self.wrong_help(&at.key("schedule"), said, "minute, hour, day, month, weekday: `*/5 * * * *`");
                }
                WorkloadKind::Cron { schedule }
            }
        }
    }

    pub(super) fn command(&mut self, at: &At, file: Option<&CommandFile>) -> Option<Vec<String>> {
        match file? {
            CommandFile::List(words) => Some(words.iter().map(|word| word.0.clone()).collect()),
            CommandFile::Line(line) => {
                let words = names::words(line);
                if words.is_none() {
                    self.wrong(at, "a quote is opened here and not closed");
                }
                words
            }
        }
    }

    pub(super) fn env(&mut self, at: &At, file: Option<&BTreeMap<String, Text>>) -> Vec<(String, String)> {
        let Some(file) = file else { return Vec::new() };
        let order = self.keys(at);
        let mut env: Vec<(String, String)> = file.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
        // What the defaults give comes first, then the service's own in its order.
        env.sort_by_key(|(name, _)| order.iter().position(|key| key == name).map_or(0, |index| index + 1));
        for (name, _) in &env {
            self.variable_name(&at.key(name), name);
        }
        env
    }

    fn variable_name(&mut self, at: &At, name: &str) {
        let fits = |character: char| character.is_ascii_graphic() && character != '=';
        if name.is_empty() || !name.chars().all(fits) {
            self.wrong_key(at, format!("`{name}` cannot name a variable of the environment"));
        }
    }

    pub(super) fn secrets(
        &mut self,
        at: &At,
        file: Option<&BTreeMap<String, SecretFile>>,
        variables: bool,
    ) -> Vec<(String, SecretSource)> {
        let mut secrets = Vec::new();
        for (name, secret) in file.into_iter().flatten() {
            let at = at.key(name);
            if variables {
                self.variable_name(&at, name);
            }
            let command = self.command(&at.key("command"), secret.command.as_ref()).map(SecretSource::Command);
            let file = secret.file.as_ref().map(|file| SecretSource::File(self.secret_file(&at.key("file"), file)));
            let env = secret.env.clone().map(SecretSource::Env);
            let mut sources: Vec<SecretSource> = [env, file, command].into_iter().flatten().collect();
            if sources.len() != 1 {
                let count = if sources.is_empty() { "no source" } else { "more than one source" };
                self.wrong_help(
                    &at,
                    format!("the secret `{name}` has {count}"),
                    "exactly one of `env`, `file` and `command`",
                );
            }
            secrets.extend(sources.pop().map(|source| (name.clone(), source)));
        }
        secrets
    }

    fn files(&mut self, at: &At, file: &ServiceFile) -> Vec<(String, PathBuf)> {
        let mut files = Vec::new();
        for (target, source) in file.files.iter().flatten() {
            let at = at.key("files").key(target);
            self.mount_path(self.key_place(&at), target);
            if let Some(path) = self.own_file(&at, source) {
                files.push((target.clone(), path));
            }
        }
        files
    }

    pub(super) fn resources(&mut self, at: &At, file: Option<&ResourcesFile>) -> Resources {
        let Some(file) = file else { return Resources::default() };
        let mut resources = Resources::default();
        for (name, value) in [("cpu", &file.cpu), ("memory", &file.memory)] {
            let Some(Text(value)) = value else { continue };
            self.quantity(&at.key(name), name, value);
            resources.requests.insert(name.to_owned(), value.clone());
            resources.limits.insert(name.to_owned(), value.clone());
        }
        for (which, values) in [("requests", &file.requests), ("limits", &file.limits)] {
            for (name, Text(value)) in values.iter().flatten() {
                self.quantity(&at.key(which).key(name), name, value);
                let into = if which == "requests" { &mut resources.requests } else { &mut resources.limits };
                into.insert(name.clone(), value.clone());
            }
        }
        resources
    }

    pub(super) fn quantity(&mut self, at: &At, name: &str, value: &str) {
        if let Err(near) = names::quantity(value) {
            let help = near.map_or("such as `500m`, `2`, `256Mi` or `1Gi`".into(), |near| did_you_mean(&near));
            self.wrong_help(at, format!("`{name}` is a quantity, not `{value}`"), help);
        }
    }

    pub(super) fn duration(&mut self, at: &At, text: &Text) -> Option<Duration> {
        let duration = names::duration(&text.0);
        if duration.is_none() {
            self.wrong_help(at, format!("`{}` is no duration", text.0), "such as `10`, `90s` or `5m`");
        }
        duration
    }

    fn containers(&mut self, at: &At, file: Option<&Vec<ContainerFile>>) -> Vec<Container> {
        let mut containers: Vec<Container> = Vec::new();
        for (index, file) in file.into_iter().flatten().enumerate() {
            let at = at.key(index);
            if let Some(fault) = names::label_fault(&file.name) {
                self.wrong_help(
                    &at.key("name"),
                    format!("the container name `{}` {fault}", file.name),
                    did_you_mean(&names::near_label(&file.name)),
                );
            }
            if containers.iter().any(|other| other.name == file.name) {
                self.wrong(&at.key("name"), format!("there are two containers named `{}`", file.name));
            }
            if let Some(image) = &file.image {
                self.reference(&at.key("image"), image);
            }
            containers.push(Container {
                name: file.name.clone(),
                image: file.image.clone(),
                command: self.command(&at.key("command"), file.command.as_ref()),
                args: self.command(&at.key("args"), file.args.as_ref()),
                env: self.env(&at.key("env"), file.env.as_ref()),
                resources: self.resources(&at.key("resources"), file.resources.as_ref()),
            });
        }
        containers
    }

    pub(super) fn labels(&mut self, at: &At, file: Option<&BTreeMap<String, Text>>) -> BTreeMap<String, String> {
        for (key, Text(value)) in file.into_iter().flatten() {
            if let Some(fault) = names::label_key_fault(key) {
                self.wrong_key(&at.key(key), fault);
            } else if let Some(fault) = names::label_pair_fault(key, value) {
                self.wrong(&at.key(key), fault);
            }
        }
        texts(file)
    }

    pub(super) fn annotations(&mut self, at: &At, file: Option<&BTreeMap<String, Text>>) -> BTreeMap<String, String> {
        for key in file.into_iter().flatten().map(|(key, _)| key) {
            if let Some(fault) = names::label_key_fault(key) {
                self.wrong_key(&at.key(key), fault);
            }
        }
        texts(file)
    }

    fn security(&mut self, at: &At, file: Option<SecurityFile>) -> Option<Security> {
        match file? {
            SecurityFile::Word(word) => {
                if word != "restricted" {
                    self.unknown(
                        at,
                        &format!("`security` is `restricted` or a section, not `{word}`"),
                        &word,
                        ["restricted"],
                    );
                }
                Some(Security { restricted: true, ..Security::default() })
            }
            SecurityFile::Section(section) => {
                let capabilities = section.capabilities.unwrap_or_default();
                Some(Security {
                    restricted: section.restricted.unwrap_or(false),
                    user: section.user,
                    group: section.group,
                    read_only_root: section.read_only_root.unwrap_or(false),
                    add_capabilities: capabilities.add.unwrap_or_default(),
                    drop_capabilities: capabilities.drop.unwrap_or_default(),
                })
            }
        }
    }
}

/// Returns the reference that was probably meant: everything but the tag in lower case.
fn near_reference(image: &str) -> Option<String> {
    let (name, tag) = match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, format!(":{tag}")),
        _ => (image, String::new()),
    };
    let near = name.to_lowercase() + &tag;
    (near != image && near.parse::<ImageRef>().is_ok()).then_some(near)
}

pub(super) fn texts(file: Option<&BTreeMap<String, Text>>) -> BTreeMap<String, String> {
    file.into_iter().flatten().map(|(key, Text(value))| (key.clone(), value.clone())).collect()
}
