//! Manifests as engines push them: an image's, or an index of several.
//!
//! Docker's own media types are read like those of the OCI image specification 1.1, and
//! given on as these. Layers that are not in the registry (`urls`) are not taken.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Fault;
use super::route::is_digest;

/// A manifest that was pushed.
#[derive(Debug, Clone)]
pub(super) enum Manifest {
    Image { config: Descriptor, layers: Vec<Descriptor> },
    Index(Vec<Descriptor>),
}

/// What a manifest says of a blob, or an index of a manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    /// Bytes.
    pub(super) size: u64,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct Document {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a manifest; what names something that can never be here is refused.
pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, Fault> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| Fault::new(format!("a manifest is not understood: {error}")))?;
    let manifest = match document {
        Document { config: Some(config), layers: Some(layers), manifests: None } => Manifest::Image { config, layers },
        Document { manifests: Some(manifests), config: None, layers: None } => Manifest::Index(manifests),
        _ => return Err(Fault::new("a manifest is neither an image's nor an index")),
    };
    let named = match &manifest {
        Manifest::Image { config, layers } => std::iter::once(config).chain(layers).collect::<Vec<_>>(),
        Manifest::Index(manifests) => manifests.iter().collect(),
    };
    if let Some(odd) = named.iter().find(|named| !is_digest(&named.digest)) {
        return Err(Fault::new(format!("a manifest names `{}`, which is no digest", odd.digest)));
    }
    if let Some(foreign) = named.iter().find(|named| !named.urls.is_empty()) {
        return Err(Fault::new(format!("layer `{}` is kept elsewhere (`urls`)", foreign.digest)));
    }
    Ok(manifest)
}

/// Returns the digest of the manifest for `linux/ARCHITECTURE` in an index.
pub(super) fn choose<'a>(index: &'a [Descriptor], architecture: &str) -> Option<&'a str> {
    // A signed statement about an image is listed like an image, for no platform.
    let is_image = |entry: &&Descriptor| !entry.annotations.contains_key("vnd.docker.reference.type");
    let fits = |entry: &&Descriptor| match &entry.platform {
        Some(platform) => platform.os == "linux" && platform.architecture == architecture,
        None => false,
    };
    let mut images = index.iter().filter(is_image);
    let found = images.clone().find(fits).or_else(|| {
        // An index of one image need not say what it is for.
        images.next().filter(|only| only.platform.is_none() && images.next().is_none())
    });
    found.map(|entry| entry.digest.as_str())
}

/// Returns a layer's media type in the words of the OCI image specification.
pub(super) fn layer_media_type(media_type: &str) -> Result<&'static str, Fault> {
    Ok(match media_type {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" | "application/vnd.oci.image.layer.v1.tar+gzip" => {
            "application/vnd.oci.image.layer.v1.tar+gzip"
        }
        "application/vnd.docker.image.rootfs.diff.tar.zstd" | "application/vnd.oci.image.layer.v1.tar+zstd" => {
            "application/vnd.oci.image.layer.v1.tar+zstd"
        }
        "application/vnd.docker.image.rootfs.diff.tar" | "application/vnd.oci.image.layer.v1.tar" => {
            "application/vnd.oci.image.layer.v1.tar"
        }
        other => return Err(Fault::new(format!("a layer is of type `{other}`, which is not known"))),
    })
}

/// Returns the diff ids that an image's configuration names, base first.
pub(super) fn diff_ids(config: &[u8]) -> Result<Vec<String>, Fault> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        // `FROM scratch` without a file: null, or nothing at all.
        #[serde(default)]
        diff_ids: Option<Vec<String>>,
    }
    let config: Config = serde_json::from_slice(config)
        .map_err(|error| Fault::new(format!("an image's configuration is not understood: {error}")))?;
    let ids = config.rootfs.diff_ids.unwrap_or_default();
    match ids.iter().find(|id| !is_digest(id)) {
        Some(odd) => Err(Fault::new(format!("an image's configuration names `{odd}`, which is no digest"))),
        None => Ok(ids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn dockers_types_are_translated_and_zstd_stays_zstd() {
        let types = |name: &str| layer_media_type(name).map_err(|fault| fault.to_string());
        let gzip = Ok("application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(types("application/vnd.docker.image.rootfs.diff.tar.gzip"), gzip);
        assert_eq!(types("application/vnd.oci.image.layer.v1.tar+gzip"), gzip);
        let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
        assert_eq!(types(zstd), Ok(zstd));
        assert_eq!(types("application/vnd.docker.image.rootfs.diff.tar"), Ok("application/vnd.oci.image.layer.v1.tar"));
        assert!(types("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").is_err());
        assert!(types("application/vnd.in-toto+json").is_err());
    }

    #[test]
    fn a_layer_kept_elsewhere_is_refused() {
        let text = serde_json::json!({
            "config": { "digest": digest('a'), "size": 2 },
            "layers": [{ "digest": digest('b'), "size": 9, "urls": ["https://example.com/layer"] }],
        });
        let fault = parse(text.to_string().as_bytes()).unwrap_err();
        assert_eq!(fault.to_string(), format!("layer `{}` is kept elsewhere (`urls`)", digest('b')));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"config":{"digest":"sha256:x","size":1},"layers":[]}"#,
            r#"{"config":{"digest":"../../etc","size":1},"layers":[]}"#,
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_index_entry_for_the_platform_is_chosen() {
        let entry = |digit: char, platform: &str, annotations: &str| {
            format!(r#"{{"digest":"{}","size":1,"platform":{platform},"annotations":{annotations}}}"#, digest(digit))
        };
        let platform = |architecture: &str| format!(r#"{{"os":"linux","architecture":"{architecture}"}}"#);
        let index = |entries: &[String]| match parse(format!(r#"{{"manifests":[{}]}}"#, entries.join(",")).as_bytes()) {
            Ok(Manifest::Index(index)) => index,
            other => panic!("{other:?}"),
        };
        let attested = r#"{"vnd.docker.reference.type":"attestation-manifest"}"#;
        let many = index(&[
            entry('a', &platform("unknown"), attested),
            entry('b', &platform("arm64"), "{}"),
            entry('c', &platform("amd64"), "{}"),
        ]);
        assert_eq!(choose(&many, "amd64"), Some(digest('c').as_str()));
        assert_eq!(choose(&many, "s390x"), None);
        let one = index(&[entry('a', "null", attested), entry('b', "null", "{}")]);
        assert_eq!(choose(&one, "amd64"), Some(digest('b').as_str()));
        assert_eq!(choose(&index(&[entry('b', &platform("arm64"), "{}")]), "amd64"), None);
    }

    #[test]
    fn an_image_without_layers_has_no_diff_ids() {
        for text in
            [r#"{"rootfs":{"type":"layers"}}"#, r#"{"rootfs":{"diff_ids":null}}"#, r#"{"rootfs":{"diff_ids":[]}}"#]
        {
            assert_eq!(diff_ids(text.as_bytes()).unwrap(), Vec::<String>::new());
        }
        assert!(diff_ids(br#"{"rootfs":{"diff_ids":["sha256:1"]}}"#).is_err());
        assert!(diff_ids(b"{}").is_err());
    }
}
