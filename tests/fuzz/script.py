"""Octets read as a script: a fuzzer only knows octets, a machine wants to be told what happens and when.

What is read beyond the end is zero, so that every input is a script and a part of one is another.
"""

from guestnet.core.time import MILLISECOND


class Script:
    """``data`` from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def goes_on(self) -> bool:
        """Whether there is something left to read."""
        return self._at < len(self._data)

    def take(self, length: int) -> bytes:
        """The next octets, fewer at the end."""
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken

    def number(self, octets: int = 1) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(octets).ljust(octets, b"\0"), "big")

    def block(self) -> bytes:
        """Octets after their length."""
        return self.take(self.number(2) & 0x3FFF)

    def duration(self) -> int:
        """Nanoseconds: nothing, then from a millisecond to some hours."""
        exponent = self.number()
        return MILLISECOND * (exponent & 15) << (exponent >> 4) if exponent else 0


def blocks(prefix: int, pieces: list[bytes]) -> bytes:
    """A script that is ``prefix`` and a block for each piece: what a corpus begins with."""
    return b"".join(bytes((prefix,)) + len(piece).to_bytes(2, "big") + piece for piece in pieces)
