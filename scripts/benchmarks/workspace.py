"""A folder, a home and a cluster's name of its own; `close` leaves nothing behind."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from .session import NAME, ROOT


class Workspace:
    def __init__(self, session, name):
        self.session = session
        self.name = f"{NAME}-{name}"
        self.cluster = self.name
        self.folder = Path(tempfile.mkdtemp(prefix="coracle-bench-"))
        self.profile = self.folder / "profile"
        self.profile.mkdir()
        home = self.folder / "home"
        home.mkdir()
        self.env = {"KUBECONFIG": str(self.folder / "peer-kubeconfig")}
        # Docker's own settings stay the user's: its plug-ins and credentials are there.
        docker = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
        self.our_env = {"HOME": str(home), "KUBECONFIG": str(home / "kubeconfig"), "DOCKER_CONFIG": docker}
        for kind in ("STATE", "CACHE", "CONFIG", "DATA"):
            self.our_env[f"XDG_{kind}_HOME"] = str(home / kind.lower())

    def copy(self, profile):
        """Takes one of the examples, on a cluster of its own."""
        shutil.copytree(ROOT / "profiles" / profile, self.profile, dirs_exist_ok=True)
        text = (self.profile / "coracle.yaml").read_text()
        (self.profile / "coracle.yaml").write_text(f"{text}cluster: {{name: {self.cluster}}}\n")
        return self

    def write(self, services, nodes=1):
        """Writes a profile with these services."""
        profile = {"name": self.name, "services": services, "cluster": {"name": self.cluster, "nodes": nodes}}
        (self.profile / "coracle.yaml").write_text(json.dumps(profile))  # JSON is YAML
        return self

    def coracle(self, *words, env=None):
        return self.session.run(self.session.coracle, *words, cwd=self.profile, env={**self.our_env, **(env or {})})

    def references(self, said):
        """Service → image, out of what `build` and `load` print."""
        return dict(line.split() for line in said.splitlines() if len(line.split()) == 2)

    def urls(self):
        """Service → URL."""
        words = (line.split() for line in self.coracle("url").splitlines())
        return {line[0]: next(word for word in line if word.startswith("http")) for line in words}

    def url(self, service):
        return next(word for word in self.coracle("url", service).split() if word.startswith("http"))

    def change(self, file):
        """Makes the file's bytes new, so that no cache knows the image."""
        with open(self.profile / file, "a") as app:
            app.write(f"# {time.time_ns()}\n")

    def kubeconfig_of(self, cluster):
        """A kubeconfig for `kubectl`, wherever the cluster is from."""
        file = self.folder / f"{cluster}.kubeconfig"
        self.session.run("kind", "export", "kubeconfig", "--name", cluster, "--kubeconfig", file)
        return file

    def delete_clusters(self):
        for name in self.session.output("kind", "get", "clusters").split():
            if name == self.cluster or name.startswith(f"{self.cluster}-"):
                self.session.run("kind", "delete", "cluster", "--name", name, env=self.env)

    def close(self):
        self.delete_clusters()
        # The images of the examples are tagged by their inputs: they stay, as a user's would.
        self.session.remove_images(f"{self.name}/*", f"coracle.local/{self.name}/*")
        shutil.rmtree(self.folder, ignore_errors=True)
