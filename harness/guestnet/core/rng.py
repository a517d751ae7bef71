"""Seeded random streams.

One seed a run; every consumer draws from a stream of its own, named by what it is for. So a new
consumer does not shift what the others draw, and one link's verdicts can be replayed alone.
"""

import hashlib
from random import Random as Stream

__all__ = ["Stream", "stream"]


def stream(seed: int, *names: str | int) -> Stream:
    """The random stream called ``names`` under ``seed``: the same on every machine and run."""
    label = "\x1f".join([str(seed), *map(str, names)]).encode()
    return Stream(int.from_bytes(hashlib.sha256(label).digest(), "big"))
