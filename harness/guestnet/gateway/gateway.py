"""The builtin stack as one machine: ``handle(events, now) -> commands``, ``poll_at() -> when next``.

This file only decides who gets what. A turn is: every event to its part, then every part's ``flush`` (timers,
and what it has to say), then all commands, with the frames of the turn at the end.

=========== ======================================================================
packet to   goes to
=========== ======================================================================
group       services that are there for groups (DHCP, DHCPv6); all else is the switch's business
gateway     services by their ports (``local``), echo; other UDP: port unreachable, other TCP: RST
host        the laptop's loopback: TCP and UDP flows; echo is answered here
elsewhere   TCP, UDP and echo flows, TTL permitting; other protocols: unreachable
any of them an ICMP error about what we sent goes to whom it concerns (``guest_errors``)
=========== ======================================================================
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from guestnet.core import rng
from guestnet.core.port import Frame
from guestnet.core.time import earliest
from guestnet.gateway import events
from guestnet.gateway.addressing import Addressing, Reach
from guestnet.gateway.answers import NOBODY_THERE, OUT_OF_HOPS
from guestnet.gateway.commands import Command, Send
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.guest_errors import GuestErrors
from guestnet.gateway.icmp_flows import IcmpFlows
from guestnet.gateway.interface import Interface
from guestnet.gateway.local import LocalServices
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.short_way import ShortWay
from guestnet.gateway.tcp_flows import TcpFlows
from guestnet.gateway.turned_away import TurnedAway
from guestnet.gateway.udp_flows import UdpFlows
from guestnet.wire import icmp, icmpv6, ip, ipv6, tcp, udp
from guestnet.wire.icmp import Icmp
from guestnet.wire.icmpv6 import Icmpv6, ParameterProblem
from guestnet.wire.ip import IpPacket
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6, NextHeader

_NEXT_HEADER_AT: Final = 6
_FEW: Final = 2
"""Frames that are looked at singly: the end of a handshake and the first request come together."""

_LONGEST_URI: Final = 255
"""Octets of a portal's URI: none may be longer (RFC 8910 section 2)."""

# Up to Python 3.11 an enum takes its time to say what its members are.
_HOST: Final = Reach.HOST
_ROUTED: Final = (Reach.HOST, Reach.FORWARD)
_TCP: Final = Protocol.TCP
_UDP: Final = Protocol.UDP

_QUIET: Final = frozenset(
    {
        events.FramesReceived, events.Connected, events.ConnectFailed, events.DataReceived,
        events.EndOfStream, events.Sent, events.ConnectionLost, events.DatagramReceived,
    }
)  # fmt: skip
"""What only concerns TCP flows, or somebody who knows whom else it does: the interface, ``_deliver``, UDP."""


class Gateway:
    """See the module. Flow numbers count for each transport on its own."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self._addressing = Addressing(config)
        self._outbox = Outbox()
        self._turned_away = TurnedAway(self._outbox)
        self._interface = Interface(
            config,
            self._addressing,
            self._outbox,
            self._turned_away,
            rng.stream(config.seed, "gateway", "ipv6"),
        )
        draws = rng.stream(config.seed, "gateway", "tcp")
        self.tcp = TcpFlows(config, self._interface, self._outbox, self._turned_away, draws)
        self._short_way = ShortWay(config.mac, self._interface, self.tcp)
        self.udp = UdpFlows(config, self._interface, self._outbox, self._turned_away)
        self.icmp = IcmpFlows(config, self._interface, self._outbox, self._turned_away)
        self.local = LocalServices(config, self._interface, self._outbox, self._turned_away, draws)
        self._guest_errors = GuestErrors(self._addressing, self.tcp, self.udp, self.local)
        self._now = 0
        self._others_at: int | None = None
        self._handlers: dict[type[events.Event], Callable[[Any, int], None]] = {
            events.FramesReceived: self._frames_received,
            events.Connected: self.tcp.connected,
            events.ConnectFailed: self.tcp.connect_failed,
            events.DataReceived: self.tcp.received,
            events.EndOfStream: self.tcp.ended,
            events.Sent: self.tcp.sent,
            events.ConnectionLost: self.tcp.lost,
            events.DatagramOpened: self.udp.opened,
            events.DatagramLost: self.udp.lost,
            events.DatagramReceived: self.udp.received,
            events.DatagramFailed: self.udp.failed,
            events.EchoReplied: self.icmp.replied,
            events.EchoFailed: self.icmp.failed,
            events.EchoLost: self.icmp.lost,
            events.ServersListed: self.local.dns.servers_listed,
            events.ServerAnswered: self.local.dns.server_answered,
            events.ServerFailed: self.local.dns.server_failed,
            events.LaptopTold: self._laptop_told,
        }

    def handle(self, happened: Sequence[events.Event], now: int) -> list[Command]:
        """What to do about ``happened`` and what is due at ``now`` (nanoseconds, never less than before)."""
        interface = self._interface
        self._now = interface.now = now
        for event in happened:
            kind = type(event)
            if kind not in _QUIET:
                interface.is_stirred = True
            self._handlers[kind](event, now)
        self.tcp.flush(now)
        if interface.is_stirred or (self._others_at is not None and now >= self._others_at):
            self._flush_others(now)
        self._turned_away.flush(now)
        return self._outbox.take()

    def hurry(self, frame: Frame, now: int) -> Send | None:
        """What ``handle`` would command about ``frame``, when that is only this, and little work.

        ``handle`` has to be called all the same, in this turn. None: nothing was done about it, and it is
        for ``handle``, as one that ``is_asked``.
        """
        return self._short_way.take(frame, now)

    def _flush_others(self, now: int) -> None:
        """Most turns are of TCP alone, and do without this."""
        interface = self._interface
        self.udp.flush(now)
        self.icmp.flush(now)
        self.local.flush(now)
        interface.flush()
        interface.is_stirred = False
        self._others_at = earliest(
            self.udp.poll_at(), self.icmp.poll_at(), self.local.poll_at(), interface.poll_at()
        )

    def poll_at(self) -> int | None:
        """When to call ``handle`` again even if nothing happens; may be too early, never too late."""
        return earliest(self.tcp.poll_at(), self._others_at, self._turned_away.poll_at())

    def _frames_received(self, event: events.FramesReceived, now: int) -> None:
        frames = event.frames
        if event.is_asked or type(frames) is not list or len(frames) > _FEW:
            self._interface.receive(frames, self._deliver, self._deliver_merged)
            return
        for frame in frames:
            send = self.hurry(frame, now)
            if send is not None:
                self._outbox.command(send)
            else:
                self._interface.receive([frame], self._deliver, self._deliver_merged)

    def _laptop_told(self, event: events.LaptopTold, now: int) -> None:
        facts = event.facts
        if len(facts.portal) > _LONGEST_URI:
            facts = replace(facts, portal="")
        self.local.laptop_told(facts)
        self._interface.laptop_told(facts)

    def _deliver(self, packet: IpPacket, group: bool) -> None:
        """One whole packet from a guest. Raises WireError when what it carries is malformed."""
        reach = self._addressing.reach(packet.destination)
        if packet.protocol == _TCP:
            if reach in _ROUTED and not group:
                if reach is _HOST or self._may_travel(packet):
                    self.tcp.receive(packet, self._now)
                return
            self._interface.is_stirred = True
            if reach is Reach.GATEWAY:
                self._tcp_to_gateway(packet)
            return
        if packet.protocol == _UDP:
            self._udp(packet, reach, group)
            return
        self._interface.is_stirred = True
        if (
            reach is Reach.NOWHERE
            or reach is Reach.GROUP
            or group
            or (reach is Reach.FORWARD and not self._may_travel(packet))
        ):
            return
        elif packet.protocol == (Protocol.ICMP if isinstance(packet, Ipv4) else Protocol.ICMPV6):
            self._icmp(packet, reach)
        elif isinstance(packet, Ipv6):
            self._unknown_header(packet)
        else:
            self._tell((icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PROTOCOL), packet)

    def _deliver_merged(self, packet: IpPacket, segment: tcp.Segment) -> bool:
        """The segments of a run as one; False when somebody must look at each."""
        reach = self._addressing.reach(packet.destination)
        if reach is not Reach.HOST and (reach is not Reach.FORWARD or packet.ttl <= 1):
            return False
        return self.tcp.receive_merged(packet, segment, self._now)

    def _icmp(self, packet: IpPacket, reach: Reach) -> None:
        message: Icmp | Icmpv6
        if isinstance(packet, Ipv4):
            message = icmp.parse(packet.payload)
        else:
            message = icmpv6.parse(packet.payload, packet.source, packet.destination)
        if message.is_error:
            self._guest_errors.receive(packet, message, self._now)
        else:
            self.icmp.receive(packet, message, reach, self._now)

    def _udp(self, packet: IpPacket, reach: Reach, group: bool) -> None:
        datagram = udp.parse(packet.payload, packet.source, packet.destination)
        if reach in _ROUTED and not group:
            if any(packet.source) and (reach is _HOST or self._may_travel(packet)):
                self.udp.receive(packet, datagram, self._now)
            return
        self._interface.is_stirred = True
        if reach not in (Reach.GROUP, Reach.GATEWAY):
            return
        is_own = reach is Reach.GATEWAY and not group and any(packet.source)
        service = self.local.datagrams.get(datagram.destination_port)
        if service is not None and service.takes(packet, reach, is_own=is_own):
            service.datagram(packet, datagram, self._now)
        elif is_own:
            self._tell(NOBODY_THERE[_version(packet)], packet)

    def _tcp_to_gateway(self, packet: IpPacket) -> None:
        segment = tcp.parse(packet.payload, packet.source, packet.destination)
        if not self.local.segment(packet, segment, self._now):
            self.tcp.refuse(packet, segment)

    def _may_travel(self, packet: IpPacket) -> bool:
        """A router's TTL rule (RFC 1812 5.3.1), and IPv6's of scopes (RFC 4007 9)."""
        if isinstance(packet, Ipv6) and ipv6.is_link_local(packet.source):
            beyond = icmpv6.Type.DESTINATION_UNREACHABLE, icmpv6.Unreachable.BEYOND_SCOPE
            self._tell(beyond, packet)
            return False
        if packet.ttl > 1:
            return True
        self._tell(OUT_OF_HOPS[_version(packet)], packet)
        return False

    def _unknown_header(self, packet: Ipv6) -> None:
        """What it carries is nothing that anybody here knows (RFC 8200 4)."""
        if packet.protocol == NextHeader.NONE:
            return
        # The octet that names it: in the fixed header, or the first of the last extension header.
        last = packet.extensions[-1] if packet.extensions else None
        pointer = _NEXT_HEADER_AT if last is None else packet.header_length - len(last)
        kind = icmpv6.Type.PARAMETER_PROBLEM
        self._interface.send_error(
            kind, ParameterProblem.NEXT_HEADER, ip.emit(packet), version=6, rest=pointer
        )

    def _tell(self, error: tuple[int, int], packet: IpPacket) -> None:
        self._interface.send_error(*error, ip.emit(packet), version=_version(packet))


def _version(packet: IpPacket) -> int:
    return 4 if isinstance(packet, Ipv4) else 6
