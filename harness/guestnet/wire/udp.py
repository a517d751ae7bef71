"""UDP (RFC 768, RFC 1122 4.1)."""

import struct
from typing import Final

from msgspec import Struct

from guestnet.wire import checksum
from guestnet.wire.ip import IpAddress, show_ip
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.octets import Octets, malformed, require, view

HEADER: Final = 8
_HEADER: Final = struct.Struct("!HHHH")


class Datagram(Struct, frozen=True):
    """One datagram."""

    source_port: int
    destination_port: int
    payload: Octets


def parse(
    data: Octets,
    source: IpAddress | None = None,
    destination: IpAddress | None = None,
    *,
    wire_length: int | None = None,
) -> Datagram:
    """Raises WireError on a bad length or checksum.

    The checksum is checked when the addresses are given, unless the sender left it out (zero), which IPv6
    does not permit (RFC 8200 8.1). ``wire_length`` as in ipv4.parse: a cut datagram's payload is what is
    left, its checksum unchecked.
    """
    octets = view(data)
    require(octets, HEADER, "udp header")
    source_port, destination_port, length, check = _HEADER.unpack_from(octets)
    if length < HEADER:
        raise malformed("udp length", 4, f"{length} is less than the header's {HEADER}")
    if length > (len(octets) if wire_length is None else wire_length):
        raise malformed("udp length", 4, f"{length} is more than there are ({wire_length or len(octets)})")
    if source is not None and destination is not None and length <= len(octets):
        if check:
            wrong = not checksum.is_whole(octets[:length], source, destination, Protocol.UDP)
        else:
            wrong = len(source) > 4
        if wrong:
            raise malformed("udp checksum", 6, "wrong")
    return Datagram(source_port, destination_port, octets[HEADER:length])


def emit(datagram: Datagram, source: IpAddress, destination: IpAddress) -> bytes:
    """The datagram with length and checksum. Raises ValueError when it is longer than 65,535 octets."""
    payload = datagram.payload
    length = HEADER + len(payload)
    if length > 65535:
        raise ValueError(f"a UDP payload of {len(payload)} octets is too long")
    total = checksum.pseudo(source, destination, Protocol.UDP, length) + checksum.ones_sum(payload)
    total += datagram.source_port + datagram.destination_port + length
    # A computed zero is sent as all ones: zero says that there is no checksum (RFC 768).
    value = 65535 - total % 65535
    header = _HEADER.pack(datagram.source_port, datagram.destination_port, length, value)
    return b"".join((header, payload))


def show(
    datagram: Datagram,
    source: IpAddress | None = None,
    destination: IpAddress | None = None,
    length: int | None = None,
) -> str:
    """``192.168.65.3.68 > 192.168.65.1.67: UDP, length 300``; without addresses only the ports.

    ``length`` is that of the payload when a capture cut it.
    """
    left = f"{show_ip(source)}." if source is not None else ""
    right = f"{show_ip(destination)}." if destination is not None else ""
    ports = f"{left}{datagram.source_port} > {right}{datagram.destination_port}"
    return f"{ports}: UDP, length {len(datagram.payload) if length is None else length}"
