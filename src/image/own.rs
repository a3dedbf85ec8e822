//! The images that Coracle built or named itself: how they are marked, and those that the engine has.
//!
//! An image that was built here has our labels and is named after them; of a pulled one only the
//! further name that Coracle gave it is ours.

use std::collections::{BTreeMap, HashMap};

use bollard::models::ImageSummary;
use bollard::query_parameters::ListImagesOptionsBuilder;
use jiff::Timestamp;

use super::Error;
use super::engine::Engine;

/// What every local tag begins with.
pub(crate) const HOST: &str = "coracle.local/";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const PROFILE: &str = "coracle.dev/profile";
const SERVICE: &str = "coracle.dev/service";
/// Of a built image: `REFERENCE=ID,…` of its base images, as far as the engine had them.
const BASES: &str = "coracle.dev/bases";

/// A name of ours in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// The image's, `sha256:…`.
    pub(crate) id: String,
    /// It was built by Coracle under this name, as its labels say; else it was pulled, and just
    /// the name is ours.
    pub(crate) built: bool,
    /// The base images that its build saw, reference → id.
    pub(crate) bases: BTreeMap<String, String>,
    /// It has a name that is not ours too: without ours it stays. False while nobody has asked.
    pub(crate) named_otherwise: bool,
    /// When the engine gave it a name last; absent while nobody has asked.
    pub(crate) tagged: Option<Timestamp>,
}

impl Own {
    /// Whether its name can be removed and no content that is not ours with it.
    pub(crate) fn is_safe_to_remove(&self) -> bool {
        self.built || self.named_otherwise
    }
}

/// Returns the labels of an image that Coracle builds.
pub(crate) fn labels(profile: &str, service: &str, bases: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    BTreeMap::from([
        label(MANAGED_BY, "coracle"),
        label(PROFILE, profile),
        label(SERVICE, service),
        label(BASES, &written(bases)),
    ])
}

fn written(bases: &BTreeMap<String, String>) -> String {
    bases.iter().map(|(base, id)| format!("{base}={id}")).collect::<Vec<_>>().join(",")
}

fn read(label: &str) -> BTreeMap<String, String> {
    let pairs = label.split(',').filter_map(|pair| pair.rsplit_once('='));
    pairs.map(|(base, id)| (base.to_owned(), id.to_owned())).collect()
}

/// Returns an image's names that begin with `prefix`, with what listing tells.
pub(super) fn names(image: &ImageSummary, prefix: &str) -> Vec<(String, Own)> {
    let bases = image.labels.get(BASES).map(|label| read(label)).unwrap_or_default();
    let tags = image.repo_tags.iter().filter(|tag| tag.starts_with(prefix));
    tags.map(|tag| {
        let built = is_built_as(repository(tag), &image.labels);
        let own = Own { id: image.id.clone(), built, bases: bases.clone(), named_otherwise: false, tagged: None };
        (tag.clone(), own)
    })
    .collect()
}

/// Returns a tag's repository: `coracle.local/shop/web`.
pub(crate) fn repository(tag: &str) -> &str {
    tag.rsplit_once(':').map_or(tag, |(repository, _)| repository)
}

/// Whether the labels are those of a build of ours with this very name: an image built on ours
/// inherits them, and is not ours.
fn is_built_as(repository: &str, labels: &HashMap<String, String>) -> bool {
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
    let named = format!("{HOST}{}/{}", label(PROFILE), label(SERVICE));
    label(MANAGED_BY) == "coracle" && repository == named
}

impl Engine {
    /// Returns a profile's local tags, each with what listing tells.
    pub(crate) async fn own_tags(&self, profile: &str) -> Result<BTreeMap<String, Own>, Error> {
        let prefix = format!("{HOST}{profile}/");
        let filters = HashMap::from([("reference".to_owned(), vec![format!("{prefix}*")])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        match self.docker.list_images(Some(options)).await {
            Ok(images) => Ok(images.iter().flat_map(|image| names(image, &prefix)).collect()),
            Err(error) => Err(self.failed("listing images".to_owned(), &error).await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bases: BTreeMap<String, String> = [("localhost:5000/a:1", "sha256:ab"), ("python:3-slim", "sha256:cd")]
            .map(|(base, id)| (base.to_owned(), id.to_owned()))
            .into();
        assert_eq!(read(&written(&bases)), bases);
        assert!(read("").is_empty());
    }

    fn labelled(profile: &str, service: &str) -> HashMap<String, String> {
        let pairs = [(MANAGED_BY, "coracle"), (PROFILE, profile), (SERVICE, service)];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn an_image_is_ours_by_name_and_label_together() {
        assert!(is_built_as("coracle.local/shop/web", &labelled("shop", "web")));
        assert!(!is_built_as("coracle.local/shop/redis", &labelled("shop", "web")), "pulled, and built on ours");
        assert!(!is_built_as("coracle.local/shop/web", &HashMap::new()));
    }
}
