"""H3: the process has to start again. D4: a new image has to be built."""

import json
import time

from . import Benchmark
from .dev import Loop, Page
from .h_save import SKAFFOLD, TILT, WAITS
from .peer import ShellLine

APP = """\
from flask import Flask
app = Flask(__name__)
VERSION = {version!r}
@app.get("/version")
def version():
    return VERSION
if __name__ == "__main__":
    app.run("0.0.0.0", 8000)
"""

FLASK = """\
FROM python:3-slim
WORKDIR /app
RUN pip install --no-cache-dir flask==3.1.*
COPY . .
EXPOSE 8000
CMD {command}
"""

# What Tilt's `restart_process` does: a small supervisor starts the process again.
AGAIN = ["sh", "-c", "while :; do python app.py & echo $! >/tmp/pid; wait $!; done"]
PLAIN = ["python", "app.py"]


class Restart(Benchmark):
    id = "H3"
    work = "save a Flask app whose process must start again → first answer of the new code"
    rounds = 10
    gates = {TILT: 2}
    rules = ["**/*.py -> /app"]

    def setup(self):
        files = {"Dockerfile": FLASK.format(command=json.dumps(PLAIN)), "app.py": APP.format(version="0")}
        self.loop = Loop(self.session, self.id.lower(), {"sync": self.rules, "restart": True}, files, peer_files={
            "Dockerfile": FLASK.format(command=json.dumps(AGAIN)),
        })
        self.pages = {"ours": Page(self.loop.address("web")), "peer": Page(self.loop.address("peer"))}
        for page in self.pages.values():
            page.until("/version", b"0")

    def reset(self, who):
        self.version = str(time.time_ns())
        time.sleep(0.5)

    def ours(self):
        (self.loop.folder / "app.py").write_text(APP.format(version=self.version))
        self.pages["ours"].until("/version", self.version.encode(), 60)

    def peers(self):
        return {name: lambda wait=wait: self._peer(wait) for name, wait in WAITS.items() if name == TILT}

    def _peer(self, wait):
        time.sleep(wait)
        self.loop.copy({"/app/app.py": APP.format(version=self.version).encode()})
        self.loop.exec("sh", "-c", "kill $(cat /tmp/pid)")
        self.pages["peer"].until("/version", self.version.encode())

    def verify(self, who):
        """The timed part ends with the very version."""

    def teardown(self):
        for kept in ("loop", "line"):
            if hasattr(self, kept):
                getattr(self, kept).close()


class Rebuild(Restart):
    id = "D4"
    work = "save a file that needs a new image (196 MB base) → first answer of the new pod"
    rounds = 5
    gates = {SKAFFOLD: 3}
    rules = []

    def setup(self):
        super().setup()
        service = {"name": "peer", "context": "peer", "port": 8000, "target": 8000, "exposed": True}
        self.line = Line(self.loop.workspace, [service])
        self.pages["peer"] = Page(self.line.url().removeprefix("http://"))
        self.pages["peer"].until("/version", b"0")

    def peers(self):
        return {name: lambda wait=wait: self._peer(wait) for name, wait in WAITS.items() if name in (TILT, SKAFFOLD)}

    def _peer(self, wait):
        time.sleep(wait)
        (self.loop.workspace.profile / "peer" / "app.py").write_text(APP.format(version=self.version))
        self.line.tag = self.version
        self.line.deploy()
        self.pages["peer"].until("/version", self.version.encode())


class Line(ShellLine):
    """The usual tools on a cluster of their own, where nobody puts right what they deploy."""

    def __init__(self, workspace, services):
        super().__init__(workspace, services)
        self.create_cluster()
        self.deploy()

    def close(self):
        """The workspace deletes all its clusters."""
