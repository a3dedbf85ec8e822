//! Everything of ours in the engine and on nodes, and what of it would go: for `coracle prune`,
//! and for the number that a full disk is answered with. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder};
use futures_util::future::join_all;
use futures_util::stream::{StreamExt, iter};

use super::super::Error;
use super::super::engine::Engine;
use super::super::load::{is_live, receiver_of};
use super::super::own::{self, HOST, Own};
use super::choose::{self, Age};
use super::engine::{AT_ONCE, crowded};
use super::node;
use super::weight::{self, Layers, Record};
use crate::cluster;

/// How long the answer to a full disk may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    own: BTreeMap<String, Own>,
    /// Names that a load left behind that was killed.
    pushed: BTreeSet<String>,
    /// Images that have a name that is not ours, or a container.
    foreign: BTreeSet<String>,
    /// Tag, or name of a load → image id.
    ids: BTreeMap<String, String>,
    /// Images that a container of the engine's uses.
    contained: BTreeSet<String>,
    layers: Layers,
    records: Vec<Record>,
    pub(crate) nodes: BTreeMap<String, node::Held>,
    /// Nodes that could not be asked, and why.
    pub(crate) silent: Vec<(String, Error)>,
}

/// One thing that would go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// A name in the engine, and its image with its last one. `built`: by Coracle, so that what it
    /// was built on by an engine without `BuildKit` goes too.
    Engine { name: String, built: bool },
    /// A name on a node.
    Node { node: String, name: String },
    /// Steps in the build cache of images that go. `records`: those that may be one; which are is
    /// known when the images have gone.
    Cache { steps: usize, records: Vec<String> },
}

/// Looks at the engine, and at these nodes.
pub(crate) async fn survey(engine: &Engine, nodes: &[String]) -> Result<Survey, Error> {
    let asked = join_all(nodes.iter().map(async |name| (name.clone(), node::survey(engine, name).await)));
    let (survey, nodes) = tokio::join!(of_engine(engine), asked);
    let mut survey = survey?;
    for (node, held) in nodes {
        match held {
            Ok(held) => drop(survey.nodes.insert(node, held)),
            Err(error) => survey.silent.push((node, error)),
        }
    }
    Ok(survey)
}

async fn of_engine(engine: &Engine) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let options = ListImagesOptionsBuilder::new().all(false).build();
    let listed = async {
        match engine.docker.list_images(Some(options)).await {
            Ok(images) => Ok(images),
            Err(error) => Err(engine.failed("listing images".to_owned(), &error).await),
        }
    };
    let (images, contained, records) = tokio::join!(listed, contained(engine), engine.cache_records());
    let images = images?;
    (survey.contained, survey.records) = (contained?, records?);
    for image in &images {
        survey.take_in(image);
    }
    survey.pushed = dead(std::mem::take(&mut survey.pushed)).await;
    let wanted = crowded(&survey.own, &BTreeSet::new());
    let histories = images.iter().map(async |image| (&image.id, engine.docker.image_history(&image.id).await));
    let mut histories = iter(histories).buffer_unordered(AT_ONCE);
    while let Some((id, history)) = histories.next().await {
        // One that has gone meanwhile weighs nothing.
        let history = history.unwrap_or_default();
        survey.layers.insert(id.clone(), weight::layers(&history));
    }
    engine.ask_ages(&mut survey.own, &wanted).await?;
    Ok(survey)
}

/// Returns those names for a push whose process runs no longer.
async fn dead(pushed: BTreeSet<String>) -> BTreeSet<String> {
    let asked = pushed.into_iter().map(async |name| match receiver_of(&name) {
        Some(receiver) if is_live(receiver).await => None,
        _ => Some(name),
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Returns the images of all containers of the engine's.
async fn contained(engine: &Engine) -> Result<BTreeSet<String>, Error> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    match engine.docker.list_containers(Some(options)).await {
        Ok(containers) => Ok(containers.into_iter().filter_map(|container| container.image_id).collect()),
        Err(error) => Err(engine.failed("listing containers".to_owned(), &error).await),
    }
}

/// What `coracle prune` would give back, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reclaimable {
    pub(crate) some: u64,
    /// With `--all`.
    pub(crate) all: u64,
}

/// Returns what would come back, if the engine and the nodes say so soon. The clusters' objects are
/// not asked: what runs on a node is known to the node.
pub(crate) async fn reclaimable(engine: &Engine) -> Option<Reclaimable> {
    let ask = async {
        let nodes = cluster::running_nodes(engine).await.ok()?;
        survey(engine, &nodes).await.ok()
    };
    let survey = tokio::time::timeout(PATIENCE, ask).await.ok()??;
    let sum = |all| survey.going(&BTreeSet::new(), all).iter().map(|(_, bytes)| bytes).sum();
    Some(Reclaimable { some: sum(false), all: sum(true) })
}

impl Survey {
    fn take_in(&mut self, image: &ImageSummary) {
        let ours = |name: &&String| name.starts_with(HOST) || is_pushed(name);
        let names = image.repo_tags.iter().filter(|name| *name != "<none>:<none>");
        let digests = image.repo_digests.iter().filter(|name| !name.starts_with("<none>"));
        let foreign = names.clone().chain(digests).any(|name| !ours(&name));
        if foreign || self.contained.contains(&image.id) {
            self.foreign.insert(image.id.clone());
        }
        for name in names {
            self.ids.insert(name.clone(), image.id.clone());
            if is_pushed(name) {
                self.pushed.insert(name.clone());
            }
        }
        for (tag, own) in own::names(image, HOST) {
            self.own.insert(tag, Own { named_otherwise: foreign, ..own });
        }
    }

    /// Returns what would go and the bytes that come back with each, in the order in which it goes.
    /// `used`: the images that live objects name. `all`: not even the last two of a service stay.
    pub(crate) fn going(&self, used: &BTreeSet<String>, all: bool) -> Vec<(Item, u64)> {
        let mut used = used.clone();
        used.extend(self.nodes.values().flat_map(|held| held.used.iter().cloned()));
        let contained = |(_, own): &(&String, &Own)| self.contained.contains(&own.id);
        used.extend(self.own.iter().filter(contained).map(|(tag, _)| tag.clone()));
        let mut tags: BTreeMap<String, Age> =
            self.nodes.values().flat_map(node::Held::own_names).map(|name| (name.clone(), Age::NodeOnly)).collect();
        tags.extend(self.own.iter().map(|(tag, own)| (tag.clone(), own.age())));
        let going = choose::surplus(&tags, &used, &BTreeSet::new(), all);
        let mut items = self.in_engine(&going);
        for (node, held) in &self.nodes {
            let names = held.own_names().filter(|name| going.contains(*name)).cloned().collect();
            let weights = held.weights(&names).into_iter();
            items.extend(weights.map(|(name, bytes)| (Item::Node { node: node.clone(), name }, bytes)));
        }
        items
    }

    fn in_engine(&self, going: &BTreeSet<String>) -> Vec<(Item, u64)> {
        // Of a pulled image just the name is ours; with its last one the content would go.
        let tags = going.iter().filter(|tag| self.own.get(*tag).is_some_and(Own::is_safe_to_remove));
        let names: Vec<&String> = tags.chain(&self.pushed).collect();
        let set: BTreeSet<&String> = names.iter().copied().collect();
        let mut by_id: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
        for (name, id) in &self.ids {
            by_id.entry(id).or_default().push(name);
        }
        // An image goes when none of its names stays; its bytes are told with the first.
        let goes = |id: &&String| !self.foreign.contains(*id) && by_id[*id].iter().all(|name| set.contains(name));
        let ids: Vec<String> = by_id.keys().copied().filter(goes).cloned().collect();
        let shared = || self.records.iter().filter(|record| record.shared && record.size > 0);
        let mut records: Vec<&Record> = shared().collect();
        let lost = weight::lost(&self.layers, &ids);
        let may_be = |record: &&Record| lost.iter().flatten().any(|layer| record.may_be(layer));
        let candidates = shared().filter(may_be).map(|record| record.id.clone()).collect();
        let mut bytes: BTreeMap<&String, u64> = BTreeMap::new();
        let mut cached = Vec::new();
        for (id, layers) in ids.iter().zip(&lost) {
            let (size, kept) = weight::split(layers, &mut records);
            bytes.insert(id, size);
            cached.extend(kept);
        }
        let weigh = |name: &String| bytes.remove(&self.ids[name]).unwrap_or(0);
        let items = names.into_iter().map({
            let mut weigh = weigh;
            move |name| {
                let built = self.own.get(name).is_none_or(|own| own.built);
                (Item::Engine { name: name.clone(), built }, weigh(name))
            }
        });
        let mut items: Vec<_> = items.collect();
        if !cached.is_empty() {
            let size = cached.iter().map(|record| record.size).sum();
            items.push((Item::Cache { steps: cached.len(), records: candidates }, size));
        }
        items
    }
}

/// Whether the name is one that a load of ours gives an image while it pushes it to itself.
fn is_pushed(name: &str) -> bool {
    receiver_of(name).is_some()
}

#[cfg(test)]
mod tests;
