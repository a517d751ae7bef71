"""All layers of an ethernet frame as one object: for captures, assertions, the report and drop messages.

``decode`` never raises. A layer that does not parse is None, as is what it would have carried, and
``error`` says why; a wrong checksum is an error too, but the layer is there to be looked at. A frame that
a capture cut (headers only) is no error: say ``wire_length`` and the payloads are what is left of them.

Not for the way of a frame: the gateway parses layer by layer what it needs.
"""

from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from msgspec import Struct

from guestnet.core.errors import WireError
from guestnet.wire import arp, checksum, dhcp, dhcpv6, ethernet, icmp, icmpv6, ipv4, ipv6, ndp, tcp, udp
from guestnet.wire.arp import Arp
from guestnet.wire.dhcp import Dhcp
from guestnet.wire.dhcpv6 import Dhcpv6
from guestnet.wire.ethernet import Ethernet
from guestnet.wire.icmp import Icmp
from guestnet.wire.icmpv6 import Icmpv6
from guestnet.wire.ip import IpPacket, show_ip
from guestnet.wire.ipv4 import Ipv4, Protocol
from guestnet.wire.ipv6 import Ipv6
from guestnet.wire.ndp import Ndp
from guestnet.wire.octets import Octets, view
from guestnet.wire.tcp import Segment
from guestnet.wire.udp import Datagram

_DNS_PORTS: Final = frozenset({53, 5353})
_DHCP_PORTS: Final = frozenset({dhcp.SERVER_PORT, dhcp.CLIENT_PORT})
_DHCPV6_PORTS: Final = frozenset({dhcpv6.SERVER_PORT, dhcpv6.CLIENT_PORT})


class Packet(Struct):
    """A decoded frame; a layer that is not there is None.

    ``length`` is what the frame had on the wire, ``data_length`` what the payload of TCP or UDP had.

    ``dns`` is the undecoded message of a UDP datagram from or to port 53 or 5353; ``quoted`` is the packet
    that an ICMP error is about, decoded as far as it goes (its ``eth`` is None). ``ip`` is of either version;
    a message of neighbour discovery is in ``ndp`` beside its ``icmpv6``.
    """

    length: int
    eth: Ethernet | None = None
    arp: Arp | None = None
    ip: IpPacket | None = None
    udp: Datagram | None = None
    tcp: Segment | None = None
    icmp: Icmp | None = None
    icmpv6: Icmpv6 | None = None
    ndp: Ndp | None = None
    dhcp: Dhcp | None = None
    dhcpv6: Dhcpv6 | None = None
    dns: Octets | None = None
    quoted: "Packet | None" = None
    data_length: int | None = None
    error: str | None = None


def decode(frame: Octets, wire_length: int | None = None) -> Packet:
    """The layers of ``frame``, of which there were ``wire_length`` octets before a capture cut it."""
    octets = view(frame)
    length = len(octets) if wire_length is None else wire_length
    packet = Packet(length)
    try:
        packet.eth = eth = ethernet.parse(octets)
        if eth.ethertype == ethernet.EtherType.ARP:
            packet.arp = arp.parse(eth.payload)
        elif eth.ethertype == ethernet.EtherType.IPV4:
            _ipv4(packet, view(eth.payload), length - ethernet.HEADER, quoted=False)
        elif eth.ethertype == ethernet.EtherType.IPV6:
            _ipv6(packet, view(eth.payload), length - ethernet.HEADER, quoted=False)
    except WireError as error:
        if length <= len(octets):
            packet.error = str(error)
    return packet


def decode_ip(packet: Octets, wire_length: int | None = None, *, quoted: bool = False) -> Packet:
    """As ``decode`` for a packet without ethernet; ``quoted``: it is the cut quote of an ICMP error."""
    octets = view(packet)
    length = len(octets) if wire_length is None else wire_length
    decoded = Packet(length)
    try:
        layer = _ipv6 if len(octets) > 0 and octets[0] >> 4 == 6 else _ipv4
        layer(decoded, octets, length, quoted=quoted)
    except WireError as error:
        if length <= len(octets) and not quoted:
            decoded.error = str(error)
    return decoded


def _ipv4(packet: Packet, octets: memoryview, wire_length: int, *, quoted: bool) -> None:
    packet.ip = ip = ipv4.parse(octets, wire_length=65535 if quoted else wire_length, verify=False)
    header = ipv4.HEADER + len(ip.options)
    if not checksum.is_valid(octets[:header]):
        packet.error = "ipv4 header checksum at offset 10: wrong"
    total = int.from_bytes(octets[2:4], "big") - header
    payload = view(ip.payload)
    if ip.fragment_offset:
        return
    whole = len(payload) == total and not ip.more_fragments
    if ip.protocol == Protocol.ICMP:
        packet.icmp = icmp.parse(payload, verify=False)
        if whole and not checksum.is_valid(payload):
            packet.error = "icmp checksum at offset 2: wrong"
        if packet.icmp.is_error and not quoted:
            packet.quoted = decode_ip(packet.icmp.payload, quoted=True)
    else:
        _transport(packet, ip, total, whole=whole, quoted=quoted)


def _ipv6(packet: Packet, octets: memoryview, wire_length: int, *, quoted: bool) -> None:
    packet.ip = ip = ipv6.parse(octets, wire_length=1 << 17 if quoted else wire_length)
    total = int.from_bytes(octets[4:6], "big") + ipv6.HEADER - ip.header_length
    payload = view(ip.payload)
    if ip.fragment_offset:
        return
    whole = len(payload) == total and not ip.more_fragments
    if ip.protocol == Protocol.ICMPV6:
        packet.icmpv6 = message = icmpv6.parse(payload)
        if whole:
            _check(packet, ip, payload, "icmpv6", 2)
        if message.is_error and not quoted:
            packet.quoted = decode_ip(message.payload, quoted=True)
        elif message.type in ndp.TYPES and whole:
            packet.ndp = ndp.parse(message)
    else:
        _transport(packet, ip, total, whole=whole, quoted=quoted)


def _transport(packet: Packet, ip: IpPacket, total: int, *, whole: bool, quoted: bool) -> None:
    payload = view(ip.payload)
    if ip.protocol == Protocol.UDP:
        _udp(packet, ip, payload, whole=whole, wire_length=65535 if ip.more_fragments else total)
        if not quoted:
            _carried_by_udp(packet)
    elif ip.protocol == Protocol.TCP:
        if quoted and len(payload) < tcp.HEADER:
            return
        packet.tcp = tcp.parse(payload)
        if not ip.more_fragments:
            packet.data_length = total - (payload[12] >> 4) * 4
        if whole:
            _check(packet, ip, payload, "tcp", 16)


def _udp(packet: Packet, ip: IpPacket, payload: memoryview, *, whole: bool, wire_length: int) -> None:
    packet.udp = udp.parse(payload, wire_length=wire_length)
    length = int.from_bytes(payload[4:6], "big")
    packet.data_length = length - udp.HEADER
    if whole and (any(payload[6:8]) or isinstance(ip, Ipv6)):
        _check(packet, ip, payload[:length], "udp", 6)


def _carried_by_udp(packet: Packet) -> None:
    datagram = packet.udp
    if datagram is None or len(datagram.payload) != packet.data_length:
        return
    ports = {datagram.source_port, datagram.destination_port}
    if ports & _DNS_PORTS:
        packet.dns = datagram.payload
    elif ports <= _DHCP_PORTS:
        packet.dhcp = dhcp.parse(datagram.payload)
    elif ports <= _DHCPV6_PORTS:
        packet.dhcpv6 = dhcpv6.parse(datagram.payload)


def _check(packet: Packet, ip: IpPacket, payload: memoryview, name: str, offset: int) -> None:
    initial = checksum.pseudo_sum(ip.source, ip.destination, ip.protocol, len(payload))
    if not checksum.is_valid(payload, initial):
        packet.error = f"{name} checksum at offset {offset}: wrong"


def show(packet: Packet) -> str:
    """One line: the innermost layer that there is, its error in brackets at the end."""
    line = _show_layers(packet)
    return line if packet.error is None else f"{line} [{packet.error}]"


def _show_layers(packet: Packet) -> str:
    if packet.arp is not None:
        return arp.show(packet.arp)
    ip = packet.ip
    if ip is None:
        return (
            ethernet.show(packet.eth)
            if packet.eth is not None
            else f"truncated frame, length {packet.length}"
        )
    name = "IP" if isinstance(ip, Ipv4) else "IP6"
    addresses = f"{name} {show_ip(ip.source)} > {show_ip(ip.destination)}"
    if packet.tcp is not None:
        shown = tcp.show(packet.tcp, ip.source, ip.destination, packet.data_length)
        return f"{name} {shown}{_fragment(ip)}"
    if packet.udp is not None:
        ports = f"{name} {udp.show(packet.udp, ip.source, ip.destination, packet.data_length)}"
        carried = _show_carried(packet)
        return f"{ports.rpartition(': ')[0]}: {carried}" if carried else ports + _fragment(ip)
    if packet.ndp is not None:
        return f"{addresses}: ICMP6 {ndp.show(packet.ndp)}"
    message = packet.icmp or packet.icmpv6
    if message is not None:
        quoted = packet.quoted
        about = f", about: {_show_layers(quoted)}" if quoted is not None and quoted.ip is not None else ""
        shown = icmp.show(message) if isinstance(message, Icmp) else icmpv6.show(message)
        return f"{addresses}: {shown}{about}"
    if ip.protocol == Protocol.TCP and not ip.fragment_offset and len(ip.payload) >= 8:
        return f"{name} {_show_tcp_quote(ip)}"
    return ipv4.show(ip) if isinstance(ip, Ipv4) else ipv6.show(ip)


def _show_carried(packet: Packet) -> str:
    if packet.dhcp is not None:
        return dhcp.show(packet.dhcp)
    if packet.dhcpv6 is not None:
        return dhcpv6.show(packet.dhcpv6)
    return show_dns(packet.dns) if packet.dns is not None else ""


def _show_tcp_quote(ip: IpPacket) -> str:
    """The eight octets of a segment that every ICMP error quotes (RFC 792): ports and sequence number."""
    ports = [int.from_bytes(ip.payload[at : at + 2], "big") for at in (0, 2)]
    left, right = show_ip(ip.source), show_ip(ip.destination)
    seq = int.from_bytes(ip.payload[4:8], "big")
    return f"{left}.{ports[0]} > {right}.{ports[1]}: TCP, seq {seq}, the rest is cut"


def _fragment(ip: IpPacket) -> str:
    """That this is the first fragment only; the others show as IP packets."""
    return f", frag id {ip.identification} 0:{len(ip.payload)}+" if ip.more_fragments else ""


def show_dns(message: Octets) -> str:
    """``DNS 4711 A? example.com.`` or ``DNS 4711 NOERROR A example.com. = 1.2.3.4``."""
    try:
        parsed = dns.message.from_wire(bytes(message))
    except dns.exception.DNSException as error:
        return f"DNS malformed ({error or type(error).__name__}), length {len(message)}"
    type_of = dns.rdatatype.to_text
    question = ", ".join(f"{type_of(rrset.rdtype)}? {rrset.name}" for rrset in parsed.question)
    if not parsed.flags & dns.flags.QR:
        return f"DNS {parsed.id} {question}"
    answer = ", ".join(f"{type_of(rrset.rdtype)} {record}" for rrset in parsed.answer for record in rrset)
    return f"DNS {parsed.id} {dns.rcode.to_text(parsed.rcode())} {question} = {answer or 'nothing'}"
