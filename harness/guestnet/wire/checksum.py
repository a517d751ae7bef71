"""The Internet checksum (RFC 1071, RFC 1624).

The ones' complement sum of 16-bit words is the number modulo 65535, with one catch: only all-zero
data sums to 0; any other multiple of 65535 sums to 0xffff. ``plain_sum`` is the definition written
down and the oracle of the tests; ``ones_sum`` is what to call: a big integer for headers, numpy
for payloads (measured crossover near 800 octets).
"""

import struct
from typing import Final

from guestnet.wire.octets import Octets

_NUMPY_FROM: Final = 768
_PSEUDO4: Final = struct.Struct("!4s4sHH")
_PSEUDO6: Final = struct.Struct("!16s16sLL")


def plain_sum(data: Octets) -> int:
    """The ones' complement sum of ``data`` as big-endian 16-bit words, an odd octet padded with zero."""
    total = 0
    for index in range(0, len(data) - 1, 2):
        total += (data[index] << 8) + data[index + 1]
        total = (total & 0xFFFF) + (total >> 16)
    if len(data) % 2:
        total += data[-1] << 8
        total = (total & 0xFFFF) + (total >> 16)
    return total


def integer_sum(data: Octets) -> int:
    """``plain_sum`` by one division of a big integer: quickest for headers."""
    number = int.from_bytes(data, "big")
    if len(data) % 2:
        number <<= 8
    if number == 0:
        return 0
    return number % 65535 or 65535


def numpy_sum(data: Octets) -> int:
    """``plain_sum`` by numpy: quickest for payloads.

    Sums 32-bit words in the machine's byte order and swaps the result: the sum does not care (RFC 1071 2.B).
    """
    # Here, since it takes a tenth of a second at first: who reads a capture may never need it.
    import numpy as np

    length = len(data)
    whole = length & ~3
    total = int(np.frombuffer(data, dtype="<u4", count=whole >> 2).sum(dtype=np.uint64)) if whole else 0
    if length != whole:
        total += int.from_bytes(data[whole:], "little")
    if total == 0:
        return 0
    folded = total % 65535 or 65535
    return (folded >> 8) | (folded & 0xFF) << 8


def ones_sum(data: Octets) -> int:
    """The ones' complement sum of ``data``: 0 ≤ sum ≤ 0xffff."""
    return integer_sum(data) if len(data) < _NUMPY_FROM else numpy_sum(data)


def fold(total: int) -> int:
    """Any sum of ones' complement sums, folded to 16 bits."""
    if total == 0:
        return 0
    return total % 65535 or 65535


def internet(data: Octets, initial: int = 0) -> int:
    """The checksum field of ``data`` whose checksum field is zero; ``initial`` is a sum to begin with."""
    return fold(initial + ones_sum(data)) ^ 0xFFFF


def is_valid(data: Octets, initial: int = 0) -> bool:
    """Whether ``data`` with its checksum field (and the pseudo header's sum ``initial``) sums to all ones."""
    return fold(initial + ones_sum(data)) == 0xFFFF


def pseudo_sum(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """The sum of the pseudo header (RFC 9293 3.1, RFC 8200 8.1) for addresses of 4 or of 16 octets."""
    packer = _PSEUDO4 if len(source) == 4 else _PSEUDO6
    if len(source) == 4:
        return integer_sum(packer.pack(source, destination, protocol, length))
    return integer_sum(packer.pack(source, destination, length, protocol))


def is_whole(octets: Octets, source: bytes, destination: bytes, protocol: int) -> bool:
    """``is_valid`` for a transport's ``octets`` with their pseudo header, of either version of IP."""
    length = len(octets)
    if length >= _NUMPY_FROM:
        return is_valid(octets, pseudo_sum(source, destination, protocol, length))
    number = int.from_bytes(octets, "big")
    if length & 1:
        number <<= 8
    return (number + pseudo(source, destination, protocol, length)) % 65535 == 0


def pseudo(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """``pseudo_sum``, not folded: a number to be taken modulo 65535, and never 0.

    All of it are whole words, so that their places do not matter.
    """
    return int.from_bytes(source, "big") + int.from_bytes(destination, "big") + protocol + length


def replace(checksum: int, old: Octets, new: Octets) -> int:
    """The checksum field after ``old`` (at an even offset) was replaced by ``new`` (RFC 1624 equation 3)."""
    return fold((checksum ^ 0xFFFF) + (ones_sum(old) ^ 0xFFFF) + ones_sum(new)) ^ 0xFFFF
