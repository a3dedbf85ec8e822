"""L3: what each further node costs."""

from .load import Cold, SteadyLoop
from .pair import pair

CASES = {"1 node": 1, "2 nodes": 2, "3 nodes": 3}


class Nodes:
    """Enters clusters of one, two and three nodes; notes the slope."""

    def cases(self):
        return CASES

    def enter(self, case):
        self.pair = pair(self.session, CASES[case])

    def notes(self, results):
        first, last = results[0], results[-1]
        steps = len(results) - 1

        def slope(before, after):
            return f"{(after['p50'] - before['p50']) / steps:.0f} ms"

        kind = {name: slope(first["peers"][name], peer) for name, peer in last["peers"].items()}
        return {"for each further node": {"ours": slope(first["ours"], last["ours"]), **kind}}


class Delta(Nodes, SteadyLoop):
    id = "L3a"
    work = "load X, 1 MB of 458 changed"
    rounds = 3

    def prime(self):
        """Each case has clusters of its own: see `enter`."""

    def enter(self, case):
        super().enter(case)
        SteadyLoop.prime(self)


class Empty(Nodes, Cold):
    id = "L3b"
    work = "load X (458 MB), nodes empty"
    rounds = 1
