"""What the edge tells the gateway. ``flow`` is the number under which the gateway opened the socket.

An event about a flow that the gateway has forgotten is ignored: the edge need not know.
Addresses are network octets: 4, or 16 for IPv6. ``errno`` are the numbers of the module ``errno``.
"""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from guestnet.core.laptop import LaptopFacts
from guestnet.core.port import Frame
from guestnet.wire.octets import Octets


class FramesReceived(Struct):
    """A batch from the guests' ethernet. ``is_asked``: ``Gateway.hurry`` knew nothing to do about it."""

    frames: Sequence[Frame]
    is_asked: bool = False


class IcmpCause(Struct, frozen=True):
    """The ICMP message behind an error: its type and code, who sent it, and the MTU it told (0: none)."""

    type: int
    code: int
    offender: bytes
    mtu: int = 0


class Connected(Struct):
    """The host's connect() succeeded; ``host`` is the local end as "ip:port"."""

    flow: int
    host: str


class ConnectFailed(Struct):
    """The host's connect() failed; the socket is closed."""

    flow: int
    errno: int
    cause: IcmpCause | None = None


class DataReceived(Struct):
    """Octets from the host's socket: they use up the credit of ``commands.Receive``, and are never more."""

    flow: int
    data: Octets


class EndOfStream(Struct):
    """The remote end shut its side: no more ``DataReceived``."""

    flow: int


class Sent(Struct):
    """The host's socket took ``count`` more octets of what ``commands.Send`` gave.

    Every Send is answered by one Sent in the same turn, if only with 0; more follow as the socket drains.
    """

    flow: int
    count: int


class ConnectionLost(Struct):
    """The connected socket failed (ECONNRESET, ETIMEDOUT …) and is closed."""

    flow: int
    errno: int


class DatagramOpened(Struct):
    """The UDP socket is there; ``host`` is its local end as "ip:port"."""

    flow: int
    host: str


class DatagramLost(Struct):
    """The UDP socket could not be opened."""

    flow: int
    errno: int


class DatagramReceived(Struct):
    """A datagram from ``address`` and ``port``; ``ttl`` (0: not told) and ``tos`` as the laptop got it."""

    flow: int
    address: bytes
    port: int
    payload: Octets
    ttl: int = 0
    tos: int = 0


class DatagramFailed(Struct):
    """An error came back for a datagram to ``address`` and ``port``; ``payload`` is how it began.

    ``mtu``: with EMSGSIZE of the host's own kernel, what it would have let through (0: not told).
    """

    flow: int
    address: bytes
    port: int
    errno: int
    payload: Octets = b""
    cause: IcmpCause | None = None
    mtu: int = 0


class EchoReplied(Struct):
    """A real host answered a ping; ``ttl`` and ``tos`` as of DatagramReceived."""

    flow: int
    address: bytes
    sequence: int
    payload: Octets
    ttl: int = 0
    tos: int = 0


class EchoFailed(Struct):
    """An error came back for a ping to ``address``; ``mtu`` as of DatagramFailed."""

    flow: int
    address: bytes
    sequence: int
    errno: int
    payload: Octets = b""
    cause: IcmpCause | None = None
    mtu: int = 0


class EchoLost(Struct):
    """The ping socket could not be opened."""

    flow: int
    errno: int


class ServersListed(Struct):
    """Whom the laptop's resolver asks now, in its order, as ``commands.ListServers`` wanted to know."""

    token: int
    servers: Sequence[str]


class ServerAnswered(Struct):
    """A server answered ``commands.AskServer``; its answer has any id, and the question of the query."""

    token: int
    answer: bytes


class ServerFailed(Struct):
    """There is no answer from a server: its socket has an error, or its stream an end."""

    token: int


class LaptopTold(Struct):
    """What the laptop's networks have told it is ``facts`` from now on."""

    facts: LaptopFacts


Event: TypeAlias = (
    FramesReceived
    | Connected
    | ConnectFailed
    | DataReceived
    | EndOfStream
    | Sent
    | ConnectionLost
    | DatagramOpened
    | DatagramLost
    | DatagramReceived
    | DatagramFailed
    | EchoReplied
    | EchoFailed
    | EchoLost
    | ServersListed
    | ServerAnswered
    | ServerFailed
    | LaptopTold
)
