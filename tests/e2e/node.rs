//! What a node's containerd holds, asked and changed with the node's own `ctr`: not through
//! the code under test.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{containers_of, docker};
use crate::process::{program, run};
use crate::tree;

/// The container of a node.
pub(crate) struct Node(String);

impl Node {
    /// Returns the nodes of a cluster.
    pub(crate) fn all(cluster: &str) -> Vec<Self> {
        containers_of(cluster).into_iter().map(Self).collect()
    }

    /// Returns the only node of a cluster.
    #[track_caller]
    pub(crate) fn only(cluster: &str) -> Self {
        let mut nodes = Self::all(cluster);
        assert_eq!(nodes.len(), 1, "{cluster} has not one node");
        nodes.remove(0)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Runs a script; `$1` and so on are `args`.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str, args: &[&str]) -> String {
        docker(&[&["exec", &self.0, "sh", "-ec", script, "sh"], args].concat())
    }

    #[track_caller]
    pub(crate) fn ctr(&self, args: &[&str]) -> String {
        docker(&[&["exec", &self.0, "ctr", "-n", "k8s.io"], args].concat())
    }

    /// Returns the names of images that begin with `prefix`.
    #[track_caller]
    pub(crate) fn images(&self, prefix: &str) -> Vec<String> {
        let all = self.ctr(&["images", "ls", "-q"]);
        all.lines().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
    }

    /// Removes images, all their other names (Kubernetes gives them some), and what
    /// belonged to them alone: blobs, and snapshots that no container stands on.
    #[track_caller]
    pub(crate) fn remove(&self, images: &[String]) {
        const REMOVE: &str = r#"
            list=$(ctr -n k8s.io images ls)
            for image; do
              digest=$(echo "$list" | awk -v name="$image" '$1 == name {print $3}')
              names="$names $(echo "$list" | awk -v digest="$digest" 'digest && $3 == digest {print $1}')"
            done
            [ -z "${names# }" ] || ctr -n k8s.io images rm --sync $(printf '%s\n' $names | sort -u) >/dev/null"#;
        let images: Vec<_> = images.iter().map(String::as_str).collect();
        self.sh(REMOVE, &images);
        let left = self.ctr(&["images", "ls", "-q"]);
        assert!(!left.lines().any(|name| images.contains(&name)), "{} still has one of {images:?}", self.0);
    }

    /// Removes the blobs of an image's layers; its snapshots stay. Images that were pulled
    /// by a kubelet with `discard_unpacked_layers`, which kind sets, are like this.
    #[track_caller]
    pub(crate) fn forget_layers(&self, image: &str) -> usize {
        let layers = self.digests(image, "/layers");
        self.forget_blobs(&layers);
        layers.len()
    }

    /// Removes an image's config: its name stays, and can start nothing.
    #[track_caller]
    pub(crate) fn forget_config(&self, image: &str) {
        self.forget_blobs(&self.digests(image, "/config"));
    }

    #[track_caller]
    fn forget_blobs(&self, digests: &[String]) {
        assert!(!digests.is_empty());
        let names = digests.join(" ");
        self.sh("for blob in $1; do ctr -n k8s.io content rm \"$blob\" 2>/dev/null || true; done", &[&names]);
        let left = self.ctr(&["content", "ls", "-q"]);
        assert!(!left.lines().any(|blob| digests.iter().any(|digest| digest == blob)), "some of {names} are left");
    }

    /// Returns the digests of an image's layers, as its manifest names them.
    #[track_caller]
    pub(crate) fn layers(&self, image: &str) -> Vec<String> {
        self.digests(image, "/layers")
    }

    /// Returns the digests in a part of an image's manifest.
    #[track_caller]
    fn digests(&self, image: &str, part: &str) -> Vec<String> {
        let list = self.ctr(&["images", "ls"]);
        let mut lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words.first() == Some(&image));
        let mut digest = line.unwrap_or_else(|| panic!("{} has no {image}\n{list}", self.0))[2].to_owned();
        loop {
            let manifest: Value = serde_json::from_str(&self.ctr(&["content", "get", &digest])).unwrap();
            if let Some(found) = manifest.pointer(part) {
                return digests_in(found);
            }
            // An index: of the platforms that it names only ours is here.
            let here = self.ctr(&["content", "ls", "-q"]);
            let mut manifests = digests_in(&manifest["manifests"]).into_iter();
            digest = manifests.find(|digest| here.lines().any(|blob| blob == digest)).expect("an index names one");
        }
    }

    /// Lists `folder` (`srv`) of an image, as a new container would see it.
    #[track_caller]
    pub(crate) fn image_tree(&self, image: &str, folder: &str) -> String {
        const MOUNT: &str = r#"
            mount=$(mktemp -d)
            trap 'cd /; ctr -n k8s.io images unmount --rm "$mount" >/dev/null; rmdir "$mount"' EXIT
            ctr -n k8s.io images mount "$1" "$mount" >/dev/null
            cd "$mount/$2""#;
        self.sh(&format!("{MOUNT}{}", tree::LIST), &[image, folder])
    }

    /// Lists `folder` of the container `service` that runs in `namespace`, once it is the only one.
    #[track_caller]
    pub(crate) fn container_tree(&self, namespace: &str, service: &str, folder: &str) -> String {
        const PIDS: &str = r#"
            filter="labels.\"io.kubernetes.pod.namespace\"==$1,labels.\"io.kubernetes.container.name\"==$2"
            for id in $(ctr -n k8s.io containers ls -q "$filter"); do
              ctr -n k8s.io tasks ls | awk -v id="$id" '$1 == id && $3 == "RUNNING" {print $2}'
            done"#;
        let started = Instant::now();
        loop {
            let pids = self.sh(PIDS, &[namespace, service]);
            if let [pid] = pids.split_whitespace().collect::<Vec<_>>()[..] {
                return self.sh(&format!("cd \"/proc/$1/root/$2\"{}", tree::LIST), &[pid, folder]);
            }
            assert!(started.elapsed() < Duration::from_secs(40), "{service} has not one container: {pids:?}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// SIGKILL for the node's containerd; systemd starts it again, containers go on.
    pub(crate) fn kill_containerd(&self) {
        self.sh("kill -9 $(pidof containerd)", &[]);
    }

    /// Waits until containerd answers.
    #[track_caller]
    pub(crate) fn await_containerd(&self) {
        let started = Instant::now();
        while run(program("docker").args(["exec", &self.0, "ctr", "version"])).code != Some(0) {
            assert!(started.elapsed() < Duration::from_secs(60), "containerd in {} does not come back", self.0);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Returns the digest of one descriptor, or of each of several.
fn digests_in(descriptors: &Value) -> Vec<String> {
    let all = descriptors.as_array().map_or_else(|| vec![descriptors], |all| all.iter().collect());
    all.into_iter().filter_map(|descriptor| Some(descriptor["digest"].as_str()?.to_owned())).collect()
}
