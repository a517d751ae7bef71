"""ICMP: echo to us is answered here, echo to others goes out by a ping socket: only real replies come back.

A flow is a guest's address and echo identifier. A dead host stays silent, as it should; errors on the way
(unreachable, time exceeded: that is how traceroute works) are told as the network told them.
"""

import errno
from typing import Final

from guestnet.core.events import FlowClosed, FlowOpened, FlowRefused
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.addressing import Reach
from guestnet.gateway.answers import LIMITED, answer_error, show_errno
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.interface import Interface
from guestnet.gateway.outbox import Outbox
from guestnet.gateway.timers import Timers
from guestnet.gateway.turned_away import TurnedAway
from guestnet.wire import icmp, icmpv6, ip
from guestnet.wire.icmp import Icmp
from guestnet.wire.icmpv6 import Icmpv6
from guestnet.wire.ip import IpAddress, IpPacket, packet_of, show_end, show_ip
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import Octets

_EVICTABLE: Final = 2 * SECOND
"""Who still waits for a reply after that has hardly a chance to get it; each ping command is a new flow."""
_NO_PERMISSION: Final = frozenset({errno.EACCES, errno.EPERM})


class _Flow:
    __slots__ = ("down", "guest", "identifier", "number", "remote", "up", "used_at")

    def __init__(self, number: int, guest: IpAddress, identifier: int, remote: IpAddress) -> None:
        self.number = number
        self.guest = guest
        self.identifier = identifier
        self.remote = remote
        self.used_at = 0
        self.up = 0
        self.down = 0


class IcmpFlows:
    """All echo flows of one gateway; ``guest`` in events is address and identifier."""

    def __init__(
        self, config: GatewayConfig, interface: Interface, outbox: Outbox, turned_away: TurnedAway
    ) -> None:
        self._limits = config.limits
        self._interface = interface
        self._outbox = outbox
        self._turned_away = turned_away
        self._by_guest: dict[tuple[IpAddress, int], _Flow] = {}
        self._by_number: dict[int, _Flow] = {}
        self._timers: Timers[int] = Timers()
        self._next_number = 1

    def __len__(self) -> int:
        return len(self._by_number)

    def receive(self, packet: IpPacket, message: Icmp | Icmpv6, reach: Reach, now: int) -> None:
        """``message``, no error, came in ``packet`` from a guest; ``reach`` tells of its destination."""
        kinds = icmp.Type if isinstance(message, Icmp) else icmpv6.Type
        if message.type != kinds.ECHO_REQUEST or message.code != 0:
            return
        if reach in (Reach.GATEWAY, Reach.HOST):
            answer = _echo_reply(packet.destination, packet.source, message.rest, message.payload, packet.tos)
            self._interface.send_packet(answer)
        elif reach is Reach.FORWARD:
            self._forward(packet, message, now)

    def _forward(self, packet: IpPacket, message: Icmp | Icmpv6, now: int) -> None:
        key = (packet.source, message.identifier)
        flow = self._by_guest.get(key) or self._open(key, packet.destination, now)
        if flow is None:
            return
        self._use(flow, now)
        flow.up += len(message.payload)
        self._outbox.command(
            commands.SendEcho(
                flow.number, packet.destination, message.sequence, message.payload, packet.ttl - 1,
                packet.dont_fragment, packet.tos,
            )
        )  # fmt: skip

    def _open(self, key: tuple[IpAddress, int], remote: IpAddress, now: int) -> _Flow | None:
        flow = _Flow(self._next_number, *key, remote)
        self._next_number += 1
        if len(self._by_number) >= self._limits.echo_flows and not self._evict(now):
            bound = self._limits.echo_flows
            told = _refused(flow, remote, f"no room: limits.echo_flows is {bound}", "none", now)
            self._turned_away.note("echo_flows", bound, now, told)
            return None
        self._by_guest[key] = self._by_number[flow.number] = flow
        self._outbox.record(
            FlowOpened(at=now, flow=flow.number, transport="icmp", guest=_guest(flow), remote=show_ip(remote))
        )
        return flow

    def _use(self, flow: _Flow, now: int) -> None:
        flow.used_at = now
        # To the end, so that the first is the one that was idle for longest.
        self._by_number[flow.number] = self._by_number.pop(flow.number)
        self._timers.set(flow.number, now + self._limits.echo_idle)

    def _evict(self, now: int) -> bool:
        oldest = next(iter(self._by_number.values()))
        if now - oldest.used_at < _EVICTABLE:
            return False
        self._close(oldest, "made room for another", now)
        return True

    # --- from the host ---

    def replied(self, event: events.EchoReplied, now: int) -> None:
        """A real host answered."""
        flow = self._by_number.get(event.flow)
        if flow is None:
            return
        self._use(flow, now)
        flow.down += len(event.payload)
        source = self._interface.addressing.to_guest(event.address)
        rest = flow.identifier << 16 | event.sequence
        ttl = self._interface.addressing.ttl_inside(source, event.ttl)
        reply = _echo_reply(source, flow.guest, rest, event.payload, event.tos, ttl)
        self._interface.send_packet(reply)

    def failed(self, event: events.EchoFailed, now: int) -> None:
        """An error about a ping of the guest."""
        flow = self._by_number.get(event.flow)
        if flow is None:
            return
        about = _echo_request(flow, event.address, event.sequence, event.payload)
        answer = answer_error(self._interface, about, event.errno, event.cause, mtu=event.mtu)
        if answer != LIMITED and self._turned_away.shows("echo_errors", now):
            told = _refused(flow, event.address, show_errno(event.errno), answer, now)
            self._outbox.record(told)

    def lost(self, event: events.EchoLost, now: int) -> None:
        """There is no ping socket."""
        flow = self._by_number.get(event.flow)
        if flow is None:
            return
        error = show_errno(event.errno)
        answer = "none"
        if event.errno == errno.EAFNOSUPPORT:
            # The host has no IPv6: there is no way.
            about = _echo_request(flow, flow.remote, 0, b"")
            answer = answer_error(self._interface, about, event.errno, None)
        if event.errno in _NO_PERMISSION:
            error += ": the laptop's net.ipv4.ping_group_range does not allow ping sockets"
        told = _refused(flow, flow.remote, error, answer, now)
        self._turned_away.note("descriptors", 0, now, told)
        self._forget(flow)

    # --- time ---

    def poll_at(self) -> int | None:
        """When ``flush`` should be called."""
        return self._timers.poll_at()

    def flush(self, now: int) -> None:
        """Close what was idle for too long."""
        for number in self._timers.due(now):
            self._close(self._by_number[number], "idle", now)

    def _close(self, flow: _Flow, reason: str, now: int) -> None:
        self._outbox.command(commands.CloseEcho(flow.number))
        self._outbox.record(
            FlowClosed(
                at=now, flow=flow.number, transport="icmp", guest=_guest(flow), remote=show_ip(flow.remote),
                reason=reason, up=flow.up, down=flow.down,
            )
        )  # fmt: skip
        self._forget(flow)

    def _forget(self, flow: _Flow) -> None:
        del self._by_number[flow.number]
        del self._by_guest[flow.guest, flow.identifier]
        self._timers.set(flow.number, None)


def _refused(flow: _Flow, remote: bytes, error: str, answer: str, now: int) -> FlowRefused:
    return FlowRefused(
        at=now, flow=flow.number, transport="icmp", guest=_guest(flow), remote=show_ip(remote),
        error=error, answer=answer,
    )  # fmt: skip


def _guest(flow: _Flow) -> str:
    return show_end(flow.guest, flow.identifier)


def _echo_request(flow: _Flow, remote: IpAddress, sequence: int, payload: Octets) -> bytes:
    """A packet like the guest's own."""
    if len(remote) == 4:
        message = icmp.emit(icmp.echo_request(flow.identifier, sequence, payload))
        return ip.emit(packet_of(flow.guest, remote, Protocol.ICMP, message))
    message = icmpv6.emit(icmpv6.echo_request(flow.identifier, sequence, payload), flow.guest, remote)
    return ip.emit(packet_of(flow.guest, remote, Protocol.ICMPV6, message))


def _echo_reply(
    source: IpAddress, guest: IpAddress, rest: int, payload: Octets, tos: int, ttl: int = 64
) -> IpPacket:
    """With all the data of the request (RFC 1122 3.2.2.6, RFC 4443 4.2); ``rest`` as of the message."""
    if len(source) == 4:
        message = icmp.emit(Icmp(icmp.Type.ECHO_REPLY, 0, rest, payload))
        return packet_of(source, guest, Protocol.ICMP, message, tos=tos, ttl=ttl)
    message = icmpv6.emit(Icmpv6(icmpv6.Type.ECHO_REPLY, 0, rest, payload), source, guest)
    return packet_of(source, guest, Protocol.ICMPV6, message, tos=tos, ttl=ttl)
