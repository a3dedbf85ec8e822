"""The benchmarks: a file for each idea, and what they share.

A benchmark is a subclass of `Benchmark` with an `id`. `ours` and each function of
`peers` do the same work; only they are timed. `reset` puts the world back before
each of them, and `verify` raises unless the work was done. Ids that differ in a
last small letter (L1a, L1b) are parts of one question.
"""

import importlib
import pkgutil


class Benchmark:
    id = ""
    work = ""
    rounds = 5
    unit = "ms"
    # False: a ratio of these figures says nothing.
    compares = True
    # Peer → the least ratio (peer ÷ ours) that `--gate` accepts.
    gates = {}
    # Peers whose failure is a result.
    may_fail = ()

    def __init__(self, session):
        self.session = session

    def setup(self):
        """Once, before the first round. May raise `Skipped`."""

    def cases(self):
        """What is measured one after the other, a result each: () or names."""
        return ("",)

    def enter(self, case):
        """Before the first round of a case."""

    def reset(self, who):
        """Before each measurement; `who` is "ours", then each peer's name."""

    def ours(self):
        """The work, done by Coracle. A number that is returned counts instead of the time."""
        raise NotImplementedError

    def peers(self):
        """Name → function that does the same work the usual way."""
        return {}

    def everybody(self):
        """The same for ours and for each peer."""
        return {"ours": self.ours, **self.peers()}

    def verify(self, who):
        """Raises unless `who` did the work."""
        raise NotImplementedError

    def notes(self, results):
        """More figures for the last result, once all are there: name → anything."""
        return {}

    def teardown(self):
        """Once, also after a failure or Ctrl-C."""


def discover():
    """Every benchmark of this folder, by its id."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = sorted(descendants(Benchmark), key=lambda benchmark: benchmark.id)
    return {benchmark.id: benchmark for benchmark in found}


def descendants(parent):
    for child in parent.__subclasses__():
        if child.id and child.id != parent.id:
            yield child
        yield from descendants(child)


def select(known, name):
    """The benchmark of this name, or the parts of the one."""
    if name in known:
        return [known[name]]
    return [known[id] for id in known if id[:-1] == name and id[-1].islower()]
