"""IPv4 fragments: reassembly (RFC 791 3.2, RFC 815, RFC 1122 3.3.2) and cutting.

A datagram is known by source, destination, protocol and identification. Fragments that overlap poison the
whole datagram, as RFC 5722 demands for IPv6: no honest sender makes them. Exact repetitions are ignored.
What is kept is bounded in octets and in datagrams, the oldest gives way; each has a timer.
"""

from collections import OrderedDict
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from harness.core.errors import WireError
from harness.core.time import SECOND
from harness.wire.ipv4 import HEADER, Ip4, Ipv4
from harness.wire.octets import malformed, view

_Key: TypeAlias = tuple[Ip4, Ip4, int, int]
_COPIED: Final = 0x80


class Config(Struct, frozen=True):
    """``timeout`` in nanoseconds (RFC 1122 3.3.2 asks for 60 to 120 s, every kernel takes 30)."""

    timeout: int = 30 * SECOND
    max_octets: int = 4 << 20
    max_datagrams: int = 256
    max_fragments: int = 256


class _Datagram:
    __slots__ = ("deadline", "first", "octets", "pieces", "poisoned", "total")

    def __init__(self, deadline: int) -> None:
        self.deadline = deadline
        self.pieces: dict[int, bytes] = {}
        self.first: Ipv4 | None = None
        self.total: int | None = None
        self.octets = 0
        self.poisoned = False


class Reassembler:
    """Of one interface."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config if config is not None else Config()
        self._datagrams: OrderedDict[_Key, _Datagram] = OrderedDict()
        self._octets = 0

    @property
    def octets(self) -> int:
        """How much payload is kept."""
        return self._octets

    def on_packet(self, packet: Ipv4, now: int) -> Ipv4 | None:
        """The whole packet, when this one is whole or completes it.

        Raises WireError when the fragment is malformed, or overlaps another: then the whole is dropped.
        """
        if not packet.is_fragment:
            return packet
        size = len(packet.payload)
        if packet.more_fragments and (size == 0 or size % 8):
            raise malformed("ipv4 fragment length", 2, f"{size} is no multiple of 8 and more follows")
        key = (packet.source, packet.destination, packet.protocol, packet.identification)
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
        payload = b"".join(datagram.pieces[offset] for offset in sorted(datagram.pieces))
        return msgspec.structs.replace(
            datagram.first, payload=memoryview(payload), more_fragments=False, fragment_offset=0
        )

    def poll_at(self) -> int | None:
        """When ``on_timer`` is due: the oldest comes first."""
        return next((datagram.deadline for datagram in self._datagrams.values()), None)

    def on_timer(self, now: int) -> list[Ipv4]:
        """Give up what is too old; returns the first fragments, each due a time exceeded (RFC 792)."""
        firsts = []
        while (deadline := self.poll_at()) is not None and deadline <= now:
            datagram = self._drop(next(iter(self._datagrams)))
            if datagram.first is not None and not datagram.poisoned:
                firsts.append(datagram.first)
        return firsts

    def _open(self, key: _Key, now: int) -> _Datagram:
        while len(self._datagrams) >= self._config.max_datagrams:
            self._drop(next(iter(self._datagrams)))
        datagram = self._datagrams[key] = _Datagram(now + self._config.timeout)
        return datagram

    def _insert(self, datagram: _Datagram, packet: Ipv4, size: int) -> None:
        offset = packet.fragment_offset
        end = offset + size
        known = datagram.pieces.get(offset)
        if known is not None and len(known) == size:
            return
        if any(start < end and offset < start + len(piece) for start, piece in datagram.pieces.items()):
            raise malformed("ipv4 fragment offset", 6, f"octets {offset} to {end} overlap another fragment")
        if len(datagram.pieces) >= self._config.max_fragments:
            raise malformed("ipv4 fragment offset", 6, f"more than {self._config.max_fragments} fragments")
        highest = max((start + len(piece) for start, piece in datagram.pieces.items()), default=0)
        if not packet.more_fragments:
            if datagram.total is not None or end < highest:
                raise malformed("ipv4 fragment offset", 6, f"the end at {end} contradicts another fragment")
            datagram.total = end
        elif datagram.total is not None and end > datagram.total:
            raise malformed("ipv4 fragment offset", 6, f"octets to {end} lie beyond the end")
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
                self._drop(key)

    def _drop(self, key: _Key) -> _Datagram:
        datagram = self._datagrams.pop(key)
        self._octets -= datagram.octets
        return datagram


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
