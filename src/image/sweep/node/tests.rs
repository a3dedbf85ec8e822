use std::os::unix::fs::PermissionsExt;

use super::*;

/// As `ctr` of containerd 2.1 answers [`SURVEY`], shortened: a base that Kubernetes has too, and two
/// versions on it, of which a container runs the second.
const SURVEYED: &str = "\
REF                                TYPE                                       DIGEST        SIZE      PLATFORMS   LABELS
coracle.local/shop/web:1           application/vnd.oci.image.manifest.v1+json sha256:m1     219.1 MiB linux/amd64 io.cri-containerd.image=managed
coracle.local/shop/web:2           application/vnd.oci.image.manifest.v1+json sha256:m2     219.1 MiB linux/amd64 io.cri-containerd.image=managed
docker.io/library/base:1           application/vnd.oci.image.manifest.v1+json sha256:mb     73.0 MiB  linux/amd64 -
sha256:c1                          application/vnd.oci.image.manifest.v1+json sha256:m1     219.1 MiB linux/amd64 io.cri-containerd.image=managed

--
DIGEST      SIZE    AGE         LABELS
sha256:m1   402B    4 hours     containerd.io/gc.ref.content.config=sha256:c1,containerd.io/gc.ref.content.l.0=sha256:lb,containerd.io/gc.ref.content.l.1=sha256:l1
sha256:m2   402B    4 hours     containerd.io/gc.ref.content.config=sha256:c2,containerd.io/gc.ref.content.l.0=sha256:lb
sha256:mb   402B    4 hours     containerd.io/gc.ref.content.l.0=sha256:lb
sha256:c1   604B    4 hours     containerd.io/gc.ref.snapshot.overlayfs=sha256:s1
sha256:c2   604B    4 hours     containerd.io/gc.ref.snapshot.overlayfs=sha256:s2
sha256:lb   42.86MB 4 hours     containerd.io/uncompressed=sha256:lb
sha256:l1   1MB     2 seconds   -
--
KEY         PARENT      KIND
sha256:s0               Committed
sha256:s1   sha256:s0   Committed
sha256:s2   sha256:s0   Committed
13e195dc    sha256:s2   Active
--
KEY         SIZE        INODES
sha256:s0   5000        6
sha256:s1   1000        6
sha256:s2   2000        6
13e195dc    7           6
--
CONTAINER   IMAGE                       RUNTIME
13e195dc    coracle.local/shop/web:2    io.containerd.runc.v2
--
m1 402
m2 402
mb 402
c1 604
c2 604
lb 42860000
l1 1000000
";

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| format!("coracle.local/shop/{name}")).collect()
}

#[test]
fn shared_content_does_not_come_back() {
    let held = parse(SURVEYED);
    assert_eq!(held.own_names().cloned().collect::<BTreeSet<_>>(), names(&["web:1", "web:2"]));
    assert_eq!(held.used, names(&["web:2"]));
    // Manifest, configuration, its own layer, its own snapshot; the record `sha256:c1` keeps nothing.
    let alone = 402 + 604 + 1_000_000 + 1000;
    assert_eq!(held.weights(&names(&["web:1"]))["coracle.local/shop/web:1"], alone);
    // What a container runs on stays, whatever becomes of the name.
    let both = held.weights(&names(&["web:1", "web:2"]));
    assert_eq!(both["coracle.local/shop/web:2"], 402 + 604);
    assert_eq!(held.weights(&names(&["gone:1"]))["coracle.local/shop/gone:1"], 0);
}

#[test]
fn no_name_is_more_than_a_word_of_the_script() {
    let script = script(&["coracle.local/s/a:1-6f".to_owned(), "x; rm -rf /".to_owned(), "$(reboot)".to_owned()]);
    assert!(script.starts_with("set -- coracle.local/s/a:1-6f\n"), "{script}");
}

/// The script with a `ctr` that lists what `SURVEYED` does, and writes down what it is to remove.
#[tokio::test]
async fn the_record_of_an_image_goes_with_its_last_name() {
    let folder = tempfile::tempdir().unwrap();
    let list = SURVEYED.split(BREAK).next().unwrap().replace("sha256:c1 ", "sha256:c2 sha256:m2 sha256:m2\nsha256:c1 ");
    std::fs::write(folder.path().join("list"), list).unwrap();
    let ctr = "#!/bin/sh\ncd \"${0%/*}\"\ncase \"$*\" in *' ls') cat list;; *) echo \"$*\" >>removed;; esac\n";
    std::fs::write(folder.path().join("ctr"), ctr).unwrap();
    std::fs::set_permissions(folder.path().join("ctr"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = crate::exec::Command {
        program: "sh".to_owned(),
        args: vec![
            "-c".to_owned(),
            format!("PATH={}:$PATH\n{}", folder.path().display(), script(&["coracle.local/shop/web:1".to_owned()])),
        ],
        env: BTreeMap::new(),
        stdin: None,
        folder: None,
        deadline: std::time::Duration::from_secs(60),
    };
    crate::exec::run(&command, &tokio_util::sync::CancellationToken::new(), &mut |_| {}).await.unwrap();
    let removed = std::fs::read_to_string(folder.path().join("removed")).unwrap();
    assert_eq!(removed, "--namespace=k8s.io images rm --sync coracle.local/shop/web:1 sha256:c1\n");
}
