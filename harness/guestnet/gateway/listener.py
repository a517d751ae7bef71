"""TCP on the gateway's own addresses: connections without a host socket, each in the hands of a service.

Theory of operation
-------------------
::

    guest ── segments ── Connection (guestnet.tcpip.tcp) ── octets ── Stream ── Service

A service says what it does about a client's octets, and nothing else; all that a connection needs besides is
here, once: who is accepted, how many at a time, for how long one may be silent, its timers and its end.

In a turn segments only change connections. At the end of it, in ``flush``, every stream of which something
was heard is brought forward once: what has arrived goes to its service, and what the service wrote goes out.
"""

from typing import Final, NamedTuple, Protocol

from guestnet.core.rng import Stream as Draws
from guestnet.core.time import SECOND
from guestnet.gateway.interface import Interface
from guestnet.gateway.timers import Timers
from guestnet.gateway.turned_away import TurnedAway
from guestnet.tcpip.icmp import Quoted
from guestnet.tcpip.tcp.config import Config
from guestnet.tcpip.tcp.connection import Connection
from guestnet.tcpip.tcp.state import State
from guestnet.wire import tcp
from guestnet.wire.ip import IpAddress, IpPacket, show_end
from guestnet.wire.ipv4 import Protocol as IpProtocol

_PATIENCE: Final = SECOND
"""For how long who sent a SYN and then nothing keeps its place before a new one."""
_SYN: Final = 0x02
_SYN_ACK_RST: Final = 0x16

Key = tuple[IpAddress, int, IpAddress, int]
"""The client's address and port, and ours."""


class Bounds(NamedTuple):
    """How many ``streams`` at a time; ``idle``, in nanoseconds, is for how long one may hear nothing.

    ``limit`` is the bound's name in the journal.
    """

    streams: int
    idle: int
    limit: str


class Stream:
    """A client's connection, as its service has it."""

    __slots__ = ("_listener", "client", "connection", "key", "used_at")

    def __init__(self, listener: "Listener", key: Key, connection: Connection, now: int) -> None:
        self._listener = listener
        self.key = key
        self.client = show_end(key[0], key[1])
        self.connection = connection
        self.used_at = now

    @property
    def is_ended(self) -> bool:
        """Whether the client will send no more."""
        return self.connection.receiver.fin_received

    @property
    def room(self) -> int:
        """Octets that ``write`` takes now; when there is more again, the service's ``drained`` is called."""
        return self.connection.send_room

    def write(self, octets: bytes) -> None:
        """Send ``octets``, no more than there is ``room`` for, after all that was sent before."""
        self.connection.write(octets)
        self.touch()

    def shutdown(self) -> None:
        """Nothing more is to be sent: a FIN follows what was written."""
        self.connection.shutdown()
        self.touch()

    def abort(self) -> None:
        """End it with an RST."""
        self.connection.abort()
        self.touch()

    def touch(self) -> None:
        """Have ``drained`` called at the end of this turn."""
        self._listener.touch(self)


class Service(Protocol):
    """What answers on a port. A stream is its own from ``opened`` to ``closed``, also between the calls."""

    def opened(self, stream: Stream, now: int) -> None:
        """A client has connected: its SYN is accepted."""

    def received(self, stream: Stream, octets: bytes, now: int) -> None:
        """What came next from the client."""

    def drained(self, stream: Stream, now: int) -> None:
        """All that has arrived was ``received``, and there may be more room: called when anything was heard.

        Who has said everything to a client that ``is_ended`` shuts the stream down.
        """

    def closed(self, stream: Stream, now: int) -> None:
        """It is over, by whichever end."""


class Listener:
    """All streams of ``service`` on one port of the gateway."""

    def __init__(
        self,
        service: Service,
        bounds: Bounds,
        config: Config,
        interface: Interface,
        turned_away: TurnedAway,
        draws: Draws,
    ) -> None:
        self._service = service
        self._bounds = bounds
        self._config = config
        self._interface = interface
        self._turned_away = turned_away
        self._draws = draws
        self._streams: dict[Key, Stream] = {}
        self._touched: dict[Key, Stream] = {}
        self._timers: Timers[Key] = Timers()

    def __len__(self) -> int:
        return len(self._streams)

    def segment(self, packet: IpPacket, segment: tcp.Segment, now: int) -> bool:
        """A segment to the port; False when it belongs to no stream and opens none."""
        key = (packet.source, segment.source_port, packet.destination, segment.destination_port)
        stream = self._streams.get(key)
        if stream is not None and stream.connection.yields_to(segment):
            self._forget(stream, now)
            stream = None
        if stream is not None:
            stream.connection.on_segment(segment, now)
            stream.used_at = now
            self.touch(stream)
            return True
        if int(segment.flags) & _SYN_ACK_RST != _SYN or not self._has_room(now):
            return False
        self._accept(key, packet, segment, now)
        return True

    def packet_too_big(self, quoted: Quoted, mtu: int, now: int) -> None:
        """As of ``TcpFlows``."""
        stream = self._streams.get(
            (quoted.destination, quoted.destination_port, quoted.source, quoted.source_port)
        )
        if stream is not None and stream.connection.on_packet_too_big(mtu, quoted.seq, now):
            self.touch(stream)

    def touch(self, stream: Stream) -> None:
        """Bring ``stream`` forward at the end of this turn."""
        if self._streams.get(stream.key) is stream:
            self._touched[stream.key] = stream

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        return self._timers.poll_at()

    def flush(self, now: int) -> None:
        """At the end of a turn: deadlines, then what the streams have heard and have to say."""
        for key in self._timers.due(now):
            stream = self._streams.get(key)
            if stream is not None:
                stream.connection.on_timer(now)
                self._touched[key] = stream
        while self._touched:
            touched, self._touched = self._touched, {}
            for key, stream in touched.items():
                if self._streams.get(key) is stream:
                    self._settle(stream, now)
                    # What its service wrote meanwhile is out; what it wrote to others is another round's.
                    self._touched.pop(key, None)

    def _accept(self, key: Key, packet: IpPacket, segment: tcp.Segment, now: int) -> None:
        connection = Connection.from_syn(
            segment, now, self._config, source=packet.source, destination=packet.destination,
            iss=self._draws.getrandbits(32), timestamp_offset=self._draws.getrandbits(32),
        )  # fmt: skip
        connection.accept(now)
        stream = self._streams[key] = Stream(self, key, connection, now)
        self.touch(stream)
        self._service.opened(stream, now)

    def _has_room(self, now: int) -> bool:
        bound = self._bounds.streams
        if len(self._streams) < bound:
            return True
        self._turned_away.note(self._bounds.limit, bound, now)
        for stream in self._streams.values():
            # Who sent a SYN and then nothing gives way, else a flood of them would close the door.
            if stream.connection.state is State.SYN_RECEIVED and now - stream.used_at >= _PATIENCE:
                self._forget(stream, now)
                return True
        return False

    def _settle(self, stream: Stream, now: int) -> None:
        connection, key = stream.connection, stream.key
        connection.events()
        if now - stream.used_at >= self._bounds.idle:
            connection.abort()
        while connection.readable:
            octets = b"".join(connection.read(connection.readable))
            connection.consumed(len(octets))
            self._service.received(stream, octets, now)
        self._service.drained(stream, now)
        while segments := connection.transmit(now):
            self._interface.send(key[2], key[0], IpProtocol.TCP, segments)
        if connection.state is State.CLOSED:
            self._forget(stream, now)
            return
        poll_at = connection.poll_at()
        idle_at = stream.used_at + self._bounds.idle
        self._timers.set(key, idle_at if poll_at is None else min(poll_at, idle_at))

    def _forget(self, stream: Stream, now: int) -> None:
        del self._streams[stream.key]
        self._timers.set(stream.key, None)
        self._service.closed(stream, now)
