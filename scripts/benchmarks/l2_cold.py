"""L2: an image of 458 MB into a node that has nothing of it."""

from .load import Cold
from .pair import KIND


class Empty(Cold):
    id = "L2"
    work = "load X (458 MB), node empty"
    rounds = 3
    gates = {KIND: 1.3}
