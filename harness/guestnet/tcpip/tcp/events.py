"""What a connection tells its owner; drained by ``Connection.events()``.

What can be read, and written, and whether the peer has closed, the owner asks of the connection itself.
"""

from typing import TypeAlias

from msgspec import Struct


class Established(Struct, frozen=True):
    """The handshake is done: data may flow both ways."""


class Reset(Struct, frozen=True):
    """The peer reset the connection; it is CLOSED."""


class Aborted(Struct, frozen=True):
    """We gave the connection up; it is CLOSED. ``reason`` is a sentence for the journal."""

    reason: str


class Closed(Struct, frozen=True):
    """Closed in order, TIME-WAIT over, or by our own ``abort``: forget the connection."""


Event: TypeAlias = Established | Reset | Aborted | Closed
