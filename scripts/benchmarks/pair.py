"""Two clusters of one size that never see each other's layers: ours, and kind's."""

import os

from .nodes import Node
from .session import Failed
from .workspace import Workspace

KIND = "kind load docker-image"
ONE_BY_ONE = "kind load × 10"


class Pair:
    def __init__(self, session, nodes):
        self.session, self.size = session, nodes
        self.workspace = Workspace(session, f"load{nodes}")
        self.theirs = f"{self.workspace.cluster}-peer"
        self.expected = {}
        try:
            self.workspace.write({"x": {"image": "absent", "expose": "cluster"}}, nodes)
            self.workspace.coracle("cluster", "create", "--yes")
            self._create_peer()
            self.ours = self._nodes(self.workspace.cluster)
            self.peers = self._nodes(self.theirs)
        except BaseException:
            self.workspace.close()
            raise

    def _create_peer(self):
        roles = ["control-plane"] + ["worker"] * (self.size - 1)
        config = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n"
        config += "".join(f"- role: {role}\n" for role in roles)
        command = ["kind", "create", "cluster", "-q", "--name", self.theirs, "--wait", "5m", "--config", "-"]
        if "KIND_NODE_IMAGE" in self.session.env:
            command += ["--image", self.session.env["KIND_NODE_IMAGE"]]
        self.session.run(*command, stdin=config, env=self.workspace.env)

    def _nodes(self, cluster):
        return [Node(self.session, name) for name in self.session.output("kind", "get", "nodes", "--name", cluster).split()]

    def nodes(self, who):
        return self.ours if who == "ours" else self.peers

    def expect(self, who, images, absent=False):
        """Makes ready for a load of these images; `absent`: no node may have a layer of them."""
        if absent:
            self.forget(who, images)
        services = {f"x{number}": {"image": image.tag, "expose": "cluster"} for number, image in enumerate(images)}
        self.workspace.write(services, self.size)
        self.expected = {who: images}
        os.sync()  # what a reset wrote is not to be paid for by what comes next

    def forget(self, who, images):
        for node in self.nodes(who):
            node.forget()
            for image in images:
                held = node.holds(image.layers)
                if held:
                    raise Failed(f"{node.name} still has {held} layers of {image.tag}")

    def load_ours(self):
        self.said = self.workspace.coracle("load")

    def load_by_kind(self):
        """One `kind load docker-image` of all."""
        self._kind_load(*(image.tag for image in self.expected[KIND]))

    def load_one_by_one(self):
        for image in self.expected[ONE_BY_ONE]:
            self._kind_load(image.tag)

    def _kind_load(self, *tags):
        self.session.run("kind", "load", "docker-image", *tags, "--name", self.theirs, env=self.workspace.env)

    def verify(self, who):
        """Every node has every image, with the files that it was built from."""
        images = self.expected[who]
        if who == "ours":
            references = self.workspace.references(self.said)
            named = [references[f"x{number}"] for number in range(len(images))]
        else:
            named = [f"docker.io/{image.tag}" for image in images]
        for node in self.nodes(who):
            for reference, image in zip(named, images):
                node.expect(reference, image.sums)

    def close(self):
        self.workspace.close()


def pair(session, nodes=1):
    """The pair of this size; one of another size is deleted, a machine has not room for both."""
    for other in {1, 2, 3} - {nodes}:
        session.drop(("pair", other))
    return session.keep(("pair", nodes), lambda: Pair(session, nodes))
