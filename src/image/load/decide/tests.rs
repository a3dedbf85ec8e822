use super::super::inventory::{chain_ids, parse};
use super::*;

/// The same image in an engine with containerd's store.
fn in_containerd(image: &Wanted) -> Wanted {
    Wanted { in_containerd: true, ..image.clone() }
}

fn digest(word: &str) -> String {
    format!("sha256:{}", word.repeat(64 / word.len()))
}

fn image(layers: &[(&str, u64)]) -> Wanted {
    Wanted {
        tag: "coracle.local/s/a:1".to_owned(),
        id: digest("9"),
        diff_ids: layers.iter().map(|(word, _)| digest(word)).collect(),
        sizes: layers.iter().map(|(_, megabytes)| megabytes * 1_000_000).collect(),
        ..Wanted::default()
    }
}

/// What `ctr` says of a node with these blobs (digest, labels) and unpacked chains.
fn node(blobs: &[(&str, String)], chains: &[&String]) -> Inventory {
    let blobs: String =
        blobs.iter().map(|(word, labels)| [digest(word).as_str(), "\t5MB\t1 hour\t", labels, "\n"].concat()).collect();
    let chains: String = chains.iter().map(|chain| [chain.as_str(), " Committed\n"].concat()).collect();
    parse(&format!("REF TYPE\nKEY PARENT KIND\n{chains}DIGEST\tSIZE\tAGE\tLABELS\n{blobs}SIZES\n"))
}

fn none() -> String {
    "-".to_owned()
}

#[test]
fn a_node_without_anything_gets_the_archive_of_a_large_image() {
    let image = image(&[("a", 200), ("b", 1)]);
    assert_eq!(way(&image, &node(&[], &[]), true), Way::Full);
    assert_eq!(way(&in_containerd(&image), &node(&[], &[]), true), Way::Delta);
    assert_eq!(way(&in_containerd(&image), &node(&[], &[]), false), Way::Full);
}

#[test]
fn little_is_pushed_even_if_it_is_all() {
    assert_eq!(way(&image(&[("a", 2)]), &node(&[], &[]), true), Way::Delta);
    assert_eq!(way(&image(&[]), &node(&[], &[]), true), Way::Delta);
}

#[test]
fn a_base_counts_as_blob_compressed_or_unpacked() {
    let image = image(&[("a", 200), ("b", 1)]);
    let chains = chain_ids(&image.diff_ids);
    assert_eq!(way(&image, &node(&[("a", none())], &[]), true), Way::Delta);
    let label = format!("containerd.io/uncompressed={}", digest("a"));
    assert_eq!(way(&image, &node(&[("7", label)], &[]), true), Way::Delta);
    // `discard_unpacked_layers`: no blob at all.
    assert_eq!(way(&image, &node(&[], &[&chains[0]]), true), Way::Delta);
    // The top alone is not half of it.
    assert_eq!(way(&image, &node(&[("b", none())], &[]), true), Way::Full);
}

#[test]
fn without_sizes_layers_count() {
    let mut image = image(&[("a", 0), ("b", 0), ("c", 0)]);
    image.sizes = Vec::new();
    assert_eq!(way(&image, &node(&[("a", none()), ("b", none())], &[]), true), Way::Delta);
    assert_eq!(way(&image, &node(&[("a", none())], &[]), true), Way::Full);
}

#[test]
fn what_is_there_under_another_name_gets_one_more() {
    let image = image(&[("a", 200)]);
    let id = &image.id;
    let text = |chain: &str| {
        format!(
            "REF TYPE DIGEST\nNAMES\n{id}\nKEY PARENT KIND\n{chain} Committed\nDIGEST\tSIZE\n\
             {m}\t5B\t1 hour\tcontainerd.io/gc.ref.content.config={id}\n\
             {id}\t5B\t1 hour\tcontainerd.io/gc.ref.snapshot.overlayfs={a}\n",
            m = digest("3"),
            a = digest("a")
        )
    };
    let whole = parse(&text(&digest("a")));
    assert_eq!(way(&image, &whole, true), Way::Retag { from: id.clone() });
    // There an id is a manifest's digest, and says nothing of a configuration.
    assert_eq!(way(&in_containerd(&image), &whole, true), Way::Delta);
    assert_eq!(way(&image, &parse(&text(&digest("b"))), true), Way::Full);
}

fn uploads_not(images: &[(&Wanted, Vec<&Inventory>)], known: &[(&str, &str)]) -> Vec<String> {
    let images: Vec<_> = images.iter().map(|(image, nodes)| (image.diff_ids.as_slice(), nodes.clone())).collect();
    let known: Vec<_> = known.iter().map(|(digest_of, diff_id)| (digest(digest_of), digest(diff_id))).collect();
    let known = known.iter().map(|(digest, diff_id)| (digest.as_str(), diff_id.as_str(), 5));
    held(&images, known).into_keys().map(|digest| digest[7..8].to_owned()).collect()
}

#[test]
fn only_what_every_node_holds_is_held() {
    let image = image(&[("a", 200), ("b", 1)]);
    let both = node(&[("a", none()), ("b", none())], &[]);
    let base = node(&[("a", none())], &[]);
    assert_eq!(uploads_not(&[(&image, vec![&both])], &[]), ["a", "b"]);
    assert_eq!(uploads_not(&[(&image, vec![&both, &base])], &[]), ["a"]);
    assert!(uploads_not(&[(&image, vec![&both, &node(&[], &[])])], &[]).is_empty());
}

#[test]
fn a_compressed_digest_is_held_by_what_is_known_of_it() {
    let image = image(&[("a", 200), ("b", 1)]);
    let unpacked = node(&[], &[&chain_ids(&image.diff_ids)[0]]);
    assert_eq!(uploads_not(&[(&image, vec![&unpacked])], &[("7", "a"), ("8", "b"), ("6", "f")]), ["7"]);
    // One node's labels tell of the layer that another holds unpacked.
    let labelled = node(&[("7", format!("containerd.io/uncompressed={}", digest("a")))], &[]);
    assert_eq!(uploads_not(&[(&image, vec![&labelled, &unpacked])], &[]), ["7"]);
}

#[test]
fn a_layer_is_held_at_every_place_or_not_at_all() {
    let (one, other) = (image(&[("a", 1), ("b", 1)]), image(&[("c", 1), ("b", 1)]));
    let unpacked = node(&[("c", none())], &[&chain_ids(&one.diff_ids)[0], &chain_ids(&one.diff_ids)[1]]);
    assert_eq!(uploads_not(&[(&one, vec![&unpacked])], &[("8", "b")]), ["8"]);
    assert_eq!(uploads_not(&[(&one, vec![&unpacked]), (&other, vec![&unpacked])], &[("8", "b")]), ["c"]);
}

#[test]
fn a_hundred_layers_are_told_apart() {
    let words: Vec<String> = (16..116).map(|number| format!("{number:02x}")).collect();
    let image = image(&words.iter().map(|word| (word.as_str(), 3)).collect::<Vec<_>>());
    let chains = chain_ids(&image.diff_ids);
    assert_eq!(way(&image, &node(&[], &chains.iter().take(60).collect::<Vec<_>>()), true), Way::Delta);
    assert_eq!(way(&image, &node(&[], &chains.iter().take(40).collect::<Vec<_>>()), true), Way::Full);
}

#[test]
fn a_history_gives_the_layers_sizes() {
    assert_eq!(layer_sizes(&[0, 1, 0, 230, 237], 3), [237, 230, 1]);
    // A layer without bytes: they are counted from the top.
    assert_eq!(layer_sizes(&[0, 1, 0, 230], 3), [0, 230, 1]);
    assert!(layer_sizes(&[1, 2, 3], 2).is_empty());
    assert!(layer_sizes(&[], 0).is_empty());
}
