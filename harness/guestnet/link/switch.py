"""A learning ethernet bridge (IEEE 802.1Q clause 8) between the gateway and the guests.

Frames come in batches and leave in batches: ``forward(port, frames, now) -> {port: frames}``. Runs of frames
with the same addresses, nearly all traffic, are decided once. Group addresses and unknown ones go to every
other port. The filtering database is bounded and ages; addresses given at the start stay where they are, so
that no guest can claim the gateway's. An address that comes from another port than before, or than it is
fixed at, is told of: somebody moved, or pretends to be somebody else.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.events import AddressConflict
from guestnet.core.events import Event as JournalEvent
from guestnet.core.port import Frame
from guestnet.core.time import SECOND
from guestnet.frames.run import Run
from guestnet.frames.train import Train
from guestnet.link.verdicts import dropped

AGEING: Final = 300 * SECOND
"""Default ageing time (IEEE 802.1Q table 8-6)."""
LIMIT: Final = 1024
"""Addresses in the filtering database."""
_REFRESH: Final = SECOND
_HEADER: Final = 14
_LINK_LOCAL: Final = bytes.fromhex("0180c20000")
"""Prefix of the addresses that no bridge forwards (IEEE 802.1Q table 8-1)."""


class Switch:
    """Ports are named by their links; ``name`` stands for the switch in journal events."""

    def __init__(
        self, name: str = "switch", *, static: Mapping[Mac, str] | None = None, limit: int = LIMIT
    ) -> None:
        """``static``: addresses that always are at that port, whoever else claims them."""
        self.name = name
        self._limit = limit
        self._static: dict[bytes, str] = {bytes(mac): port for mac, port in (static or {}).items()}
        self._ports: dict[str, None] = {}
        self._learned: dict[bytes, tuple[str, int]] = {}
        self._told: dict[bytes, int] = {}
        self._events: list[JournalEvent] = []
        self._latest: dict[str, tuple[bytes, int, str]] = {}
        """By port: the addresses of a frame, until when what is known of them stays so, and where it goes."""

    @property
    def ports(self) -> list[str]:
        """All ports in the order they were added."""
        return list(self._ports)

    @property
    def learned(self) -> int:
        """How many addresses the filtering database holds."""
        return len(self._learned)

    def add_port(self, port: str) -> None:
        """Ports are known by name; one that exists is left as it is."""
        self._ports[port] = None
        self._latest.clear()

    def remove_port(self, port: str) -> None:
        """Forgets the port and what was learned on it."""
        self._ports.pop(port, None)
        self._learned = {mac: entry for mac, entry in self._learned.items() if entry[0] != port}
        self._latest.clear()

    def forward(self, port: str, frames: Sequence[Frame], now: int) -> Mapping[str, Sequence[Frame]]:
        """What leaves on which port, in order; malformed frames are dropped, see ``take_events``."""
        if type(frames) is not list and isinstance(frames, (Run, Train)):  # the latter takes its time
            first = frames.head if isinstance(frames, Train) else frames[0]
            return dict.fromkeys(self._targets(port, bytes(first[:12]), first, now), frames)
        out: dict[str, list[Frame]] = {}
        addresses = b""
        targets: list[list[Frame]] = []
        for frame in frames:
            if frame[:12] != addresses:
                addresses = bytes(frame[:12])
                targets = [out.setdefault(name, []) for name in self._targets(port, addresses, frame, now)]
            for target in targets:
                target.append(frame)
        return {name: batch for name, batch in out.items() if batch}

    def take_events(self) -> list[JournalEvent]:
        """Journal events since the last call."""
        events, self._events = self._events, []
        return events

    def leads_to(self, port: str, frame: Frame, now: int) -> str | None:
        """The one port where ``forward`` would bring this single frame. None: ``forward`` has to look itself.

        The answer is remembered for a moment: frames that come alone are mostly of the same two stations.
        """
        addresses = bytes(frame[:12])
        latest = self._latest.get(port)
        if latest is not None and latest[0] == addresses and now < latest[1]:
            return latest[2]
        source, destination = self._learned.get(addresses[6:]), addresses[:6]
        fixed = self._static.get(addresses[6:])
        if destination[0] & 1 or len(frame) < _HEADER:
            return None
        if fixed is None and source is not None and source[0] == port:
            until = source[1] + _REFRESH  # then it is learned anew
        elif fixed == port:
            until = now + _REFRESH
        else:
            return None
        target = self._lookup(destination, now)
        if target is None or target == port or now >= until:
            return None
        learned = self._learned.get(destination)
        if learned is not None:
            until = min(until, learned[1] + AGEING)
        self._latest[port] = addresses, until, target
        return target

    def _targets(self, port: str, addresses: bytes, frame: Frame, now: int) -> Sequence[str]:
        if len(frame) < _HEADER:
            self._events += dropped(self.name, "shorter than an ethernet header", [frame], now)
            return ()
        destination, source = addresses[:6], addresses[6:]
        if source[0] & 1:
            self._events += dropped(self.name, "group address as source", [frame], now)
            return ()
        self._learn(port, source, now)
        if destination[:5] == _LINK_LOCAL and destination[5] < 0x10:
            return ()
        if not destination[0] & 1:
            known = self._lookup(destination, now)
            if known is not None:
                return () if known == port else (known,)
        return [name for name in self._ports if name != port]

    def _lookup(self, mac: bytes, now: int) -> str | None:
        fixed = self._static.get(mac)
        if fixed is not None:
            return fixed
        entry = self._learned.get(mac)
        if entry is None or now - entry[1] > AGEING:
            return None
        return entry[0]

    def _learn(self, port: str, mac: bytes, now: int) -> None:
        entry = self._learned.get(mac)
        if entry is not None and entry[0] == port and now - entry[1] < _REFRESH:
            return
        fixed = self._static.get(mac)
        if fixed is not None:
            if fixed != port:
                self._tell_conflict(mac, fixed, port, now)
            return
        if entry is not None and entry[0] != port:
            self._tell_conflict(mac, entry[0], port, now)
        if entry is None or entry[0] != port:
            self._latest.clear()
        # Taken out and put back, so that the first entry is always the one that was silent for longest.
        self._learned.pop(mac, None)
        if len(self._learned) >= self._limit:
            del self._learned[next(iter(self._learned))]
        self._learned[mac] = (port, now)

    def _tell_conflict(self, mac: bytes, holder: str, claimant: str, now: int) -> None:
        """At most once a second for each address: two who share one would be heard of with every frame."""
        told = self._told.pop(mac, None)
        if told is None or now - told >= SECOND:
            told = now
            self._events.append(
                AddressConflict(at=now, address=str(Mac(mac)), holder=holder, claimant=claimant)
            )
        if len(self._told) >= self._limit:
            del self._told[next(iter(self._told))]
        self._told[mac] = told
