"""A node's image store, asked behind everybody's back: what is there, and is it right."""

import hashlib

from .session import Failed

# Mounts the image as a container would see it. $1: reference, then files.
SHA256 = """set -e
reference=$1; shift
folder=$(mktemp -d)
ctr -n k8s.io images mount "$reference" "$folder" >/dev/null
trap 'ctr -n k8s.io images unmount --rm "$folder" >/dev/null; rmdir "$folder"' EXIT
cd "$folder" && sha256sum "$@"
cd /
"""


class Node:
    def __init__(self, session, name):
        self.session, self.name = session, name
        # What the cluster itself needs.
        self.own = set(self.images())

    def script(self, text, *words):
        return self.session.output("docker", "exec", "-i", self.name, "sh", "-s", "--", *words, stdin=text)

    def images(self):
        return self.script("ctr -n k8s.io images ls -q").split()

    def forget(self):
        """Removes every image that came after the cluster."""
        added = sorted(set(self.images()) - self.own)
        if added:
            self.script('ctr -n k8s.io images rm --sync "$@"', *added)

    def holds(self, layers):
        """How many of the layers (diff ids, base first) are there, as blobs or unpacked."""
        text = "ctr -n k8s.io content ls; ctr -n k8s.io snapshots ls"
        there = self.script(text)
        return sum(layer in there or chain in there for layer, chain in zip(layers, chain_ids(layers)))

    def sha256(self, reference, *files):
        """The sums of files of an image, and a check that the kubelet would find it."""
        self.script('crictl inspecti "$1" >/dev/null', reference)
        return [line.split()[0] for line in self.script(SHA256, reference, *files).splitlines()]

    def expect(self, reference, sums):
        """`sums`: file → SHA-256."""
        found = dict(zip(sums, self.sha256(reference, *sums)))
        if found != sums:
            raise Failed(f"{self.name} has {found} in {reference}, not {sums}")

    def megabytes(self):
        """What containerd keeps, unpacked layers and blobs, once it has let go of what nobody needs."""
        collect = 'lease=$(ctr -n k8s.io leases create) && ctr -n k8s.io leases rm --sync "$lease" >/dev/null'
        return int(self.script(f"{collect}; du -sm /var/lib/containerd").split()[0])


def chain_ids(layers):
    """OCI image specification, "Layer ChainID"."""
    chains = []
    for layer in layers:
        joined = f"{chains[-1]} {layer}" if chains else layer
        chains.append(f"sha256:{hashlib.sha256(joined.encode()).hexdigest()}" if chains else layer)
    return chains
