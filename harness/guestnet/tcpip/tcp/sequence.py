"""Sequence numbers (RFC 9293 3.4).

On the wire they are 32 bits and wrap. Inside they never do: a connection counts on from its initial
sequence number in plain integers, and every number that comes in is put near one that we know. So
``<`` means before, and nothing else in these files knows of the modulus.
"""

from typing import Final

MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000


def unwrap(number: int, near: int) -> int:
    """The integer closest to ``near`` that is ``number`` on the wire: within 2^31 of it."""
    return near + ((number - near + _HALF) & MASK) - _HALF


def is_before(left: int, right: int) -> bool:
    """Whether the 32-bit ``left`` comes before ``right`` modulo 2^32: for timestamps (RFC 7323 5.2)."""
    return (left - right) & MASK > _HALF
