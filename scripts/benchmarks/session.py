"""What every benchmark needs: the binary, the usual tools, and what outlives one of them."""

import functools
import http.client
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Names of this run's clusters, images and profiles: two runs do not meet.
NAME = f"coracle-bench-{os.getpid()}"


class Skipped(Exception):
    """This machine cannot run the benchmark; says why."""


class Failed(Exception):
    """A command failed, or an answer was not the expected one: the run is void."""


class Session:
    def __init__(self, binary=None, scale=1):
        self.scale = scale
        self.target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/coracle/target"))
        self.env = {**os.environ, "CARGO_TARGET_DIR": str(self.target)}
        self._kept = {}
        self._export_setup()
        if not binary:
            subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, env=self.env, check=True)
        self.built = not binary
        self.coracle = Path(binary).resolve() if binary else self.target / "release" / "coracle"
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

    def keep(self, key, make):
        """Something with a `close` that several benchmarks use: made once, closed at the end of the run."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def drop(self, key):
        """Closes a kept thing now."""
        if key in self._kept:
            self._kept.pop(key).close()

    def close(self):
        while self._kept:
            try:
                self._kept.popitem()[1].close()
            except Failed as failure:
                print(f"bench: left behind: {failure}", file=sys.stderr)

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

    def start(self, *command, env=None, cwd=None, **pipes):
        """Starts a command whose output is read while it runs."""
        return subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env={**self.env, **(env or {})}, text=True, bufsize=1, **pipes
        )

    def require_disk(self, gigabytes):
        """A full disk would hurt more than this run."""
        root = self.output("docker", "info", "-f", "{{.DockerRootDir}}")
        if os.path.exists(root):  # else the engine is another machine's
            free = shutil.disk_usage(root).free / 1e9
            if free < gigabytes * self.scale:
                raise Skipped(f"{free:.1f} GB are free in {root}, and it needs {gigabytes * self.scale:.1f}")

    def remove_images(self, *patterns):
        """Removes images from the engine by patterns such as `coracle-bench/*`."""
        names = [
            name
            for pattern in patterns
            for name in self.output("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", pattern).split()
            if not name.endswith(":<none>")
        ]
        if names:
            self.run("docker", "image", "rm", "-f", *names)

    def first_answer(self, url, body=None, within=60):
        """The first 200 of `url`, asked until it comes."""
        deadline = time.monotonic() + within
        while True:
            try:
                return self.request(url, body)
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > deadline:
                    raise Failed(f"{url} did not answer within {within} s: {error}") from error
                time.sleep(0.02)

    def request(self, url, body=None):
        return json.loads(self.get(url, body))

    def get(self, url, body=None):
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(call, timeout=5) as answer:
            return answer.read()

    @functools.cached_property
    def image_store(self):
        """`containerd`, or the classic store's driver."""
        driver, status = self.output("docker", "info", "-f", "{{.Driver}} {{json .DriverStatus}}").split(" ", 1)
        return "containerd" if "io.containerd.snapshotter" in status else driver

    @functools.cache
    def versions(self):
        engine = self.output("docker", "version", "-f", "{{.Server.Version}}")
        node = self.env.get("KIND_NODE_IMAGE", "kind's default")
        found = {"engine": f"{engine} ({self.image_store})", "kind": self.output("kind", "version").split()[1]}
        found["node"] = node
        if "KIND_NODE_IMAGE" in self.env:
            containerd = self.output("docker", "run", "--rm", "--entrypoint", "containerd", node, "--version")
            found["containerd"] = containerd.split()[2]
        found["kubectl"] = self.output("kubectl", "version", "--client").split("\n")[0].split()[-1]
        found["buildx"] = self.output("docker", "buildx", "version").split()[1]
        commit = ["git", "-C", ROOT, "describe", "--always", "--dirty"]
        found["coracle"] = self.output(*commit) if self.built else self.output(self.coracle, "--version").split()[-1]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        if self.scale != 1:
            found["scale"] = str(self.scale)
        return {**found, "cores": str(os.cpu_count()), "memory": f"{memory:.0f} GB"}
