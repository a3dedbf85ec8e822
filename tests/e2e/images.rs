//! Images as a developer meets them: what was edited is served, what did not change is not
//! loaded again, and what is lost on a node comes back.

use crate::engine::docker;
use crate::node::Node;
use crate::process::{program, run};
use crate::sandbox::Sandbox;
use crate::service::{Service, serves, up};

/// Two services on one base of several layers, which share a layer of their own as well.
const ONE_BASE: &str = "\
name: e2e-images
services:
  one: {build: {context: ., args: {PAGE: one}}, ports: [8123], grace: 1s}
  two: {build: {context: ., args: {PAGE: two}}, ports: [8123], grace: 1s}
cluster: {name: CLUSTER}
";
const ON_PYTHON: &str = "\
FROM python:3-slim
COPY shared /srv/shared
COPY other /other
ARG PAGE
COPY ${PAGE} /srv/page
EXPOSE 8123
CMD [\"python3\", \"-m\", \"http.server\", \"8123\", \"--directory\", \"/srv\"]
";

#[test]
#[ignore = "needs docker and kind"]
fn an_edit_is_served_and_nothing_is_loaded_twice() {
    let sandbox = Sandbox::shared();
    let files = [
        ("coracle.yaml", ONE_BASE),
        ("Dockerfile", ON_PYTHON),
        ("shared", "shared 1"),
        ("other/page", "other"),
        ("one", "one 1"),
        ("two", "two 1"),
    ];
    let folder = sandbox.folder("e2e-images", &files);
    let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    up(&sandbox, &folder, &["one", "two"]);

    write("one", "one 2");
    sandbox.coracle(&folder, &["up"]).exits(0);
    serves(&sandbox, &folder, "one", "page", "one 2");
    serves(&sandbox, &folder, "two", "page", "two 1");
    up(&sandbox, &folder, &[]);

    write("shared", "shared 2"); // beneath what is each one's own
    up(&sandbox, &folder, &["one", "two"]);
    for (service, own) in [("one", "one 2"), ("two", "two 1")] {
        serves(&sandbox, &folder, service, "shared", "shared 2");
        serves(&sandbox, &folder, service, "page", own);
    }

    // No layer changes: only what the image runs …
    write("Dockerfile", &ON_PYTHON.replace("\"/srv\"", "\"/other\""));
    up(&sandbox, &folder, &["one", "two"]);
    serves(&sandbox, &folder, "one", "page", "other");
    // … and then nothing but its tag: a comment is in no image.
    write("Dockerfile", &format!("# a comment\n{}", ON_PYTHON.replace("\"/srv\"", "\"/other\"")));
    sandbox.coracle(&folder, &["up"]).exits(0);
    serves(&sandbox, &folder, "two", "page", "other");
    up(&sandbox, &folder, &[]);
    sandbox.coracle(&folder, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn an_image_from_scratch_and_one_of_a_hundred_layers() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-layers");
    let dockerfile = std::fs::read_to_string(service.folder.join("Dockerfile")).unwrap();

    let scratch = "FROM scratch\nCOPY --from=busybox:latest /bin /bin\n";
    service.write("Dockerfile", dockerfile.replace("FROM busybox:latest\n", scratch));
    service.up(&sandbox, &["web"]);
    service.serves(&sandbox, "high/page", "high 0\n");
    service.write("srv/low/page", "low 1\n");
    service.up(&sandbox, &["web"]);
    service.serves(&sandbox, "low/page", "low 1\n");

    let mut many = dockerfile;
    let base = docker(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "busybox:latest"]);
    let layers = 100 - 2 - base.parse::<usize>().expect("it is a number");
    for layer in 0..layers {
        many = many.replacen("EXPOSE", &format!("COPY srv/high/page /many/{layer}/page\nEXPOSE"), 1);
    }
    service.write("Dockerfile", &many);
    service.up(&sandbox, &["web"]);
    let node = Node::only(&sandbox.cluster);
    let image = |wanted: usize| {
        let images = node.images("coracle.local/e2e-layers/web:");
        images.into_iter().find(|image| node.layers(image).len() == wanted).expect("it was loaded")
    };
    let listed = node.image_tree(&image(100), "many");
    assert_eq!(listed.lines().filter(|line| line.starts_with("f 644")).count(), layers, "{listed}");
    service.write("srv/high/page", "high 2\n"); // 99 layers change
    service.up(&sandbox, &["web"]);
    service.serves(&sandbox, "high/page", "high 2\n");
    sandbox.coracle(&service.folder, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn what_is_lost_on_a_node_comes_back() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-lost");
    service.up(&sandbox, &["web"]);
    let node = Node::only(&sandbox.cluster);
    let ours = || node.images("coracle.local/e2e-lost/web:");

    // `ctr images rm`: names and blobs go, the running container's snapshots stay.
    node.remove(&ours());
    service.up(&sandbox, &["web"]);
    service.check_image(&node, &ours()[0]);
    // The same when an edit is to be loaded onto what is not there any more.
    node.remove(&ours());
    // No other test has this layer, or its image would keep the blob.
    service.write("srv/high/page", "lost 1\n");
    service.up(&sandbox, &["web"]);
    service.serves(&sandbox, "high/page", "lost 1\n");

    // A kubelet's garbage collection: nothing runs, and snapshots go as well.
    sandbox.coracle(&service.folder, &["down"]).exits(0);
    sandbox.check_gone("e2e-lost");
    let layers = node.layers(&ours()[0]);
    node.remove(&ours());
    let snapshots = node.ctr(&["snapshots", "ls"]);
    let top = layers.last().expect("it has layers");
    assert!(!node.ctr(&["content", "ls", "-q"]).contains(top), "the top layer is still there:\n{snapshots}");
    service.up(&sandbox, &["web"]);
    service.serves(&sandbox, "high/page", "lost 1\n");
    sandbox.coracle(&service.folder, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn an_image_of_which_a_node_has_little_more_than_the_name_is_loaded_again() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-hollow");
    service.up(&sandbox, &["web"]);
    service.write("srv/high/page", "high 1\n");
    sandbox.coracle(&service.folder, &["load"]).exits(0);

    let node = Node::only(&sandbox.cluster);
    let images = node.images("coracle.local/e2e-hollow/web:");
    for image in &images {
        node.forget_config(image);
    }
    let again = sandbox.coracle(&service.folder, &["up"]);
    if again.code != Some(0) {
        node.remove(&images); // it would be in the way of every other test on this cluster
    }
    again.exits(0);
    service.serves(&sandbox, "high/page", "high 1\n");
    sandbox.coracle(&service.folder, &["down"]).exits(0);
}

#[test]
#[ignore = "needs docker and kind"]
fn a_base_that_a_node_holds_in_another_form_is_no_obstacle() {
    let sandbox = Sandbox::shared();
    let service = Service::new(&sandbox, "e2e-forms");
    service.up(&sandbox, &["web"]);
    let node = Node::only(&sandbox.cluster);

    // Only unpacked, as after a kubelet's pull on kind.
    let image = node.images("coracle.local/e2e-forms/web:").remove(0);
    assert!(node.forget_layers(&image) >= 3);
    service.write("srv/high/page", "high 1\n");
    service.up(&sandbox, &["web"]);
    service.serves(&sandbox, "high/page", "high 1\n");
    service.serves(&sandbox, "low/page", "low 0\n");

    // As blobs that are compressed, as registries have them.
    for (program, media_type) in [("gzip", "tar+gzip"), ("zstd", "tar+zstd")] {
        sandbox.coracle(&service.folder, &["down"]).exits(0);
        sandbox.check_gone("e2e-forms");
        node.remove(&node.images("coracle.local/e2e-forms/web:"));
        pull_like(&sandbox, &node, program, media_type);
        service.write("srv/low/page", format!("low {program}\n"));
        service.up(&sandbox, &["web"]);
        service.serves(&sandbox, "low/page", &format!("low {program}\n"));
        let image = node.images("coracle.local/e2e-forms/web:").remove(0);
        service.check_image(&node, &image);
        node.remove(&[format!("docker.io/library/e2e-base:{program}")]);
    }
    sandbox.coracle(&service.folder, &["down"]).exits(0);
}

/// Brings busybox onto the node with its layers compressed: the engine's archive, which is an
/// OCI layout, with other blobs.
#[track_caller]
fn pull_like(sandbox: &Sandbox, node: &Node, compressor: &str, media_type: &str) {
    const IMPORT: &str = r#"
        rm -rf layout && mkdir layout && cd layout
        docker save busybox:latest | tar -x
        python3 -c "$1" "$2" "$3"
        tar -c index.json oci-layout blobs | docker exec -i "$4" ctr -n k8s.io images import - >/dev/null"#;
    const COMPRESS: &str = r#"
import gzip, hashlib, json, subprocess, sys

def read(digest):
    with open("blobs/sha256/" + digest.split(":")[1], "rb") as file:
        return file.read()

def write(data):
    digest = hashlib.sha256(data).hexdigest()
    with open("blobs/sha256/" + digest, "wb") as file:
        file.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}

compressor, media_type = sys.argv[1:]
manifest = json.load(open("index.json"))
while "manifests" in manifest:
    ours = [item for item in manifest["manifests"] if item.get("platform", {}).get("os") != "unknown"]
    manifest = json.loads(read(ours[0]["digest"]))
layers = []
for layer in manifest["layers"]:
    data = read(layer["digest"])
    if layer["mediaType"].endswith("gzip"):
        data = gzip.decompress(data)
    packed = subprocess.run([compressor, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    layers.append({"mediaType": "application/vnd.oci.image.layer.v1." + media_type, **write(packed)})
manifest["layers"] = layers
made = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **write(json.dumps(manifest).encode())}
made["annotations"] = {"io.containerd.image.name": "docker.io/library/e2e-base:" + compressor}
index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [made]}
json.dump(index, open("index.json", "w"))
"#;
    let args = ["-euo", "pipefail", "-c", IMPORT, "bash", COMPRESS, compressor, media_type, node.name()];
    run(program("bash").args(args).current_dir(sandbox.path())).exits(0);
    let name = format!("docker.io/library/e2e-base:{compressor}");
    assert!(node.images(&name).contains(&name), "the base was not imported");
}
