"""Questions to a journal and a capture: of a lab that still runs, or of files that are years old.

>>> trace = Trace(folder)
>>> trace.refresh()
>>> [packet.show() for packet in trace.packets(lambda packet: packet.dns is not None, link="cable")]
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import dns.exception
import dns.message

from guestnet.core.events import VERDICTS, Event, Verdict
from guestnet.core.time import SECOND
from guestnet.journal.capture import CAPTURE, CaptureReader, Record
from guestnet.journal.journal import JOURNAL, JournalReader
from guestnet.journal.pcapng import Direction
from guestnet.wire import frame
from guestnet.wire.arp import Arp
from guestnet.wire.dhcp import Dhcp
from guestnet.wire.dhcpv6 import Dhcpv6
from guestnet.wire.ethernet import Ethernet
from guestnet.wire.icmp import Icmp
from guestnet.wire.icmpv6 import Icmpv6
from guestnet.wire.ip import IpPacket
from guestnet.wire.ndp import Ndp
from guestnet.wire.tcp import Segment
from guestnet.wire.udp import Datagram

E = TypeVar("E", bound=Event)

BEGINNING: Final = 0
"""A time before all others, for ``since``."""


class Packet:
    """A captured frame and, once asked for, its layers (each None when it is not there)."""

    __slots__ = ("_decoded", "_message", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self._decoded: frame.Packet | None = None
        self._message: dns.message.Message | None = None

    @property
    def number(self) -> int:
        """As Wireshark counts: from 1, over all links of the capture."""
        return self.record.number

    @property
    def at(self) -> int:
        """Lab clock, in nanoseconds."""
        return self.record.at

    @property
    def link(self) -> str:
        """Name of the link it was seen on."""
        return self.record.link

    @property
    def direction(self) -> Direction | None:
        """ "up": away from the guest; "down": towards it."""
        return self.record.direction

    @property
    def data(self) -> bytes:
        """What the capture kept of the frame."""
        return self.record.data

    @property
    def wire_length(self) -> int:
        """Octets of the frame on the wire."""
        return self.record.wire_length

    @property
    def comment(self) -> str:
        """The verdict or step that the capture marks it with."""
        return self.record.comment

    @property
    def packet_id(self) -> int:
        """As of the verdicts of its link in the journal; 0 when there was none on it."""
        return self.record.packet_id

    @property
    def layers(self) -> frame.Packet:
        """All layers."""
        if self._decoded is None:
            self._decoded = frame.decode(self.record.data, self.record.wire_length)
        return self._decoded

    @property
    def eth(self) -> Ethernet | None:
        return self.layers.eth

    @property
    def arp(self) -> Arp | None:
        return self.layers.arp

    @property
    def ip(self) -> IpPacket | None:
        return self.layers.ip

    @property
    def tcp(self) -> Segment | None:
        return self.layers.tcp

    @property
    def udp(self) -> Datagram | None:
        return self.layers.udp

    @property
    def icmp(self) -> Icmp | None:
        return self.layers.icmp

    @property
    def icmpv6(self) -> Icmpv6 | None:
        return self.layers.icmpv6

    @property
    def ndp(self) -> Ndp | None:
        return self.layers.ndp

    @property
    def dhcp(self) -> Dhcp | None:
        return self.layers.dhcp

    @property
    def dhcpv6(self) -> Dhcpv6 | None:
        return self.layers.dhcpv6

    @property
    def dns(self) -> dns.message.Message | None:
        """The DNS message, None too when it is malformed."""
        octets = self.layers.dns
        if octets is None:
            return None
        if self._message is None:
            try:
                self._message = dns.message.from_wire(bytes(octets))
            except dns.exception.DNSException:
                return None
        return self._message

    @property
    def error(self) -> str | None:
        """What is wrong with the frame, if anything."""
        return self.layers.error

    def show(self) -> str:
        """One line in tcpdump's manner, without number and time."""
        return frame.show(self.layers)

    def __repr__(self) -> str:
        return f"<Packet #{self.number} {self.link} {self.direction or '?'} {self.show()}>"


class Trace:
    """The journal and the capture of one lab: everything of theirs, in order, as of the last ``refresh``.

    ``folder`` holds journal.jsonl and capture.pcapng; either may be missing or end in the middle.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._capture = CaptureReader(folder / CAPTURE)
        self._journal = JournalReader(folder / JOURNAL)
        self._packets: list[Packet] = []
        self._events: list[Event] = []

    def refresh(self) -> None:
        """Read what was added to the files. Raises WireError when the capture is damaged."""
        self._packets.extend(map(Packet, self._capture.read()))
        self._events.extend(self._journal.read())

    @property
    def links(self) -> list[str]:
        """Names of the links that the capture has frames of."""
        return self._capture.links

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Names of addresses that the capture brings along."""
        return self._capture.names

    @property
    def skipped(self) -> int:
        """Lines of the journal that this version does not understand."""
        return self._journal.skipped

    @property
    def all_packets(self) -> Sequence[Packet]:
        """Every frame; the one with number n is at index n - 1."""
        return self._packets

    @property
    def all_events(self) -> Sequence[Event]:
        """Every event, in the order of writing."""
        return self._events

    def packets(
        self, where: Callable[[Packet], bool] | None = None, *, link: str | None = None,
        since: int = BEGINNING, until: int | None = None, first: int = 0,
    ) -> Iterator[Packet]:  # fmt: skip
        """Frames in order: on ``link``, from ``since`` up to ``until`` (ns), that ``where`` says yes to.

        The search begins at index ``first`` of ``all_packets``, so that a caller can go on where it stopped.
        """
        for index in range(first, len(self._packets)):
            packet = self._packets[index]
            record = packet.record
            if record.at < since or (until is not None and record.at > until):
                continue
            if (link is None or record.link == link) and (where is None or where(packet)):
                yield packet

    def events(
        self, kind: type[E], where: Callable[[E], bool] | None = None, *,
        since: int = BEGINNING, until: int | None = None, first: int = 0,
    ) -> Iterator[E]:  # fmt: skip
        """Events of ``kind`` (or a subclass: ``Event`` for all) in order, as for ``packets``."""
        for index in range(first, len(self._events)):
            event = self._events[index]
            if not isinstance(event, kind) or event.at < since or (until is not None and event.at > until):
                continue
            if where is None or where(event):
                yield event

    def verdicts(
        self, where: Callable[[Verdict], bool] | None = None, *,
        since: int = BEGINNING, until: int | None = None,
    ) -> Iterator[Verdict]:  # fmt: skip
        """What the rules of links did to frames, each by itself, however it was written down."""
        for event in self._events:
            if not isinstance(event, VERDICTS) or event.at < since:
                continue
            for verdict in event.verdicts():
                if verdict.at < since or (until is not None and verdict.at > until):
                    continue
                if where is None or where(verdict):
                    yield verdict

    @property
    def began(self) -> int:
        """Time of the first thing that was recorded, in ns; 0 when nothing was."""
        times = [self._packets[0].at] if self._packets else []
        times += [self._events[0].at] if self._events else []
        return min(times, default=0)

    def since_start(self, at: int) -> float:
        """Seconds from the beginning of the lab to ``at``."""
        return (at - self.began) / SECOND
