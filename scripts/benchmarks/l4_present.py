"""L4: the image is there already."""

from .load import Load
from .pair import KIND


class Present(Load):
    id = "L4a"
    work = "load X (458 MB), already there"
    rounds = 10
    gates = {KIND: 2}

    def setup(self):
        super().setup()
        self.x.fresh_base()
        self.image = self.x.fresh_top()
        for who in ("ours", *self.peers()):
            self.loaded(who, [self.image])
            self.verify(who)

    def reset(self, who):
        self.pair.expect(who, [self.image])


class NewTag(Present):
    id = "L4b"
    work = "load X (458 MB), there under another tag"
    gates = {KIND: 5}

    def reset(self, who):
        self.pair.expect(who, [self.x.tag_again(self.image)])
