"""What a connection tells its owner; drained by ``Connection.events()``."""

from typing import TypeAlias

from msgspec import Struct


class Established(Struct, frozen=True):
    """The handshake is done: data may flow both ways."""


class DataReadable(Struct, frozen=True):
    """There are octets to ``read``."""


class SendRoom(Struct, frozen=True):
    """At least half of the send buffer is free again, after a ``write`` had left less than that."""


class PeerClosed(Struct, frozen=True):
    """The peer's FIN: nothing will be readable after what is readable now."""


class Reset(Struct, frozen=True):
    """The peer reset the connection; it is CLOSED."""


class Aborted(Struct, frozen=True):
    """We gave the connection up; it is CLOSED. ``reason`` is a sentence for the journal."""

    reason: str


class Closed(Struct, frozen=True):
    """Closed in order, TIME-WAIT over, or by our own ``abort``: forget the connection."""


Event: TypeAlias = Established | DataReadable | SendRoom | PeerClosed | Reset | Aborted | Closed
