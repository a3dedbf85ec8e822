//! What the registry has, and its answers (OCI distribution specification 1.1).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use tokio::sync::watch;

use super::answer::{Answer, plain, refuse, with};
use super::manifest::{self, Descriptor, Manifest};
use super::route::{Route, is_digest, route};
use super::uploads::Uploads;
use super::{Blob, Fault, Scratch};
use crate::image::digest;
use crate::image::load::push::{Held, Layer, Pushed};

/// Bytes of a manifest: what the specification asks registries to take at least.
const MANIFEST: usize = 4 << 20;
/// Bytes of a configuration.
const CONFIG: u64 = 8 << 20;
/// Where it is not known which blobs are configurations: blobs up to this many bytes are
/// never called present, as a configuration must arrive whatever the nodes hold.
const MAY_BE_CONFIG: u64 = 256 << 10;
/// How long an image's push waits for a layer that another's push has begun to send.
const OTHERS_LAYER: Duration = Duration::from_secs(120);

/// What a receiver is opened for.
#[derive(Debug)]
pub(in super::super) struct Options {
    /// How many images are pushed.
    pub(in super::super) images: usize,
    /// Digests of the images' configurations, where they are known (the classic store).
    /// Without them (containerd's store) the engine has each layer under one digest, and a
    /// layer that it asks for is one that it sends under just that digest.
    pub(in super::super) configs: Option<BTreeSet<String>>,
    /// What every node holds; waited for.
    pub(in super::super) held: watch::Receiver<Option<Arc<Held>>>,
    pub(in super::super) scratch: Scratch,
}

#[derive(Debug)]
pub(super) struct Registry {
    pub(super) token: String,
    options: Options,
    pub(super) uploads: Uploads,
    store: Mutex<Store>,
    /// Grows with each blob that arrived and each push that ended.
    changed: watch::Sender<u64>,
    fault: watch::Sender<Option<Fault>>,
    activity: AtomicU64,
}

#[derive(Debug, Default)]
struct Store {
    blobs: BTreeMap<String, Blob>,
    /// Digest → content type, bytes.
    manifests: BTreeMap<String, (String, Bytes)>,
    /// Image, tag → digest.
    tags: BTreeMap<(usize, String), String>,
    /// Digest → the image whose push was told that it is absent.
    expected: BTreeMap<String, usize>,
    ended: BTreeSet<usize>,
}

/// How it is with a blob that the nodes do not hold.
enum Presence {
    /// It was received; its size in bytes.
    Here(u64),
    /// Who asks must send it.
    Absent,
    /// Another image's push is about to send it.
    Coming,
}

impl Registry {
    pub(super) fn new(token: String, options: Options) -> Self {
        Self {
            token,
            uploads: Uploads::new(options.scratch.clone()),
            options,
            store: Mutex::default(),
            changed: watch::Sender::new(0),
            fault: watch::Sender::new(None),
            activity: AtomicU64::new(0),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // Nothing is done under the lock that could leave it half done.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn activity(&self) -> u64 {
        self.activity.load(Ordering::Relaxed)
    }

    pub(super) fn stir(&self) {
        self.activity.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn fault(&self) -> Fault {
        let mut faults = self.fault.subscribe();
        let fault = faults.wait_for(Option::is_some).await.expect("the sender is in self");
        fault.clone().expect("it was waited for")
    }

    /// Takes down why nothing more can be taken; the first reason counts.
    pub(super) fn fail(&self, fault: Fault) {
        self.fault.send_if_modified(|first| first.is_none() && first.replace(fault).is_none());
    }

    pub(super) fn ended(&self, image: usize) {
        self.store().ended.insert(image);
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn keep(&self, digest: String, blob: Blob) {
        self.store().blobs.insert(digest, blob);
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.stir();
        let path = request.uri().path().to_owned();
        let Some(route) = route(&path, &self.token, self.options.images) else {
            return plain(StatusCode::NOT_FOUND);
        };
        let answer = match (request.method(), route) {
            (&Method::GET | &Method::HEAD, Route::Ping) => {
                with(plain(StatusCode::OK), &[("docker-distribution-api-version", "registry/2.0")])
            }
            (&Method::HEAD, Route::Blob { image, digest }) => match self.size(image, &digest).await {
                Some(size) => with(
                    plain(StatusCode::OK),
                    &[
                        (CONTENT_LENGTH.as_str(), &size.to_string()),
                        (CONTENT_TYPE.as_str(), "application/octet-stream"),
                        ("docker-content-digest", &digest),
                    ],
                ),
                None => plain(StatusCode::NOT_FOUND),
            },
            (_, Route::Uploads | Route::Upload { .. }) => return self.upload(request).await,
            (&Method::GET | &Method::HEAD, Route::Manifest { image, reference }) => self.manifest(image, &reference),
            (&Method::PUT, Route::Manifest { image, reference }) => self.put_manifest(image, &reference, request).await,
            (_, Route::Ping | Route::Blob { .. } | Route::Manifest { .. }) => {
                refuse(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry only takes what is pushed")
            }
        };
        self.stir();
        answer
    }

    /// Returns a blob's size if it need not be sent. Waits until it is known what the nodes
    /// hold, and for a layer that another image's push is about to send.
    pub(super) async fn size(&self, image: usize, digest: &str) -> Option<u64> {
        if let Some(size) = self.held(digest).await {
            return Some(size);
        }
        let mut changed = self.changed.subscribe();
        let arrived = async {
            loop {
                match self.presence(image, digest) {
                    Presence::Here(size) => return Some(size),
                    Presence::Absent => return None,
                    // The sender is in self, so there is always a next change.
                    Presence::Coming => changed.changed().await.ok()?,
                }
            }
        };
        tokio::time::timeout(OTHERS_LAYER, arrived).await.ok().flatten()
    }

    fn presence(&self, image: usize, digest: &str) -> Presence {
        let mut store = self.store();
        if let Some(blob) = store.blobs.get(digest) {
            return Presence::Here(blob.len());
        }
        let other = store.expected.get(digest).filter(|other| **other != image && !store.ended.contains(other));
        if self.options.configs.is_none() && other.is_some() {
            return Presence::Coming;
        }
        store.expected.insert(digest.to_owned(), image);
        Presence::Absent
    }

    /// Returns the size of a layer that every node holds. Waits until that is known.
    async fn held(&self, digest: &str) -> Option<u64> {
        let mut held = self.options.held.clone();
        // Nobody to say it any more: nothing is held.
        let held = held.wait_for(Option::is_some).await.ok()?;
        let size = held.as_ref()?.get(digest).copied()?;
        let layer = match &self.options.configs {
            Some(configs) => !configs.contains(digest),
            None => size > MAY_BE_CONFIG,
        };
        layer.then_some(size)
    }

    fn manifest(&self, image: usize, reference: &str) -> Answer {
        let store = self.store();
        let tagged = store.tags.get(&(image, reference.to_owned())).map_or(reference, String::as_str);
        let Some((content_type, bytes)) = store.manifests.get(tagged) else {
            return refuse(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "it was not pushed");
        };
        let mut answer = plain(StatusCode::OK);
        *answer.body_mut() = Full::new(bytes.clone());
        with(
            answer,
            &[
                (CONTENT_TYPE.as_str(), content_type),
                (CONTENT_LENGTH.as_str(), &bytes.len().to_string()),
                ("docker-content-digest", tagged),
            ],
        )
    }

    async fn put_manifest(&self, image: usize, reference: &str, request: Request<Incoming>) -> Answer {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("application/vnd.oci.image.manifest.v1+json").to_owned();
        let bytes = match Limited::new(request.into_body(), MANIFEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                let fault = Fault::new(format!("a manifest is larger than {MANIFEST} bytes"));
                return self.refuse(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", fault);
            }
            // The engine went away in the middle, and will come back or say why.
            Err(error) => return refuse(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", &error.to_string()),
        };
        let digest = digest::sha256(&bytes);
        if reference.contains(':') && reference != digest {
            let fault = Fault::new(format!("manifest `{reference}` has digest `{digest}`"));
            return self.refuse(StatusCode::BAD_REQUEST, "DIGEST_INVALID", fault);
        }
        match manifest::parse(&bytes) {
            Ok(manifest) => {
                if let Err(fault) = self.check(&manifest).await {
                    return self.refuse(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", fault);
                }
            }
            Err(fault) => return self.refuse(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", fault),
        }
        let mut store = self.store();
        if !is_digest(reference) {
            store.tags.insert((image, reference.to_owned()), digest.clone());
        }
        store.manifests.insert(digest.clone(), (content_type, bytes));
        let location = format!("/v2/{}/{image}/manifests/{digest}", self.token);
        with(plain(StatusCode::CREATED), &[("location", &location), ("docker-content-digest", &digest)])
    }

    /// Checks that all that a manifest names is here, or held by every node.
    async fn check(&self, manifest: &Manifest) -> Result<(), Fault> {
        let received = |digest: &str| self.store().blobs.get(digest).map(Blob::len);
        let fits = |named: &Descriptor, size: Option<u64>| match size {
            Some(size) if size == named.size => Ok(()),
            Some(size) => {
                Err(Fault::new(format!("blob `{}` has {size} bytes, its manifest says {}", named.digest, named.size)))
            }
            None => Err(Fault::new(format!("a manifest names `{}`, which was not pushed", named.digest))),
        };
        match manifest {
            Manifest::Image { config, layers } => {
                fits(config, received(&config.digest))?;
                for layer in layers {
                    let size = match received(&layer.digest) {
                        None => self.held(&layer.digest).await,
                        size => size,
                    };
                    fits(layer, size)?;
                }
                Ok(())
            }
            Manifest::Index(manifests) => {
                let store = self.store();
                let absent = manifests.iter().find(|named| !store.manifests.contains_key(&named.digest));
                absent.map_or(Ok(()), |named| fits(named, None))
            }
        }
    }

    /// Refuses what ends the push.
    pub(super) fn refuse(&self, status: StatusCode, code: &str, fault: Fault) -> Answer {
        let answer = refuse(status, code, &fault.to_string());
        self.fail(fault);
        answer
    }

    pub(super) fn pushed(&self, image: usize, architecture: &str) -> Result<Pushed, Fault> {
        let store = self.store();
        let read = |digest: &str| match store.manifests.get(digest) {
            Some((_, bytes)) => manifest::parse(bytes),
            None => Err(Fault::new(format!("manifest `{digest}` was not pushed"))),
        };
        let tag = store.tags.get(&(image, "latest".to_owned()));
        let chosen = match read(tag.ok_or_else(|| Fault::new("its manifest was not pushed"))?)? {
            Manifest::Index(index) => match manifest::choose(&index, architecture) {
                Some(digest) => read(digest)?,
                None => return Err(Fault::new(format!("what was pushed is not for linux/{architecture}"))),
            },
            manifest @ Manifest::Image { .. } => manifest,
        };
        let Manifest::Image { config, layers } = chosen else {
            return Err(Fault::new("an index within an index was pushed"));
        };
        let bytes = content(store.blobs.get(&config.digest))?;
        let diff_ids = manifest::diff_ids(&bytes)?;
        if diff_ids.len() != layers.len() {
            return Err(Fault::new(format!("{} layers were pushed for {} diff ids", layers.len(), diff_ids.len())));
        }
        let layer = |named: Descriptor| {
            let media_type = manifest::layer_media_type(&named.media_type)?.to_owned();
            let data = store.blobs.get(&named.digest).cloned();
            Ok(Layer { digest: named.digest, size: named.size, media_type, data })
        };
        let layers = layers.into_iter().map(layer).collect::<Result<_, Fault>>()?;
        Ok(Pushed { config: bytes, config_digest: config.digest, diff_ids, layers })
    }
}

/// Returns the bytes of a configuration.
fn content(config: Option<&Blob>) -> Result<Bytes, Fault> {
    let blob = config.ok_or_else(|| Fault::new("an image's configuration was not pushed"))?;
    if blob.len() > CONFIG {
        return Err(Fault::new(format!("an image's configuration has {} bytes", blob.len())));
    }
    let mut bytes = Vec::new();
    let read = blob.reader().and_then(|mut reader| reader.read_to_end(&mut bytes));
    read.map_err(|error| Fault::new(format!("an image's configuration cannot be read: {error}")))?;
    Ok(bytes.into())
}
