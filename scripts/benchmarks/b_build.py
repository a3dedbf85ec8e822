"""B1, B2: builds of a context of 12 000 files and 458 MB."""

import shutil

from . import Benchmark
from .image import MB, random_file, sha256, write_files
from .proxy import counted
from .session import Failed
from .workspace import Workspace

BUILDX = "docker buildx build"
CLASSIC = "docker build (classic)"
DOCKERFILE = "FROM scratch\nCOPY files /files\nCOPY big /big\nCOPY top /top\nCMD [\"/top\"]\n"


class Build(Benchmark):
    def setup(self):
        self.session.require_disk(4)
        self.cache = cache_records(self.session)
        self.workspace = Workspace(self.session, self.id.lower())
        self.context = self.workspace.profile / "x"
        self.context.mkdir()
        write_files(self.context / "files", int(237 * MB * self.session.scale), int(12_000 * self.session.scale))
        random_file(self.context / "big", int(220 * MB * self.session.scale))
        random_file(self.context / "top", MB)
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        self.workspace.write({"x": {"build": "x", "expose": "cluster"}})
        for who, build in self.everybody().items():
            build()
            self.verify(who)

    def ours(self):
        self.reference = self.workspace.references(self.workspace.coracle("build"))["x"]

    def peers(self):
        return {BUILDX: self._buildx, CLASSIC: self._classic}

    def _buildx(self, env=None):
        self.session.run("docker", "buildx", "build", "-q", "-t", self._tag(BUILDX), self.context, env=env)

    def _classic(self):
        env = {"DOCKER_BUILDKIT": "0"}
        self.session.run("docker", "build", "-q", "-t", self._tag(CLASSIC), self.context, env=env)

    def _tag(self, who):
        if who == "ours":
            return self.reference
        return f"{self.workspace.name}/x:{'buildx' if who == BUILDX else 'classic'}"

    def verify(self, who):
        """The image has the file as it is in the context now."""
        if file_in(self.session, self._tag(who), "/top") != sha256(self.context / "top"):
            raise Failed(f"{who}: the image has another /top than the context")

    def teardown(self):
        if hasattr(self, "workspace"):
            self.workspace.close()
            for record in cache_records(self.session) - self.cache:
                self.session.run("docker", "buildx", "prune", "-f", "--filter", f"id={record}")


class NoOp(Build):
    id = "B1"
    work = "build of 12 000 files, 458 MB, when nothing changed"
    rounds = 5
    gates = {BUILDX: 4, CLASSIC: 50}


class Changed(Build):
    id = "B2"
    work = "build of 12 000 files, 458 MB, 1 MB of it changed"
    rounds = 5
    gates = {BUILDX: 0.9}

    def reset(self, who):
        random_file(self.context / "top", MB)

    def notes(self, results):
        """Once more, through a socket that counts: not in the time above."""
        self.reset("ours")
        ours = counted(lambda env: self.workspace.coracle("build", env=env))
        self.reset(BUILDX)
        return {"sent to the engine": {"ours": f"{ours / MB:.2f} MB", BUILDX: f"{counted(self._buildx) / MB:.2f} MB"}}


def file_in(session, image, path):
    """The SHA-256 of a file in an image that has no program."""
    container = session.output("docker", "create", image, "none")
    folder = session.output("mktemp", "-d")
    try:
        session.run("docker", "cp", "-q", f"{container}:{path}", f"{folder}/file")
        return sha256(f"{folder}/file")
    finally:
        session.run("docker", "rm", container)
        shutil.rmtree(folder)


def cache_records(session):
    """BuildKit's large cache records: contexts and layers of this size are a benchmark's."""
    lines = (line.split() for line in session.output("docker", "buildx", "du").splitlines())
    return {words[0].rstrip("*") for words in lines if len(words) > 2 and megabytes(words[2].rstrip("*")) > 200 * session.scale}


def megabytes(size):
    number, unit = size.rstrip("kMGTB"), size.lstrip("0123456789.")
    return float(number) * {"B": 1e-6, "kB": 1e-3, "MB": 1, "GB": 1e3, "TB": 1e6}[unit] if number and unit != size else 0
