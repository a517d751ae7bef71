"""What a host or router says by ICMP: echo replies, and errors about packets (RFC 792, RFC 1122 3.2.2).

An error quotes the packet that it is about: its header and as much as keeps the error within 576 octets
(RFC 1812 4.3.2.3), never less than eight. It is not sent at all where that could multiply or tell nobody.
"""

from collections.abc import Container
from typing import Final, NamedTuple

from guestnet.core.errors import WireError
from guestnet.wire import icmp, ipv4
from guestnet.wire.icmp import Icmp, Type
from guestnet.wire.ipv4 import Ip4, Ipv4, Protocol
from guestnet.wire.octets import Octets, view

MAX_ERROR: Final = 576
"""Octets of an error with its IP header."""


def may_be_answered(packet: Ipv4, *, link_group: bool = False, broadcasts: Container[Ip4] = ()) -> bool:
    """Whether an error about ``packet`` may be sent (RFC 1122 3.2.2, RFC 1812 4.3.2.7).

    Not about an ICMP error, what came by link-layer broadcast or multicast (``link_group``), to an IP
    broadcast (``broadcasts`` are the directed ones) or multicast, later fragments, or from no single host.
    """
    source, destination = packet.source, packet.destination
    if link_group or packet.fragment_offset > 0:
        return False
    if destination[0] >= 224 or destination in broadcasts:
        return False
    if source[0] in (0, 127) or source[0] >= 224 or source in broadcasts:
        return False
    if packet.protocol == Protocol.ICMP:
        # Types that are not known may be errors of tomorrow.
        return len(packet.payload) > 0 and packet.payload[0] in (
            Type.ECHO_REPLY, Type.ECHO_REQUEST, Type.TIMESTAMP, Type.TIMESTAMP_REPLY
        )  # fmt: skip
    return True


def error_about(
    original: Octets, source: Ip4, type_: int, code: int, *, mtu: int = 0, link_group: bool = False,
    broadcasts: Container[Ip4] = (), identification: int = 0,
) -> Ipv4 | None:  # fmt: skip
    """The packet from ``source`` that tells of an error of ``original``, an IP packet as it was received.

    ``mtu`` is the next hop's, for fragmentation needed. None when no error may be sent. Raises WireError
    when the original does not even parse.
    """
    octets = view(original)
    packet = ipv4.parse(octets, wire_length=65535, verify=False)
    if not may_be_answered(packet, link_group=link_group, broadcasts=broadcasts):
        return None
    room = MAX_ERROR - ipv4.HEADER - icmp.HEADER
    total = ipv4.HEADER + len(packet.options) + len(packet.payload)
    message = Icmp(type_, code, mtu, octets[: min(room, total)])
    # Precedence 6, internetwork control, is what RFC 1812 4.3.2.5 asks for.
    return Ipv4(
        source, packet.source, Protocol.ICMP, icmp.emit(message), identification=identification, tos=0xC0
    )


def unreachable(
    original: Octets, source: Ip4, code: int, *, mtu: int = 0, link_group: bool = False,
    broadcasts: Container[Ip4] = (), identification: int = 0,
) -> Ipv4 | None:  # fmt: skip
    """``error_about`` for destination unreachable; codes are ``wire.icmp.Unreachable``."""
    return error_about(
        original, source, Type.DESTINATION_UNREACHABLE, code, mtu=mtu, link_group=link_group,
        broadcasts=broadcasts, identification=identification,
    )  # fmt: skip


def time_exceeded(
    original: Octets, source: Ip4, code: int, *, link_group: bool = False, broadcasts: Container[Ip4] = (),
    identification: int = 0,
) -> Ipv4 | None:  # fmt: skip
    """``error_about`` for time exceeded; codes are ``wire.icmp.TimeExceeded``."""
    return error_about(
        original, source, Type.TIME_EXCEEDED, code, link_group=link_group, broadcasts=broadcasts,
        identification=identification,
    )  # fmt: skip


def echo_reply(packet: Ipv4, request: Icmp, *, identification: int = 0) -> Ipv4:
    """The answer to an echo ``request`` that came in ``packet``: with all its data (RFC 1122 3.2.2.6)."""
    message = icmp.echo_reply(request.identifier, request.sequence, request.payload)
    return Ipv4(
        packet.destination, packet.source, Protocol.ICMP, icmp.emit(message), identification=identification,
        tos=packet.tos,
    )  # fmt: skip


class Quoted(NamedTuple):
    """What an ICMP error is about; ports are 0 for all but TCP and UDP, ``seq`` for all but TCP."""

    source: Ip4
    destination: Ip4
    protocol: int
    source_port: int
    destination_port: int
    seq: int


def quoted(message: Icmp) -> Quoted | None:
    """The flow that an ICMP error is about; None when it quotes too little to tell, or a later fragment."""
    if not message.is_error:
        return None
    try:
        packet = ipv4.parse(message.payload, wire_length=65535, verify=False)
    except WireError:
        # Not our place to complain about the quote: the error as such is sound and tells nothing.
        return None
    if packet.fragment_offset:
        return None
    payload = packet.payload
    if packet.protocol not in (Protocol.TCP, Protocol.UDP):
        return Quoted(packet.source, packet.destination, packet.protocol, 0, 0, 0)
    if len(payload) < 8:
        return None
    source_port, destination_port = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
    seq = int.from_bytes(payload[4:8], "big") if packet.protocol == Protocol.TCP else 0
    return Quoted(packet.source, packet.destination, packet.protocol, source_port, destination_port, seq)
