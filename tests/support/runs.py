"""Runs, and frames as a kernel hands them over."""

from collections.abc import Sequence

from guestnet.frames import virtio
from guestnet.frames.run import Run
from guestnet.frames.virtio import NEEDS_CSUM, Gso, NetHeader
from guestnet.wire import checksum


def run_of(frames: Sequence[bytes], lead: int = 4) -> Run:
    """``frames``, all of one length, as a run with ``lead`` octets of something else before each."""
    octets = b"".join(b"\xaa" * lead + frame for frame in frames)
    return Run(memoryview(octets), lead, lead + len(frames[0]), len(frames[0]), len(frames))


def undone(frame: bytes, start: int, offset: int, kind: int = Gso.NONE, size: int = 0) -> memoryview:
    """``frame`` as a kernel hands it over that leaves the checksum, or the cutting too, to us."""
    octets = bytearray(frame)
    if octets[12] == 0x86:
        pseudo = checksum.pseudo_sum(frame[22:38], frame[38:54], frame[20], len(octets) - start)
    else:
        pseudo = checksum.pseudo_sum(frame[26:30], frame[30:34], frame[23], len(octets) - start)
    octets[start + offset : start + offset + 2] = pseudo.to_bytes(2, "big")
    header = NetHeader(NEEDS_CSUM, kind, 0, size, start, offset)
    return memoryview(bytearray(virtio.emit(header) + octets))
