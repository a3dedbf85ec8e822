"""D0: again, with nothing to do."""

from . import Benchmark
from .c_first_url import API_GATEWAY, PROJECT
from .peer import ShellLine
from .session import Failed
from .workspace import Workspace

PEER = "shell line"


class NoOp(Benchmark):
    id = "D0"
    work = "`up` of api-gateway (3 services, 9 pods) when nothing changed"
    rounds = 10

    def setup(self):
        self.workspace = Workspace(self.session, "d0").copy("api-gateway")
        self.peer = ShellLine(self.workspace, API_GATEWAY)
        self.workspace.coracle("up", "--yes")
        self.peer.create_cluster()
        self.peer.deploy()
        self.urls = {"ours": self.workspace.url("apigateway"), PEER: self.peer.url()}
        for who in self.urls:
            self.verify(who)
        self.before = pods(self.workspace, "apigatewaydemo")

    def ours(self):
        self.workspace.coracle("up", "--yes")

    def peers(self):
        return {PEER: self.peer.deploy}

    def verify(self, who):
        body, expected = PROJECT
        answer = self.session.first_answer(f"{self.urls[who].rstrip('/')}/projects/", body)
        if answer != expected:
            raise Failed(f"{who}: unexpected answer {answer}")
        if hasattr(self, "before") and pods(self.workspace, "apigatewaydemo") != self.before:
            raise Failed(f"{who}: a run that should change nothing replaced pods")

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()


def pods(workspace, namespace):
    """The uids of our pods."""
    node = f"{workspace.cluster}-control-plane"
    wanted = ["-n", namespace, "-o", "jsonpath={.items[*].metadata.uid}"]
    kubectl = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"]
    return sorted(workspace.session.output("docker", "exec", node, *kubectl, "get", "pods", *wanted).split())
