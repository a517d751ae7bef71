"""A NAT64's translator: a packet is translated, answered, dropped or malformed; what comes out is one."""

from ipaddress import IPv4Address, IPv6Address

from guestnet.core.errors import WireError
from guestnet.tcpip import siit
from guestnet.wire import ipv4, ipv6
from tests.fuzz import corpus

_PREFIX = IPv6Address("64:ff9b::").packed
_CLIENT = IPv4Address("192.168.254.1").packed


class _Addresses:
    """Everybody has an address."""

    def to_ip4(self, address: bytes) -> bytes | None:
        return address[12:] if address[:12] == _PREFIX[:12] else _CLIENT

    def to_ip6(self, address: bytes) -> bytes | None:
        return siit.embedded(_PREFIX, address)


_TRANSLATOR = siit.Translator(_Addresses(), _CLIENT, siit.embedded(_PREFIX, _CLIENT), 1500)


def translator(data: bytes) -> None:
    """``data`` is a packet of either version, by its first four bits."""
    is_ipv6 = bool(data) and data[0] >> 4 == 6
    translate = _TRANSLATOR.six_to_four if is_ipv6 else _TRANSLATOR.four_to_six
    try:
        onward, back = translate(data)
    except WireError:
        return
    for packet in onward if is_ipv6 else back:
        ipv4.parse(packet)
    for packet in back if is_ipv6 else onward:
        assert len(packet) <= 1500
        ipv6.parse(packet)


def packets() -> list[bytes]:
    """Those of the captured frames, without their ethernet headers."""
    return [frame[14:] for frame in corpus.frames() if frame[12:14] in (b"\x08\x00", b"\x86\xdd")]
