"""D0: again, with nothing to do."""

from . import Benchmark
from .peer import ShellLine
from .session import Failed, Workspace

SERVICES = [
    {"name": "webapp-1", "context": "webapp-1", "port": 80, "target": 5000, "health": "/_status/healthcheck/", "replicas": 3},
    {"name": "rpc-app-1", "context": "grpc-app-1/server", "port": 6000, "target": 6000, "replicas": 3},
    {"name": "apigateway", "context": "apigateway", "port": 80, "target": 8000, "replicas": 3, "exposed": True},
]
PEER = "kubectl"


class NoOp(Benchmark):
    id = "D0"
    work = "`up` of api-gateway (3 services, 9 pods) when nothing changed"
    rounds = 10

    def setup(self):
        self.workspace = Workspace(self.session, "api-gateway", "d0")
        self.peer = ShellLine(self.workspace, SERVICES)
        self.workspace.coracle("up", "--yes")
        self.peer.create_cluster()
        self.peer.deploy()
        self.urls = {"ours": self.workspace.url("apigateway"), PEER: self.peer.url()}
        for who in self.urls:
            self.verify(who)
        self.before = self._pods()

    def ours(self):
        self.workspace.coracle("up", "--yes")

    def peers(self):
        return {PEER: self.peer_deploy}

    def peer_deploy(self):
        self.peer.deploy()

    def verify(self, who):
        answer = self.session.first_answer(f"{self.urls[who].rstrip('/')}/projects/", {"title": "An awesome project"})
        if answer != {"id": 123, "url": "Project-An awesome project"}:
            raise Failed(f"{who}: unexpected answer {answer}")
        if hasattr(self, "before") and self._pods() != self.before:
            raise Failed(f"{who}: a run that should change nothing replaced pods")

    def _pods(self):
        node = f"{self.workspace.cluster}-control-plane"
        wanted = ["-n", "apigatewaydemo", "-o", "jsonpath={.items[*].metadata.uid}"]
        kubectl = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"]
        return sorted(self.session.output("docker", "exec", node, *kubectl, "get", "pods", *wanted).split())

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()
