//! What an `up` leaves behind, and takes away again.

use super::*;
use crate::image::own::Own;

/// The engine and the node have these older tags of a service too.
fn with_older(observed: &mut Observed, service: &str, tags: &[&str]) {
    for (tag, second) in tags.iter().zip(1..) {
        let tag = format!("coracle.local/shop/{service}:{tag}");
        let tagged = Some(jiff::Timestamp::from_second(second).unwrap());
        let own = Own { id: tag.clone(), built: true, bases: BTreeMap::new(), named_otherwise: false, tagged };
        observed.own.insert(tag.clone(), own);
        observed.nodes.get_mut("coracle-control-plane").unwrap().insert(tag);
    }
}

/// An edit of `web` after everything was done.
fn edited(profile: &Profile) -> Observed {
    let mut observed = done(profile);
    let live = observed.inputs.builds["web"].tag.clone();
    let tagged = Some(jiff::Timestamp::from_second(100).unwrap());
    observed
        .own
        .insert(live.clone(), Own { id: live, built: true, bases: BTreeMap::new(), named_otherwise: false, tagged });
    let tag = "coracle.local/shop/web:aaaaaaaaaaaa".to_owned();
    let edited = BuildInput { tag, built: false, ..BuildInput::clone(&observed.inputs.builds["web"]) };
    observed.inputs.builds.insert("web".to_owned(), Arc::new(edited));
    observed
}

/// The plan's last step.
fn last(profile: &Profile, observed: &Observed, extent: Extent) -> String {
    let text = plan_text(profile, observed, &Options { extent, ..Options::default() });
    text.lines().last().unwrap_or_default().replace("coracle.local/shop/", "")
}

#[test]
fn the_live_tag_and_two_older_stay_after_a_rollout() {
    let profile = profile(SHOP);
    let mut observed = edited(&profile);
    // The newest of them has the smallest text.
    with_older(&mut observed, "web", &["ccc", "bbb", "aaa"]);
    let swept = "6 [5] sweep web:bbb web:ccc; coracle-control-plane: web:bbb web:ccc";
    assert_eq!(last(&profile, &observed, Extent::Everything), swept);
    assert_eq!(last(&profile, &observed, Extent::Build), "0 [] build web:aaaaaaaaaaaa");
}

#[test]
fn a_load_alone_sweeps_many_at_once() {
    let profile = profile(SHOP);
    let mut observed = edited(&profile);
    let older = ["j", "i", "h", "g", "f", "e", "d", "c", "b"];
    with_older(&mut observed, "web", &older[..8]);
    assert_eq!(last(&profile, &observed, Extent::Load), "1 [0] load web");
    with_older(&mut observed, "web", &older);
    let swept = "web:c web:d web:e web:f web:g web:h web:i web:j";
    assert_eq!(last(&profile, &observed, Extent::Load), format!("2 [1] sweep {swept}; coracle-control-plane: {swept}"));
}

#[test]
fn where_nothing_changes_nothing_is_swept() {
    let profile = profile(SHOP);
    let mut observed = done(&profile);
    with_older(&mut observed, "web", &["ccc", "bbb", "aaa", "999"]);
    assert_eq!(plan_text(&profile, &observed, &Options::default()), "");
}

#[test]
fn what_a_live_object_names_is_not_swept() {
    let profile = profile(SHOP);
    let mut observed = edited(&profile);
    with_older(&mut observed, "web", &["ccc", "bbb", "aaa"]);
    let pod = serde_json::json!({"kind": "Pod", "metadata": {"name": "debug", "namespace": "shop"},
        "spec": {"initContainers": [{"image": "coracle.local/shop/web:ccc"}], "containers": []}});
    observed.live.objects.push(Object(pod));
    let last = last(&profile, &observed, Extent::Everything);
    assert_eq!(last, "6 [5] sweep web:aaa web:bbb; coracle-control-plane: web:aaa web:bbb");
}

#[test]
fn another_profiles_tags_are_not_looked_at() {
    let profile = profile(SHOP);
    let mut observed = edited(&profile);
    let held = observed.nodes.get_mut("coracle-control-plane").unwrap();
    held.extend(["1", "2", "3", "4"].map(|tag| format!("coracle.local/shopping/web:{tag}")));
    held.insert("docker.io/library/redis:6".to_owned());
    assert!(!last(&profile, &observed, Extent::Everything).contains("sweep"));
}

#[test]
fn a_pulled_image_loses_our_name_only_where_it_has_another() {
    let profile = profile(SHOP);
    let mut observed = edited(&profile);
    with_older(&mut observed, "db", &["1", "2", "3"]);
    for (tag, own) in &mut observed.own {
        (own.built, own.named_otherwise) = (tag.contains("web"), tag.ends_with("db:2"));
    }
    with_older(&mut observed, "db", &[]);
    assert_eq!(last(&profile, &observed, Extent::Everything), "6 [5] sweep ; coracle-control-plane: db:1");
    observed.own.get_mut("coracle.local/shop/db:1").unwrap().named_otherwise = true;
    assert_eq!(last(&profile, &observed, Extent::Everything), "6 [5] sweep db:1; coracle-control-plane: db:1");
}
