"""UDP flows: endpoint-independent mapping (RFC 4787 REQ-1) of each guest's address and port to a host socket.

One flow for each guest address and port, whoever it talks to; anybody may answer (endpoint-independent
filtering, REQ-8's most transparent choice). A flow ends when nothing went through it for the idle time, or
when the guest says that nobody is there. When the table is full, one of these makes room, in this order and
of each kind the one that was idle for longest:

===========  ==========================================================  =================================
kind         what it is                                                  gives way
===========  ==========================================================  =================================
settled      its only datagram is answered, or all its questions to      at once
             port 53 are: nearly all of these are over
waiting      nothing came back for what it sent                          after 2 s without a datagram
conversing   more than that went both ways                               after 20 s without a datagram
===========  ==========================================================  =================================

Else the datagram is dropped with a ``FlowRefused``. So a resolver in a guest, which takes a new port for each
question, never fills the table, and a scan leaves it soon.

Errors that come back to the host socket become the ICMP errors that the guest would have had. What they
quote is the guest's own datagram where tools look at each octet of it: of datagrams with a small TTL, which
are a traceroute's, the beginning is kept for a while. Others are quoted as the host's socket quotes them.
"""

import errno
from typing import Final

from guestnet.core.events import FlowClosed, FlowOpened, FlowRefused
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.answers import LIMITED, answer_error, show_errno
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.timers import Timers
from guestnet.gateway.turned_away import TurnedAway
from guestnet.tcpip.icmp import Quoted
from guestnet.wire import ip, udp
from guestnet.wire.dns import PORT as DNS_PORT
from guestnet.wire.ip import IpAddress, IpPacket, packet_of, show_end
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import Octets

_SETTLED: Final = 0
_WAITING: Final = 1
_CONVERSING: Final = 2
_PATIENCE: Final = (0, 2 * SECOND, 20 * SECOND)
"""For how long a flow of each kind keeps its place when another wants it."""
_PROBE_TTL: Final = 40
"""Traceroutes stop at 30 hops; no kernel begins with less than 64."""
_PROBES: Final = 32
_QUOTE: Final = 1232
"""Octets of a packet that an ICMPv6 error has room for; those of IPv4 are smaller."""

_Remote = tuple[IpAddress, int]


class _Flow:
    """``heard``: the address of whom was heard last, and for whom the guest takes it; ``sent``: datagrams."""

    __slots__ = (
        "down", "guest", "heard", "idle", "kind", "latest", "number", "port", "probes", "remote", "sent",
        "up", "used_at",
    )  # fmt: skip

    def __init__(self, number: int, guest: IpAddress, port: int, remote: str, now: int) -> None:
        self.idle = 0
        self.kind = _WAITING
        self.sent = 0
        self.latest: _Remote = (b"", 0)
        self.heard: tuple[IpAddress, IpAddress | None] = (b"", None)
        self.probes: dict[_Remote, bytes] = {}
        self.number = number
        self.guest = guest
        self.port = port
        self.remote = remote
        self.up = 0
        self.down = 0
        self.used_at = now


class UdpFlows:
    """All UDP flows of one gateway. ``remote`` in events is the destination that opened the flow."""

    def __init__(
        self, config: GatewayConfig, interface: Interface, outbox: Outbox, turned_away: TurnedAway
    ) -> None:
        self._limits = config.limits
        self._interface = interface
        self._outbox = outbox
        self._turned_away = turned_away
        self._by_guest: dict[tuple[IpAddress, int], _Flow] = {}
        self._by_number: dict[int, _Flow] = {}
        # Using a flow moves it to the end, so that the first of a kind is the one that was idle for longest.
        self._by_kind: tuple[dict[int, _Flow], ...] = ({}, {}, {})
        self._timers: Timers[int] = Timers()
        self._next_number = 1

    def __len__(self) -> int:
        return len(self._by_number)

    # --- from the guest ---

    def receive(self, packet: IpPacket, datagram: udp.Datagram, now: int) -> None:
        """A datagram to be forwarded; its TTL is the guest's."""
        key = (packet.source, datagram.source_port)
        flow = self._by_guest.get(key) or self._open(key, packet, datagram, now)
        if flow is None:
            return
        flow.latest = (packet.destination, datagram.destination_port)
        if datagram.destination_port != DNS_PORT and flow.idle != self._limits.udp_idle:
            flow.idle = self._limits.udp_idle
            self._interface.is_stirred = True
        flow.sent += 1
        talks = flow.down and flow.sent > 1 and flow.idle != self._limits.udp_dns_idle
        self._use(flow, _CONVERSING if talks else _WAITING, now)
        flow.up += len(datagram.payload)
        if packet.ttl < _PROBE_TTL:
            _keep_probe(flow, packet)
        addressing = self._interface.addressing
        ttl = packet.ttl if addressing.is_host(packet.destination) else packet.ttl - 1
        self._outbox.command(
            commands.SendDatagram(
                flow.number, addressing.to_host(packet.destination), datagram.destination_port,
                datagram.payload, ttl, packet.dont_fragment, packet.tos,
            )
        )  # fmt: skip

    def _open(
        self, key: tuple[IpAddress, int], packet: IpPacket, datagram: udp.Datagram, now: int
    ) -> _Flow | None:
        remote = show_end(packet.destination, datagram.destination_port)
        flow = _Flow(self._next_number, *key, remote, now)
        flow.idle = self._limits.udp_dns_idle
        self._next_number += 1
        self._interface.is_stirred = True
        bound = self._limits.udp_flows
        if len(self._by_number) >= bound and not self._evict(now):
            self._turned_away.note(
                "udp_flows", bound, now, _refused(flow, f"no room: limits.udp_flows is {bound}", now)
            )
            return None
        self._by_guest[key] = self._by_number[flow.number] = flow
        self._by_kind[flow.kind][flow.number] = flow
        self._outbox.command(commands.OpenDatagram(flow.number, flow.port, 4 if len(flow.guest) == 4 else 6))
        return flow

    def _evict(self, now: int) -> bool:
        for flows, patience in zip(self._by_kind, _PATIENCE, strict=True):
            oldest = next(iter(flows.values()), None)
            if oldest is not None and now - oldest.used_at >= patience:
                self._close(oldest, "made room for another", now)
                return True
        return False

    def _use(self, flow: _Flow, kind: int, now: int) -> None:
        self._move(flow, kind)
        flow.used_at = now
        self._timers.set(flow.number, now + flow.idle)

    def _move(self, flow: _Flow, kind: int) -> None:
        del self._by_kind[flow.kind][flow.number]
        flow.kind = kind
        self._by_kind[kind][flow.number] = flow

    # --- from the host ---

    def opened(self, event: events.DatagramOpened, now: int) -> None:
        """The host socket is there."""
        flow = self._by_number.get(event.flow)
        if flow is not None:
            self._outbox.record(
                FlowOpened(
                    at=now,
                    flow=flow.number,
                    transport="udp",
                    guest=_guest(flow),
                    remote=flow.remote,
                    host=event.host,
                )
            )

    def lost(self, event: events.DatagramLost, now: int) -> None:
        """There is no host socket: the flow is over, the datagram lost."""
        flow = self._by_number.get(event.flow)
        if flow is not None:
            answer = "none"
            if event.errno == errno.EAFNOSUPPORT:
                # The host has no IPv6: there is no way.
                answer = answer_error(self._interface, _about(flow, flow.latest, b""), event.errno, None)
            told = _refused(flow, show_errno(event.errno), now, answer)
            self._turned_away.note("descriptors", 0, now, told)
            self._forget(flow)

    def received(self, event: events.DatagramReceived, now: int) -> None:
        """A datagram for the guest."""
        flow = self._by_number.get(event.flow)
        if flow is None:
            return
        if event.address != flow.heard[0]:
            flow.heard = event.address, self._seen_as(event.address)
        source = flow.heard[1]
        if source is None:
            return  # it would seem to come from the gateway, another guest or the link
        is_settled = flow.sent <= 1 or flow.idle == self._limits.udp_dns_idle
        kind = _SETTLED if is_settled else _CONVERSING
        if self._limits.udp_inbound_refresh:
            self._use(flow, kind, now)
        else:
            self._move(flow, kind)
        flow.down += len(event.payload)
        octets = udp.emit(udp.Datagram(event.port, flow.port, event.payload), source, flow.guest)
        ttl = self._interface.addressing.ttl_inside(source, event.ttl)
        packet = packet_of(source, flow.guest, Protocol.UDP, octets, tos=event.tos, ttl=ttl)
        self._interface.send_packet(packet)

    def _seen_as(self, address: IpAddress) -> IpAddress | None:
        """For whom a guest takes ``address``; None when it may not hear of it."""
        addressing = self._interface.addressing
        source = addressing.to_guest(address)
        return source if addressing.is_outside(source) else None

    def failed(self, event: events.DatagramFailed, now: int) -> None:
        """An error about a datagram of the guest: it gets the ICMP error, quoting a datagram like its own."""
        flow = self._by_number.get(event.flow)
        if flow is None:
            return
        addressing = self._interface.addressing
        remote = addressing.to_guest(event.address)
        about = flow.probes.get((remote, event.port))
        if about is None:
            about = _about(flow, (remote, event.port), event.payload)
        answer = answer_error(self._interface, about, event.errno, event.cause, mtu=event.mtu)
        if answer == LIMITED or not self._turned_away.shows("udp_errors", now):
            return
        self._outbox.record(
            FlowRefused(
                at=now, flow=flow.number, transport="udp", guest=_guest(flow),
                remote=show_end(remote, event.port),
                error=show_errno(event.errno), answer=answer,
            )
        )  # fmt: skip

    def unreachable(self, quoted: Quoted, now: int) -> None:
        """The guest has no socket for what it got of whom it asked last: the flow is over.

        Of anybody else it may just not want to hear, as a connected socket does not.
        """
        flow = self._by_guest.get((quoted.destination, quoted.destination_port))
        if flow is not None and flow.latest == (quoted.source, quoted.source_port):
            self._close(flow, "the guest closed its port", now)

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        return self._timers.poll_at()

    def flush(self, now: int) -> None:
        """Close what was idle for too long."""
        for number in self._timers.due(now):
            self._close(self._by_number[number], "idle", now)

    def _close(self, flow: _Flow, reason: str, now: int) -> None:
        self._outbox.command(commands.CloseDatagram(flow.number))
        self._outbox.record(
            FlowClosed(
                at=now, flow=flow.number, transport="udp", guest=_guest(flow), remote=flow.remote,
                reason=reason,
                up=flow.up, down=flow.down,
            )
        )  # fmt: skip
        self._forget(flow)

    def _forget(self, flow: _Flow) -> None:
        self._interface.is_stirred = True
        del self._by_number[flow.number]
        del self._by_kind[flow.kind][flow.number]
        del self._by_guest[flow.guest, flow.port]
        self._timers.set(flow.number, None)


def _keep_probe(flow: _Flow, packet: IpPacket) -> None:
    # Taken out and put back, so that the first is the oldest.
    key = flow.latest
    flow.probes.pop(key, None)
    flow.probes[key] = ip.emit(packet)[:_QUOTE]
    if len(flow.probes) > _PROBES:
        del flow.probes[next(iter(flow.probes))]


def _about(flow: _Flow, remote: _Remote, payload: Octets) -> bytes:
    """A packet like the guest's own."""
    octets = udp.emit(udp.Datagram(flow.port, remote[1], payload), flow.guest, remote[0])
    return ip.emit(packet_of(flow.guest, remote[0], Protocol.UDP, octets))


def _refused(flow: _Flow, error: str, now: int, answer: str = "none") -> FlowRefused:
    return FlowRefused(
        at=now, flow=flow.number, transport="udp", guest=_guest(flow), remote=flow.remote, error=error,
        answer=answer,
    )  # fmt: skip


def _guest(flow: _Flow) -> str:
    return show_end(flow.guest, flow.port)
