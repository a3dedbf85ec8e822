//! The engine's side: the tags that are ours there, and their removal.

use std::collections::{BTreeMap, BTreeSet};

use bollard::errors::Error::DockerResponseServerError;
use bollard::models::ImageInspect;
use bollard::query_parameters::RemoveImageOptionsBuilder;
use futures_util::future::join_all;
use futures_util::stream::{StreamExt, iter};
use jiff::Timestamp;

use super::super::Error;
use super::super::engine::Engine;
use super::super::load::receiver_of;
use super::super::own::{HOST, Own, repository};
use super::choose::Age;

/// How many questions the engine is asked at once.
pub(super) const AT_ONCE: usize = 16;

impl Own {
    pub(crate) fn age(&self) -> Age {
        self.tagged.map_or(Age::Engine, Age::Tagged)
    }
}

/// What became of a name that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Removed {
    Gone,
    /// A container of the engine's uses it, in the engine's words.
    InUse(String),
}

impl Engine {
    /// Asks since when tags have their name, and which others.
    pub(crate) async fn ask_ages(
        &self,
        tags: &mut BTreeMap<String, Own>,
        wanted: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let asked = wanted.iter().map(async |tag| (tag, self.docker.inspect_image(tag).await));
        let mut answers = iter(asked).buffer_unordered(AT_ONCE);
        while let Some((tag, answer)) = answers.next().await {
            match answer {
                Ok(image) => {
                    if let Some(own) = tags.get_mut(tag) {
                        (own.tagged, own.named_otherwise) = (last_tagged(&image), is_named_otherwise(&image));
                    }
                }
                Err(DockerResponseServerError { status_code: 404, .. }) => drop(tags.remove(tag)),
                Err(error) => return Err(self.failed(format!("looking at image `{tag}`"), &error).await),
            }
        }
        Ok(())
    }

    /// Removes names; an image goes with its last one, unless a container has it. `prune_parents`:
    /// nameless images that it was built on go with it.
    pub(crate) async fn remove_names(
        &self,
        names: &[String],
        prune_parents: bool,
    ) -> Vec<(String, Result<Removed, Error>)> {
        let options = RemoveImageOptionsBuilder::new().force(false).noprune(!prune_parents).build();
        let removals = names.iter().map(async |name| {
            let result = match self.docker.remove_image(name, Some(options.clone()), None).await {
                Ok(_) | Err(DockerResponseServerError { status_code: 404, .. }) => Ok(Removed::Gone),
                Err(DockerResponseServerError { status_code: 409, message }) => Ok(Removed::InUse(message)),
                Err(error) => Err(self.failed(format!("removing image `{name}`"), &error).await),
            };
            (name.clone(), result)
        });
        join_all(removals).await
    }
}

/// Returns the tags whose age decides something: those of services that have more than stay.
pub(crate) fn crowded(tags: &BTreeMap<String, Own>, growing: &BTreeSet<String>) -> BTreeSet<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in tags.keys() {
        *counts.entry(repository(tag)).or_default() += 1;
    }
    let crowded = |tag: &&String| {
        let name = repository(tag);
        counts[name] + usize::from(growing.contains(name)) > 3
    };
    tags.keys().filter(crowded).cloned().collect()
}

fn last_tagged(image: &ImageInspect) -> Option<Timestamp> {
    let time = image.metadata.as_ref()?.last_tag_time.as_ref()?;
    Timestamp::new(time.timestamp(), i32::try_from(time.timestamp_subsec_nanos()).ok()?).ok()
}

fn is_named_otherwise(image: &ImageInspect) -> bool {
    let mut names = image.repo_tags.iter().chain(&image.repo_digests).flatten();
    names.any(|name| !name.starts_with(HOST) && receiver_of(name).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_the_name_of_a_pulled_image_is_ours() {
        let pulled = |named_otherwise| Own {
            id: String::new(),
            built: false,
            bases: BTreeMap::new(),
            named_otherwise,
            tagged: None,
        };
        assert!(pulled(true).is_safe_to_remove());
        assert!(!pulled(false).is_safe_to_remove());
        let names = |tags: &[&str], digests: &[&str]| ImageInspect {
            repo_tags: Some(tags.iter().map(ToString::to_string).collect()),
            repo_digests: Some(digests.iter().map(ToString::to_string).collect()),
            ..ImageInspect::default()
        };
        assert!(is_named_otherwise(&names(&["coracle.local/s/db:1", "redis:7"], &[])));
        assert!(is_named_otherwise(&names(&["coracle.local/s/db:1"], &["redis@sha256:0"])));
        assert!(!is_named_otherwise(&names(&["coracle.local/s/db:1"], &["coracle.local/s/db@sha256:0"])));
    }

    #[test]
    fn ages_are_asked_only_where_they_decide() {
        let own = Own { id: String::new(), built: true, bases: BTreeMap::new(), named_otherwise: false, tagged: None };
        let tags = ["s/a:1", "s/a:2", "s/a:3", "s/b:1", "s/b:2", "s/b:3", "s/b:4"];
        let tags: BTreeMap<_, _> = tags.iter().map(|tag| ((*tag).to_owned(), own.clone())).collect();
        assert_eq!(crowded(&tags, &BTreeSet::new()).len(), 4);
        assert_eq!(crowded(&tags, &BTreeSet::from(["s/a".to_owned()])).len(), 7);
    }
}
