"""Who talked to whom: the TCP connections and UDP exchanges of a capture, each as it was seen on each link.

A connection begins anew at a SYN with another initial sequence number (RFC 9293 section 3.4). Octets are
those of payloads on the wire, what was sent again among them. A segment with data, SYN or FIN is a
retransmission when nothing in it lies beyond what its sender had sent before.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from guestnet.journal.capture import Record
from guestnet.wire.frame import Packet
from guestnet.wire.ip import show_end
from guestnet.wire.tcp import Flags, Segment

MOST: Final = 1000
"""Conversations that a report shows of one scenario; the first ones."""
_WRAP: Final = 1 << 32
_DROPPED: Final = "-dropped"


class Side(msgspec.Struct):
    """What one end has sent."""

    octets: int = 0
    again: int = 0
    """Segments that were retransmissions."""
    initial: int | None = None
    """Its initial sequence number, if the SYN was seen."""
    after: int | None = None
    """The highest sequence number that it has used, and one more."""
    is_done: bool = False
    """It has sent its FIN."""


class Conversation(msgspec.Struct):
    """Between ``client``, who spoke first, and ``server``, on ``link``; times in ns on the lab clock."""

    link: str
    protocol: str
    client: str
    server: str
    began: int
    first: int
    """The capture's number of its first frame."""
    ended: int = 0
    packets: int = 0
    up: Side = msgspec.field(default_factory=Side)
    """The client."""
    down: Side = msgspec.field(default_factory=Side)
    asked: int | None = None
    """When the client's last SYN before the answer came by."""
    handshake: int | None = None
    """From the client's first SYN to the server's SYN-ACK, as they came by the link, in ns."""
    is_reset: bool = False

    @property
    def end(self) -> str:
        """How it ended: "reset", "closed", "half-closed", "refused", "unanswered" or "open"; "" for UDP."""
        if self.protocol != "TCP":
            return ""
        if self.is_reset:
            return "refused" if self.down.initial is None and not self.up.octets else "reset"
        if self.up.is_done or self.down.is_done:
            return "closed" if self.up.is_done and self.down.is_done else "half-closed"
        return "unanswered" if self.asked is not None and self.handshake is None else "open"


def conversations(seen: Iterable[tuple[Record, Packet]]) -> list[Conversation]:
    """Of frames with what they are, in the order of their times; frames that links dropped don't count."""
    found: list[Conversation] = []
    running: dict[tuple[str, str, frozenset[str]], Conversation] = {}
    for record, packet in sorted(seen, key=lambda one: one[0].at):
        transport = packet.tcp or packet.udp
        if packet.ip is None or transport is None or record.link.endswith(_DROPPED):
            continue
        protocol = "UDP" if packet.tcp is None else "TCP"
        source = show_end(packet.ip.source, transport.source_port)
        destination = show_end(packet.ip.destination, transport.destination_port)
        key = record.link, protocol, frozenset((source, destination))
        one = running.get(key)
        if one is None or (packet.tcp is not None and _begins_anew(one, source, packet.tcp)):
            one = running[key] = Conversation(
                record.link, protocol, source, destination, began=record.at, first=record.number
            )
            found.append(one)
        one.packets += 1
        one.ended = record.at
        side = one.up if source == one.client else one.down
        side.octets += packet.data_length or 0
        if packet.tcp is not None:
            _segment(one, side, packet.tcp, packet.data_length or 0, record.at)
    return found


def _begins_anew(one: Conversation, source: str, segment: Segment) -> bool:
    if not segment.flags & Flags.SYN or segment.flags & Flags.ACK:
        return False
    return source != one.client or one.up.initial not in (None, segment.seq)


def _segment(one: Conversation, side: Side, segment: Segment, length: int, at: int) -> None:
    flags = segment.flags
    if flags & Flags.RST:
        one.is_reset = True
        return
    if flags & Flags.SYN:
        side.initial = segment.seq
        if side is one.up and one.asked is None:
            one.asked = at
        elif side is one.down and one.handshake is None and one.asked is not None:
            one.handshake = at - one.asked
    side.is_done |= bool(flags & Flags.FIN)
    used = length + bool(flags & Flags.SYN) + bool(flags & Flags.FIN)
    if not used:
        return
    after = (segment.seq + used) % _WRAP
    if side.after is None or 0 < (after - side.after) % _WRAP < _WRAP // 2:
        side.after = after
    else:
        side.again += 1


def columns(found: list[Conversation], start: int) -> dict[str, Any]:
    """The first ``MOST`` of them as columns, times in ns since ``start``; ``all`` is how many there are."""
    shown = found[:MOST]
    return {
        "all": len(found),
        "link": [one.link for one in shown],
        "protocol": [one.protocol for one in shown],
        "client": [one.client for one in shown],
        "server": [one.server for one in shown],
        "at": [one.began - start for one in shown],
        "took": [one.ended - one.began for one in shown],
        "first": [one.first for one in shown],
        "packets": [one.packets for one in shown],
        "up": [one.up.octets for one in shown],
        "down": [one.down.octets for one in shown],
        "again": [one.up.again + one.down.again for one in shown],
        "handshake": [one.handshake for one in shown],
        "end": [one.end for one in shown],
    }
