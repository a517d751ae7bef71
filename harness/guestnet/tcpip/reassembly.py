"""Fragments of both versions: reassembly (RFC 791 3.2, RFC 815, RFC 1122 3.3.2; RFC 8200 4.5) and cutting.

A datagram is known by source, destination, identification and, in IPv4, protocol. Fragments that overlap
poison the whole datagram, as RFC 5722 demands for IPv6: no honest sender makes them. Exact repetitions are
ignored, and an atomic fragment is a whole packet (RFC 6946). What is kept is bounded in octets and in
datagrams, the oldest gives way; each has a timer.
"""

from collections import OrderedDict
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.tcpip.icmpv6 import PacketProblem, check_first_fragment
from guestnet.wire import ipv6
from guestnet.wire.icmpv6 import ParameterProblem
from guestnet.wire.ip import IpAddress, IpPacket
from guestnet.wire.ipv4 import HEADER, Ipv4
from guestnet.wire.ipv6 import Fragment, Ipv6
from guestnet.wire.octets import malformed, view

_Key: TypeAlias = tuple[IpAddress, IpAddress, int, int]
_COPIED: Final = 0x80
_PAYLOAD_LENGTH_AT: Final = 4

Packet = TypeVar("Packet", bound=IpPacket)


class Config(Struct, frozen=True):
    """``timeout`` in nanoseconds (RFC 1122 3.3.2 asks for 60 to 120 s, every kernel takes 30; RFC 8200 4.5
    says 60).
    """

    timeout: int = 30 * SECOND
    max_octets: int = 4 << 20
    max_datagrams: int = 256
    max_fragments: int = 256


class CrowdedOut(Struct, frozen=True):
    """What was kept of a datagram is given up for newer ones: ``bound`` octets or datagrams is the limit."""

    source: IpAddress
    destination: IpAddress
    identification: int
    limit: str
    bound: int


class _Datagram(Generic[Packet]):
    __slots__ = ("deadline", "first", "octets", "pieces", "poisoned", "total")

    def __init__(self, deadline: int) -> None:
        self.deadline = deadline
        self.pieces: dict[int, bytes] = {}
        self.first: Packet | None = None
        self.total: int | None = None
        self.octets = 0
        self.poisoned = False


class Reassembler(Generic[Packet]):
    """Of one interface and one version of IP."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config if config is not None else Config()
        self._datagrams: OrderedDict[_Key, _Datagram[Packet]] = OrderedDict()
        self._octets = 0
        self._crowded_out: list[CrowdedOut] = []

    @property
    def octets(self) -> int:
        """How much payload is kept."""
        return self._octets

    def on_packet(self, packet: Packet, now: int) -> Packet | None:
        """The whole packet, when this one is whole or completes it.

        Raises WireError when the fragment is malformed, or overlaps another: then the whole is dropped.
        It is a PacketProblem when an IPv6 sender has to be told.
        """
        if not packet.is_fragment:
            return packet
        size = len(packet.payload)
        _check_piece(packet, size)
        protocol = packet.protocol if isinstance(packet, Ipv4) else 0
        key = (packet.source, packet.destination, protocol, packet.identification)
        datagram = self._datagrams.get(key)
        if datagram is None:
            datagram = self._open(key, now)
        if datagram.poisoned:
            return None
        try:
            self._insert(datagram, packet, size)
        except WireError:
            self._octets -= datagram.octets
            datagram.poisoned, datagram.pieces, datagram.octets = True, {}, 0
            raise
        self._make_room(key)
        if datagram.total is None or datagram.octets < datagram.total or datagram.first is None:
            return None
        self._drop(key)
        payload = memoryview(b"".join(datagram.pieces[offset] for offset in sorted(datagram.pieces)))
        return _whole(datagram.first, payload)

    def crowded_out(self) -> list[CrowdedOut]:
        """What gave way to newer fragments; drained."""
        drained, self._crowded_out = self._crowded_out, []
        return drained

    def poll_at(self) -> int | None:
        """When ``on_timer`` is due: the oldest comes first."""
        return next((datagram.deadline for datagram in self._datagrams.values()), None)

    def on_timer(self, now: int) -> list[Packet]:
        """Give up what is too old; returns the first fragments, each due a time exceeded (RFC 792, 4443)."""
        firsts = []
        while (deadline := self.poll_at()) is not None and deadline <= now:
            datagram = self._drop(next(iter(self._datagrams)))
            if datagram.first is not None and not datagram.poisoned:
                firsts.append(datagram.first)
        return firsts

    def _open(self, key: _Key, now: int) -> _Datagram[Packet]:
        while len(self._datagrams) >= self._config.max_datagrams:
            self._crowd_out(next(iter(self._datagrams)), "datagrams", self._config.max_datagrams)
        datagram = self._datagrams[key] = _Datagram(now + self._config.timeout)
        return datagram

    def _insert(self, datagram: _Datagram[Packet], packet: Packet, size: int) -> None:
        offset = packet.fragment_offset
        end = offset + size
        known = datagram.pieces.get(offset)
        if known is not None and len(known) == size:
            return
        if any(start < end and offset < start + len(piece) for start, piece in datagram.pieces.items()):
            raise malformed("ip fragment offset", 6, f"octets {offset} to {end} overlap another fragment")
        if len(datagram.pieces) >= self._config.max_fragments:
            raise malformed("ip fragment offset", 6, f"more than {self._config.max_fragments} fragments")
        highest = max((start + len(piece) for start, piece in datagram.pieces.items()), default=0)
        if not packet.more_fragments:
            if datagram.total is not None or end < highest:
                raise malformed("ip fragment offset", 6, f"the end at {end} contradicts another fragment")
            datagram.total = end
        elif datagram.total is not None and end > datagram.total:
            raise malformed("ip fragment offset", 6, f"octets to {end} lie beyond the end")
        datagram.pieces[offset] = bytes(packet.payload)
        if offset == 0:
            datagram.first = msgspec.structs.replace(packet, payload=memoryview(datagram.pieces[0]))
        datagram.octets += size
        self._octets += size

    def _make_room(self, keep: _Key) -> None:
        for key in list(self._datagrams):
            if self._octets <= self._config.max_octets:
                return
            if key != keep:
                self._crowd_out(key, "octets", self._config.max_octets)

    def _crowd_out(self, key: _Key, limit: str, bound: int) -> None:
        source, destination, _, identification = key
        datagram = self._drop(key)
        if not datagram.poisoned:
            self._crowded_out.append(CrowdedOut(source, destination, identification, limit, bound))

    def _drop(self, key: _Key) -> _Datagram[Packet]:
        datagram = self._datagrams.pop(key)
        self._octets -= datagram.octets
        return datagram


def _check_piece(packet: IpPacket, size: int) -> None:
    ragged = packet.more_fragments and (size == 0 or size % 8)
    if isinstance(packet, Ipv4):
        if ragged:
            raise malformed("ipv4 fragment length", 2, f"{size} is no multiple of 8 and more follows")
        return
    if ragged:
        why = f"ipv6 fragment of {size} octets, which is no multiple of 8, and more follows"
        raise PacketProblem(why, ParameterProblem.FIELD, _PAYLOAD_LENGTH_AT)
    before = packet.header_length - ipv6.HEADER - len(Fragment(0, False, 0))
    if before + packet.fragment_offset + size > 65535:
        why = f"ipv6 fragment that ends beyond 65535 octets, at {packet.fragment_offset + size}"
        raise PacketProblem(why, ParameterProblem.FIELD, packet.header_length - 6)
    if packet.fragment_offset == 0:
        check_first_fragment(packet.protocol, packet.payload)


def _whole(first: Packet, payload: memoryview) -> Packet:
    if isinstance(first, Ipv4):
        return msgspec.structs.replace(first, payload=payload, more_fragments=False, fragment_offset=0)
    protocol, extensions, at = ipv6.walk(payload, first.protocol, 0, fragmentable=True)
    before = tuple(one for one in first.extensions if not isinstance(one, Fragment))
    return msgspec.structs.replace(
        first, protocol=protocol, payload=payload[at:], extensions=(*before, *extensions), reassembled=True
    )


def fragment6(packet: Ipv6, mtu: int, identification: int) -> list[Ipv6]:
    """``packet`` as fragments that fit into ``mtu`` (RFC 8200 4.5); alone when it fits as it is.

    For packets of our own without extension headers. Raises ValueError for others, or an MTU below 1280.
    """
    if ipv6.HEADER + len(packet.payload) <= mtu and not packet.extensions:
        return [packet]
    if packet.extensions or mtu < ipv6.MIN_MTU:
        raise ValueError(f"a packet with extension headers, or an MTU of {mtu}")
    payload = view(packet.payload)
    room = (mtu - ipv6.HEADER - 8) & ~7
    return [
        msgspec.structs.replace(
            packet,
            payload=payload[at : at + room],
            extensions=(Fragment(at, at + room < len(payload), identification),),
        )
        for at in range(0, len(payload), room)
    ]


def fragment(packet: Ipv4, mtu: int) -> list[Ipv4]:
    """``packet`` as fragments that fit into ``mtu`` (RFC 791 3.2); alone when it fits as it is.

    A fragment may be cut again. Raises ValueError when Don't Fragment forbids it, or the MTU is below 68.
    """
    header = HEADER + len(packet.options) + -len(packet.options) % 4
    if header + len(packet.payload) <= mtu:
        return [packet]
    if packet.dont_fragment:
        raise ValueError("the packet does not fit and must not be fragmented")
    if mtu < 68:
        raise ValueError(f"an MTU of {mtu} is below IPv4's least, 68")
    copied = _copied_options(packet.options)
    payload = view(packet.payload)
    fragments = []
    at = 0
    while at < len(payload):
        options = packet.options if at == 0 else copied
        room = (mtu - HEADER - len(options) - -len(options) % 4) & ~7
        last = at + room >= len(payload)
        fragments.append(
            msgspec.structs.replace(
                packet,
                options=options,
                payload=payload[at : at + room],
                fragment_offset=packet.fragment_offset + at,
                more_fragments=packet.more_fragments or not last,
            )
        )
        at += room
    return fragments


def _copied_options(options: bytes) -> bytes:
    """The options that every fragment carries: those with the copied flag (RFC 791 3.1)."""
    kept = b""
    at = 0
    while at < len(options) and options[at] != 0:
        length = 1 if options[at] == 1 or at + 1 >= len(options) else max(options[at + 1], 2)
        if options[at] & _COPIED:
            kept += options[at : at + length]
        at += length
    return kept
