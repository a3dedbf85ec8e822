"""L8: what twenty edits leave on a node."""

import hashlib
import http.client
import time

from . import Benchmark
from .image import MB, random_file, sha256
from .nodes import Node
from .peer import ShellLine
from .session import Failed
from .workspace import Workspace

PEER = "docker build + kind load + kubectl apply"
EDITS = 20
# A quarter of X: what is counted is versions.
BASE = 115 * MB
DOCKERFILE = """FROM busybox AS base
COPY big /big
FROM base
COPY top /www/top
CMD ["sh", "-c", "trap exit TERM; httpd -f -p 8080 -h /www & wait"]
"""


class Disk(Benchmark):
    id = "L8"
    work = f"grown on the node by {EDITS} edits of 1 MB in a 116 MB image, each rolled out"
    rounds = 1
    unit = "MB"
    gates = {PEER: 1}

    def setup(self):
        self.session.require_disk(6)
        self.workspace = Workspace(self.session, "l8")
        self.context = self.workspace.profile / "web"
        self.context.mkdir()
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        random_file(self.context / "big", BASE)
        random_file(self.context / "top", MB)
        self.workspace.write({"web": {"build": "web", "ports": ["80:8080"], "health": "/top"}})
        service = {"name": "web", "context": "web", "port": 80, "target": 8080, "health": "/top", "exposed": True}
        self.peer = ShellLine(self.workspace, [service])
        self.workspace.coracle("up", "--yes")
        self.peer.create_cluster()
        self.peer.deploy()
        clusters = {"ours": self.workspace.cluster, PEER: self.peer.cluster}
        self.nodes = {who: Node(self.session, f"{name}-control-plane") for who, name in clusters.items()}
        self.urls = {"ours": self.workspace.url("web"), PEER: self.peer.url()}

    def ours(self):
        return self._edits("ours", lambda number: self.workspace.coracle("up", "--yes"))

    def peers(self):
        return {PEER: lambda: self._edits(PEER, self._deploy)}

    def _deploy(self, number):
        self.peer.tag = f"edit-{number}"
        self.peer.deploy()

    def _edits(self, who, deploy):
        before = self.nodes[who].megabytes()
        for number in range(max(2, int(EDITS * self.session.scale))):
            random_file(self.context / "top", MB)
            deploy(number)
            self.verify(who)
        return self.nodes[who].megabytes() - before

    def verify(self, who):
        """The running container serves the file of this edit."""
        expected = sha256(self.context / "top")
        deadline = time.monotonic() + 10  # kube-proxy learns of the new pod a moment later
        while hashlib.sha256(self._served(who)).hexdigest() != expected:
            if time.monotonic() > deadline:
                raise Failed(f"{who}: what is served is not the last edit")
            time.sleep(0.1)

    def _served(self, who):
        try:
            return self.session.get(f"{self.urls[who].rstrip('/')}/top")
        except (OSError, http.client.HTTPException):
            return b""  # between two pods; asked again

    def notes(self, results):
        names = {who: [name for name in node.images() if "/web:" in name] for who, node in self.nodes.items()}
        return {"image names on the node": {who: len(found) for who, found in names.items()}}

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()
