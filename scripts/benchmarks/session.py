"""What every benchmark needs: the binary, a home of its own, and the usual tools."""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class Failed(Exception):
    """A command failed, or an answer was not the expected one: the run is void."""


class Session:
    def __init__(self):
        self.root = ROOT
        self.target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/coracle/target"))
        self.env = {**os.environ, "CARGO_TARGET_DIR": str(self.target)}
        self._export_setup()
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, env=self.env, check=True)
        self.coracle = self.target / "release" / "coracle"
        self._kubectl()

    def _export_setup(self):
        exports = subprocess.run([ROOT / "scripts/setup", "--print-env"], check=True, capture_output=True, text=True)
        for line in exports.stdout.splitlines():
            name, value = line.removeprefix("export ").split("=", 1)
            self.env[name] = shlex.split(value)[0]

    def _kubectl(self):
        """The peer's kubectl: the one on PATH, else the node image's own."""
        if shutil.which("kubectl") or "KIND_NODE_IMAGE" not in self.env:
            return
        folder = self.target / "bench-tools"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "kubectl").exists():
            container = self.output("docker", "create", self.env["KIND_NODE_IMAGE"])
            self.run("docker", "cp", "-qL", f"{container}:/usr/bin/kubectl", str(folder / "kubectl"))
            self.run("docker", "rm", container)
        self.env["PATH"] = f"{folder}:{self.env['PATH']}"

    def run(self, *command, env=None, cwd=None, stdin=None):
        """Runs a command quietly; what it said is shown if it fails."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env={**self.env, **(env or {})},
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-4000:]
            raise Failed(f"`{shlex.join(map(str, command))}` exited with {done.returncode}\n{said}")
        return done.stdout

    def output(self, *command, **options):
        return self.run(*command, **options).strip()

    def clusters(self):
        return self.output("kind", "get", "clusters").split()

    def delete_cluster(self, name, env=None):
        self.run("kind", "delete", "cluster", "--name", name, env=env)

    def first_answer(self, url, body=None, within=60):
        """The first 200 of `url`, asked until it comes."""
        deadline = time.monotonic() + within
        while True:
            try:
                return self.request(url, body)
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if time.monotonic() > deadline:
                    raise Failed(f"{url} did not answer within {within} s: {error}") from error
                time.sleep(0.02)

    def request(self, url, body=None):
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(call, timeout=5) as answer:
            return json.load(answer)

    def versions(self):
        engine = self.output("docker", "version", "-f", "{{.Server.Version}}")
        kind = self.output("kind", "version").split()[1]
        node = self.env.get("KIND_NODE_IMAGE", "kind's default")
        commit = self.output("git", "-C", ROOT, "describe", "--always", "--dirty")
        return f"engine {engine}, kind {kind}, node {node}, {os.cpu_count()} cores, coracle {commit}"


class Workspace:
    """A copy of a profile, a home and a cluster of its own; `close` leaves nothing behind."""

    def __init__(self, session, profile, name):
        self.session = session
        self.cluster = f"coracle-bench-{name}-{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix="coracle-bench-"))
        self.profile = self.folder / profile
        shutil.copytree(ROOT / "profiles" / profile, self.profile)
        home = self.folder / "home"
        home.mkdir()
        text = (self.profile / "coracle.yaml").read_text()
        (self.profile / "coracle.yaml").write_text(f"{text}cluster: {{name: {self.cluster}}}\n")
        self.env = {"KUBECONFIG": str(self.folder / "peer-kubeconfig")}
        # Docker's own settings stay the user's: its plug-ins and credentials are there.
        docker = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
        self.our_env = {"HOME": str(home), "KUBECONFIG": str(home / "kubeconfig"), "DOCKER_CONFIG": docker}
        for kind in ("STATE", "CACHE", "CONFIG", "DATA"):
            self.our_env[f"XDG_{kind}_HOME"] = str(home / kind.lower())

    def coracle(self, *words):
        return self.session.run(self.session.coracle, *words, cwd=self.profile, env=self.our_env)

    def url(self, service):
        return next(word for word in self.coracle("url", service).split() if word.startswith("http"))

    def change(self, file):
        """Makes the file's bytes new, so that no cache knows the image."""
        with open(self.profile / file, "a") as app:
            app.write(f"# {time.time_ns()}\n")

    def delete_clusters(self):
        for name in self.session.clusters():
            if name == self.cluster or name.startswith(f"{self.cluster}-"):
                self.session.delete_cluster(name, env=self.env)

    def close(self):
        self.delete_clusters()
        # The peer's images; ours are tagged by their inputs, and `coracle prune` knows them.
        images = self.session.output("docker", "image", "ls", "-q", f"{self.cluster}/*").split()
        if images:
            self.session.run("docker", "image", "rm", "-f", *sorted(set(images)))
        shutil.rmtree(self.folder, ignore_errors=True)
