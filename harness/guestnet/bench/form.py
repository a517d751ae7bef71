"""The common form of benchmarks: one object with ``machine`` and ``figures``.

Values are in base units: s, bit/s, B, 1/s, or 1 for a ratio.
"""

import statistics
from collections.abc import Sequence
from typing import Literal

import msgspec

Unit = Literal["s", "bit/s", "B", "1/s", "1"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cores: int
    accelerator: str
    kernel: str
    versions: dict[str, str]


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured quantity; ``value`` is the median of ``runs``."""

    name: str
    value: float
    unit: Unit
    runs: list[float]
    stack: str = ""
    guest: str = ""
    mtu: int = 0


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """What ``guestnet bench NAME --json FILE`` writes."""

    machine: Machine
    figures: list[Figure]


def figure(
    name: str, runs: Sequence[float], unit: Unit, *, stack: str = "", guest: str = "", mtu: int = 0
) -> Figure:
    """Of single values, at least one."""
    value = statistics.median(runs)
    return Figure(name=name, value=value, unit=unit, runs=list(runs), stack=stack, guest=guest, mtu=mtu)


PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def readable(value: float, unit: Unit) -> str:
    """For people: ``readable(0.187, "s")`` is ``"187 ms"``."""
    if unit == "1" or value == 0:
        return f"{value:.3g}"
    scale, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), PREFIXES[-1])
    return f"{value / scale:.3g} {prefix}{unit}"
