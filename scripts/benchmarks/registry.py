"""A local registry beside the nodes, as ctlptl sets it up: `registry:2`, or Debian's `docker-registry` in a container."""

import shutil
import time
import urllib.error

from .image import Built
from .session import NAME, Failed, Skipped

IMAGE = "registry:2"
CONFIG = "version: 0.1\\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\\nhttp: {addr: ':5000'}\\n"


class Registry:
    def __init__(self, session):
        self.session = session
        self.name = f"{NAME}-registry"
        options = ["--name", self.name, "--network", "kind", "-p", "127.0.0.1::5000"]
        session.run("docker", "run", "-d", *options, *program(session))
        port = session.output("docker", "port", self.name, "5000/tcp").rsplit(":", 1)[1]
        self.host = f"localhost:{port}"
        address = '{{(index .NetworkSettings.Networks "kind").IPAddress}}'
        self.address = session.output("docker", "inspect", "-f", address, self.name)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.session.get(f"http://{self.host}/v2/")
            except (urllib.error.URLError, ConnectionError) as error:
                if time.monotonic() > deadline:
                    logs = self.session.output("docker", "logs", "--tail", "5", self.name)
                    raise Failed(f"the registry does not answer: {error}\n{logs}") from error
                time.sleep(0.1)

    def mirror(self, node):
        """Tells a node's containerd where the host's name of the registry is."""
        folder = f"/etc/containerd/certs.d/{self.host}"
        hosts = f'[host."http://{self.address}:5000"]\\n'
        node.script(f"mkdir -p '{folder}' && printf '{hosts}' >'{folder}/hosts.toml'")

    def two_platforms(self, image_x):
        """Pushes X's base for two platforms and pulls it for ours."""
        tag = f"{self.host}/{NAME}/pulled:{time.time_ns()}"
        context = image_x.folder / "base"
        platforms = "linux/amd64,linux/arm64"
        run = self.session.run
        run("docker", "buildx", "build", "-q", "--push", "--platform", platforms, "-t", tag, context)
        self.session.remove_images(f"{self.host}/{NAME}/pulled")
        run("docker", "pull", "-q", tag)
        return Built(self.session, tag, image_x.as_base().sums)

    def close(self):
        self.session.remove_images(f"{self.host}/*/*")
        self.session.run("docker", "rm", "-fv", self.name)


def program(session):
    """The arguments of `docker run` that start a registry."""
    if session.output("docker", "image", "ls", "-q", IMAGE):
        return [IMAGE]
    binary = shutil.which("docker-registry")
    node = session.env.get("KIND_NODE_IMAGE")
    if not binary or not node:
        raise Skipped(f"no {IMAGE} in the engine, and no docker-registry on PATH (apt-get install docker-registry)")
    # Debian's program needs a C library; the node image has one, and is there.
    serve = f'mkdir -p /var/lib/registry && printf "{CONFIG}" >/config.yml && exec /registry serve /config.yml'
    return ["-v", f"{binary}:/registry:ro", "--entrypoint", "sh", node, "-c", serve]
