//! Which tags go. Pure.
//!
//! Of each service (a repository) stay those that are used, and the newest of the others: at most
//! two, and with the used ones at most three, so that a rollout can be undone and edits back and
//! forth cost nothing. What is used stays, however much it is.

use std::collections::{BTreeMap, BTreeSet};

use super::super::own::repository;

use jiff::Timestamp;

/// How many tags of a service stay, used ones included.
const TOGETHER: usize = 3;
/// How many that nothing uses.
const UNUSED: usize = 2;

/// How old a tag is; the oldest sorts first.
///
/// When an image was created says little: a build from the cache has the time of the first one.
/// The engine's `LastTagTime` is when it last got a name, which is when a build of ours ended.
/// Two tags of one image have the same; then their text decides, and no content is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    /// A node has it, and the engine has it no more.
    NodeOnly,
    /// The engine has it, and was not asked since when.
    Engine,
    Tagged(Timestamp),
}

/// Returns the tags that go. `coming`: repositories that get a tag in this run that is not
/// known yet, and which counts as used.
pub(crate) fn surplus(
    tags: &BTreeMap<String, Age>,
    used: &BTreeSet<String>,
    coming: &BTreeSet<String>,
    all: bool,
) -> BTreeSet<String> {
    let mut unused: BTreeMap<&str, Vec<(Age, &String)>> = BTreeMap::new();
    for (tag, age) in tags.iter().filter(|(tag, _)| !used.contains(*tag)) {
        unused.entry(repository(tag)).or_default().push((*age, tag));
    }
    let mut going = BTreeSet::new();
    for (name, mut tags) in unused {
        let used = used.iter().filter(|tag| repository(tag) == name).count() + usize::from(coming.contains(name));
        let stay = if all { 0 } else { UNUSED.min(TOGETHER.saturating_sub(used)) };
        tags.sort_unstable();
        tags.truncate(tags.len().saturating_sub(stay));
        going.extend(tags.into_iter().map(|(_, tag)| tag.clone()));
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tags: &[&str]) -> BTreeMap<String, Age> {
        let at = |second| Age::Tagged(Timestamp::from_second(second).unwrap());
        tags.iter().zip(1..).map(|(tag, second)| (format!("coracle.local/shop/{tag}"), at(second))).collect()
    }

    fn set(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|tag| format!("coracle.local/shop/{tag}")).collect()
    }

    fn going(tags: &[&str], used: &[&str]) -> BTreeSet<String> {
        surplus(&tagged(tags), &set(used), &BTreeSet::new(), false)
    }

    #[test]
    fn the_live_one_and_two_older_stay() {
        assert_eq!(going(&["web:9", "web:3", "web:7", "web:1"], &["web:1"]), set(&["web:9"]), "age, not text");
        assert_eq!(going(&["web:9", "web:3", "web:7"], &["web:7"]), set(&[]));
        assert_eq!(going(&["web:9", "web:3", "web:7"], &[]), set(&["web:9"]), "two, where nothing runs");
    }

    #[test]
    fn what_is_used_stays_however_old() {
        assert_eq!(
            going(&["web:1", "web:2", "web:3", "web:4", "web:5"], &["web:1", "web:5"]),
            set(&["web:2", "web:3"])
        );
        let many = ["web:1", "web:2", "web:3", "web:4", "web:5"];
        assert_eq!(going(&many, &many[..4]), set(&["web:5"]));
    }

    #[test]
    fn each_service_has_its_own() {
        assert_eq!(going(&["web:1", "web:2", "web:3", "api:1", "api:2", "api:3"], &["api:3"]), set(&["web:1"]));
    }

    #[test]
    fn a_tag_that_is_still_to_come_counts() {
        let tags = tagged(&["db:1", "db:2", "db:3"]);
        let coming = BTreeSet::from(["coracle.local/shop/db".to_owned()]);
        assert_eq!(surplus(&tags, &set(&["db:3"]), &coming, false), set(&["db:1"]));
    }

    #[test]
    fn a_rebuild_of_the_same_inputs_is_a_tag_like_any_other() {
        let tags = ["web:ab", "web:ab-65a0b1c2", "web:ab-65a0b1c3", "web:ab-65a0b1c4"];
        assert_eq!(going(&tags, &["web:ab-65a0b1c4"]), set(&["web:ab"]));
    }

    #[test]
    fn names_that_only_nodes_have_are_the_oldest() {
        let mut tags = tagged(&["web:5", "web:6"]);
        tags.insert("coracle.local/shop/web:9".to_owned(), Age::NodeOnly);
        tags.insert("coracle.local/shop/web:7".to_owned(), Age::Engine);
        assert_eq!(surplus(&tags, &set(&["web:6"]), &BTreeSet::new(), false), set(&["web:9"]));
    }

    #[test]
    fn all_is_all_that_nothing_uses() {
        let tags = tagged(&["web:1", "web:2", "api:1"]);
        assert_eq!(surplus(&tags, &set(&["web:1"]), &BTreeSet::new(), true), set(&["web:2", "api:1"]));
    }
}
