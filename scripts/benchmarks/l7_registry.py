"""L7: an edit of 1 MB, beside a local registry that nodes pull from."""

from .load import SteadyLoop
from .registry import Registry, program

PEER = "docker push + crictl pull"


class LocalRegistry(SteadyLoop):
    id = "L7"
    work = "load X, 1 MB of 458 changed, beside a local registry"
    rounds = 10
    gates = {PEER: 0.8}

    def setup(self):
        program(self.session)  # without one nothing else is to be made
        super().setup()

    def prime(self):
        self.registry = self.session.keep("registry", lambda: Registry(self.session))
        for node in self.pair.peers:
            self.registry.mirror(node)
        for who in ("ours", PEER):
            for _ in range(2):
                self.reset(who)
                self.everybody()[who]()

    def peers(self):
        return {PEER: self._push_and_pull}

    def reset(self, who):
        image = self.x.fresh_top()
        if who == PEER:
            self.pushed = f"{self.registry.host}/{image.tag}"
            self.session.run("docker", "tag", image.tag, self.pushed)
        self.pair.expect(who, [image])

    def _push_and_pull(self):
        self.session.run("docker", "push", "-q", self.pushed)
        for node in self.pair.peers:
            self.session.run("docker", "exec", node.name, "crictl", "pull", self.pushed)

    def verify(self, who):
        if who == "ours":
            return super().verify(who)
        for node in self.pair.peers:
            node.expect(self.pushed, self.pair.expected[who][0].sums)
