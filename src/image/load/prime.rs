//! Has the engine compress layers once while nobody waits for it.
//!
//! A classic store keeps layers uncompressed. What it pushes it compresses, and from then on it
//! knows the layer by that digest and need not push it again. After a load of the whole image
//! nothing was pushed yet, so the first edit would pay for the base. Here the image is pushed
//! with nothing to gain but that knowledge, and what arrives is thrown away. It is always cut
//! short when the wait that it fills is over, and never worth an error.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::known::Known;
use super::push::{Held, Source, push};
use crate::image::engine::{Engine, LocalImage};
use crate::session::Session;

/// Bytes of layers above which the wait is hardly long enough, and the disk is the user's.
const MOST: u64 = 1 << 30;

/// Tags that a run has loaded, until they are primed.
#[derive(Debug, Default)]
pub(crate) struct Primer(Mutex<BTreeSet<String>>);

impl Primer {
    pub(crate) fn add(&self, tags: impl Iterator<Item = String>) {
        self.0.lock().expect("no holder panics").extend(tags);
    }

    /// Primes what was loaded, and then waits to be dropped, which ends it at any time.
    pub(crate) async fn prime(&self, session: &Session, engine: &Engine) -> Infallible {
        let tags = self.0.lock().expect("no holder panics").clone();
        if engine.shares_loopback() && !tags.is_empty() {
            prime(session, engine, &tags).await;
            self.0.lock().expect("no holder panics").retain(|tag| !tags.contains(tag));
        }
        std::future::pending().await
    }
}

/// Pushes those of `tags` that have layers which no push was seen of.
async fn prime(session: &Session, engine: &Engine, tags: &BTreeSet<String>) {
    let tags: Vec<String> = tags.iter().cloned().collect();
    let images = match engine.local_images(&tags).await {
        Ok(images) => images,
        Err(error) => return tracing::debug!("looking for images to prime: {error}"),
    };
    let known = Known::read(&session.surroundings.cache);
    let held: Held = known.iter().map(|(digest, _, size)| (digest.to_owned(), size)).collect();
    for (architecture, tags) in unknown(&images, &known) {
        let (_sender, held) = watch::channel(Some(Arc::new(held.clone())));
        let sources: Vec<_> =
            tags.iter().map(|tag| Source { tag, id: &images[tag].id, in_containerd: false }).collect();
        match push(session, engine, &sources, &architecture, held).await {
            Ok(_) => tracing::debug!("primed {tags:?}"),
            Err(error) => tracing::debug!("priming {tags:?}: {error}"),
        }
    }
}

/// Returns the images of a classic store that have a layer whose compressed form is not known, by
/// architecture.
fn unknown(images: &BTreeMap<String, LocalImage>, known: &Known) -> BTreeMap<String, Vec<String>> {
    let diff_ids: BTreeSet<&str> = known.iter().map(|(_, diff_id, _)| diff_id).collect();
    let mut unknown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tag, image) in images {
        let new = image.diff_ids.iter().any(|diff_id| !diff_ids.contains(diff_id.as_str()));
        if new && !image.in_containerd && !image.architecture.is_empty() && image.size <= MOST {
            unknown.entry(image.architecture.clone()).or_default().push(tag.clone());
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::super::known;
    use super::*;

    fn image(diff_ids: &[usize], size: u64, in_containerd: bool) -> LocalImage {
        LocalImage {
            id: String::new(),
            architecture: "amd64".to_owned(),
            exposed: Vec::new(),
            entrypoint: Vec::new(),
            command: vec!["app".to_owned()],
            environment: Vec::new(),
            stop_signal: None,
            size,
            diff_ids: diff_ids.iter().map(|number| digest(*number)).collect(),
            in_containerd,
        }
    }

    fn digest(number: usize) -> String {
        format!("sha256:{number:064x}")
    }

    #[test]
    fn only_what_a_push_would_compress_is_primed() {
        let cache = tempfile::tempdir().unwrap();
        known::learn(cache.path(), &[(digest(101), digest(1), 5), (digest(102), digest(2), 5)]).unwrap();
        let images = BTreeMap::from([
            ("known".to_owned(), image(&[1, 2], 10, false)),
            ("edited".to_owned(), image(&[1, 3], 10, false)),
            ("compressed already".to_owned(), image(&[1, 4], 10, true)),
            ("huge".to_owned(), image(&[5], MOST + 1, false)),
        ]);
        let expected = BTreeMap::from([("amd64".to_owned(), vec!["edited".to_owned()])]);
        assert_eq!(unknown(&images, &Known::read(cache.path())), expected);
    }
}
