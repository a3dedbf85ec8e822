//! Images that manifests name: built here, somebody else's, or a slip of the pen.

use super::Document;
use super::error::Problem;
use crate::deploy::object::template_pointer;
use crate::image::reference::ImageRef;
use crate::profile::{ImageSource, Profile};

/// One `image:` of a document.
pub(super) struct Named<'a> {
    /// JSON pointer to the container.
    pub(super) container: String,
    pub(super) reference: &'a str,
}

/// Returns the images of a document's pods.
pub(super) fn named(document: &Document) -> Vec<Named<'_>> {
    let object = &document.object;
    let pod = match template_pointer(object.kind()) {
        Some(template) => format!("{template}/spec"),
        None if object.kind() == "Pod" => "/spec".to_owned(),
        None => return Vec::new(),
    };
    let mut named = Vec::new();
    for list in ["initContainers", "containers"] {
        let pointer = format!("{pod}/{list}");
        let containers = object.0.pointer(&pointer).and_then(serde_json::Value::as_array);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            if let Some(reference) = container["image"].as_str() {
                named.push(Named { container: format!("{pointer}/{index}"), reference });
            }
        }
    }
    named
}

/// Returns the key of the built service that a reference means: its last part is the key, and it
/// names no registry.
pub(super) fn built<'a>(profile: &'a Profile, reference: &str) -> Option<&'a str> {
    let image = without_registry(reference)?;
    keys(profile).find(|key| *key == last_part(&image))
}

/// Reports images that are no references, and those that nothing builds and whose name is nearly
/// that of one that is.
pub(super) fn problems(profile: &Profile, document: &Document) -> Vec<Problem> {
    let mut problems = Vec::new();
    for image in named(document) {
        if let Err(error) = image.reference.parse::<ImageRef>() {
            let help = "write it as `[REGISTRY/]NAME[:TAG][@sha256:DIGEST]`, or the name of a service that is built";
            problems.push(document.problem(&format!("{}/image", image.container), &error.to_string(), help));
            continue;
        }
        let external = without_registry(image.reference).filter(|_| built(profile, image.reference).is_none());
        let Some(parsed) = external else { continue };
        let Some(key) = keys(profile).find(|key| near(key, last_part(&parsed))) else { continue };
        let message = format!("image `{}` is not built here; did you mean service `{key}`?", image.reference);
        let help = format!(
            "write `image: {key}`, or with its registry (`docker.io/{}`) where it is somebody else's",
            image.reference
        );
        problems.push(document.problem(&format!("{}/image", image.container), &message, &help));
    }
    problems
}

fn keys(profile: &Profile) -> impl Iterator<Item = &str> {
    let built = profile.services.iter().filter(|service| matches!(service.image, ImageSource::Build(_)));
    built.map(|service| service.key.as_str())
}

/// Returns `webapp1` of `amitsaha/webapp1:v1@sha256:…`.
fn last_part(image: &ImageRef) -> &str {
    image.repository.rsplit('/').next().unwrap_or_default()
}

/// Returns the reference, unless it names the registry that it comes from: then it is somebody
/// else's, whatever its last part is.
fn without_registry(reference: &str) -> Option<ImageRef> {
    let hub = "docker.io";
    let image: ImageRef = reference.parse().ok()?;
    let spelt = [hub, "index.docker.io"].iter().any(|host| reference.starts_with(&format!("{host}/")));
    (image.registry == hub && !spelt).then_some(image)
}

/// Short names are near to anything: one letter of four may differ, two of six.
fn near(key: &str, name: &str) -> bool {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let (key, name) = (plain(key), plain(name));
    let allowed = match key.len().min(name.len()) {
        0..4 => 0,
        4..6 => 1,
        _ => 2,
    };
    strsim::levenshtein(&key, &name) <= allowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::manifest::tests::{profile, service};

    #[test]
    fn names_are_near_or_not() {
        assert!(near("webapp-1", "webapp1"));
        assert!(near("gateway", "gatewya"));
        assert!(!near("web", "db"));
        assert!(!near("api", "app"));
        assert!(!near("redis-ui", "redis"));
    }

    #[test]
    fn an_image_of_a_registry_is_somebody_elses() {
        let profile = profile(vec![service("web")]);
        for reference in [
            "web",
            "web:1",
            "ada/web:v1",
            "web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(built(&profile, reference), Some("web"), "{reference}");
        }
        for reference in
            ["gcr.io/other/web:1", "localhost:5000/web", "localhost/web", "docker.io/ada/web", "webs", "Web"]
        {
            assert_eq!(built(&profile, reference), None, "{reference}");
        }
    }
}
