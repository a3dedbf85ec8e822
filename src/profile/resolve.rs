//! From what the file says to what the code uses: the top of the profile, and the places
//! and problems that the files beside this one share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::error::{Error, Problem};
use super::file::{ClusterFile, ProfileFile, ProviderFile};
use super::find::{self, Found};
use super::tree::{self, Node, Span};
use super::values::Facts;
use super::{Cluster, Profile, ProviderName, names, structure, values};
use crate::session::Surroundings;

/// Where the profile is looked for, and what flags say over it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// `-p`: a file or a folder.
    pub(crate) path: Option<PathBuf>,
    /// Overrides of the cluster from flags.
    pub(crate) provider: Option<super::ProviderName>,
}

/// Finds and reads the profile: `-p`, else `coracle.yaml` here or in a folder above, else the
/// Dockerfile of this folder. Reads files; touches nothing else.
pub(crate) fn load(request: &Request, surroundings: &Surroundings) -> Result<Profile, Error> {
    let mut profile = match find::find(request, surroundings)? {
        Found::File(file) => {
            let text = find::read(&file)?;
            parse(&text, &file, surroundings)?
        }
        Found::Folder(folder) => from_dockerfile(&folder, surroundings)?,
    };
    if let Some(provider) = request.provider {
        profile.cluster.provider = provider;
    }
    Ok(profile)
}

/// Returns the profile that a text is. Relative paths start from the file's folder.
pub(crate) fn parse(text: &str, file: &Path, surroundings: &Surroundings) -> Result<Profile, Error> {
    let file = surroundings.absolute(file);
    let shown = file.strip_prefix(&surroundings.folder).unwrap_or(&file);
    let invalid = |problems| Error::invalid(shown, text, problems);
    let tree = tree::parse(text).map_err(|problem| invalid(vec![problem]))?;
    let (sound, problems) = structure::check(text, &tree);
    let folder = canonical(file.parent().unwrap_or(Path::new("/")))?;
    let mut resolver = Resolver::new(surroundings, &tree, folder, problems);
    let profile = resolver.profile(sound, &file);
    if resolver.problems.is_empty() { Ok(profile) } else { Err(invalid(resolver.problems)) }
}

/// A folder with a Dockerfile is a profile: one service, its name the folder's.
fn from_dockerfile(folder: &Path, surroundings: &Surroundings) -> Result<Profile, Error> {
    let folder = canonical(folder)?;
    let name = find::folder_name(&folder);
    let name = names::near_service(&name);
    if name.is_empty() {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        return Err(Error::Unnameable { name });
    }
    let text = format!("name: {name}\nservices:\n  {name}: {{build: .}}\n");
    let mut profile = parse(&text, &folder.join(find::FILE), surroundings)?;
    profile.file = None;
    Ok(profile)
}

/// Returns the profile of a place where there is none: the default cluster, and nothing on it.
pub(crate) fn without_services(surroundings: &Surroundings) -> Result<Profile, Error> {
    let text = "name: none\nservices: {none: {image: none}}\n";
    let profile = parse(text, &surroundings.folder.join(find::FILE), surroundings)?;
    Ok(Profile { services: Vec::new(), ..profile })
}

fn canonical(folder: &Path) -> Result<PathBuf, Error> {
    folder.canonicalize().map_err(|source| Error::Unreadable { path: folder.to_path_buf(), source })
}

/// A path of keys in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct At(pub(super) Vec<String>);

impl At {
    pub(super) fn of(steps: &[&str]) -> Self {
        Self(steps.iter().map(ToString::to_string).collect())
    }

    pub(super) fn key(&self, step: impl std::fmt::Display) -> Self {
        let mut path = self.clone();
        path.0.push(step.to_string());
        path
    }
}

/// What resolving one profile needs and collects.
pub(super) struct Resolver<'a> {
    pub(super) surroundings: &'a Surroundings,
    tree: &'a Node,
    /// The profile's folder, symlinks resolved.
    pub(super) folder: PathBuf,
    /// The folder that builds may use: the git repository around the profile, or its folder.
    pub(super) boundary: PathBuf,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    pub(super) namespace: String,
    /// Keys of the services in the order of the file, also of those that are not sound.
    pub(super) known: Vec<String>,
    pub(super) facts: BTreeMap<String, Facts>,
}

impl<'a> Resolver<'a> {
    fn new(surroundings: &'a Surroundings, tree: &'a Node, folder: PathBuf, problems: Vec<Problem>) -> Self {
        let repository = folder.ancestors().find(|above| above.join(".git").exists()).map(Path::to_path_buf);
        Self {
            surroundings,
            tree,
            boundary: repository.unwrap_or_else(|| folder.clone()),
            folder,
            problems,
            warnings: Vec::new(),
            namespace: String::new(),
            known: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    fn profile(&mut self, mut sound: Map<String, Json>, file: &Path) -> Profile {
        let name = self.name(&sound);
        self.namespace.clone_from(&name);
        let top = At::default();
        let merged = self.merged(&sound);
        let template = sound.get("name-template").and_then(Json::as_str).unwrap_or("{service}").to_owned();
        self.facts(&merged, &template);
        let mut services = Vec::new();
        for (key, value) in &merged {
            let at = At::of(&["services", key]);
            if let Some(service) = self.service(&at, key, value.clone()) {
                services.push(service);
            }
        }
        let environments: Vec<String> = self.keys(&top.key("environments"));
        self.environments(&sound, &merged);
        let checks = self.checks(&sound);
        sound.retain(|key, _| {
            !matches!(key.as_str(), "services" | "defaults" | "environments" | "checks" | "name-template")
        });
        let mut sound = Json::Object(sound);
        self.interpolate(&mut sound, &top, None);
        let file_values: ProfileFile = self.typed(&top, sound).unwrap_or_default();
        let labels = self.labels(&top.key("labels"), file_values.labels.as_ref());
        self.related(&services);
        if self.known.is_empty() && file_values.manifests.as_ref().is_none_or(Vec::is_empty) && self.problems.is_empty()
        {
            self.wrong(&top, "the profile has neither `services` nor `manifests`, so there is nothing to run");
        }
        let mut unique = Vec::new();
        for warning in std::mem::take(&mut self.warnings) {
            if !unique.contains(&warning) {
                unique.push(warning);
            }
        }
        Profile {
            instance: self.instance(&name, &template),
            namespace: name.clone(),
            name,
            folder: self.folder.clone(),
            file: Some(file.to_path_buf()),
            labels,
            cluster: self.cluster(file_values.cluster.unwrap_or_default()),
            services,
            manifests: file_values.manifests.unwrap_or_default(),
            checks,
            environments,
            warnings: unique,
        }
    }

    fn name(&mut self, sound: &Map<String, Json>) -> String {
        let at = At::of(&["name"]);
        let Some(written) = sound.get("name").and_then(Json::as_str) else {
            let name = find::folder_name(&self.folder);
            if name.is_empty() {
                self.wrong(&At::default(), "the profile has no `name`, and the folder's name gives none");
            }
            return name;
        };
        let name = self.fill(written, &at, None);
        if let Some(fault) = names::label_fault(&name) {
            let near = names::near_label(&name);
            self.wrong_help(&at, format!("the name `{name}` {fault}"), did_you_mean(&near));
        } else if name.starts_with("kube-") {
            self.wrong_help(
                &at,
                format!("`{name}` is no name for a profile"),
                "`kube-` is for Kubernetes' own namespaces",
            );
        }
        name
    }

    /// Services with the defaults below them, in the order of the file.
    fn merged(&mut self, sound: &Map<String, Json>) -> Vec<(String, Json)> {
        let at = At::of(&["services"]);
        self.known = self.keys(&at);
        let empty = Map::new();
        let section = |key: &str| sound.get(key).and_then(Json::as_object).unwrap_or(&empty);
        let defaults = section("defaults").clone();
        let services = section("services").clone();
        let mut merged = Vec::new();
        for key in self.known.clone() {
            if let Some(fault) = names::service_fault(&key) {
                let near = names::near_service(&key);
                let said = format!("the service name `{key}` {fault}");
                self.problems.push(with_help(Problem::new(self.key_place(&at.key(&key)), said), did_you_mean(&near)));
            }
            if let Some(Json::Object(over)) = services.get(&key) {
                merged.push((key, Json::Object(values::over_defaults(&defaults, over))));
            }
        }
        merged
    }

    fn cluster(&mut self, file: ClusterFile) -> Cluster {
        let at = At::of(&["cluster"]);
        let name = file.name.unwrap_or_else(|| "coracle".into());
        if let Some(fault) = names::label_fault(&name) {
            self.wrong_help(
                &at.key("name"),
                format!("the cluster name `{name}` {fault}"),
                did_you_mean(&names::near_label(&name)),
            );
        }
        let kubernetes = file.kubernetes.map(|version| {
            let numbers: Vec<&str> = version.trim_start_matches('v').split('.').collect();
            let fits = matches!(numbers.len(), 2 | 3) && numbers.iter().all(|part| part.parse::<u16>().is_ok());
            if !fits {
                self.wrong_help(
                    &at.key("kubernetes"),
                    format!("`{version}` is no version of Kubernetes"),
                    "write `v1.33` or `v1.33.4`",
                );
            }
            format!("v{}", numbers.join("."))
        });
        let provider = match file.provider {
            Some(ProviderFile::Minikube) => ProviderName::Minikube,
            Some(ProviderFile::Kind) | None => ProviderName::Kind,
        };
        // KIND_NODE_IMAGE is weighed against `kubernetes` where the cluster is made.
        Cluster { provider, name, nodes: file.nodes.unwrap_or(1), kubernetes, image: file.image }
    }

    /// A digest of what makes this application, here, another than any other: it must not
    /// change when a service comes or goes, so the template stands for the names.
    fn instance(&self, name: &str, template: &str) -> String {
        let names = values::fill_plainly(template, "{service}", &self.namespace, &self.surroundings.user);
        let digest = Sha256::digest([name, "local", &self.namespace, &names].join("\0"));
        digest.iter().take(6).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// Fills a type from what `structure` let through.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, at: &At, value: Json) -> Option<T> {
        match serde_json::from_value(value) {
            Ok(typed) => Some(typed),
            Err(error) => {
                self.wrong(at, format!("this cannot be read: {error}"));
                None
            }
        }
    }

    pub(super) fn wrong(&mut self, at: &At, said: impl AsRef<str>) {
        let problem = Problem::new(self.place(at), said);
        self.problems.push(problem);
    }

    /// The same, where the key is what is wrong.
    pub(super) fn wrong_key(&mut self, at: &At, said: impl AsRef<str>) {
        let problem = Problem::new(self.key_place(at), said);
        self.problems.push(problem);
    }

    pub(super) fn wrong_help(&mut self, at: &At, said: impl AsRef<str>, help: impl AsRef<str>) {
        let problem = with_help(Problem::new(self.place(at), said), help);
        self.problems.push(problem);
    }

    /// A name that is none of the known ones.
    pub(super) fn unknown<'k>(&mut self, at: &At, said: &str, name: &str, known: impl IntoIterator<Item = &'k str>) {
        let problem = Problem::new(self.place(at), said).suggest(name, known);
        self.problems.push(problem);
    }

    /// Returns the place of a value, also where an environment or a service has it from
    /// below: the overlay, then the service, then the defaults.
    pub(super) fn place(&self, at: &At) -> Span {
        self.tree.place(&self.written(at))
    }

    fn written(&self, at: &At) -> Vec<String> {
        let path = at.0.as_slice();
        let mut candidates: Vec<Vec<String>> = vec![path.to_vec()];
        let service = match path {
            [first, _, third, rest @ ..] if first == "environments" && third == "services" => Some(rest),
            [first, rest @ ..] if first == "services" => Some(rest),
            _ => None,
        };
        if let Some([key, rest @ ..]) = service {
            candidates.push([&["services".to_owned(), key.clone()], rest].concat());
            candidates.push([&["defaults".to_owned()], rest].concat());
        }
        let written = candidates.iter().position(|candidate| self.tree.has(candidate));
        candidates.swap_remove(written.unwrap_or(0))
    }

    pub(super) fn key_place(&self, at: &At) -> Span {
        self.tree.key_place(&self.written(at))
    }

    /// Returns the keys of a section in the order of the file, each once.
    pub(super) fn keys(&self, at: &At) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for key in self.tree.keys(&at.0) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

/// Returns `did you mean`, or nothing where there is nothing to mean.
pub(super) fn did_you_mean(near: &str) -> String {
    if near.is_empty() { String::new() } else { format!("did you mean `{near}`?") }
}

pub(super) fn with_help(problem: Problem, help: impl AsRef<str>) -> Problem {
    if help.as_ref().is_empty() { problem } else { problem.help(help) }
}
