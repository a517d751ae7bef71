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

from harness.core.errors import WireError
from harness.wire import arp, checksum, dhcp, ethernet, icmp, ipv4, tcp, udp
from harness.wire.arp import Arp
from harness.wire.dhcp import Dhcp
from harness.wire.ethernet import Ethernet
from harness.wire.icmp import Icmp
from harness.wire.ipv4 import Ipv4
from harness.wire.octets import Octets, view
from harness.wire.tcp import Segment
from harness.wire.udp import Datagram

_DNS_PORTS: Final = frozenset({53, 5353})
_DHCP_PORTS: Final = frozenset({dhcp.SERVER_PORT, dhcp.CLIENT_PORT})


class Packet(Struct):
    """A decoded frame; a layer that is not there is None.

    ``length`` is what the frame had on the wire, ``data_length`` what the payload of TCP or UDP had.

    ``dns`` is the undecoded message of a UDP datagram from or to port 53 or 5353; ``quoted`` is the packet
    that an ICMP error is about, decoded as far as it goes (its ``eth`` is None).
    """

    length: int
    eth: Ethernet | None = None
    arp: Arp | None = None
    ip: Ipv4 | None = None
    udp: Datagram | None = None
    tcp: Segment | None = None
    icmp: Icmp | None = None
    dhcp: Dhcp | None = None
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
            _ip(packet, view(eth.payload), length - ethernet.HEADER, quoted=False)
    except WireError as error:
        if length <= len(octets):
            packet.error = str(error)
    return packet


def decode_ip(packet: Octets, wire_length: int | None = None, *, quoted: bool = False) -> Packet:
    """As ``decode`` for an IP packet without ethernet; ``quoted``: it is the cut quote of an ICMP error."""
    octets = view(packet)
    length = len(octets) if wire_length is None else wire_length
    decoded = Packet(length)
    try:
        _ip(decoded, octets, length, quoted=quoted)
    except WireError as error:
        if length <= len(octets) and not quoted:
            decoded.error = str(error)
    return decoded


def _ip(packet: Packet, octets: memoryview, wire_length: int, *, quoted: bool) -> None:
    packet.ip = ip = ipv4.parse(octets, wire_length=65535 if quoted else wire_length, verify=False)
    header = ipv4.HEADER + len(ip.options)
    if not checksum.is_valid(octets[:header]):
        packet.error = "ipv4 header checksum at offset 10: wrong"
    total = int.from_bytes(octets[2:4], "big") - header
    payload = view(ip.payload)
    if ip.fragment_offset:
        return
    whole = len(payload) == total and not ip.more_fragments
    if ip.protocol == ipv4.Protocol.UDP:
        _udp(packet, ip, payload, whole=whole, wire_length=65535 if ip.more_fragments else total)
        if not quoted:
            _carried_by_udp(packet)
    elif ip.protocol == ipv4.Protocol.TCP:
        if quoted and len(payload) < tcp.HEADER:
            return
        packet.tcp = tcp.parse(payload)
        if not ip.more_fragments:
            packet.data_length = total - (payload[12] >> 4) * 4
        if whole:
            _check(packet, ip, payload, "tcp", 16)
    elif ip.protocol == ipv4.Protocol.ICMP:
        packet.icmp = icmp.parse(payload, verify=False)
        if whole and not checksum.is_valid(payload):
            packet.error = "icmp checksum at offset 2: wrong"
        if packet.icmp.is_error and not quoted:
            packet.quoted = decode_ip(packet.icmp.payload, quoted=True)


def _udp(packet: Packet, ip: Ipv4, payload: memoryview, *, whole: bool, wire_length: int) -> None:
    packet.udp = udp.parse(payload, wire_length=wire_length)
    length = int.from_bytes(payload[4:6], "big")
    packet.data_length = length - udp.HEADER
    if whole and any(payload[6:8]):
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


def _check(packet: Packet, ip: Ipv4, payload: memoryview, name: str, offset: int) -> None:
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
    addresses = f"IP {ipv4.show_ip4(ip.source)} > {ipv4.show_ip4(ip.destination)}"
    if packet.tcp is not None:
        return "IP " + tcp.show(packet.tcp, ip.source, ip.destination, packet.data_length) + _fragment(ip)
    if packet.udp is not None:
        ports = f"IP {udp.show(packet.udp, ip.source, ip.destination, packet.data_length)}"
        if packet.dhcp is not None:
            return f"{ports.partition(': ')[0]}: {dhcp.show(packet.dhcp)}"
        if packet.dns is not None:
            return f"{ports.partition(': ')[0]}: {show_dns(packet.dns)}"
        return ports + _fragment(ip)
    if packet.icmp is not None:
        quoted = packet.quoted
        about = f", about: {_show_layers(quoted)}" if quoted is not None and quoted.ip is not None else ""
        return f"{addresses}: {icmp.show(packet.icmp)}{about}"
    if ip.protocol == ipv4.Protocol.TCP and not ip.fragment_offset and len(ip.payload) >= 8:
        return _show_tcp_quote(ip)
    return ipv4.show(ip)


def _show_tcp_quote(ip: Ipv4) -> str:
    """The eight octets of a segment that every ICMP error quotes (RFC 792): ports and sequence number."""
    ports = [int.from_bytes(ip.payload[at : at + 2], "big") for at in (0, 2)]
    left, right = ipv4.show_ip4(ip.source), ipv4.show_ip4(ip.destination)
    seq = int.from_bytes(ip.payload[4:8], "big")
    return f"IP {left}.{ports[0]} > {right}.{ports[1]}: TCP, seq {seq}, the rest is cut"


def _fragment(ip: Ipv4) -> str:
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
