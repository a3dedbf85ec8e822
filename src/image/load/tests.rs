use super::*;

#[test]
fn nodes_that_lack_the_same_share_a_stream() {
    let lacks = |images: &[&str]| images.iter().map(|image| (*image).to_owned()).collect::<Vec<_>>();
    let missing = BTreeMap::from([
        ("n1".to_owned(), lacks(&["b", "a"])),
        ("n2".to_owned(), lacks(&["a"])),
        ("n3".to_owned(), lacks(&["a", "b"])),
        ("n4".to_owned(), lacks(&[])),
    ]);
    let key = |architecture: &str, images: &[&str]| (architecture.to_owned(), lacks(images));
    let same = full::groups(&missing, |_| "amd64".to_owned());
    let expected = [(key("amd64", &["a"]), lacks(&["n2"])), (key("amd64", &["a", "b"]), lacks(&["n1", "n3"]))];
    assert_eq!(same, BTreeMap::from(expected));
    let other = full::groups(&missing, |image| if image == "a" { "arm64" } else { "amd64" }.to_owned());
    let expected = [(key("amd64", &["b"]), lacks(&["n1", "n3"])), (key("arm64", &["a"]), lacks(&["n1", "n2", "n3"]))];
    assert_eq!(other, BTreeMap::from(expected));
}

#[test]
fn the_archive_is_asked_for_one_platform_where_the_engine_can() {
    let images = ["coracle.local/s/a:1".to_owned(), "redis:7".to_owned()];
    assert_eq!(export::path(&images, "arm64", (1, 47)), "/images/get?names=coracle.local%2Fs%2Fa%3A1&names=redis%3A7");
    assert!(
        export::path(&images, "arm64", (1, 48))
            .ends_with("&platform=%7B%22architecture%22%3A%22arm64%22%2C%22os%22%3A%22linux%22%7D")
    );
}

#[test]
fn the_import_is_for_one_platform() {
    let argv = node::argv_import("amd64");
    assert_eq!(argv[..2], ["sh", "-c"]);
    assert!(argv[2].ends_with("exec ctr --namespace=k8s.io images import --platform \"$1\" $local -"), "{}", argv[2]);
    assert_eq!(argv[3..], ["import", "linux/amd64"]);
}
