use super::*;

const BASE: &str = "sha256:3c3fb89fc50a4de00dfd74d850f6226694bad557edf2e85b411acdb43abbfa2a";
const TREE: &str = "sha256:433569b17247146df0a8b1ad5f3b45d0cba093b7941f0d6910c43c039ae2da4b";
const TOP: &str = "sha256:88ec2aa3e1e66e03f9e81a1413c862e26acf57c8ca56d1ab9067b5ffe696f876";
const NAME: &str = "coracle.local/hl/x:81f45e3da128";
const CONFIG: &str = "sha256:81f45e3da12882b7443131e428dc3661988939d077c3e7b090798172a1a98edf";

/// Of a kind node (Kubernetes 1.33.13, containerd 2.1.9), shortened.
const REAL: &str = include_str!("node-2.1.9.txt");

#[test]
fn a_real_node_is_read() {
    let node = parse(REAL);
    assert_eq!(node.targets.len(), 2);
    assert!(node.names.contains("registry.k8s.io/pause:3.10") && node.names.contains(CONFIG));
    assert!(node.chains.contains(BASE));
    assert!(node.chains.iter().all(|chain| chain.starts_with("sha256:")), "containers' own are none");
    assert_eq!(node.blobs[BASE].size, 2_129_920, "as the file is, not as it is rounded");
    assert_eq!(node.blobs[TREE].size, 252_000_000, "rounded, as there was no file of that name");
    assert!(node.is_whole(NAME));
    assert!(!node.is_whole("coracle.local/hl/x:none"));
    assert!(node.has_config(CONFIG));
    assert!(!node.has_config(BASE), "a layer is no configuration");
}

#[test]
fn layers_are_held_as_blob_compressed_or_unpacked() {
    let node = parse(REAL);
    let ids = [BASE, TREE, TOP].map(str::to_owned);
    let pushed = "sha256:3911feaba81335539685dba06b833fa8cc28950325bfab0bbfbe7a02a410aee3".to_owned();
    let expected = [Some(Holds::Blob(BASE.to_owned())), Some(Holds::Blob(TREE.to_owned())), Some(Holds::Blob(pushed))];
    assert_eq!(node.layers(&ids), expected);
    // The same layers without their blobs, as a node that discards them has them.
    let discarded = Inventory { chains: node.chains.clone(), ..Inventory::default() };
    assert_eq!(discarded.layers(&ids), [Some(Holds::Unpacked), Some(Holds::Unpacked), None]);
    // A layer that is unpacked on another base is not held on this one.
    assert_eq!(discarded.layers(&[TREE.to_owned()]), [None]);
}

#[test]
fn an_image_whose_unpacking_was_cut_short_is_not_whole() {
    let without =
        |part: &str| parse(&REAL.lines().filter(|line| !line.starts_with(part)).collect::<Vec<_>>().join("\n"));
    let chain = parse(REAL).blobs[CONFIG].chain.clone().unwrap();
    assert!(!without(&chain).is_whole(NAME), "its chain is gone");
    assert!(!without(CONFIG).is_whole(NAME), "its configuration is gone");
}

#[test]
fn an_index_is_whole_if_a_manifest_of_it_is() {
    let digest = |word: &str| format!("sha256:{}", word.repeat(64));
    let (index, manifest, config, chain) = (digest("1"), digest("2"), digest("3"), digest("4"));
    let text = format!(
        "REF TYPE DIGEST\n{NAME} type {index} 1.0 MiB linux/amd64 -\nKEY\n{chain} Committed\nDIGEST\tSIZE\tAGE\tLABELS\n\
         {index}\t1B\t1 hour\tcontainerd.io/gc.ref.content.m.0={manifest},containerd.io/gc.ref.content.m.1={}\n\
         {manifest}\t1B\t1 hour\tcontainerd.io/gc.ref.content.config={config},containerd.io/gc.ref.content.l.0={chain}\n\
         {config}\t1B\t1 hour\tcontainerd.io/gc.ref.snapshot.native={chain}\n",
        digest("9"),
    );
    assert!(parse(&text).is_whole(NAME));
    assert!(!parse(&text.replace("Committed", "Active")).is_whole(NAME));
}

#[test]
fn chains_are_as_the_specification_says() {
    let ids = ["sha256:a", "sha256:b"].map(str::to_owned);
    let second = sha256("sha256:a sha256:b");
    assert_eq!(chain_ids(&ids), ["sha256:a".to_owned(), second]);
    assert!(chain_ids(&[]).is_empty());
    // Read from a node.
    let ids = [BASE, TREE].map(str::to_owned);
    assert_eq!(chain_ids(&ids)[1], "sha256:454b621b59db58a6e8bab08ff0953a9402cf0f05eb418b434aa956804601ebe2");
}

#[test]
fn sizes_are_read_as_ctr_rounds_them() {
    for (text, size) in [("604B", 604), ("764.4kB", 764_400), ("42.86MB", 42_860_000), ("1.5GB", 1_500_000_000)] {
        assert_eq!(rounded(text), size);
    }
}
