"""A train: segments of one TCP connection that follow each other, not cut yet; or frames with such segments.

Bulk data is at its cheapest while it is in one piece. A train has the headers once and all payload, and
whoever can take it as it is does so: a TAP device with offloads writes it to the guest's kernel, the gateway
hands its payload to the connection. To everybody else it is the sequence of frames that it stands for: they
are cut when somebody looks at them, checksums and all, as a network card would (segmentation offload).

Cutting is by numpy. All segments but the last are alike: a matrix with a row for each, of which only sequence
number, checksum and payload differ. A sum of a row's payload is the sum of its 32-bit words in the machine's
order, folded and swapped (RFC 1071 2.B). Before each row there is room for the length that a carrier writes
there, so that the payload is copied once on its whole way.

Of the flags, FIN and PSH belong to the last segment, CWR to the first, all others to each (Linux cuts so too:
net/ipv4/tcp_offload.c). The identification of IPv4 stays the same: it means nothing where DF is set (RFC 6864
4.1), as it is for TCP.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, overload

import numpy as np

from guestnet.core.port import Frame
from guestnet.frames.run import Run
from guestnet.wire import checksum
from guestnet.wire.octets import Octets

LEAD: Final = 4
"""Octets of room before each frame that is cut."""
ETHERNET: Final = 14
LARGEST: Final = 65535
"""Octets of an IP packet at most."""
_MASK: Final = 0xFFFFFFFF
_WORTH_IT: Final = 4
"""Segments from which on the matrix is quicker than the loop (measured)."""

Below = Callable[[int], bytes]
"""The headers below TCP, for a segment of so many octets."""


def _nothing(length: int) -> bytes:
    return b""


class Train(Sequence[Frame]):
    """``payload`` in segments of ``size`` octets, the last one with what is left.

    ``header`` is the TCP header of the first, with its options; its checksum means nothing. ``first_flags``
    are in the first segment too, ``last_flags`` in the last. ``pseudo`` is the ones' complement sum of the
    pseudo header without the length. ``uncut``: all of it as one frame, its checksum not complete.
    """

    __slots__ = (
        "_cut", "_large", "below", "first_flags", "head", "header", "last_flags", "payload", "pseudo", "size",
        "uncut",
    )  # fmt: skip

    def __init__(
        self, header: bytes, payload: memoryview, size: int, pseudo: int, *,
        first_flags: int = 0, last_flags: int = 0, below: Below = _nothing, uncut: memoryview | None = None,
    ) -> None:  # fmt: skip
        self.header = header
        self.payload = payload
        self.size = size
        self.pseudo = pseudo
        self.first_flags = first_flags
        self.last_flags = last_flags
        self.below = below
        self.uncut = uncut
        self.head: Octets
        """The headers of the first frame but for lengths and checksums."""
        if uncut is None:
            self.head = below(len(header) + min(size, len(payload))) + header
        else:
            self.head = uncut[: len(uncut) - len(payload)]
        self._cut: list[Sequence[Frame]] | None = None
        self._large: list[tuple[Octets, memoryview]] | None = None

    def __len__(self) -> int:
        return max(-(-len(self.payload) // self.size), 1)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        return [frame for part in self.cut() for frame in part][index]

    def __iter__(self) -> Iterator[Frame]:
        for part in self.cut():
            yield from part

    def over(self, below: Below) -> "Train":
        """The same segments with headers below TCP."""
        return Train(
            self.header, self.payload, self.size, self.pseudo,
            first_flags=self.first_flags, last_flags=self.last_flags, below=below,
        )  # fmt: skip

    # --- in large frames ---

    def large(self, *, summed: bool) -> list[tuple[Octets, memoryview]]:
        """Headers and payload of as few frames as IP allows, cut between segments.

        The TCP checksum is complete when it is ``summed``, else the pseudo header's sum, as who offloads it
        wants it.
        """
        if summed:
            return list(self._large_frames(summed=True))
        if self._large is None:
            frames = self._large_frames(summed=False)
            self._large = list(frames) if self.uncut is None else [(self.head, self.payload)]
        return self._large

    def _large_frames(self, *, summed: bool) -> Iterator[tuple[Octets, memoryview]]:
        header, payload = self.header, self.payload
        below: Octets = self.head[: len(self.head) - len(header)]
        # That of the first frame is at hand, if it has its length right.
        known = -1 if self.uncut is not None else len(header) + min(self.size, len(payload))
        room = LARGEST - max(len(below) - ETHERNET, 0) - len(header)
        step = room if len(payload) <= room else max(room - room % self.size, self.size)
        check = b""
        previous = -1
        for at in range(0, max(len(payload), 1), step):
            part = payload[at : at + step]
            length = len(header) + len(part)
            head = self._header(at, at + step >= len(payload))
            if length != known:
                known = length
                below = self.below(length)
            if summed:
                total = self.pseudo + length + checksum.ones_sum(head) + checksum.ones_sum(part)
                check = (checksum.fold(total) ^ 0xFFFF).to_bytes(2, "big")
            elif length != previous:
                previous = length
                check = checksum.fold(self.pseudo + length).to_bytes(2, "big")
            yield b"".join((below, head[:16], check, head[18:])), part

    def _header(self, at: int, is_last: bool) -> bytes:
        """Of the segment at octet ``at`` of the payload; its checksum is zero."""
        header = self.header
        seq = int.from_bytes(header[4:8], "big") + at & _MASK
        flags = header[13] | (0 if at else self.first_flags) | (self.last_flags if is_last else 0)
        return b"%b%b%b%c%b\0\0%b" % (
            header[:4], seq.to_bytes(4, "big"), header[8:13], flags, header[14:16], header[18:],
        )  # fmt: skip

    # --- cut ---

    def cut(self) -> list[Sequence[Frame]]:
        """The frames: those that are alike as a run with room before each, if they are many; the others."""
        if self._cut is None:
            alike = (len(self.payload) - 1) // self.size
            if alike < _WORTH_IT or self.size % 4:
                self._cut = [self._frames(0)]
            else:
                self._cut = [self._run(alike), self._frames(alike * self.size)]
        return self._cut

    def _frames(self, start: int) -> list[Octets]:
        """Those from octet ``start`` of the payload on, the plain way."""
        frames: list[Octets] = []
        end = len(self.payload)
        for at in range(start, max(end, 1), self.size):
            payload = self.payload[at : at + self.size]
            header = self._header(at, at + self.size >= end)
            length = len(header) + len(payload)
            total = self.pseudo + length + checksum.ones_sum(header) + checksum.ones_sum(payload)
            check = checksum.fold(total) ^ 0xFFFF
            below = self.below(length)
            frames.append(b"".join((below, header[:16], check.to_bytes(2, "big"), header[18:], payload)))
        return frames

    def _run(self, count: int) -> Run:
        """The first ``count``: a row for each."""
        size, payload = self.size, self.payload
        length = len(self.header) + size
        below = self.below(length)
        header = self._header(0, is_last=False)
        tcp, width = len(below), len(below) + length
        matrix = np.empty((count, LEAD + width), dtype=np.uint8)
        frames = matrix[:, LEAD:]
        frames[:, : tcp + len(header)] = np.frombuffer(below + header, dtype=np.uint8)
        octets = np.frombuffer(payload, dtype=np.uint8, count=count * size)
        frames[:, tcp + len(header) :] = octets.reshape(count, size)
        frames[1:, tcp + 13] &= 0xFF ^ (self.first_flags & ~self.header[13])
        seq = int.from_bytes(header[4:8], "big")
        numbers = (np.arange(count, dtype=np.uint64) * size + seq) & _MASK
        words = np.frombuffer(payload, dtype="<u4", count=count * size // 4).reshape(count, -1)
        sums = (words.sum(axis=1, dtype=np.uint64) % 65535).astype(np.uint16).byteswap()
        # 2^16 is 1 modulo 65535, so a 32-bit field may be added as one number.
        fixed = self.pseudo + length + checksum.ones_sum(header[:4]) + checksum.ones_sum(header[8:])
        flags = frames[:, tcp + 13].astype(np.uint64)
        # The header is never all zeros: a sum that is a multiple of 65535 is all ones, its complement zero.
        checks = 65535 - (sums + numbers + flags + (fixed + 65535 - header[13])) % 65535
        frames[:, tcp + 4 : tcp + 8] = numbers.astype(">u4").view(np.uint8).reshape(count, 4)
        frames[:, tcp + 16 : tcp + 18] = (checks % 65535).astype(">u2").view(np.uint8).reshape(count, 2)
        return Run(matrix.reshape(-1).data, LEAD, LEAD + width, width, count)
