//! The images that Coracle built or tagged itself, as the engine has them.

use std::collections::BTreeMap;

use super::Error;
use super::engine::Engine;

/// Tag → the base images that its build saw, reference → id.
pub(crate) type OwnImages = BTreeMap<String, BTreeMap<String, String>>;

/// Label of a built image: `REFERENCE=ID,…` of its base images, as far as the engine had them.
pub(crate) const BASES: &str = "coracle.dev/bases";

/// Returns the label's value.
pub(crate) fn written(bases: &BTreeMap<String, String>) -> String {
    bases.iter().map(|(base, id)| format!("{base}={id}")).collect::<Vec<_>>().join(",")
}

fn read(label: &str) -> BTreeMap<String, String> {
    let pairs = label.split(',').filter_map(|pair| pair.rsplit_once('='));
    pairs.map(|(base, id)| (base.to_owned(), id.to_owned())).collect()
}

impl Engine {
    /// Returns the local tags that begin with `prefix`.
    pub(crate) async fn own_images(&self, prefix: &str) -> Result<OwnImages, Error> {
        let filters = std::collections::HashMap::from([("reference".to_owned(), vec![format!("{prefix}*")])]);
        let options = bollard::query_parameters::ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = match self.docker.list_images(Some(options)).await {
            Ok(images) => images,
            Err(error) => return Err(self.failed("listing images".to_owned(), &error).await),
        };
        let mut own = OwnImages::new();
        for image in images {
            let bases = image.labels.get(BASES).map(|label| read(label)).unwrap_or_default();
            for tag in image.repo_tags.iter().filter(|tag| tag.starts_with(prefix)) {
                own.insert(tag.clone(), bases.clone());
            }
        }
        Ok(own)
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
}
