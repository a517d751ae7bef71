"""A link that takes IP packets up to a size: the others are answered, fragmented, or vanish.

The answer is "fragmentation needed" (RFC 792, RFC 1191 4) or "packet too big" (RFC 4443 3.2) to the packet's
source; it quotes as much of the packet as fits into 576 octets (RFC 1812 4.3.2.3) or 1,280 (RFC 4443 2.4 c).
An ICMP error, a later fragment, and in IPv4 what goes to or comes from many is never answered (RFC 1122
3.2.2).

A link without an address of its own answers from 192.0.0.8, which is for just that (RFC 7600 4.8), and from a
link-local address.
"""

from collections.abc import Sequence
from typing import Final

from guestnet.core.errors import WireError
from guestnet.core.port import Frame
from guestnet.link.filter.headers import IPV4, IPV6, Check, Headers
from guestnet.link.item import Item
from guestnet.link.rules.base import EntryKind, EntryRule, Streams, within
from guestnet.link.verdicts import Verdicts
from guestnet.tcpip.reassembly import fragment
from guestnet.wire import ethernet, icmp, icmpv6, ipv4, ipv6
from guestnet.wire.ip import IpAddress
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.ipv6 import Ipv6, ip6

_ETHERNET: Final = 14
_QUOTE4: Final = 576 - ipv4.HEADER - icmp.HEADER
_QUOTE6: Final = ipv6.MIN_MTU - ipv6.HEADER - icmpv6.HEADER
NAMELESS4: Final = ip4("192.0.0.8")
NAMELESS6: Final = ip6("fe80::c0:8")


class Mtu(EntryKind, frozen=True):
    """IP packets of more than ``size`` octets don't fit.

    They are answered with "fragmentation needed" or "packet too big" (RFC 1191, RFC 8201), or in a
    ``black_hole`` with silence. IPv4 packets that may be fragmented are.
    """

    size: int
    black_hole: bool = False

    def check(self) -> None:
        within("an MTU", self.size, 68, 65535)

    def show(self) -> str:
        return f"{self.size}{' black hole' if self.black_hole else ''}"

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        return [TooBig(name, self.filter, self.size, black_hole=self.black_hole, addresses=addresses)]


class TooBig:
    """Lets IP packets of ``size`` octets through; answers larger ones unless it is a ``black_hole``."""

    def __init__(
        self, name: str, check: Check | None, size: int, *, black_hole: bool, addresses: Sequence[IpAddress]
    ) -> None:
        self._name = name
        self._check = check
        self._size = size
        self._black_hole = black_hole
        self._ip4 = next((one for one in addresses if len(one) == 4), NAMELESS4)
        self._ip6 = next((one for one in addresses if len(one) == 16), NAMELESS6)

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """Those that fit, and fragments of those that may be fragmented."""
        longest = self._size + _ETHERNET
        if all(len(item[0]) <= longest for item in items):
            return items
        out: list[Item] = []
        for item in items:
            if len(item[0]) <= longest:
                out.append(item)
                continue
            headers = Headers(item[0])
            if (
                headers.ethertype not in (IPV4, IPV6)
                or headers.end <= longest
                or (self._check is not None and not self._check(headers))
            ):
                out.append(item)
                continue
            pieces = self._pieces(item[0], headers)
            if pieces:
                verdicts.changed(item, f"{self._name}: {len(pieces)} fragments", now)
                out += [(piece, f"fragment, {self._name}", item[2], item[3]) for piece in pieces]
                continue
            verdicts.lost(item, self._name, now)
            if not self._black_hole and (answer := self._answer(item[0], headers)) is not None:
                verdicts.answer(answer)
        return out

    def _pieces(self, frame: Frame, headers: Headers) -> list[Frame]:
        """Of an IPv4 packet that may be fragmented; none of another."""
        if headers.ethertype != IPV4 or frame[_ETHERNET + 6] & 0x40:
            return []
        try:
            packet = ipv4.parse(memoryview(frame)[_ETHERNET:], verify=False)
        except WireError:
            return []
        return [bytes(frame[:_ETHERNET]) + ipv4.emit(piece) for piece in fragment(packet, self._size)]

    def _answer(self, frame: Frame, headers: Headers) -> Frame | None:
        octets = memoryview(frame)
        packet = octets[_ETHERNET : headers.end]
        message: bytes
        if headers.ethertype == IPV4:
            if not _deserves_answer4(octets, headers):
                return None
            quote = bytes(packet[:_QUOTE4])
            unreachable = icmp.unreachable(icmp.Unreachable.FRAGMENTATION_NEEDED, quote, mtu=self._size)
            message = ipv4.emit(Ipv4(self._ip4, headers.source, Protocol.ICMP, icmp.emit(unreachable)))
        else:
            if not _deserves_answer6(octets, headers):
                return None
            too_big = icmpv6.packet_too_big(max(self._size, ipv6.MIN_MTU), bytes(packet[:_QUOTE6]))
            payload = icmpv6.emit(too_big, self._ip6, headers.source)
            message = ipv6.emit(Ipv6(self._ip6, headers.source, Protocol.ICMPV6, payload))
        # From whom the frame was for, as far as that is one and no group.
        source = bytes(octets[:6]) if not octets[0] & 1 else b"\x02" + bytes(octets[7:12])
        return ethernet.header(bytes(octets[6:12]), source, headers.ethertype) + message


def _deserves_answer4(frame: memoryview, headers: Headers) -> bool:
    if frame[0] & 1 or not headers.source or not _is_one4(headers.source) or headers.destination[0] >= 224:
        return False
    if int.from_bytes(frame[_ETHERNET + 6 : _ETHERNET + 8], "big") & 0x1FFF:
        return False
    is_icmp = headers.protocol == Protocol.ICMP and headers.transport > 0
    return not (is_icmp and frame[headers.transport] in icmp.ERRORS)


def _deserves_answer6(frame: memoryview, headers: Headers) -> bool:
    if not headers.source or ipv6.is_multicast(headers.source) or headers.source == ipv6.UNSPECIFIED:
        return False
    is_icmp = headers.protocol == Protocol.ICMPV6 and headers.transport > 0
    return not (is_icmp and frame[headers.transport] < 128)


def _is_one4(address: IpAddress) -> bool:
    """Whether it is of one host: neither unspecified nor loopback nor a group."""
    return 0 < address[0] < 224 and address[0] != 127
