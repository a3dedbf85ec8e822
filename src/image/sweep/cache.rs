//! Build cache: the steps of images that go.
//!
//! `BuildKit` does not say who built a record. What is taken for a step of an image of ours was
//! shared with an image before ours went, does what a layer of it was made by, has that layer's size,
//! and is shared with none afterwards. Everything else is left to the engine's own collection.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::PruneBuildOptionsBuilder;
use futures_util::future::join_all;

use super::super::engine::Engine;
use super::super::{Error, wire};
use super::weight::{self, Record};

/// How long the engine may count.
const ANSWER: Duration = Duration::from_secs(60);

impl Engine {
    /// Returns the records of the build cache.
    pub(crate) async fn cache_records(&self) -> Result<Vec<Record>, Error> {
        let what = "asking for the build cache";
        let asked = tokio::time::timeout(ANSWER, wire::get(&self.endpoint, "/system/df?type=build-cache")).await;
        let answer = match asked {
            Ok(answer) => answer.map_err(|error| self.lost(what.to_owned(), error.to_string()))?,
            Err(_) => return Err(self.lost(what.to_owned(), format!("no answer within {} s", ANSWER.as_secs()))),
        };
        let usage = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok(weight::parse_records(&usage))
    }

    /// Removes those of the records that nothing uses and no image has any more; returns the bytes
    /// that came back.
    pub(crate) async fn prune_cache(&self, wanted: &[String]) -> Result<u64, Error> {
        if wanted.is_empty() {
            return Ok(0);
        }
        let free = |record: &Record| wanted.contains(&record.id) && !record.shared && !record.in_use;
        let mut left: Vec<String> =
            self.cache_records().await?.into_iter().filter(free).map(|record| record.id).collect();
        let mut bytes = 0;
        // A step that others build on goes after them: again, until a round removes nothing.
        loop {
            let (before, mut stay) = (left.len(), Vec::new());
            for id in left {
                let filters = HashMap::from([("id".to_owned(), vec![id.clone()])]);
                let options = PruneBuildOptionsBuilder::new().all(true).filters(&filters).build();
                match self.docker.prune_build(Some(options)).await {
                    Ok(answer) if answer.caches_deleted.as_ref().is_some_and(|deleted| !deleted.is_empty()) => {
                        bytes += answer.space_reclaimed.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                    }
                    Ok(_) => stay.push(id),
                    Err(error) => return Err(self.failed("removing build cache".to_owned(), &error).await),
                }
            }
            if stay.is_empty() || stay.len() == before {
                break;
            }
            left = stay;
        }
        Ok(bytes)
    }

    /// Returns the records that may be steps of these images, of which some will go.
    pub(super) async fn steps_of(&self, images: &[String]) -> Result<Vec<String>, Error> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let histories = join_all(images.iter().map(async |image| self.docker.image_history(image).await));
        let (histories, records) = tokio::join!(histories, self.cache_records());
        // One that has gone meanwhile has no steps.
        let layers: Vec<_> = histories.iter().flatten().flat_map(|history| weight::layers(history)).collect();
        let may_be = |record: &Record| layers.iter().any(|layer| record.may_be(layer));
        let steps = records?.into_iter().filter(|record| record.shared && record.size > 0 && may_be(record));
        Ok(steps.map(|record| record.id).collect())
    }
}
