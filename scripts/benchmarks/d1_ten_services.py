"""D1, D2: `up` of ten services, again and for the first time."""

from . import Benchmark
from .d0_noop import pods
from .nodes import Node
from .session import Failed
from .ten import Ten

LINE = "shell line"
LOOP = "shell line × 10"


class TenServices(Benchmark):
    def setup(self):
        self.ten = Ten(self.session, self.id.lower())
        self.ten.workspace.coracle("cluster", "create", "--yes")
        self.ten.peer.create_cluster()

    def ours(self):
        self.ten.workspace.coracle("up", "--yes")

    def peers(self):
        return {LINE: self.ten.peer.deploy, LOOP: self.ten.peer.deploy_one_by_one}

    def verify(self, who):
        self.ten.expect_answers(who)

    def teardown(self):
        if hasattr(self, "ten"):
            self.ten.close()


class NoOp(TenServices):
    id = "D1"
    work = "`up` of ten services when nothing changed"
    rounds = 3
    gates = {LOOP: 10}

    def setup(self):
        super().setup()
        self.ours()
        self.ten.peer.deploy()
        self.before = pods(self.ten.workspace, self.ten.workspace.name)

    def verify(self, who):
        super().verify(who)
        if pods(self.ten.workspace, self.ten.workspace.name) != self.before:
            raise Failed(f"{who}: a run that should change nothing replaced pods")


class First(TenServices):
    id = "D2"
    work = "first `up` of ten services, cluster running, images built"
    rounds = 2
    gates = {LOOP: 2}

    def setup(self):
        super().setup()
        cluster = self.ten.workspace.cluster
        self.nodes = {who: Node(self.session, f"{name}-control-plane") for who, name in
                      {"ours": cluster, LINE: self.ten.peer.cluster, LOOP: self.ten.peer.cluster}.items()}
        self.ten.workspace.coracle("build")
        self.ten.peer.build(self.ten.peer.services)

    def reset(self, who):
        if who == "ours":
            self.ten.workspace.coracle("down", "--yes")
        else:
            self.ten.peer.remove()
        self.nodes[who].forget()
