"""What the gateway tells the edge to do. None fails at once: what goes wrong comes back as an event."""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from guestnet.core.events import Event as JournalEvent
from guestnet.core.port import Frame
from guestnet.services.dns.forwarding import AskServer, ForgetServer
from guestnet.services.dns.service import ListServers
from guestnet.wire.octets import Octets

__all__ = [
    "AskServer",
    "Close",
    "CloseDatagram",
    "CloseEcho",
    "Command",
    "Connect",
    "ForgetServer",
    "ListServers",
    "Mark",
    "OpenDatagram",
    "Receive",
    "Record",
    "Reset",
    "Send",
    "SendDatagram",
    "SendEcho",
    "SendFrames",
    "ShutdownWrite",
]


class SendFrames(Struct):
    """A batch towards the guests' ethernet: a run, a train, or what came between two of them, in order."""

    frames: Sequence[Frame]


class Record(Struct):
    """A line for the journal."""

    event: JournalEvent


class Connect(Struct):
    """Open a TCP socket to ``address`` and ``port``: Connected or ConnectFailed.

    ``ttl`` is what its packets begin with, so that a traceroute of the guest is one of the host; 0: any.
    ``tos`` is their DSCP, in the upper six bits; the host's kernel has the others for itself (ECN).
    ``keepalive``: seconds of silence before the other end is asked whether it is there, seconds between two
    such probes, and how many without an answer are the end (ConnectionLost); None: it is never asked.
    """

    flow: int
    address: bytes
    port: int
    ttl: int = 0
    tos: int = 0
    keepalive: tuple[int, int, int] | None = None


class Mark(Struct):
    """From now on the packets of the TCP socket have ``tos``, as of Connect."""

    flow: int
    tos: int


class Receive(Struct):
    """Read at most ``credit`` more octets from the host's socket: replaces the credit that is left."""

    flow: int
    credit: int


class Send(Struct):
    """Send these octets after all that was sent before; Sent says how many the socket took."""

    flow: int
    data: Sequence[Octets]


class ShutdownWrite(Struct):
    """Shut our side of the host's socket once all that was sent before is out."""

    flow: int


class Close(Struct):
    """Close the TCP socket, or give up its connect."""

    flow: int


class Reset(Struct):
    """Close the TCP socket with an RST (SO_LINGER 0); what is unsent is thrown away."""

    flow: int


class OpenDatagram(Struct):
    """Open a UDP socket, on ``port`` if that is free: DatagramOpened or DatagramLost.

    ``version`` of IP, 4 or 6: of the addresses that it will send to.
    """

    flow: int
    port: int
    version: int = 4


class SendDatagram(Struct):
    """Send a datagram with that ``ttl``; ``dont_fragment`` and ``tos`` as in the guest's packet."""

    flow: int
    address: bytes
    port: int
    payload: Octets
    ttl: int
    dont_fragment: bool
    tos: int = 0


class CloseDatagram(Struct):
    """Close the UDP socket."""

    flow: int


class SendEcho(Struct):
    """Ping ``address``; the first of a ``flow`` opens its socket: EchoReplied, EchoFailed or EchoLost."""

    flow: int
    address: bytes
    sequence: int
    payload: Octets
    ttl: int
    dont_fragment: bool = False
    tos: int = 0


class CloseEcho(Struct):
    """Close the ping socket."""

    flow: int


Command: TypeAlias = (
    SendFrames
    | Record
    | Connect
    | Mark
    | Receive
    | Send
    | ShutdownWrite
    | Close
    | Reset
    | OpenDatagram
    | SendDatagram
    | CloseDatagram
    | SendEcho
    | CloseEcho
    | ListServers
    | AskServer
    | ForgetServer
)
