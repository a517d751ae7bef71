"""Each event of the vocabulary in one line, and how bad it is."""

from typing import Any, get_args

import msgspec
import pytest

from guestnet.core import events
from guestnet.core.events import AnyEvent, Event
from guestnet.core.showing import Line, Tone, describe

REFUSED = events.FlowRefused(
    at=1, flow=3, transport="tcp", guest="10.0.0.3:1", remote="10.9.9.9", error="EPERM", answer="none"
)  # fmt: skip
NO_NAME = events.DnsAnswered(at=1, client="192.168.65.3", name="x.example", rdtype="A", rcode="NXDOMAIN")
FAILED = events.CommandRun(at=1, guest="g", command="ls", status=2, seconds=1)
CASES = [
    (REFUSED, "flow", "flow 3 refused: tcp 10.0.0.3:1 → 10.9.9.9: EPERM, answered with none", "warning"),
    (NO_NAME, "dns", "DNS A x.example: NXDOMAIN, no answer", ""),
    (events.FrameDropped(at=1, link="w", rule="loss", frame="x"), "drop", "w dropped by loss: x", "bad"),
    (events.FrameImpaired(at=1, link="w", direction="up", rule="duplicate 1%", frame="x"), "drop",
     "w up: duplicate 1%: x", "warning"),
    (events.FramesDelayed(at=1, link="w", direction="down", rule="delay 40 ms", count=2, least=40_000_000,
                          mean=40_000_000, most=40_000_000), "delay",
     "w down held 2 frames by delay 40 ms: 40 ms each", ""),
    (events.FramesDelayed(at=1, link="w", direction="up", rule="rate 1 Mbit/s", count=3, least=1_000_000,
                          mean=2_500_000, most=4_000_000), "delay",
     "w up held 3 frames by rate 1 Mbit/s: 1 to 4 ms, 2.5 ms in the mean", ""),
    (events.FramesDropped(at=1, link="w", direction="up", rule="loss", count=9, octets=900, first_at=0),
     "drop", "w up dropped 9 more by loss: 900 B", "bad"),
    (events.FramesImpaired(at=1, link="w", direction="up", rule="duplicate 1%", count=9, octets=900,
                           first_at=0),
     "drop", "w up: duplicate 1%: 9 more frames, 900 B", "warning"),
    (events.LinkChanged(at=1, link="w", change="impaired: loss 3%", seed=7), "link",
     "w: impaired: loss 3% (seed 7)", "warning"),
    (events.Expected(at=1, what="an ack", met=False), "expectation", "not met: an ack", "bad"),
    (events.Expected(at=1, what="an ack", met=True), "expectation", "met: an ack", "good"),
    (events.GuestEnded(at=1, guest="guest1", reason="panic"), "guest", "guest1 ended: panic", "bad"),
    (events.GuestEnded(at=1, guest="guest1", reason="stopped"), "guest", "guest1 ended: stopped", ""),
    (FAILED, "command", "g $ ls → 2 in 1.000 s", "warning"),
    (events.LimitReached(at=1, limit="connecting", bound=512, count=3), "drop",
     "the limit connecting of 512 turned away 3 more", "bad"),
    (events.LimitReached(at=1, limit="descriptors", bound=0, count=1), "drop",
     "the limit descriptors turned away 1 more", "bad"),
    (events.AddressConflict(at=1, address="10.0.0.3", holder="a", claimant="b"), "link",
     "b uses 10.0.0.3, which is of a", "warning"),
    (events.UplinkChanged(at=1, uplink="lte", change="up", addresses=["10.0.0.2/24"], resolvers=["10.0.0.1"]),
     "link", "uplink lte up: 10.0.0.2/24; resolver 10.0.0.1", ""),
    (events.UplinkChanged(at=1, uplink="lte", change="down"), "link", "uplink lte down; no resolver",
     "warning"),
    (events.PortalChanged(at=1, portal="hotel", change="open", what="10.0.0.2 (02:00:00:00:00:00) logged in"),
     "link", "portal hotel open: 10.0.0.2 (02:00:00:00:00:00) logged in", ""),
    (events.PortalChanged(at=1, portal="hotel", change="closed"), "link", "portal hotel closed", "warning"),
    (events.VpnChanged(at=1, vpn="corp", change="up", addresses=["10.20.255.2/24"]), "link",
     "VPN corp up: 10.20.255.2/24", ""),
    (events.VpnChanged(at=1, vpn="corp", change="lost"), "link", "VPN corp lost", "warning"),
    (events.SubnetOverlap(at=1, of="uplink wifi", network="192.168.0.0/16", subnet="192.168.65.0/24"), "link",
     "192.168.0.0/16 of uplink wifi overlaps the guests' 192.168.65.0/24: they can't reach it", "bad"),
    (events.SubnetOverlap(at=1, of="uplink wifi", network="192.168.0.0/16", subnet="192.168.65.0/24",
                          renumbered="172.24.0.0/24"), "link",
     "192.168.0.0/16 of uplink wifi overlaps the guests' 192.168.65.0/24: they have 172.24.0.0/24",
     "warning"),
    (events.ClockJumped(at=1, clock="lab", seconds=7200.0), "time", "the lab clock jumped 7200 s forward",
     "warning"),
    (events.ClockJumped(at=1, clock="guest1", seconds=-60.0), "time",
     "guest1's wall clock was set to 60 s behind the lab's", "warning"),
    (events.FellAsleep(at=1, guests=["guest1"], uplinks=["wifi"]), "time",
     "the laptop fell asleep: guest1, wifi", "warning"),
    (events.WokeUp(at=1, seconds=60.0, guests=["guest1"]), "time", "the laptop woke up after 60 s: guest1",
     "warning"),
    (events.DhcpServed(at=1, kind="ACK", mac="m", address="192.168.65.3"), "dhcp",
     "DHCP ACK 192.168.65.3 to m", ""),
    (events.DhcpServed(at=1, kind="NAK", mac="m", address="10.0.0.9", reason="not ours"), "dhcp",
     "DHCP NAK 10.0.0.9 to m (not ours)", "warning"),
    (events.DhcpServed(at=1, kind="DISCOVER", mac="m", address="", reason="no address is left"), "dhcp",
     "DHCP DISCOVER  to m (no address is left)", "warning"),
    (events.DhcpServed(at=1, kind="REPLY", mac="m", address="fd00::3", reason="REQUEST"), "dhcp",
     "DHCP REPLY fd00::3 to m (REQUEST)", ""),
    (events.DhcpServed(at=1, kind="REPLY", mac="m", address="", reason="NOT_ON_LINK: no"), "dhcp",
     "DHCP REPLY  to m (NOT_ON_LINK: no)", "warning"),
    (events.CaptureEnded(at=1, reason="the disk is full"), "note", "the capture ends here: the disk is full",
     "bad"),
    (events.Noted(at=1, text="disk full", level="error"), "note", "disk full", "bad"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "group", "text", "tone"), CASES)
def test_an_event_is_one_line(event: Event, group: str, text: str, tone: Tone) -> None:
    assert describe(event) == Line(group, text, tone)


def example(kind: type[Event]) -> Event:
    """An event of ``kind`` with all of its fields set."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        plain = {str: "x", int: 1, float: 1.0, bool: True}
        choices = get_args(field.type)
        values[field.name] = (
            plain.get(field.type) if field.type in plain else None if type(None) in choices else choices[0]
        )
    return kind(
        **values
        | {
            name: {} if name == "versions" else []
            for name in values.keys()
            & {"versions", "nearest", "answers", "guests", "uplinks", "addresses", "resolvers"}
        }
    )


@pytest.mark.parametrize("kind", get_args(AnyEvent))
def test_every_event_of_the_vocabulary_has_a_phrase(kind: type[Event]) -> None:
    """An event without one would show its type's name and fields, as below."""
    assert describe(example(kind)).group != "other"


def test_an_event_from_a_plugin_shows_its_fields() -> None:
    class PortalOpened(Event, frozen=True):
        portal: str

    assert describe(PortalOpened(at=5, portal="hotel")) == Line("other", "PortalOpened portal=hotel")
