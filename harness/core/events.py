"""What can happen in a lab: the journal's vocabulary.

One frozen struct an event, in msgspec's tagged form, so a line of the journal is
``{"type":"FlowRefused","at":1700000000000000000,…}``. ``at`` is nanoseconds on the lab clock (core.time).
Readers skip types and fields that they do not know, so an old report tool can read a new journal.

Addresses are text ("203.0.113.10:80", "52:54:00:65:00:03"): the journal is for people and for JSON tools.
"""

from typing import Literal

import msgspec

Transport = Literal["tcp", "udp", "icmp"]
Outcome = Literal["passed", "failed", "skipped", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True, omit_defaults=True):
    """Base of all events."""

    at: int


# The lab and its people


class LabStarted(Event, frozen=True):
    """The first line of every journal: all that is needed to run the scenario again."""

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


class Noted(Event, frozen=True):
    """Free text from a scenario or from the harness."""

    text: str
    level: Literal["info", "warning", "error"] = "info"


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


class FrameDropped(Event, frozen=True):
    """A frame did not get through; ``rule`` names what dropped it, ``frame`` is a one-line show of it.

    Of a flood only the first frames are shown; the others are counted: ``count`` of them within a second,
    ``length`` octets in all.
    """

    link: str
    rule: str
    frame: str
    direction: Literal["", "up", "down"] = ""
    length: int = 0
    count: int = 1


class FrameImpaired(Event, frozen=True):
    """A frame got through, but not as it was: duplicated, corrupted, overtaken. As of ``FrameDropped``."""

    link: str
    rule: str
    frame: str
    direction: Literal["", "up", "down"] = ""
    length: int = 0
    count: int = 1


class FramesDelayed(Event, frozen=True):
    """``count`` frames were held by ``rule`` within a second, for so many nanoseconds each."""

    link: str
    rule: str
    direction: Literal["", "up", "down"]
    count: int
    least: int
    mean: int
    most: int


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
    (the scenario let it die), "rekeyed", or has other settings; ``addresses`` are those that it has now."""

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
    | Noted
    | ClockJumped
    | FellAsleep
    | WokeUp
    | GuestStarted
    | GuestEnded
    | CommandRun
    | LinkChanged
    | FrameDropped
    | FrameImpaired
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
