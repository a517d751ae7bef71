"""What can happen in a lab: the journal's vocabulary.

One frozen struct an event, in msgspec's tagged form, so a line of the journal is
``{"type":"FlowRefused","at":1700000000000000000,…}``. ``at`` is nanoseconds on the lab clock (core.time).
Readers skip types and fields that they do not know, so an old report tool can read a new journal.

Addresses are text ("203.0.113.10:80", "52:54:00:65:00:03"): the journal is for people and for JSON tools.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import Final, Literal, NamedTuple

import msgspec

from guestnet.core.columns import values

Transport = Literal["tcp", "udp", "icmp"]
Outcome = Literal["passed", "failed", "skipped", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True, omit_defaults=True):
    """Base of all events."""

    at: int


# The lab and its people


class LabStarted(Event, frozen=True):
    """The first line of every journal: what was to run. What is needed to start the same is in lab.json."""

    scenario: str
    seed: int
    stack: str
    guest: str
    profile: str
    versions: dict[str, str] = {}


class LabStopped(Event, frozen=True):
    reason: str


class StepBegan(Event, frozen=True):
    step: int
    name: str
    where: str = ""
    """The scenario's line, as "test_shop.py:7"."""


class StepEnded(Event, frozen=True):
    step: int
    name: str
    outcome: Outcome


class Expected(Event, frozen=True):
    """An expectation was met or not; ``frame`` is the capture's number of the match or the nearest miss."""

    what: str
    met: bool
    frame: int | None = None
    nearest: list[str] = []
    where: str = ""
    """The scenario's line, as "test_shop.py:7"."""


class VerbRun(Event, frozen=True):
    """A verb of the scenario ended; ``at`` is its end, ``seconds`` by the scenario's clock.

    ``verb`` is what was called, as "guest1.connect"; ``arguments`` and ``result`` are in short. Where it
    ``raised``, the result is what the error said. ``where`` is the scenario's line, as "test_shop.py:7".
    """

    verb: str
    arguments: str = ""
    result: str = ""
    raised: bool = False
    seconds: float = 0.0
    where: str = ""


class Noted(Event, frozen=True):
    """Free text from a scenario or from the harness."""

    text: str
    level: Literal["info", "warning", "error"] = "info"


class CaptureEnded(Event, frozen=True):
    """The capture holds nothing of what comes from here on; ``reason`` says why, the lab goes on."""

    reason: str


# Time


class ClockJumped(Event, frozen=True):
    """``clock`` is "lab", which went forward by ``seconds``; or a guest, whose wall clock is now so many
    seconds ahead of the lab's, or behind it when negative."""

    clock: str
    seconds: float


class FellAsleep(Event, frozen=True):
    """The laptop's lid was shut: these guests are paused, these uplinks were left."""

    guests: list[str] = []
    uplinks: list[str] = []


class WokeUp(Event, frozen=True):
    """The lid was opened after ``seconds`` of lab time; these guests go on, these uplinks are connected."""

    seconds: float
    guests: list[str] = []
    uplinks: list[str] = []


# Guests


class GuestStarted(Event, frozen=True):
    guest: str
    how: Literal["boot", "restore", "reset", "namespace"]
    mac: str
    seconds: float
    accelerator: str = ""
    image: str = ""
    """What it is made of: name, Debian's release, beginning of the digest."""


class GuestEnded(Event, frozen=True):
    """``reason`` is "stopped" when the lab asked for it; anything else is a fault (killed, panic, silent)."""

    guest: str
    reason: str


class CommandRun(Event, frozen=True):
    """A command in a guest ended; ``at`` is its end."""

    guest: str
    command: str
    status: int
    seconds: float
    stdout: str = ""
    stderr: str = ""


# Links and frames


class LinkChanged(Event, frozen=True):
    """A link was plugged, unplugged or set; ``direction`` is "" for both.

    ``seed`` is that of the link's random streams, when it is impaired: the same seed and the same frames give
    the same verdicts.
    """

    link: str
    change: str
    direction: Literal["", "up", "down"] = ""
    seed: int | None = None


class Verdict(NamedTuple):
    """What a rule did to one frame: see the event that tells of it. ``length`` in octets, ``delay`` in ns."""

    at: int
    link: str
    direction: Literal["", "up", "down"]
    what: Literal["dropped", "impaired", "delayed"]
    rule: str
    packet_id: int
    length: int = 0
    delay: int = 0


class FrameDropped(Event, frozen=True):
    """A frame did not get through; ``rule`` names what dropped it, ``frame`` is a one-line show of it.

    ``packet_id`` is its number among the frames that entered the link in ``direction`` while anything was
    set or held there, from 1 on. The capture has the same one (epb_packetid; Wireshark: ``frame.packet_id``),
    on the interface of the link or that of what it dropped. 0: the frame was not lost by the link's rules.
    """

    link: str
    rule: str
    frame: str
    direction: Literal["", "up", "down"] = ""
    length: int = 0
    packet_id: int = 0

    def verdicts(self) -> Iterator[Verdict]:
        """The one."""
        yield Verdict(
            self.at, self.link, self.direction, "dropped", self.rule, self.packet_id, self.length
        )  # fmt: skip


class FrameImpaired(Event, frozen=True):
    """A frame got through, but not as it was: duplicated, corrupted, overtaken. As of ``FrameDropped``."""

    link: str
    rule: str
    frame: str
    direction: Literal["", "up", "down"] = ""
    length: int = 0
    packet_id: int = 0

    def verdicts(self) -> Iterator[Verdict]:
        """The one."""
        yield Verdict(
            self.at, self.link, self.direction, "impaired", self.rule, self.packet_id, self.length
        )  # fmt: skip


class _Frames(Event, frozen=True):
    """``count`` frames, ``octets`` in all, with which a ``rule`` did the same.

    All within a second of the lab clock, from ``first_at`` to ``at``. Three columns (as of
    ``core.columns``) hold every verdict: ``packet_ids`` as of ``FrameDropped`` (none: they have no numbers),
    ``times`` in ns since ``first_at``, ``lengths`` in octets.
    """

    link: str
    rule: str
    direction: Literal["", "up", "down"]
    count: int
    octets: int
    first_at: int
    packet_ids: list[int] = []
    times: list[int] = []
    lengths: list[int] = []

    def _verdicts(self, what: Literal["dropped", "impaired"]) -> Iterator[Verdict]:
        numbers = values(self.packet_ids) if self.packet_ids else repeat(0)
        # Not strict: numbers may have no end.
        for number, time, length in zip(numbers, values(self.times), values(self.lengths), strict=False):
            yield Verdict(self.first_at + time, self.link, self.direction, what, self.rule, number, length)


class FramesDropped(_Frames, frozen=True):
    """Frames of a flood that did not get through, beside those shown one by one; as of ``_Frames``."""

    def verdicts(self) -> Iterator[Verdict]:
        """Each of them."""
        return self._verdicts("dropped")


class FramesImpaired(_Frames, frozen=True):
    """Frames of a flood that got through changed, beside those shown one by one; as of ``_Frames``."""

    def verdicts(self) -> Iterator[Verdict]:
        """Each of them."""
        return self._verdicts("impaired")


class FramesDelayed(Event, frozen=True):
    """``count`` frames were held by ``rule``: for ``least`` to ``most`` nanoseconds, ``mean`` on average.

    All within a second of the lab clock, from ``first_at`` to ``at``: when the rule decided, for a delay as a
    frame comes, for a queue as it leaves. Three columns (as of ``core.columns``) hold every verdict:
    ``packet_ids`` as of ``FrameDropped``, ``times`` in ns since ``first_at``, ``delays`` in ns.
    """

    link: str
    rule: str
    direction: Literal["", "up", "down"]
    count: int
    least: int
    mean: int
    most: int
    first_at: int = 0
    packet_ids: list[int] = []
    times: list[int] = []
    delays: list[int] = []

    def verdicts(self) -> Iterator[Verdict]:
        """Each of them."""
        columns = values(self.packet_ids), values(self.times), values(self.delays)
        for number, time, delay in zip(*columns, strict=True):
            yield Verdict(
                self.first_at + time, self.link, self.direction, "delayed", self.rule, number, delay=delay
            )


# The laptop's networks


class UplinkChanged(Event, frozen=True):
    """An uplink of the laptop went "up" or "down", or was "renumbered".

    ``addresses`` are those that it has now, ``resolvers`` those that the laptop has.
    """

    uplink: str
    change: Literal["up", "down", "renumbered"]
    addresses: list[str] = []
    resolvers: list[str] = []


class VpnChanged(Event, frozen=True):
    """A VPN of the laptop went "up" or "down", was "lost" (its client found the concentrator dead), "dropped"
    (the scenario let it die), "rekeyed", is still "connecting" when the lab has started, or has other
    settings; ``addresses`` are those that it has now."""

    vpn: str
    change: str
    addresses: list[str] = []


class SubnetOverlap(Event, frozen=True):
    """``network``, which ``of`` has brought, overlaps the guests' ``subnet``. Guests that were given another
    one for it reach it (``renumbered``), others can't."""

    of: str
    network: str
    subnet: str
    renumbered: str = ""


# Services of the gateway


class DhcpServed(Event, frozen=True):
    """``kind`` is the message type (RFC 2132 section 9.6) sent: OFFER, ACK, NAK, or the request ignored."""

    kind: str
    mac: str
    address: str
    reason: str = ""


class DnsAnswered(Event, frozen=True):
    """``source``: "builtin" for our own names, "host" for the laptop's resolver."""

    client: str
    name: str
    rdtype: str
    rcode: str
    answers: list[str] = []
    source: str = ""


# Flows through the stack


class FlowOpened(Event, frozen=True):
    """The host side is open; for TCP, connected."""

    flow: int
    transport: Transport
    guest: str
    remote: str
    host: str = ""


class FlowRefused(Event, frozen=True):
    """The host side could not be opened; ``answer`` is what the guest got: "rst", an ICMP name, or "none"."""

    flow: int
    transport: Transport
    guest: str
    remote: str
    error: str
    answer: str


class FlowClosed(Event, frozen=True):
    """``up`` counts bytes from the guest, ``down`` bytes to it."""

    flow: int
    transport: Transport
    guest: str
    remote: str
    reason: str
    up: int = 0
    down: int = 0


class LimitReached(Event, frozen=True):
    """A bound of the gateway turned away ``count`` more within about a second.

    ``limit`` is its name ("connecting", "tcp_flows", "udp_flows", "echo_flows", "dns_streams", "icmp_errors",
    "descriptors" for those of the process), ``bound`` its value, 0 when only the kernel knows it. Of
    "frames_dropped", "udp_errors" and "echo_errors" the bound is the number of events before this one.
    """

    limit: str
    bound: int
    count: int


class AddressConflict(Event, frozen=True):
    """``claimant`` uses ``address``, a MAC or IP address that belongs, or did so far, to ``holder``.

    The two are MAC addresses, or for a MAC address the ports of the switch.
    """

    address: str
    holder: str
    claimant: str


# Servers in the world


class PortalChanged(Event, frozen=True):
    """A captive portal let a machine through ("open") or no more ("closed"), or has other ways ("set")."""

    portal: str
    change: Literal["open", "closed", "set"]
    what: str = ""


class Served(Event, frozen=True):
    """A server in the world answered a client: a line of its access log."""

    server: str
    client: str
    request: str
    status: str = ""


AnyEvent = (
    LabStarted
    | LabStopped
    | StepBegan
    | StepEnded
    | Expected
    | VerbRun
    | Noted
    | CaptureEnded
    | ClockJumped
    | FellAsleep
    | WokeUp
    | GuestStarted
    | GuestEnded
    | CommandRun
    | LinkChanged
    | FrameDropped
    | FrameImpaired
    | FramesDropped
    | FramesImpaired
    | FramesDelayed
    | UplinkChanged
    | VpnChanged
    | SubnetOverlap
    | DhcpServed
    | DnsAnswered
    | FlowOpened
    | FlowRefused
    | FlowClosed
    | LimitReached
    | AddressConflict
    | PortalChanged
    | Served
)
"""For decoders: ``msgspec.json.Decoder(AnyEvent)``."""

COLUMNS: Final = frozenset({"packet_ids", "times", "lengths", "delays"})
"""Fields for programs alone: their numbers mean nothing before they are added up."""
VERDICTS: Final = (FrameDropped, FrameImpaired, FramesDropped, FramesImpaired, FramesDelayed)
"""Events that tell what links did to frames; each has ``verdicts()``."""
