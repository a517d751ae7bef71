"""The builtin stack as one machine: ``handle(events, now) -> commands``, ``poll_at() -> when next``.

This file only decides who gets what. A turn is: every event to its part, then every part's ``flush`` (timers,
and what it has to say), then all commands, with the frames of the turn at the end.

=========== ======================================================================
packet to   goes to
=========== ======================================================================
group       DHCP when it is that; all else is the switch's business
gateway     DHCP, DNS, echo; other UDP: port unreachable, other TCP: RST
host        the laptop's loopback: TCP and UDP flows; echo is answered here
elsewhere   TCP, UDP and echo flows, TTL permitting; other protocols: unreachable
any of them an ICMP error about what we sent goes to whom it concerns (``guest_errors``)
=========== ======================================================================
"""

from collections.abc import Callable, Sequence
from typing import Any

from harness.core import rng
from harness.core.time import earliest
from harness.gateway import events
from harness.gateway.addressing import Addressing, Reach
from harness.gateway.commands import Command
from harness.gateway.config import GatewayConfig
from harness.gateway.guest_errors import GuestErrors
from harness.gateway.icmp_flows import IcmpFlows
from harness.gateway.interface import Interface
from harness.gateway.local import DNS_PORT, LocalServices
from harness.gateway.outbox import Outbox
from harness.gateway.tcp_flows import TcpFlows
from harness.gateway.turned_away import TurnedAway
from harness.gateway.udp_flows import UdpFlows
from harness.wire import dhcp, icmp, ipv4, tcp, udp
from harness.wire.ipv4 import ANY, Ipv4, Protocol


class Gateway:
    """See the module. Flow numbers count for each transport on its own."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self._addressing = Addressing(config)
        self._outbox = Outbox()
        self._turned_away = TurnedAway(self._outbox)
        self._interface = Interface(config, self._addressing, self._outbox, self._turned_away)
        draws = rng.stream(config.seed, "gateway", "tcp")
        self.tcp = TcpFlows(config, self._interface, self._outbox, self._turned_away, draws)
        self.udp = UdpFlows(config, self._interface, self._outbox, self._turned_away)
        self.icmp = IcmpFlows(config, self._interface, self._outbox, self._turned_away)
        self.local = LocalServices(config, self._interface, self._outbox, self._turned_away, draws)
        self._guest_errors = GuestErrors(config.gateway, self.tcp, self.udp, self.local)
        self._now = 0
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
            events.Resolved: self.local.resolved,
        }

    def handle(self, happened: Sequence[events.Event], now: int) -> list[Command]:
        """What to do about ``happened`` and what is due at ``now`` (nanoseconds, never less than before)."""
        self._now = self._interface.now = now
        for event in happened:
            self._handlers[type(event)](event, now)
        self.tcp.flush(now)
        self.udp.flush(now)
        self.icmp.flush(now)
        self.local.flush(now)
        self._interface.flush()
        self._turned_away.flush(now)
        return self._outbox.take()

    def poll_at(self) -> int | None:
        """When to call ``handle`` again even if nothing happens; may be too early, never too late."""
        parts = (self.tcp, self.udp, self.icmp, self.local, self._interface, self._turned_away)
        return earliest(*[part.poll_at() for part in parts])

    def _frames_received(self, event: events.FramesReceived, now: int) -> None:
        self._interface.receive(event.frames, self._deliver, self._deliver_merged)

    def _deliver(self, packet: Ipv4, group: bool) -> None:
        """One whole packet from a guest. Raises WireError when what it carries is malformed."""
        reach = self._addressing.reach(packet.destination)
        if packet.protocol == Protocol.TCP:
            if reach in (Reach.FORWARD, Reach.HOST) and not group:
                if reach is Reach.HOST or self._may_travel(packet):
                    self.tcp.receive(packet, self._now)
            elif reach is Reach.GATEWAY:
                self._tcp_to_gateway(packet)
        elif packet.protocol == Protocol.UDP:
            self._udp(packet, reach, group)
        elif (
            reach is Reach.NOWHERE
            or reach is Reach.GROUP
            or group
            or (reach is Reach.FORWARD and not self._may_travel(packet))
        ):
            return
        elif packet.protocol == Protocol.ICMP:
            message = icmp.parse(packet.payload)
            if message.is_error:
                self._guest_errors.receive(packet, message, self._now)
            else:
                self.icmp.receive(packet, message, reach, self._now)
        else:
            self._interface.send_error(
                icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PROTOCOL, ipv4.emit(packet)
            )

    def _deliver_merged(self, packet: Ipv4, segment: tcp.Segment) -> bool:
        """The segments of a run as one; False when somebody must look at each."""
        reach = self._addressing.reach(packet.destination)
        if reach is not Reach.HOST and (reach is not Reach.FORWARD or packet.ttl <= 1):
            return False
        return self.tcp.receive_merged(packet, segment, self._now)

    def _udp(self, packet: Ipv4, reach: Reach, group: bool) -> None:
        datagram = udp.parse(packet.payload, packet.source, packet.destination)
        if datagram.destination_port == dhcp.SERVER_PORT and reach in (Reach.GROUP, Reach.GATEWAY):
            self.local.dhcp(datagram, self._now)
        elif packet.source == ANY or group or reach in (Reach.GROUP, Reach.NOWHERE):
            return
        elif reach is Reach.GATEWAY:
            if datagram.destination_port == DNS_PORT:
                self.local.dns_datagram(packet, datagram, self._now)
            else:
                self._interface.send_error(
                    icmp.Type.DESTINATION_UNREACHABLE, icmp.Unreachable.PORT, ipv4.emit(packet)
                )
        elif reach is Reach.HOST or self._may_travel(packet):
            self.udp.receive(packet, datagram, self._now)

    def _tcp_to_gateway(self, packet: Ipv4) -> None:
        segment = tcp.parse(packet.payload, packet.source, packet.destination)
        if segment.destination_port != DNS_PORT or not self.local.dns_segment(packet, segment, self._now):
            self.tcp.refuse(packet, segment)

    def _may_travel(self, packet: Ipv4) -> bool:
        """A router's TTL rule (RFC 1812 5.3.1)."""
        if packet.ttl > 1:
            return True
        self._interface.send_error(icmp.Type.TIME_EXCEEDED, icmp.TimeExceeded.TTL, ipv4.emit(packet))
        return False
