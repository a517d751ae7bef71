"""Frames with bits turned over."""

from collections.abc import Sequence
from typing import Final

from guestnet.core.rng import Stream
from guestnet.link.filter.headers import IPV4, TCP, UDP, Check, Headers
from guestnet.link.item import Item, noted
from guestnet.link.quantities import share as share_of
from guestnet.link.quantities import show_share
from guestnet.link.rules.base import EntryKind, EntryRule, Share, Streams, within
from guestnet.link.verdicts import Verdicts
from guestnet.wire import checksum
from guestnet.wire.ip import IpAddress

_ETHERNET: Final = 14


class Corrupt(EntryKind, frozen=True):
    """``share`` of the frames have ``bits`` bits turned over, anywhere after the ethernet header.

    ``repair``: in the payload of TCP or UDP only, and the checksum made right, so that nobody notices below
    the application; frames without such a payload pass.
    """

    share: Share
    bits: int = 1
    repair: bool = False

    def check(self) -> None:
        share_of(self.share)
        within("bits", self.bits, 1, 64)

    def show(self) -> str:
        share = show_share(share_of(self.share))
        bits = f" by {self.bits} bits" if self.bits > 1 else ""
        return f"{share}{bits}{' with a good checksum' if self.repair else ''}"

    def build(self, name: str, streams: Streams, addresses: Sequence[IpAddress]) -> list[EntryRule]:
        share, luck = share_of(self.share), streams("corrupt")
        if not share:
            return []
        return [Corruption(name, self.filter, luck, share, bits=self.bits, repair=self.repair)]


class Corruption:
    """``bits`` bits of ``share`` of the frames are turned over; ``repair``: in a payload, without a trace."""

    def __init__(
        self, name: str, check: Check | None, stream: Stream, share: float, *, bits: int, repair: bool
    ) -> None:
        self._name = name
        self._check = check
        self._stream = stream
        self._share = share
        self._bits = bits
        self._repair = repair

    def apply(self, items: list[Item], now: int, verdicts: Verdicts) -> list[Item]:
        """``items``, some of them changed."""
        random, share, check, name = self._stream.random, self._share, self._check, self._name
        out = []
        for item in items:
            if (check is None or check(Headers(item[0]))) and random() < share:
                changed = self._changed(item[0])
                if changed is not None:
                    verdicts.changed(item, name, now)
                    item = (changed, noted(item[1], name), item[2], item[3])
            out.append(item)
        return out

    def _changed(self, frame: bytes | bytearray | memoryview) -> bytes | None:
        """``frame`` with bits turned over; None when there are none to turn."""
        first, end = _ETHERNET, len(frame)
        headers = Headers(frame)
        if self._repair:
            first, end = headers.data, headers.end
            if not first or headers.is_fragment:
                return None
        count = min(self._bits, (end - first) * 8)
        if count <= 0:
            return None
        changed = bytearray(frame)
        for bit in self._stream.sample(range(first * 8, end * 8), count):
            changed[bit >> 3] ^= 0x80 >> (bit & 7)
        if self._repair:
            _sum_up(changed, headers)
        return bytes(changed)


def _sum_up(frame: bytearray, headers: Headers) -> None:
    """Make the checksum of TCP or UDP right; a datagram that was sent without one stays so."""
    start, end = headers.transport, headers.end
    at = start + (16 if headers.protocol == TCP else 6)
    if headers.protocol == UDP:
        end = min(end, start + int.from_bytes(frame[start + 4 : start + 6], "big"))
        if headers.ethertype == IPV4 and not any(frame[at : at + 2]):
            return
    frame[at : at + 2] = b"\0\0"
    pseudo = checksum.pseudo_sum(headers.source, headers.destination, headers.protocol, end - start)
    value = checksum.internet(memoryview(frame)[start:end], pseudo)
    frame[at : at + 2] = (value or (0xFFFF if headers.protocol == UDP else 0)).to_bytes(2, "big")
