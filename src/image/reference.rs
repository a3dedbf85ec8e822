//! `ImageRef`: an image's name, split as Docker splits it.
//!
//! `localhost:5000/a` has a registry and `a/b` has not; a tag and a digest may both be
//! there. Nothing is asked of a registry here.

use std::fmt;
use std::str::FromStr;

use miette::Diagnostic;

use crate::error::{Classified, Kind};

const HUB: &str = "docker.io";

/// A parsed image reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ImageRef {
    /// `docker.io`, `localhost:5000`.
    pub(crate) registry: String,
    /// `library/redis`, `gould29/k8s-demo`.
    pub(crate) repository: String,
    pub(crate) tag: Option<String>,
    /// `sha256:` and 64 hex digits.
    pub(crate) digest: Option<String>,
}

/// What is wrong with a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("`{text}` is not an image reference: {reason}")]
#[diagnostic(
    code(coracle::image::reference),
    help("write it as `[REGISTRY/]NAME[:TAG][@sha256:DIGEST]`, as in `redis:7` or `localhost:5000/team/web:1.2`")
)]
pub(crate) struct Error {
    pub(crate) text: String,
    pub(crate) reason: &'static str,
}

impl Classified for Error {
    fn kind(&self) -> Kind {
        Kind::Request
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|reason| Error { text: crate::ui::sanitize::line(text), reason })
    }
}

fn parse(text: &str) -> Result<ImageRef, &'static str> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a registry's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase() => {
            (first, path)
        }
        _ => (HUB, name),
    };
    let registry = if is_hub(registry) { HUB } else { registry };
    if name.is_empty() || path.is_empty() {
        return Err("it has no name");
    }
    if path != path.to_lowercase() {
        return Err("a name is in lower case");
    }
    if !path.split('/').all(is_component) {
        return Err("a name is made of a–z, 0–9 and single `.`, `_` or `-` between them");
    }
    if !is_registry(registry) {
        return Err("the part before the first `/` is not a host");
    }
    if name.len() == 64 && digest.is_none() && tag.is_none() && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("64 hex digits are an image's id, not its name");
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("a tag is made of at most 128 letters, digits, `_`, `.` and `-`");
    }
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err("a digest is `sha256:` and 64 hex digits");
    }
    let repository = if registry == HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
    if registry.len() + repository.len() >= 255 {
        return Err("it is longer than 255 characters");
    }
    Ok(ImageRef {
        registry: registry.to_owned(),
        repository,
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

fn is_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let framed = bytes.first().copied().is_some_and(alphanumeric) && bytes.last().copied().is_some_and(alphanumeric);
    // Between letters: one `.`, one or two `_`, or any number of `-`.
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    framed && separators.into_iter().all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'));
    (is_v6 || host.split('.').all(is_label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = if algorithm == "sha512" { 128 } else { 64 };
        matches!(algorithm, "sha256" | "sha512")
            && hex.len() == length
            && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

impl ImageRef {
    /// Returns the name as people write it: `redis:7`, `localhost:5000/a`.
    pub(crate) fn familiar(&self) -> String {
        let name = match (self.registry.as_str(), self.repository.strip_prefix("library/")) {
            (HUB, Some(short)) if !short.contains('/') => short.to_owned(),
            (HUB, _) => self.repository.clone(),
            (registry, _) => format!("{registry}/{}", self.repository),
        };
        name + &self.suffix()
    }

    /// Returns the name as containerd spells it: `docker.io/library/redis:7`. Without tag
    /// and digest, the tag is `latest`.
    pub(crate) fn normalized(&self) -> String {
        let suffix = self.suffix();
        let suffix = if suffix.is_empty() { ":latest" } else { &suffix };
        format!("{}/{}{suffix}", self.registry, self.repository)
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        tag.chain(self.digest.iter().map(|digest| format!("@{digest}"))).collect()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())
    }
}

/// Returns the registry of an image: `docker.io` where it names none.
pub(crate) fn registry_of(image: &str) -> String {
    image.parse::<ImageRef>().map_or_else(|_| HUB.to_owned(), |image| image.registry)
}

/// Returns the key of a registry's entry in Docker's credential store.
pub(crate) fn registry_key(registry: &str) -> &str {
    if is_hub(registry) { "https://index.docker.io/v1/" } else { registry }
}

/// Docker Hub answers to three names.
fn is_hub(registry: &str) -> bool {
    matches!(registry, HUB | "index.docker.io" | "registry-1.docker.io")
}

/// Returns an image's repository, as it is written, and its tag: `latest` where it has none.
pub(crate) fn repository_and_tag(image: &str) -> (String, String) {
    match image.parse::<ImageRef>() {
        Ok(parsed) => {
            let tag = parsed.tag.clone().unwrap_or_else(|| "latest".to_owned());
            (ImageRef { tag: None, digest: None, ..parsed }.familiar(), tag)
        }
        Err(_) => (image.to_owned(), "latest".to_owned()),
    }
}

/// Returns an image's name in full: registry, folder, and tag or digest. What is no reference
/// stays as it is: who reads it next says what is wrong with it.
pub(crate) fn in_full(image: &str) -> String {
    image.parse::<ImageRef>().map_or_else(|_| image.to_owned(), |image| image.normalized())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_split_as_docker_splits_them() {
        let both = format!("localhost/a:1@{DIGEST}");
        for (text, normalized, familiar, key) in [
            ("redis", "docker.io/library/redis:latest", "redis", "https://index.docker.io/v1/"),
            ("redis:7", "docker.io/library/redis:7", "redis:7", "https://index.docker.io/v1/"),
            ("a/b", "docker.io/a/b:latest", "a/b", "https://index.docker.io/v1/"),
            ("docker.io/redis", "docker.io/library/redis:latest", "redis", "https://index.docker.io/v1/"),
            ("index.docker.io/a/b:1", "docker.io/a/b:1", "a/b:1", "https://index.docker.io/v1/"),
            ("localhost:5000/a", "localhost:5000/a:latest", "localhost:5000/a", "localhost:5000"),
            ("localhost/a", "localhost/a:latest", "localhost/a", "localhost"),
            ("ghcr.io/o/r/x__y:v1.2", "ghcr.io/o/r/x__y:v1.2", "ghcr.io/o/r/x__y:v1.2", "ghcr.io"),
            ("coracle.local/shop/web:0a", "coracle.local/shop/web:0a", "coracle.local/shop/web:0a", "coracle.local"),
            ("[::1]:5000/a:b", "[::1]:5000/a:b", "[::1]:5000/a:b", "[::1]:5000"),
            (&both, &both, &both, "localhost"),
        ] {
            let parsed: ImageRef = text.parse().unwrap();
            assert_eq!(parsed.normalized(), normalized);
            assert_eq!(parsed.familiar(), familiar);
            assert_eq!(registry_key(&parsed.registry), key);
        }
    }

    #[test]
    fn repositories_are_named_as_they_are_written() {
        for (image, repository, tag) in [
            ("redis", "redis", "latest"),
            ("localhost:5000/a", "localhost:5000/a", "latest"),
            ("localhost:5000/a:1", "localhost:5000/a", "1"),
            ("coracle.local/shop/web:0a", "coracle.local/shop/web", "0a"),
        ] {
            assert_eq!(repository_and_tag(image), (repository.to_owned(), tag.to_owned()));
        }
        assert_eq!(registry_of("localhost/a"), "localhost");
        assert_eq!(registry_of("library/redis"), "docker.io");
        assert_eq!(in_full("redis"), "docker.io/library/redis:latest");
        assert_eq!(in_full("Not One"), "Not One");
    }

    #[test]
    fn what_docker_refuses_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "no name"),
            ("localhost/", "no name"),
            (":7", "no name"),
            ("Redis", "lower case"),
            ("a..b", "between them"),
            ("a/-b", "between them"),
            ("a//b", "between them"),
            ("a_.b", "between them"),
            ("a b", "between them"),
            ("redis:", "a tag"),
            ("redis:.x", "a tag"),
            ("redis@sha256:12", "a digest"),
            ("ho st.x/a", "not a host"),
            ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "id"),
        ] {
            let error = text.parse::<ImageRef>().unwrap_err();
            assert!(error.reason.contains(reason), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_is_the_same_image(
            registry in proptest::option::of("[a-z]{1,6}(\\.[a-z]{1,4}|:[0-9]{1,4})"),
            path in "[a-z0-9]{1,5}([_-][a-z0-9]{1,5}){0,2}(/[a-z0-9]{1,5}(\\.[a-z0-9]{1,5})?){0,2}",
            tag in proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,8}"),
            with_digest in any::<bool>(),
        ) {
            let mut text = registry.map(|r| r + "/").unwrap_or_default() + &path;
            text.extend(tag.iter().map(|t| format!(":{t}")));
            if with_digest {
                text = format!("{text}@{DIGEST}");
            }
            let parsed: ImageRef = text.parse().unwrap();
            prop_assert_eq!(&parsed.familiar().parse::<ImageRef>().unwrap(), &parsed);
            prop_assert_eq!(parsed.normalized().parse::<ImageRef>().unwrap().normalized(), parsed.normalized());
            prop_assert_eq!(parsed.tag, tag);
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            drop(text.parse::<ImageRef>());
        }
    }
}
