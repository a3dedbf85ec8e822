//! `manifests:` files: read, checked, labelled, built images substituted.
//!
//! [`read`] reports every problem that needs no cluster; [`objects`] makes the documents
//! objects of the profile's instance and says what it changed. A manifest's own
//! selectors are never touched: they are immutable in the cluster.

mod check;
mod error;
mod glob;
mod images;
mod label;
mod scope;
#[cfg(test)]
mod tests;
mod warn;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::error::Error;
use self::error::{Problem, clean};
use super::manifest::{self, Material};
use super::object::Object;
use crate::profile::Profile;

/// More than any real manifest; an archive that is named by mistake is not read into memory.
const LARGEST: u64 = 16 * 1024 * 1024;

/// One document of a manifest file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) object: Object,
    pub(crate) file: PathBuf,
    /// The document's first line, counted from 1.
    pub(crate) line: usize,
    /// The file as it is shown, relative to the profile, and its text.
    shown: String,
    text: Arc<str>,
    /// JSON pointer → line.
    lines: BTreeMap<String, usize>,
}

impl Document {
    /// Returns the line of a field, or where it is absent of what is nearest above it.
    fn line_of(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            match self.lines.get(pointer) {
                Some(line) if !pointer.is_empty() => return *line,
                _ => {}
            }
            let Some((above, _)) = pointer.rsplit_once('/') else { return self.line };
            pointer = above;
        }
    }

    /// Returns `k8s/web.yaml:12`.
    fn place(&self, pointer: &str) -> String {
        clean(&format!("{}:{}", self.shown, self.line_of(pointer)))
    }

    fn problem(&self, pointer: &str, message: &str, help: &str) -> Problem {
        Problem::at(&self.shown, &self.text, self.line_of(pointer), message, help)
    }
}

/// Reads the profile's manifest files (globs relative to its folder). Every problem at once.
pub(crate) fn read(profile: &Profile) -> Result<Vec<Document>, Error> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for pattern in &profile.manifests {
        let files = glob::expand(&profile.folder, pattern);
        if files.is_empty() {
            problems.push(Problem::plain(
                &format!("`{pattern}` of `manifests:` matches no file"),
                &format!("patterns start at {}; `*` stays in a folder, `**` does not", profile.folder.display()),
            ));
        }
        for file in files.into_iter().filter(|file| seen.insert(file.clone())) {
            match read_file(&profile.folder, &file) {
                Ok(found) => documents.extend(found),
                Err(problem) => problems.push(*problem),
            }
        }
    }
    for document in &documents {
        problems.extend(check::document(document));
        problems.extend(images::problems(profile, document));
    }
    let whole = scope::Whole::new(&documents);
    problems.extend(documents.iter().filter_map(|document| whole.elsewhere(profile, document)));
    Error::check(problems)?;
    Ok(documents)
}

/// Returns the manifest files that are there now.
pub(crate) fn paths(profile: &Profile) -> Vec<PathBuf> {
    profile.manifests.iter().flat_map(|pattern| glob::expand(&profile.folder, pattern)).collect()
}

fn read_file(folder: &Path, file: &Path) -> Result<Vec<Document>, Box<Problem>> {
    let shown = file.strip_prefix(folder).unwrap_or(file).display().to_string();
    let unreadable = |why: &str| {
        Box::new(Problem::plain(
            &format!("manifest `{shown}` cannot be read: {why}"),
            "mend the file, or take it out of `manifests:`",
        ))
    };
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable("it is larger than 16 MiB"));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(&error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text"))?;
    parse(&text, file, &shown)
}

fn parse(text: &str, file: &Path, shown: &str) -> Result<Vec<Document>, Box<Problem>> {
    let located = yaml::parse(text).map_err(|error| {
        let message = format!("`{shown}` is not YAML: {}", error.message);
        Box::new(Problem::at(shown, text, error.line, &message, ""))
    })?;
    let text: Arc<str> = text.into();
    let document = |value: Value, lines: BTreeMap<String, usize>| Document {
        object: Object(value),
        file: file.to_owned(),
        line: lines.get("").copied().unwrap_or(1),
        shown: shown.to_owned(),
        text: Arc::clone(&text),
        lines,
    };
    let mut documents = Vec::new();
    for yaml::Located { value, lines } in located {
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value.get("items").and_then(Value::as_array).filter(|_| is_list) {
            None => documents.push(document(value, lines)),
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    documents.push(document(item.clone(), below(&lines, &format!("/items/{index}"))));
                }
            }
        }
    }
    Ok(documents)
}

/// Returns the lines of what is under a pointer.
fn below(lines: &BTreeMap<String, usize>, pointer: &str) -> BTreeMap<String, usize> {
    let rest = |key: &str| {
        key.strip_prefix(pointer).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
    };
    lines.iter().filter_map(|(key, line)| Some((rest(key)?, *line))).collect()
}

/// Returns the external images that the documents name and nothing builds.
pub(crate) fn images(profile: &Profile, documents: &[Document]) -> Vec<String> {
    let named = documents.iter().flat_map(images::named);
    let external = named.filter(|image| images::built(profile, image.reference).is_none());
    external.map(|image| image.reference.to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the keys of the services whose built image the documents run, in order.
pub(crate) fn services(profile: &Profile, documents: &[Document]) -> Vec<String> {
    let named = documents.iter().flat_map(images::named);
    let built: BTreeSet<&str> = named.filter_map(|image| images::built(profile, image.reference)).collect();
    built.into_iter().map(str::to_owned).collect()
}

/// Returns the names of the claims and of the storage classes that the documents make.
pub(crate) fn made(documents: &[Document]) -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |kind: &str| {
        let of_kind = documents.iter().filter(|document| document.object.kind() == kind);
        of_kind.map(|document| document.object.name().to_owned()).collect()
    };
    (names("PersistentVolumeClaim"), names("StorageClass"))
}

/// Returns the documents as objects of this profile, and sentences about what was changed
/// or looks wrong (pull policy overridden, selector that matches nothing, probe's port).
/// A built image that `images` does not know is `pending://SERVICE`.
pub(crate) fn objects(
    profile: &Profile,
    documents: &[Document],
    images: &BTreeMap<String, String>,
) -> Result<(Vec<Object>, Vec<String>), Error> {
    let rendered = manifest::render(profile, &Material::default());
    let whole = scope::Whole::new(documents);
    let (mut objects, mut sentences, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for document in documents {
        let object = label::object(profile, document, images, &whole, &mut sentences);
        let identity = object.identity();
        if object.kind() == "Namespace" && object.name() == profile.namespace {
            let place = document.place("/kind");
            sentences
                .push(format!("{place}: namespace `{}` is made by the profile; this one is left out", object.name()));
        } else if rendered.iter().any(|other| other.identity() == identity) {
            let message = format!("{} is also what a service of the profile makes", object.title());
            problems.push(document.problem("/metadata/name", &message, "give one of the two another name"));
        } else if let Some(place) = first.get(&identity) {
            let message = format!("{} is described twice", object.title());
            problems.push(document.problem("/metadata/name", &message, &format!("the other one is at {place}")));
        } else {
            first.insert(identity, document.place("/metadata/name"));
            objects.push(object);
        }
    }
    Error::check(problems)?;
    sentences.extend(warn::sentences(documents, &objects, &rendered));
    Ok((objects, sentences))
}
