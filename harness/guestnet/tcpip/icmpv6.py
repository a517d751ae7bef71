"""What a host or router says by ICMPv6: echo replies, and errors about packets (RFC 4443).

An error quotes as much of the packet that it is about as fits into the minimum MTU (RFC 4443 2.4 c). It is
not sent at all where that could multiply or tell nobody (2.4 e); how often it may be sent is its sender's
business (2.4 f).

``check_extensions`` judges what ``wire.ipv6`` only reads: options and routing headers that nobody knows.
"""

from typing import Final

from guestnet.core.errors import WireError
from guestnet.tcpip.icmp import Quoted
from guestnet.wire import icmpv6, ipv6
from guestnet.wire.icmpv6 import Icmpv6, ParameterProblem, Type
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.ipv6 import UNSPECIFIED, Extension, Ip6, Ipv6, NextHeader
from guestnet.wire.octets import Octets, view

_OPTIONS: Final = (NextHeader.HOP_BY_HOP, NextHeader.DESTINATION_OPTIONS)
_KNOWN: Final = frozenset({0, 1, 5})
"""Pad1, PadN (RFC 8200 4.2) and router alert (RFC 2711), which says nothing to who looks at everything."""
_TRANSPORT_HEADERS: Final = {
    int(Protocol.TCP): 20,
    int(Protocol.UDP): 8,
    int(Protocol.ICMPV6): 4,
}


class PacketProblem(WireError):
    """A packet that is wrong in octet ``pointer``, of which its sender is told (RFC 4443 3.4).

    ``to_group``: also when the packet went to a multicast address.
    """

    def __init__(self, why: str, code: int, pointer: int, *, to_group: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.pointer = pointer
        self.to_group = to_group


def check_extensions(packet: Ipv6) -> None:
    """Judge the extension headers of a packet for us.

    Raises WireError when it must be dropped (RFC 8200 4.2), PacketProblem when its sender has to know why.
    """
    at = ipv6.HEADER
    for one in packet.extensions:
        if isinstance(one, Extension):
            if one.kind in _OPTIONS:
                _check_options(one, at)
            elif one.kind == NextHeader.ROUTING and one.body[1] != 0:
                # Type 0 is as unknown as all the others (RFC 5095 3).
                why = f"ipv6 routing header of type {one.body[0]} with segments left"
                raise PacketProblem(why, ParameterProblem.FIELD, at + 2)
        at += len(one)


def _check_options(header: Extension, start: int) -> None:
    body = header.body
    at = 0
    while at < len(body):
        kind = body[at]
        if kind == 0:
            at += 1
            continue
        end = at + 2 + (body[at + 1] if at + 1 < len(body) else len(body))
        if end > len(body):
            why = f"ipv6 option {kind} does not fit into its header"
            raise PacketProblem(why, ParameterProblem.FIELD, start + 2 + at + 1)
        if kind not in _KNOWN and kind >> 6:
            why = f"ipv6 option {kind} is not known"
            if kind >> 6 == 1:
                raise WireError(why)
            raise PacketProblem(why, ParameterProblem.OPTION, start + 2 + at, to_group=kind >> 6 == 2)
        at = end


def check_first_fragment(protocol: int, payload: Octets) -> None:
    """Whether a first fragment has all headers (RFC 8200 4.5, RFC 7112). Raises PacketProblem."""
    octets = view(payload)
    try:
        protocol, _, at = ipv6.walk(octets, protocol, 0, fragmentable=True)
    except WireError as error:
        raise PacketProblem(str(error), ParameterProblem.INCOMPLETE_CHAIN, 0) from error
    if len(octets) - at < _TRANSPORT_HEADERS.get(protocol, 0):
        why = "ipv6 first fragment without the whole header of what it carries"
        raise PacketProblem(why, ParameterProblem.INCOMPLETE_CHAIN, 0)


def may_be_answered(packet: Ipv6, kind: int, code: int, *, link_group: bool = False) -> bool:
    """Whether an error ``kind`` and ``code`` about ``packet`` may be sent (RFC 4443 2.4 e).

    Not about an ICMPv6 error or redirect, nor from no single host; and for what came by multicast
    (``link_group``) or went to it only packet too big, and parameter problem about an option.
    """
    source = packet.source
    if source == UNSPECIFIED or ipv6.is_multicast(source) or packet.fragment_offset > 0:
        return False
    if link_group or ipv6.is_multicast(packet.destination):
        option = (kind, code) == (Type.PARAMETER_PROBLEM, ParameterProblem.OPTION)
        if kind != Type.PACKET_TOO_BIG and not option:
            return False
    if packet.protocol == Protocol.ICMPV6:
        return len(packet.payload) > 0 and packet.payload[0] >= 128 and packet.payload[0] != Type.REDIRECT
    return True


def error_about(
    original: Octets, source: Ip6, kind: int, code: int, *, rest: int = 0, link_group: bool = False
) -> Ipv6 | None:
    """The packet from ``source`` that tells of an error of ``original``, an IPv6 packet or how it began.

    ``rest`` is the MTU of packet too big, the pointer of parameter problem. None when no error may be sent.
    Raises WireError when the original does not even parse.
    """
    octets = view(original)
    packet = ipv6.parse(octets, wire_length=1 << 17)
    if not may_be_answered(packet, kind, code, link_group=link_group):
        return None
    room = ipv6.MIN_MTU - ipv6.HEADER - icmpv6.HEADER
    message = Icmpv6(kind, code, rest, octets[:room])
    octets_of_it = icmpv6.emit(message, source, packet.source)
    return Ipv6(source, packet.source, Protocol.ICMPV6, octets_of_it)


def echo_reply(packet: Ipv6, request: Icmpv6, *, source: Ip6 | None = None) -> Ipv6:
    """The answer to an echo ``request`` that came in ``packet`` (RFC 4443 4.2).

    ``source`` is told when the request went to a group, from which nothing may be sent.
    """
    own = source if source is not None else packet.destination
    message = icmpv6.echo_reply(request.identifier, request.sequence, request.payload)
    octets = icmpv6.emit(message, own, packet.source)
    return Ipv6(own, packet.source, Protocol.ICMPV6, octets, traffic_class=packet.traffic_class)


def quoted(message: Icmpv6) -> Quoted | None:
    """The flow that an ICMPv6 error is about; None when it quotes too little to tell, or a later fragment."""
    if not message.is_error:
        return None
    try:
        packet = ipv6.parse(message.payload, wire_length=1 << 17)
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
