"""C0: from nothing to the first answer."""

from . import Benchmark
from .peer import ShellLine
from .session import Failed, Workspace

SERVICES = [{"name": "k8s-demo", "context": ".", "port": 80, "target": 5000, "health": "/", "exposed": True}]


class FirstUrl(Benchmark):
    id = "C0"
    work = "no cluster, no image → first 200 from add-two"
    rounds = 3

    def setup(self):
        self.workspace = Workspace(self.session, "add-two", "c0")
        self.peer = ShellLine(self.workspace, SERVICES)
        self.answers = {}

    def reset(self, who):
        self.workspace.delete_clusters()
        # The same for both: packages are in the build cache, the app's own layer is new.
        self.workspace.change("app.py")
        self.answers.clear()

    def ours(self):
        self.workspace.coracle("up", "--yes")
        url = self.workspace.url("k8s-demo")
        self.answers["ours"] = (url, self.session.first_answer(url))

    def peers(self):
        return {"kind + docker + kubectl": self._shell_line}

    def _shell_line(self):
        self.peer.create_cluster()
        self.peer.deploy()
        url = self.peer.url()
        self.answers["kind + docker + kubectl"] = (url, self.session.first_answer(url))

    def verify(self, who):
        url, about = self.answers[who]
        sum_of = self.session.request(f"{url.rstrip('/')}/add_two", {"num": 5})
        if about.get("name") != "Ada" or sum_of != {"output": 7}:
            raise Failed(f"{who}: unexpected answers {about} and {sum_of}")

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()
