use super::*;

fn image(name: &str, digest: &str) -> api::Image {
    let target = Some(api::Descriptor { digest: digest.to_owned(), ..api::Descriptor::default() });
    api::Image { name: name.to_owned(), target, ..api::Image::default() }
}

#[test]
fn the_record_of_an_image_goes_with_its_last_name_only() {
    let images = [
        image("coracle.local/s/a:1", "sha256:m1"),
        image("sha256:c1", "sha256:m1"),
        image("coracle.local/s/a:2", "sha256:m2"),
        image("coracle.local/s/b:2", "sha256:m2"),
        image("sha256:c2", "sha256:m2"),
        image("registry.k8s.io/pause:3.10", "sha256:m3"),
        image("sha256:c3", "sha256:m3"),
    ];
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let gone = |list: &[&str]| pinned(&images, &names(list));
    assert_eq!(gone(&["coracle.local/s/a:1"]), names(&["coracle.local/s/a:1", "sha256:c1"]));
    assert_eq!(gone(&["coracle.local/s/a:2"]), names(&["coracle.local/s/a:2"]), "another name keeps it");
    assert_eq!(
        gone(&["coracle.local/s/a:2", "coracle.local/s/b:2"]),
        names(&["coracle.local/s/a:2", "coracle.local/s/b:2", "sha256:c2"])
    );
    assert!(gone(&["coracle.local/s/a:9"]).is_empty(), "what is not there needs no removal");
}
