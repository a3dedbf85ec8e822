"""Image X: 458 MB in three layers, of which an edit changes the last, 1 MB.

Made by the engine's classic builder where that is the engine's own store: it leaves
no build cache behind. With the containerd image store BuildKit makes it, as for users.
"""

import hashlib
import itertools
import os
import shutil
import tempfile
from pathlib import Path

from .session import NAME

MB = 1_000_000


class ImageX:
    """A base of two layers, and any number of images on it. Sizes in bytes."""

    def __init__(self, session, small=237 * MB, files=12_000, big=220 * MB):
        self.session = session
        self.folder = Path(tempfile.mkdtemp(prefix="coracle-bench-x-"))
        self.big = int(big * session.scale)
        self.repository = f"{NAME}/x"
        self.numbers = itertools.count(1)
        self.base = None
        for context in ("base", "top"):
            (self.folder / context).mkdir()
        write_files(self.folder / "base/files", int(small * session.scale), max(int(files * session.scale), 1))

    def fresh_base(self, keep=False):
        """Two layers that nobody has seen. The engine forgets the images before, unless told otherwise."""
        if not keep:
            self.forget()
        context = self.folder / "base"
        random_file(context / "files/0", 20_000)
        random_file(context / "big", self.big)
        (context / "Dockerfile").write_text("FROM scratch\nCOPY files /files\nCOPY big /big\nCMD [\"/top\"]\n")
        self.base = f"{self.repository}:base-{next(self.numbers)}"
        self._build(context, self.base)
        return self.base

    def fresh_top(self, base=None):
        """An image on the base whose last megabyte nobody has seen."""
        context = self.folder / "top"
        random_file(context / "top", MB)
        (context / "Dockerfile").write_text(f"FROM {base or self.base}\nCOPY top /top\n")
        tag = f"{self.repository}:{next(self.numbers)}"
        self._build(context, tag)
        return Built(self.session, tag, {"top": sha256(context / "top")})

    def as_base(self):
        return Built(self.session, self.base, {"files/0": sha256(self.folder / "base/files/0")})

    def tag_again(self, built):
        tag = f"{self.repository}:{next(self.numbers)}"
        self.session.run("docker", "tag", built.tag, tag)
        return Built(self.session, tag, built.sums)

    def forget(self):
        self.session.remove_images(self.repository, f"coracle.local/{NAME}*/*")

    def _build(self, context, tag):
        if self.session.image_store == "containerd":
            self.session.run("docker", "buildx", "build", "-q", "-t", tag, context)
        else:
            self.session.run("docker", "build", "-q", "-t", tag, context, env={"DOCKER_BUILDKIT": "0"})

    def close(self):
        self.forget()
        shutil.rmtree(self.folder, ignore_errors=True)


class Built:
    """An image in the engine. `sums`: files that prove which one it is."""

    def __init__(self, session, tag, sums):
        self.tag, self.sums = tag, sums
        layers = session.output("docker", "image", "inspect", "-f", "{{range .RootFS.Layers}}{{.}} {{end}}", tag)
        self.layers = layers.split()


def write_files(folder, size, files):
    """Random files of equal size, a hundred to a folder."""
    for number in range(files):
        file = folder / (str(number) if number == 0 else f"{number // 100}d/{number}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size // files))


def random_file(file, size):
    with open(file, "wb") as out:
        for start in range(0, size, 16 * MB):
            out.write(os.urandom(min(16 * MB, size - start)))


def sha256(file):
    with open(file, "rb") as bytes_of:
        return hashlib.file_digest(bytes_of, "sha256").hexdigest()
