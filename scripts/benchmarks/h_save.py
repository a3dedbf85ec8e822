"""H1 and H2: from a saved file, or a checkout of many, to the first answer with the new content."""

import hashlib
import os
import time

from . import Benchmark
from .dev import DOCKERFILE, SERVER, Loop, Page

# Their sources: pkg/skaffold/trigger/fsnotify (each event starts the wait anew), internal/watch/coalesce
# and fsevent (200 ms of rest), pkg/devspace/sync/upstream.go (ticks of 600 ms, two equal counts).
TILT, SKAFFOLD, DEVSPACE = "Tilt re-enacted", "Skaffold re-enacted", "DevSpace re-enacted"
WAITS = {TILT: 0.2, SKAFFOLD: 1.0, DEVSPACE: 1.2}


class Save(Benchmark):
    id = "H1"
    work = "save one file of a server that reads it per request → first answer with it"
    rounds = 30
    gates = {TILT: 10}

    def setup(self):
        files = {"Dockerfile": DOCKERFILE, "server.py": SERVER, "page.txt": "first"}
        self.loop = Loop(self.session, "h1", {"sync": ["**/* -> /app"]}, files)
        self.pages = {"ours": Page(self.loop.address("web")), "peer": Page(self.loop.address("peer"))}
        for page in self.pages.values():
            page.until("/page.txt", b"first", 30)

    def reset(self, who):
        self.content = os.urandom(1024).hex().encode()
        time.sleep(0.3)

    def ours(self):
        with open(self.loop.folder / "page.txt", "wb") as file:
            file.write(self.content)
        self.pages["ours"].until("/page.txt", self.content)

    def peers(self):
        return {name: lambda wait=wait: self._peer(wait) for name, wait in WAITS.items()}

    def _peer(self, wait):
        time.sleep(wait)
        self.loop.copy({"/app/page.txt": self.content})
        self.pages["peer"].until("/page.txt", self.content)

    def verify(self, who):
        """The timed part ends with the very content."""

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.close()


class Checkout(Save):
    id = "H2"
    work = "a checkout touches files → the server's digest of all of them is the new one"
    rounds = 5
    gates = {TILT: 3}

    def cases(self):
        return ("100", "1000")

    def enter(self, case):
        """The files of a case are a superset of the one's before."""
        self.count = int(case)

    def reset(self, who):
        time.sleep(0.5)
        stamp = os.urandom(512).hex()
        self.files = {f"many/{number % 20}/{number}.txt": f"{stamp} {number}".encode() for number in range(self.count)}
        whole = hashlib.sha256()
        for path in sorted(self.files, key=lambda path: path.split("/")):
            whole.update(path.removeprefix("many/").encode() + self.files[path])
        self.digest = whole.hexdigest().encode()

    def ours(self):
        for path, content in self.files.items():
            file = self.loop.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        begun = time.perf_counter()
        self.pages["ours"].until("/many", self.digest)
        return (time.perf_counter() - begun) * 1000

    def _peer(self, wait):
        time.sleep(wait)
        self.loop.copy({f"/app/{path}": content for path, content in self.files.items()})
        self.pages["peer"].until("/many", self.digest)
