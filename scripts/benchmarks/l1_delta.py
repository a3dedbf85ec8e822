"""L1: an edit of 1 MB in an image of 458 MB."""

from .load import Cold, SteadyLoop
from .pair import KIND


class Steady(SteadyLoop):
    id = "L1a"
    work = "load X, 1 MB of 458 changed, in a loop"
    rounds = 5
    gates = {KIND: 20}


class FirstEdit(Cold):
    """The engine was never asked for these layers but for the cold load."""

    id = "L1b"
    work = "load X, 1 MB of 458 changed, the first edit after a cold load"
    rounds = 3
    gates = {KIND: 2}

    def reset(self, who):
        super().reset(who)
        self.everybody()[who]()
        self.pair.verify(who)
        self.pair.expect(who, [self.x.fresh_top()])
