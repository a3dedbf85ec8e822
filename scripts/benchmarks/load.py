"""What the load benchmarks share: image X, two clusters, and who loads how."""

from . import Benchmark
from .image import ImageX
from .pair import KIND, pair


class Load(Benchmark):
    """Loads `self.images`, which `reset` makes, into every node."""

    nodes = 1

    def setup(self):
        self.session.require_disk(6 * self.nodes)
        self.pair = pair(self.session, self.nodes)
        for node in self.pair.ours + self.pair.peers:
            node.forget()  # what another benchmark left
        self.x = self.session.keep("x", lambda: ImageX(self.session))

    def ours(self):
        self.pair.load_ours()

    def peers(self):
        return {KIND: lambda: self.pair.load_by_kind()}

    def verify(self, who):
        self.pair.verify(who)

    def loaded(self, who, images):
        """Has `who` load these now, untimed."""
        self.pair.expect(who, images)
        self.everybody()[who]()


class SteadyLoop(Load):
    """The node has X; each round changes its last megabyte."""

    def setup(self):
        super().setup()
        self.x.fresh_base()
        self.prime()

    def prime(self):
        for who in ("ours", *self.peers()):
            for _ in range(2):
                self.loaded(who, [self.x.fresh_top()])

    def reset(self, who):
        self.pair.expect(who, [self.x.fresh_top()])


class Cold(Load):
    """The node has nothing of X."""

    def reset(self, who):
        if who == "ours":  # one base a round, for both: neither cluster sees the other's
            self.x.fresh_base()
        self.pair.expect(who, [self.x.fresh_top()], absent=True)
