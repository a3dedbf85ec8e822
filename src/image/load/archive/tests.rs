use std::collections::BTreeMap;

use super::super::inventory::{chain_ids, parse};
use super::super::receiver::Blob;
use super::*;

/// Returns an image as it was pushed; layers: diff id, what was pushed of it.
fn pushed(layers: &[(&str, Option<&[u8]>)]) -> Pushed {
    let config = Bytes::from(format!("{{\"layers\":{}}}", layers.len()));
    let layer = |data: Option<&[u8]>| {
        let content = data.unwrap_or(b"held");
        let (digest, size) = (sha256(content), content.len() as u64);
        Layer { digest, size, media_type: COMPRESSED.to_owned(), data: data.map(Blob::of) }
    };
    Pushed {
        config_digest: sha256(&config),
        config,
        diff_ids: layers.iter().map(|(diff_id, _)| (*diff_id).to_owned()).collect(),
        layers: layers.iter().map(|(_, data)| layer(*data)).collect(),
    }
}

async fn streamed(archive: Archive, pushed: Vec<Pushed>) -> BTreeMap<String, Vec<u8>> {
    let size = archive.size;
    let mut feed = archive.stream(Arc::new(pushed));
    let mut bytes = Vec::new();
    while let Some(piece) = feed.recv().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(bytes.len() as u64, size, "the size is known before");
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(files.insert(path.clone(), content).is_none(), "{path} is there twice");
    }
    files
}

fn json(files: &BTreeMap<String, Vec<u8>>, path: &str) -> serde_json::Value {
    serde_json::from_slice(&files[path]).unwrap()
}

fn manifest(files: &BTreeMap<String, Vec<u8>>, at: usize) -> serde_json::Value {
    let index = json(files, "index.json");
    let entry = &index["manifests"][at];
    let digest_there = entry["digest"].as_str().unwrap();
    let content = &files[&path(digest_there)];
    assert_eq!((sha256(content), content.len() as u64), (digest_there.to_owned(), entry["size"].as_u64().unwrap()));
    serde_json::from_slice(content).unwrap()
}

#[tokio::test]
async fn what_the_node_lacks_is_in_it_and_all_is_named() {
    let large = vec![7; PIECE * 2 + 100];
    let images = vec![pushed(&[("sha256:d1", Some(&large)), ("sha256:d2", Some(b"top"))])];
    let archive = Archive::new(&[("coracle.local/s/a:1", 0)], &images, &Inventory::default()).unwrap();
    assert_eq!(archive.manifests[0].0, "coracle.local/s/a:1");
    let (config, layers) = (images[0].config.clone(), images[0].layers.iter().map(|layer| layer.digest.clone()));
    let layers: Vec<String> = layers.collect();
    let files = streamed(archive, images).await;
    assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = json(&files, "index.json");
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "coracle.local/s/a:1");
    let manifest = manifest(&files, 0);
    assert_eq!(manifest["config"]["digest"], sha256(&config));
    assert_eq!(files[&path(&sha256(&config))], config);
    assert_eq!(manifest["layers"][0]["digest"], layers[0]);
    assert_eq!(manifest["layers"][0]["size"], large.len());
    assert_eq!(files[&path(&layers[0])], large);
    assert_eq!(files[&path(&layers[1])], b"top");
    assert_eq!(files.len(), 6);
}

#[tokio::test]
async fn what_the_node_holds_is_named_as_it_holds_it() {
    let ids: Vec<String> = ["a", "b", "c", "d"].iter().map(|word| format!("sha256:{}", word.repeat(64))).collect();
    let words: Vec<&str> = ids.iter().map(String::as_str).collect();
    let layers = [
        (words[0], None),
        (words[1], None),
        (words[2], Some(&b"held by another node not"[..])),
        (words[3], Some(&b"top"[..])),
    ];
    let images = vec![pushed(&layers)];
    let compressed = format!("sha256:{}", "7".repeat(64));
    let chain = chain_ids(&ids)[2].clone();
    // The first as a blob, the second compressed, the third only unpacked, the fourth not at all.
    let node = parse(&format!(
        "KEY PARENT KIND\n{chain} x Committed\nDIGEST\tSIZE\n{}\t5kB\t1 hour\t-\n\
         {compressed}\t6kB\t1 hour\tcontainerd.io/uncompressed={}\n",
        ids[0], ids[1]
    ));
    let archive = Archive::new(&[("n:1", 0)], &images, &node).unwrap();
    let files = streamed(archive, images).await;
    let manifest = manifest(&files, 0);
    let layer = |at: usize| {
        let layer = &manifest["layers"][at];
        (layer["mediaType"].as_str().unwrap(), layer["digest"].as_str().unwrap(), layer["size"].as_u64().unwrap())
    };
    assert_eq!(layer(0), (TAR, ids[0].as_str(), 5000));
    assert_eq!(layer(1), (COMPRESSED, compressed.as_str(), 6000));
    assert_eq!(layer(2), (COMPRESSED, sha256(b"held by another node not").as_str(), 24));
    assert_eq!(layer(3), (COMPRESSED, sha256(b"top").as_str(), 3));
    // Of four layers one is sent.
    assert_eq!(files.len(), 5, "{:?}", files.keys());
    assert!(files.contains_key(&path(&sha256(b"top"))));
}

#[tokio::test]
async fn images_share_an_archive_and_their_layers() {
    let images = vec![
        pushed(&[("sha256:d1", Some(b"base"))]),
        pushed(&[("sha256:d1", Some(b"base")), ("sha256:d2", Some(b"top"))]),
    ];
    let names = [("n:1", 0), ("n:2", 1), ("n:3", 1)];
    let archive = Archive::new(&names, &images, &Inventory::default()).unwrap();
    let files = streamed(archive, images).await;
    let layout = json(&files, "index.json");
    let entries = layout["manifests"].as_array().unwrap();
    let listed = entries.iter().map(|entry| entry["annotations"]["io.containerd.image.name"].as_str().unwrap());
    assert_eq!(listed.collect::<Vec<_>>(), ["n:1", "n:2", "n:3"]);
    assert_eq!(entries[1]["digest"], entries[2]["digest"]);
    // Two files of the layout, two configurations, two manifests, two layers.
    assert_eq!(files.len(), 8);
}

#[tokio::test]
async fn an_image_without_layers_is_one() {
    let images = vec![pushed(&[])];
    let archive = Archive::new(&[("n:1", 0)], &images, &Inventory::default()).unwrap();
    let files = streamed(archive, images).await;
    assert_eq!(manifest(&files, 0)["layers"], json!([]));
}

#[test]
fn a_layer_that_nobody_has_is_told() {
    let images = vec![pushed(&[("sha256:d1", None)])];
    let lacks = Archive::new(&[("n:1", 0)], &images, &Inventory::default()).unwrap_err();
    assert_eq!(lacks, Lacks { digest: sha256(b"held") });
}
