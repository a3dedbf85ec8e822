"""H4: saves that change nothing. H5: many edits in a row, and a reader that watches. R1: rest."""

import os
import threading
import time
from pathlib import Path

from . import Benchmark
from .dev import DOCKERFILE, SERVER, Loop, Page
from .session import Failed

FILES = {"Dockerfile": DOCKERFILE, "server.py": SERVER, "page.txt": "first"}


class Watched(Benchmark):
    compares = False

    def setup(self):
        self.loop = Loop(self.session, self.id.lower(), {"sync": ["**/* -> /app"]}, FILES)
        self.page = Page(self.loop.address("web"))
        self.page.until("/page.txt", b"first")

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.close()


class Nothing(Watched):
    id = "H4"
    work = "save without a change, touch, an editor's swap file: updates sent"
    unit = "updates"
    rounds = 3

    def reset(self, who):
        time.sleep(0.5)
        self.before = len(self.updates())

    def updates(self):
        return [line for line in self.loop.said if "synced" in line or "rebuil" in line]

    def ours(self):
        page = self.loop.folder / "page.txt"
        for _ in range(10):
            page.write_bytes(page.read_bytes())
            os.utime(page)
            swap = page.with_name(".page.txt.swp")
            swap.write_text("swap")
            swap.unlink()
        time.sleep(2)
        return len(self.updates()) - self.before

    def verify(self, who):
        if len(self.updates()) != self.before:
            raise Failed("\n".join(self.updates()[self.before :]))


class Edits(Watched):
    id = "H5"
    work = "20 edits at 10 a second: the last one is served, and no reader sees half of one"
    rounds = 3

    def reset(self, who):
        self.bodies, self.stop = set(), threading.Event()
        self.reader = threading.Thread(target=self._read)

    def _read(self):
        page = Page(self.loop.address("web"))
        while not self.stop.is_set():
            page.connection.request("GET", "/page.txt")
            self.bodies.add(page.connection.getresponse().read())

    def ours(self):
        self.reader.start()
        self.wanted = set()
        for _ in range(20):
            content = os.urandom(32 * 1024).hex().encode()
            self.wanted.add(content)
            draft = self.loop.folder / "page.txt.new"
            draft.write_bytes(content)
            draft.rename(self.loop.folder / "page.txt")
            saved = time.perf_counter()
            time.sleep(0.1)
        self.page.until("/page.txt", content)
        return (time.perf_counter() - saved) * 1000

    def verify(self, who):
        self.stop.set()
        self.reader.join()
        first = self.bodies - self.wanted
        if len(first) > 1:  # the one from before this round
            raise Failed(f"{len(first)} bodies that were never saved")


class Rest(Watched):
    id = "R1"
    work = "`dev` of two services with nothing to do, for a minute: CPU"
    unit = "ms"
    rounds = 1
    seconds = 60

    def reset(self, who):
        time.sleep(5)

    def ours(self):
        before = self._cpu()
        time.sleep(self.seconds)
        return self._cpu() - before

    def _cpu(self):
        fields = Path(f"/proc/{self.loop.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def verify(self, who):
        status = Path(f"/proc/{self.loop.process.pid}/status").read_text()
        self.resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def notes(self, results):
        return {"resident": f"{self.resident / 1000:.0f} MB"}
