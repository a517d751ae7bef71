"""What the driver makes of a cable's verdicts: what goes where, and what is captured and written down."""

from guestnet.core.events import FrameDropped, FrameImpaired, FramesDelayed, LinkChanged
from guestnet.core.time import HOUR
from guestnet.link.rules.mtu import NAMELESS4
from guestnet.link.settings import Impairments, impairments
from guestnet.wire import ethernet, ipv4
from guestnet.wire.ethernet import EtherType
from guestnet.wire.frame import decode
from guestnet.wire.ipv4 import Ipv4, Protocol
from tests.unit.edge.test_driver import ONE, TWO, A, B, Lan, go, send, who_has

ASKS = who_has("192.168.65.1", ONE)


def impair(lan: Lan, settings: Impairments, way: str) -> None:
    """Of the first guest's cable."""
    cable = lan.driver.cables["cable"]
    lan.driver.changed(cable.impair(settings, lan.clock.now(), "up" if way == "up" else "down"))


def test_a_dropped_frame_is_captured_apart_with_the_rule() -> None:
    async def scenario(lan: Lan) -> None:
        impair(lan, impairments(drop="first 1 arp"), "up")
        send(lan.one, ASKS)
        await lan.until(lambda: lan.notebook.noted(FrameDropped))
        send(lan.one, ASKS)
        await lan.read(lan.one)
        assert [entry for entry in lan.notebook.seen if entry[0].startswith("cable")][:2] == [
            ("cable-dropped", "up", 1),
            ("cable", "up", 1),
        ]
        assert lan.notebook.comments == [("cable-dropped", "up", "drop first 1 arp")]
        (event,) = lan.notebook.noted(FrameDropped)
        assert (event.link, event.direction, event.rule) == ("cable", "up", "drop first 1 arp")

    go(scenario)


def test_what_was_done_to_a_frame_is_the_comment_of_its_capture() -> None:
    async def scenario(lan: Lan) -> None:
        impair(lan, impairments(duplicate=1.0), "down")
        send(lan.one, ASKS)
        for _ in range(2):
            assert decode(ethernet.emit(await lan.read(lan.one))).arp is not None
        assert lan.notebook.comments == [("cable", "down", "duplicate 100%")]
        assert len(lan.notebook.noted(FrameImpaired)) == 1

    go(scenario)


def test_a_held_frame_leaves_when_it_is_due_and_says_why() -> None:
    async def scenario(lan: Lan) -> None:
        impair(lan, impairments(delay="1h"), "down")
        send(lan.one, ASKS)
        await lan.until(lambda: lan.driver.cables["cable"].poll_at() is not None)
        assert await lan.is_silent(lan.one)
        lan.clock.advance(HOUR)
        await lan.read(lan.one)
        assert lan.notebook.comments == [("cable", "down", "held 3600 s by delay 3600 s")]
        assert [event.count for event in lan.notebook.noted(FramesDelayed)] == [1]

    go(scenario)


def test_a_packet_too_big_for_the_cable_is_answered_to_its_sender() -> None:
    big = ethernet.header(TWO, ONE, EtherType.IPV4) + ipv4.emit(
        Ipv4(A, B, Protocol.UDP, bytes(1000), dont_fragment=True)
    )

    async def scenario(lan: Lan) -> None:
        send(lan.two, who_has("192.168.65.9", TWO))  # the switch learns where it is
        await lan.until(lambda: lan.notebook.seen)
        impair(lan, impairments(mtu=600), "up")
        send(lan.one, ASKS)
        await lan.read(lan.one)
        send(lan.one, big)
        answer = decode(ethernet.emit(await lan.read(lan.one)))
        assert answer.ip is not None
        assert answer.icmp is not None
        assert (answer.ip.source, answer.ip.destination, answer.icmp.mtu) == (NAMELESS4, A, 600)

        impair(lan, impairments(mtu=9000), "up")
        impair(lan, impairments(mtu=600), "down")
        send(lan.two, big[6:12] + big[:6] + big[12:])
        answer = decode(ethernet.emit(await lan.read(lan.two)))
        while answer.icmp is None:
            answer = decode(ethernet.emit(await lan.read(lan.two)))
        assert answer.icmp.mtu == 600

    go(scenario)


def test_a_guest_that_comes_back_finds_its_cable_as_it_was_set() -> None:
    async def scenario(lan: Lan) -> None:
        impair(lan, impairments(drop="arp"), "up")
        lan.driver.detach("cable")
        again = lan.plug("cable")
        send(again, ASKS)
        await lan.until(lambda: lan.notebook.noted(FrameDropped))
        assert await lan.is_silent(again)
        assert [event.change for event in lan.notebook.noted(LinkChanged)] == [
            "impaired: drop arp",
            "plugged",
        ]
        again.close()

    go(scenario)
