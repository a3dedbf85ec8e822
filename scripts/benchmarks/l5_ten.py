"""L5: ten services on one base of 457 MB."""

from .load import Load
from .pair import KIND, ONE_BY_ONE


class Ten(Load):
    def peers(self):
        return {KIND: lambda: self.pair.load_by_kind(), ONE_BY_ONE: lambda: self.pair.load_one_by_one()}

    def ten(self):
        return [self.x.fresh_top() for _ in range(10)]


class First(Ten):
    id = "L5a"
    work = "load ten images on one base (457 MB), node empty"
    rounds = 1
    gates = {KIND: 1.1, ONE_BY_ONE: 8}

    def reset(self, who):
        if who == "ours":
            self.x.fresh_base()
        self.pair.expect(who, self.ten(), absent=True)


class Changed(Ten):
    id = "L5b"
    work = "load ten images on one base, 1 MB changed in each"
    rounds = 2
    gates = {KIND: 3, ONE_BY_ONE: 25}

    def setup(self):
        super().setup()
        self.x.fresh_base()
        for who in ("ours", KIND):  # both peers load into one cluster
            self.loaded(who, self.ten())

    def reset(self, who):
        self.pair.expect(who, self.ten())
