"""C0, C1: from nothing to the first answer. C2: from a stopped cluster."""

from . import Benchmark
from .peer import ShellLine
from .session import Failed
from .workspace import Workspace

PEER = "kind + docker + kubectl"

ADD_TWO = [{"name": "k8s-demo", "context": ".", "port": 80, "target": 5000, "health": "/", "exposed": True}]
API_GATEWAY = [
    {"name": "webapp-1", "context": "webapp-1", "port": 80, "target": 5000, "health": "/_status/healthcheck/", "replicas": 3},
    {"name": "rpc-app-1", "context": "grpc-app-1/server", "port": 6000, "target": 6000, "replicas": 3},
    {"name": "apigateway", "context": "apigateway", "port": 80, "target": 8000, "replicas": 3, "exposed": True},
]
PROJECT = ({"title": "An awesome project"}, {"id": 123, "url": "Project-An awesome project"})


class FirstUrl(Benchmark):
    """One of the examples, until its exposed service gives the expected answer."""

    example, services = "", []
    question = ("/", None, {})

    def setup(self):
        self.workspace = Workspace(self.session, self.id.lower()).copy(self.example)
        self.peer = ShellLine(self.workspace, self.services)
        self.answers = {}

    def ours(self):
        self.workspace.coracle("up", "--yes")
        self.ask("ours", self.workspace.url(self.peer.exposed[0]))

    def peers(self):
        return {PEER: self._shell_line}

    def _shell_line(self):
        self.peer.create_cluster()
        self.peer.deploy()
        self.ask(PEER, self.peer.url())

    def ask(self, who, url):
        path, body, _ = self.question
        self.answers[who] = self.session.first_answer(f"{url.rstrip('/')}{path}", body)

    def verify(self, who):
        if self.answers.pop(who) != self.question[2]:
            raise Failed(f"{who}: unexpected answer")

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()


class FromNothing(FirstUrl):
    """The same for both: packages are in the build cache, the app's own layer is new."""

    changes = "app.py"

    def reset(self, who):
        self.workspace.delete_clusters()
        self.workspace.change(self.changes)


class One(FromNothing):
    id = "C0"
    work = "no cluster, no image → first answer of add-two"
    rounds = 3
    example, services = "add-two", ADD_TWO
    question = ("/add_two", {"num": 5}, {"output": 7})


class Three(FromNothing):
    id = "C1"
    work = "no cluster, no image → first answer of api-gateway (3 services, 9 pods)"
    rounds = 3
    gates = {PEER: 1.25}
    example, services = "api-gateway", API_GATEWAY
    changes = "apigateway/gateway.py"
    question = ("/projects/", *PROJECT)


class Stopped(FirstUrl):
    """Nothing is built anew: images are in the engine, for both."""

    id = "C2"
    work = "stopped cluster → first answer of add-two; the peer deletes, creates, deploys"
    rounds = 3
    gates = {"kind delete, create, deploy": 2}
    example, services = "add-two", ADD_TWO
    question = ("/add_two", {"num": 5}, {"output": 7})

    def setup(self):
        super().setup()
        self.workspace.coracle("up", "--yes")
        self.peer.create_cluster()

    def peers(self):
        return {"kind delete, create, deploy": self._again}

    def reset(self, who):
        if who == "ours":
            self.workspace.coracle("cluster", "stop")

    def _again(self):
        self.session.run("kind", "delete", "cluster", "--name", self.peer.cluster, env=self.workspace.env)
        self._shell_line()
        self.answers["kind delete, create, deploy"] = self.answers.pop(PEER)
