//! What images weigh in the engine: the bytes that come back when some go and others stay.
//!
//! Images share layers, and `BuildKit` keeps the layers that it built as cache, so that the removal
//! of an image alone gives nothing back. A layer is told by the history down to it, as the engine
//! tells sizes only there. A cache record is a step of a removed image if it was shared with an
//! image, does what a layer that goes was made by, has its size, and is shared no more afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bollard::models::ImageHistoryResponseItem;
use serde::Deserialize;

/// One layer that has bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Layer {
    /// Equal for equal layers on equal ones.
    key: u64,
    size: u64,
    /// `COPY`, `RUN`: the word that it was made by.
    instruction: String,
}

/// Image id → its layers.
pub(super) type Layers = BTreeMap<String, Vec<Layer>>;

/// A record of the build cache, as `/system/df` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Record {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pub(crate) in_use: bool,
    /// An image has it too.
    #[serde(default)]
    pub(crate) shared: bool,
    #[serde(default)]
    pub(crate) size: u64,
}

/// Returns an image's layers from its history, which begins with the newest.
pub(super) fn layers(history: &[ImageHistoryResponseItem]) -> Vec<Layer> {
    let mut below = DefaultHasher::new();
    let sized = history.iter().rev().filter(|item| item.size > 0);
    sized
        .map(|item| {
            (item.created, &item.created_by, item.size).hash(&mut below);
            let instruction = item.created_by.split_whitespace().next().unwrap_or_default().to_owned();
            Layer { key: below.finish(), size: item.size.unsigned_abs(), instruction }
        })
        .collect()
}

/// Returns the layers that go with each image; one that several of them share goes with the first.
pub(super) fn lost(all: &Layers, going: &[String]) -> Vec<Vec<Layer>> {
    let gone: BTreeSet<&String> = going.iter().collect();
    let mut kept: BTreeSet<u64> =
        all.iter().filter(|(id, _)| !gone.contains(id)).flat_map(|(_, layers)| layers).map(|layer| layer.key).collect();
    let fresh = |id: &String| {
        let layers = all.get(id).into_iter().flatten();
        layers.filter(|layer| kept.insert(layer.key)).cloned().collect()
    };
    going.iter().map(fresh).collect()
}

/// Splits layers that go: bytes that come back with their image, and the cache records that keep
/// the others.
pub(super) fn split<'a>(layers: &[Layer], records: &mut Vec<&'a Record>) -> (u64, Vec<&'a Record>) {
    let (mut bytes, mut cached) = (0, Vec::new());
    for layer in layers {
        match records.iter().position(|record| record.may_be(layer)) {
            Some(at) => cached.push(records.swap_remove(at)),
            None => bytes += layer.size,
        }
    }
    (bytes, cached)
}

impl Record {
    /// Whether it may be the step that made the layer.
    pub(super) fn may_be(&self, layer: &Layer) -> bool {
        self.size == layer.size && self.instruction() == layer.instruction
    }

    /// Returns the word after the step's number: `[stage-0 2/3] COPY . .`.
    fn instruction(&self) -> &str {
        let text = self.description.split_once("] ").map_or(self.description.as_str(), |(_, text)| text);
        text.split_whitespace().next().unwrap_or_default()
    }
}

/// Returns the records of `/system/df?type=build-cache`, which newer engines put elsewhere.
pub(super) fn parse_records(usage: &serde_json::Value) -> Vec<Record> {
    let list = usage.get("BuildCache").or_else(|| usage.pointer("/BuildCacheUsage/Items"));
    list.and_then(|list| Vec::deserialize(list).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history(items: &[(&str, i64)]) -> Vec<Layer> {
        let item = |(created_by, size): &(&str, i64)| ImageHistoryResponseItem {
            created: 1_795_267_705,
            created_by: (*created_by).to_owned(),
            size: *size,
            ..ImageHistoryResponseItem::default()
        };
        // The engine's order: the newest first.
        layers(&items.iter().rev().map(item).collect::<Vec<_>>())
    }

    fn record(id: &str, description: &str, size: u64, shared: bool) -> Record {
        Record { id: id.to_owned(), description: description.to_owned(), in_use: false, shared, size }
    }

    #[test]
    fn shared_layers_do_not_count_unless_all_that_share_them_go() {
        let base = ("ADD rootfs", 100);
        let all = BTreeMap::from([
            ("a".to_owned(), history(&[base, ("WORKDIR /", 0), ("COPY a", 10)])),
            ("b".to_owned(), history(&[base, ("COPY b", 20)])),
            ("base".to_owned(), history(&[base])),
        ]);
        let sizes = |going: &[&str]| {
            let going: Vec<String> = going.iter().map(ToString::to_string).collect();
            let sum = |layers: &Vec<Layer>| layers.iter().map(|layer| layer.size).sum::<u64>();
            lost(&all, &going).iter().map(sum).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&["a", "b"]), [10, 20]);
        assert_eq!(sizes(&["a", "b", "base"]), [110, 20, 0]);
    }

    #[test]
    fn what_the_cache_keeps_does_not_come_back_with_the_image() {
        let layers = history(&[("COPY app.py . # buildkit", 571), ("RUN /bin/sh -c make # buildkit", 9)]);
        let records = [
            record("x", "[2/3] RUN make", 571, true),
            record("y", "[stage-0 2/3] COPY app.py .", 571, true),
            record("z", "[2/2] COPY app.py .", 571, true),
        ];
        let mut left = records.iter().collect();
        let (bytes, cached) = split(&layers, &mut left);
        assert_eq!((bytes, cached.len(), cached[0].id.as_str(), left.len()), (9, 1, "y", 2));
    }

    /// As engine 28.5 answers.
    #[test]
    fn records_are_read() {
        let usage = json!({"LayersSize": 1, "Images": [], "BuildCache": [
            {"ID": "naz66zmjxx4fu1kifr4n23fbj", "Type": "source.local", "Description": "local source for context",
             "InUse": false, "Shared": false, "Size": 0, "CreatedAt": "2026-11-21T16:42:37.79258433Z",
             "LastUsedAt": "2026-11-21T16:42:39.43436005Z", "UsageCount": 1},
            {"ID": "bm4p15nab4adrg5fqx204fx09", " Parents": ["5istvukjwwjyf3zwgj82s5ixk"], "Type": "regular",
             "Description": "[2/2] COPY blob /blob", "InUse": false, "Shared": true, "Size": 50_000_000,
             "CreatedAt": "2026-11-21T16:42:39.080635121Z", "LastUsedAt": "2026-11-21T16:42:39.433860636Z",
             "UsageCount": 1}
        ]});
        let records = parse_records(&usage);
        assert_eq!(records[1], record("bm4p15nab4adrg5fqx204fx09", "[2/2] COPY blob /blob", 50_000_000, true));
        assert_eq!(records[1].instruction(), "COPY");
        assert_eq!(parse_records(&json!({"BuildCache": null})), []);
    }
}
