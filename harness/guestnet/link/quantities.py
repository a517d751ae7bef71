"""Durations, rates, sizes and shares of a link, as scenario authors write them.

What has a unit is written with it: of a bare number nobody knows whether it is seconds or milliseconds, and a
test that waits a thousand times too long for something not to happen is green. Rates follow the SI (1 kbit/s
is 1,000 bits a second), sizes the IEC (1 KiB is 1,024 octets, 1 kB is 1,000).
"""

import re
from typing import Final, NamedTuple

from guestnet.core import time
from guestnet.core.errors import DescriptionError

_NUMBER: Final = r"(\d+(?:\.\d+)?)\s*"
_RATES: Final = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
_RATE: Final = re.compile(_NUMBER + "(" + "|".join(_RATES) + ")")
_SIZES: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "KiB": 1 << 10, "MiB": 1 << 20}
_SIZE: Final = re.compile(_NUMBER + "(" + "|".join(_SIZES) + ")")
_PACKETS: Final = re.compile(r"(\d+)\s*packets?")
_PERCENT: Final = re.compile(_NUMBER + "%")


class Bound(NamedTuple):
    """What a queue holds at most: one of the two is None."""

    octets: int | None
    packets: int | None

    def __str__(self) -> str:
        return show_size(self.octets) if self.octets is not None else f"{self.packets} packets"


def duration(value: object) -> int:
    """Nanoseconds of ``"40ms"`` or ``"1.5 s"``. Raises DescriptionError, for a bare number too."""
    return time.duration(_with_unit(value, "ms", "s"))


def _with_unit(value: object, *units: str) -> str:
    if not isinstance(value, str):
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        remedy = "write " + " or ".join(f'"{shown}{unit}"' for unit in units)
        raise DescriptionError(f"{shown} has no unit", remedy=remedy)
    return value


def rate(value: object) -> float:
    """Bits a second of ``"10Mbit/s"`` or ``"1.5 Mbit/s"``. Raises DescriptionError, for a bare number too."""
    match = _RATE.fullmatch(_with_unit(value, "Mbit/s", "kbit/s").strip())
    bits = float(match[1]) * _RATES[match[2]] if match is not None else 0.0
    if not 1 <= bits <= 1e12:
        raise DescriptionError(
            f"{value!r} is no rate", remedy="write a number and one of " + ", ".join(_RATES) + ", as 10Mbit/s"
        )
    return bits


def size(value: object) -> int:
    """Octets of ``"64KiB"`` or ``"1500 B"``. Raises DescriptionError, for a bare number too."""
    match = _SIZE.fullmatch(_with_unit(value, "KiB", "B").strip())
    octets = round(float(match[1]) * _SIZES[match[2]]) if match is not None else -1
    if not 0 <= octets <= 1 << 40:
        raise DescriptionError(
            f"{value!r} is no size",
            remedy="write a number and one of " + ", ".join(_SIZES) + ", as 64KiB",
        )
    return octets


def bound(value: object) -> Bound:
    """Of ``"64KiB"`` or ``"100 packets"``. Raises DescriptionError, for a bare number too."""
    text = _with_unit(value, "KiB", " packets")
    if (match := _PACKETS.fullmatch(text.strip())) is not None:
        limit = Bound(None, int(match[1]))
    else:
        try:
            limit = Bound(size(text), None)
        except DescriptionError as error:
            raise DescriptionError(
                f"{value!r} bounds no queue", remedy="write a size as 64KiB, or as 100 packets"
            ) from error
    if not 1 <= (limit.octets or limit.packets or 0) <= 1 << 26:
        raise DescriptionError(
            f"a queue of {value!r} is empty or too large", remedy="give between 1 and 64 Mi of them"
        )
    return limit


def share(value: str | float) -> float:
    """A probability of ``"3%"`` or ``0.03``. Raises DescriptionError unless it is 0 to 1."""
    if isinstance(value, str):
        match = _PERCENT.fullmatch(value.strip())
        part = float(match[1]) / 100 if match is not None else -1.0
    else:
        part = float(value)
    if not 0 <= part <= 1:
        raise DescriptionError(f"{value!r} is no share", remedy='write 0 to 1, or as "3%"')
    return part


def show_rate(bits: float) -> str:
    """``10 Mbit/s``."""
    for unit, factor in reversed(_RATES.items()):
        if bits >= factor:
            return f"{bits / factor:g} {unit}"
    return f"{bits:g} bit/s"


def show_size(octets: int) -> str:
    """``64 KiB``; octets that are no multiple of 1,024 as they are."""
    for unit in ("MiB", "KiB"):
        if octets >= _SIZES[unit] and octets % _SIZES[unit] == 0:
            return f"{octets // _SIZES[unit]} {unit}"
    return f"{octets} B"


def show_share(part: float) -> str:
    """``3%``."""
    return f"{part * 100:g}%"


def show_duration(nanoseconds: float) -> str:
    """``40 ms``, ``1.5 s``: four digits at most."""
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= factor:
            return f"{nanoseconds / factor:.4g} {unit}"
    return f"{nanoseconds:.4g} ns"
