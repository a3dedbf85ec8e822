"""The benchmarks: one file each, and what they share.

A benchmark is a subclass of `Benchmark` in a file of this folder. `ours` and
each function of `peers` do the same work; only they are timed. `reset` puts the
world back before each of them, and `verify` raises unless the work was done.
"""

import importlib
import pkgutil


class Benchmark:
    id = ""
    work = ""
    rounds = 5

    def __init__(self, session):
        self.session = session

    def setup(self):
        """Once, before the first round."""

    def reset(self, who):
        """Before each measurement; `who` is "ours" or a peer's name."""

    def ours(self):
        """The work, done by Coracle."""
        raise NotImplementedError

    def peers(self):
        """Name → function that does the same work the usual way."""
        return {}

    def verify(self, who):
        """Raises unless `who` did the work."""
        raise NotImplementedError

    def teardown(self):
        """Once, also after a failure or Ctrl-C."""


def discover():
    """Every benchmark of this folder, by its id."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = sorted(Benchmark.__subclasses__(), key=lambda benchmark: benchmark.id)
    return {benchmark.id: benchmark for benchmark in found}
