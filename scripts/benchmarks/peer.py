"""The usual way: `docker build`, `kind load`, `kubectl apply` and `rollout status`, as a user types them."""

import json

# Peer and ours are reached on different host ports, so that neither meets the other's leftovers.
HOST_PORT = 31980
NODE_PORT = 30080


class ShellLine:
    """One application by the usual tools. `services`: name, context, ports, replicas, health path, exposed."""

    def __init__(self, workspace, services):
        self.workspace, self.services = workspace, services
        self.session = workspace.session
        self.cluster = f"{workspace.cluster}-peer"
        self.context = f"kind-{self.cluster}"

    def create_cluster(self):
        config = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [
                {
                    "role": "control-plane",
                    "extraPortMappings": [
                        {"containerPort": NODE_PORT, "hostPort": HOST_PORT, "listenAddress": "127.0.0.1"}
                    ],
                }
            ],
        }
        command = ["kind", "create", "cluster", "--name", self.cluster, "--wait", "60s", "--config", "-"]
        if "KIND_NODE_IMAGE" in self.session.env:
            command += ["--image", self.session.env["KIND_NODE_IMAGE"]]
        self._run(*command, stdin=json.dumps(config))

    def image(self, service):
        return f"{self.workspace.cluster}/{service['name']}:dev"

    def deploy(self):
        for service in self.services:
            self._run("docker", "build", "-q", "-t", self.image(service), self.workspace.profile / service["context"])
        images = [self.image(service) for service in self.services]
        self._run("kind", "load", "docker-image", "--name", self.cluster, *images)
        self._kubectl("apply", "-f", "-", stdin=json.dumps(self.manifests()))
        for service in self.services:
            self._kubectl("rollout", "status", f"deployment/{service['name']}", "--timeout=120s")

    def manifests(self):
        items = [item for service in self.services for item in (self._deployment(service), self._service(service))]
        return {"apiVersion": "v1", "kind": "List", "items": items}

    def url(self):
        return f"http://127.0.0.1:{HOST_PORT}"

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
            port["nodePort"] = NODE_PORT
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

    def _kubectl(self, *words, **options):
        return self._run("kubectl", "--context", self.context, *words, **options)

    def _run(self, *command, **options):
        return self.session.run(*command, env=self.workspace.env, **options)
