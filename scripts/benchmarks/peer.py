"""The usual way: `docker build`, `kind load`, `kubectl apply` and `rollout status`, as a user types them."""

import json
import os

# Peer and ours are reached on different host ports, so that neither meets the other's leftovers.
# Exposed services get the next ones, in order.
# Two runs at once do not meet either.
HOST_PORT = 31100 + os.getpid() % 80 * 10
NODE_PORT = 30080


class ShellLine:
    """One application by the usual tools. `services`: name, context, ports, replicas, health path, exposed."""

    def __init__(self, workspace, services):
        self.workspace, self.services = workspace, services
        self.session = workspace.session
        self.cluster = f"{workspace.cluster}-peer"
        self.context = f"kind-{self.cluster}"
        self.exposed = [service["name"] for service in services if service.get("exposed")]
        self.tag = "dev"

    def create_cluster(self):
        config = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [
                {
                    "role": "control-plane",
                    "extraPortMappings": [
                        {"containerPort": NODE_PORT + at, "hostPort": HOST_PORT + at, "listenAddress": "127.0.0.1"}
                        for at in range(len(self.exposed))
                    ],
                }
            ],
        }
        command = ["kind", "create", "cluster", "--name", self.cluster, "--wait", "5m", "--config", "-"]
        if "KIND_NODE_IMAGE" in self.session.env:
            command += ["--image", self.session.env["KIND_NODE_IMAGE"]]
        self._run(*command, stdin=json.dumps(config))

    def image(self, service):
        return f"{self.workspace.cluster}/{service['name']}:{self.tag}"

    def deploy(self):
        """The shell line: all images at once, all objects at once."""
        self.build(self.services)
        self.roll_out(self.services)

    def deploy_one_by_one(self):
        """The same line for each service, as a script with a loop does it."""
        for service in self.services:
            self.build([service])
            self.roll_out([service])

    def build(self, services):
        for service in services:
            self._run("docker", "build", "-q", "-t", self.image(service), self.workspace.profile / service["context"])

    def roll_out(self, services):
        self._run("kind", "load", "docker-image", "--name", self.cluster, *map(self.image, services))
        self.apply(services)
        for service in services:
            self.kubectl("rollout", "status", f"deployment/{service['name']}", "--timeout=120s")

    def apply(self, services):
        items = [item for service in services for item in (self._deployment(service), self._service(service))]
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def remove(self):
        """Deletes the objects, and waits until their pods are gone."""
        for service in self.services:
            words = ["deployment", "service", service["name"], "--ignore-not-found", "--cascade=foreground"]
            self.kubectl("delete", *words)

    def url(self, service=None):
        return f"http://127.0.0.1:{HOST_PORT + (self.exposed.index(service) if service else 0)}"

    def _deployment(self, service):
        health = service.get("health")
        target = service["target"]
        probe = {"httpGet": {"path": health, "port": target}} if health else {"tcpSocket": {"port": target}}
        container = {
            "name": service["name"],
            "image": self.image(service),
            "imagePullPolicy": "Never",
            "ports": [{"containerPort": target}],
            # As quick as ours: the peer is not to lose by a slow default.
            "readinessProbe": {**probe, "periodSeconds": 1},
        }
        labels = {"app": service["name"]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": service["name"]},
            "spec": {
                "replicas": service.get("replicas", 1),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }

    def _service(self, service):
        port = {"port": service["port"], "targetPort": service["target"]}
        if service.get("exposed"):
            port["nodePort"] = NODE_PORT + self.exposed.index(service["name"])
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service["name"]},
            "spec": {
                "type": "NodePort" if service.get("exposed") else "ClusterIP",
                "selector": {"app": service["name"]},
                "ports": [port],
            },
        }

    def kubectl(self, *words, **options):
        return self._run("kubectl", "--context", self.context, *words, **options)

    def _run(self, *command, **options):
        return self.session.run(*command, env=self.workspace.env, **options)
