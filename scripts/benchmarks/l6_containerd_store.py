"""L6: the engine keeps its images in containerd, and a base has several platforms."""

from .load import Load, SteadyLoop
from .pair import KIND
from .registry import Registry
from .session import Skipped


def require_containerd_store(session):
    if session.image_store != "containerd":
        raise Skipped(
            f"the engine's image store is {session.image_store}; it needs one with the containerd image store"
            " (daemon.json: {\"features\": {\"containerd-snapshotter\": true}})"
        )


class Delta(SteadyLoop):
    id = "L6a"
    work = "load X, 1 MB of 458 changed, containerd image store"
    rounds = 5
    may_fail = (KIND,)

    def setup(self):
        require_containerd_store(self.session)
        super().setup()

    def prime(self):
        """As often as ours needs; the peer's failure belongs to the result."""
        for _ in range(2):
            self.loaded("ours", [self.x.fresh_top()])


class MultiPlatform(Load):
    """The base was pulled for one platform, but its index names two: kind's issue 3795."""

    id = "L6b"
    work = "load an image pulled for one of two platforms, and one built on it"
    rounds = 3
    may_fail = (KIND,)

    def setup(self):
        require_containerd_store(self.session)
        super().setup()
        self.registry = self.session.keep("registry", lambda: Registry(self.session))

    def reset(self, who):
        if who == "ours":
            self.x.fresh_base()
            self.pulled = self.registry.two_platforms(self.x)
        self.pair.expect(who, [self.pulled, self.x.fresh_top(self.pulled.tag)], absent=True)
