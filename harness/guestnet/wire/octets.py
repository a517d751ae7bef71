"""What the parsers share: the type of a run of octets, and how a malformed one is reported."""

from typing import TypeAlias

from guestnet.core.errors import WireError

Octets: TypeAlias = bytes | bytearray | memoryview
"""Anything that holds octets one after the other; structs hold memoryviews, equal to the same bytes."""


def view(data: Octets) -> memoryview:
    """``data`` as a memoryview, without copying."""
    return data if isinstance(data, memoryview) else memoryview(data)


def malformed(field: str, offset: int, why: str) -> WireError:
    """A parser's error: ``field`` as ``"tcp data offset"``, ``offset`` in octets from its start."""
    return WireError(f"{field} at offset {offset}: {why}")


def require(data: memoryview, length: int, field: str) -> None:
    """Raise WireError unless ``data`` has ``length`` octets."""
    if len(data) < length:
        raise malformed(field, len(data), f"truncated: {length} octets needed, {len(data)} are there")


def own(data: Octets) -> Octets:
    """``data``, copied when it would keep alive a buffer several times its size."""
    if not isinstance(data, memoryview) or len(data) * 4 >= memoryview(data.obj).nbytes:
        return data
    return bytes(data)
