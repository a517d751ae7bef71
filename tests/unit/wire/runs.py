"""Runs for tests."""

from collections.abc import Sequence

from guestnet.wire.run import Run


def run_of(frames: Sequence[bytes], lead: int = 4) -> Run:
    """``frames``, all of one length, as a run with ``lead`` octets of something else before each."""
    octets = b"".join(b"\xaa" * lead + frame for frame in frames)
    return Run(memoryview(octets), lead, lead + len(frames[0]), len(frames[0]), len(frames))
