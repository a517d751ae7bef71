"""Expectations: met as soon as possible, and telling when they are not."""

import re

import pytest

from guestnet.core import events
from guestnet.core.errors import DescriptionError, ExpectationFailed, LabError
from guestnet.core.events import (
    CaptureEnded,
    Event,
    Expected,
    FlowRefused,
    FrameDropped,
    FramesDelayed,
    Noted,
    StepBegan,
)
from guestnet.core.showing import describe
from guestnet.scenario import event, icmp, tcp, udp
from guestnet.scenario.expecting import JournalView, LinkView
from tests.unit.scenario.fake_lab import GUEST, SECOND, SHOP, START, FakeLab, tcp_frame, udp_frame

RESET = tcp_frame("RA", to=(GUEST, 40000), source=(SHOP, 81))
SYN = tcp_frame("S", to=(SHOP, 81))
REFUSED = FlowRefused(
    at=0,
    flow=1,
    transport="tcp",
    guest=f"{GUEST}:40000",
    remote=f"{SHOP}:81",
    error="ECONNREFUSED",
    answer="rst",
)


@pytest.fixture
def cable(fake: FakeLab) -> LinkView:
    return LinkView(fake.observer(), "cable")


@pytest.fixture
def journal(fake: FakeLab) -> JournalView:
    return JournalView(fake.observer())


def expectations(fake: FakeLab) -> list[Expected]:
    return JournalViewOfAll(fake.observer()).all()


class JournalViewOfAll(JournalView):
    """The expectations themselves, which a journal view leaves out."""

    def all(self) -> list[Expected]:
        self._observer.refresh()
        return list(self._observer.trace.events(Expected))


def failure(error: pytest.ExceptionInfo[ExpectationFailed]) -> list[str]:
    return str(error.value).splitlines()


# On a link


def test_what_is_already_there_is_returned_at_once(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(SYN, RESET)

    assert cable.expect(tcp.reset(to=(GUEST, 40000))).number == 2
    assert fake.now == START


def test_what_comes_in_time_is_returned_when_it_comes(fake: FakeLab, cable: LinkView) -> None:
    fake.later(0.2, lambda: fake.frames(SYN))
    fake.later(0.3, lambda: fake.frames(RESET, link="wifi"))
    fake.later(0.5, lambda: fake.frames(RESET))

    packet = cable.expect(tcp.reset(), within="800ms")

    assert (packet.number, packet.link) == (3, "cable")
    assert fake.now == START + SECOND // 2


def test_what_comes_too_late_fails_at_the_deadline(fake: FakeLab, cable: LinkView) -> None:
    fake.later(1.5, lambda: fake.frames(RESET))

    with pytest.raises(ExpectationFailed):
        cable.expect(tcp.reset(), within=1.0)
    assert fake.now == START + SECOND


def test_a_failure_shows_the_nearest_packets_and_why_they_are_not_it(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(SYN)
    fake.now += SECOND // 4
    fake.frames(tcp_frame("RA", to=(GUEST, 40001), source=(SHOP, 81)), direction="down")
    fake.frames(udp_frame((SHOP, 7), b"x"))
    fake.event(FrameDropped(at=0, link="cable", rule="loss 3%", frame="IP …"))
    fake.event(REFUSED)

    with pytest.raises(ExpectationFailed) as error:
        cable.expect(tcp.reset(to=(GUEST, 40000), source=(SHOP, 81)), within=0.5)

    assert failure(error) == [
        "expected within 0.5 s: a TCP reset to 192.168.65.3 port 40000 from 203.0.113.10 port 81 on cable",
        "  3 frames since the lab began; the nearest:",
        (
            "    #2  0.250000 s  down  IP 203.0.113.10.81 > 192.168.65.3.40001: "
            "Flags [R.], seq 1, ack 0, win 100, length 0"
        ),
        "        destination port is 40001, not 40000",
        (
            "    #1  0.000000 s  up    IP 192.168.65.3.40000 > 203.0.113.10.81: "
            "Flags [S], seq 1, win 100, length 0"
        ),
        (
            "        flags are S, not R; destination is 203.0.113.10, not 192.168.65.3; "
            "destination port is 81, not 40000; source is 192.168.65.3, not 203.0.113.10; "
            "source port is 40000, not 81"
        ),
        "  the journal meanwhile:",
        "    0.250000 s  FrameDropped: cable dropped by loss 3%: IP …",
        (
            "    0.250000 s  FlowRefused: flow 1 refused: tcp 192.168.65.3:40000 → 203.0.113.10:81: "
            "ECONNREFUSED, answered with rst"
        ),
    ]


TROUBLE: list[Event] = [
    REFUSED,
    FrameDropped(at=0, link="cable", rule="loss 3%", frame="IP …"),
    events.FramesDropped(at=0, link="cable", rule="loss 3%", direction="up", count=2, octets=9, first_at=0),
    events.FramesImpaired(at=0, link="cable", rule="corrupt", direction="up", count=2, octets=9, first_at=0),
    events.LinkChanged(at=0, link="wifi", change="unplugged"),
    events.UplinkChanged(at=0, uplink="wifi", change="down"),
    events.PortalChanged(at=0, portal="hotel", change="closed"),
    events.VpnChanged(at=0, vpn="corp", change="lost"),
    events.LimitReached(at=0, limit="tcp_flows", bound=9, count=1),
    events.SubnetOverlap(at=0, of="wifi", network="192.168.0.0/16", subnet="192.168.65.0/24"),
    events.DhcpServed(at=0, kind="NAK", mac="52:54:00:65:00:01", address="10.0.0.9", reason="not ours"),
    events.DhcpServed(at=0, kind="DISCOVER", mac="52:54:00:65:00:01", address="", reason="none is left"),
    events.GuestEnded(at=0, guest="guest1", reason="panic"),
    Noted(at=0, text="odd", level="warning"),
]
ORDINARY: list[Event] = [
    Noted(at=0, text="hello"),
    events.UplinkChanged(at=0, uplink="wifi", change="up"),
    events.PortalChanged(at=0, portal="hotel", change="open"),
    events.DhcpServed(at=0, kind="ACK", mac="52:54:00:65:00:01", address="192.168.65.3"),
    events.GuestEnded(at=0, guest="guest1", reason="stopped"),
    Expected(at=0, what="a packet", met=False),
]


@pytest.mark.parametrize("event", TROUBLE, ids=lambda event: type(event).__name__)
def test_a_failure_shows_what_the_journal_tells_of_trouble(
    fake: FakeLab, journal: JournalView, event: Event
) -> None:
    fake.event(event)
    with pytest.raises(ExpectationFailed) as error:
        journal.expect(StepBegan, within=0)
    head, told = failure(error)[-2:]
    assert head == "  the journal meanwhile:"
    assert told == f"    0.000000 s  {type(event).__name__}: {describe(event).text}"


@pytest.mark.parametrize("event", ORDINARY, ids=lambda event: type(event).__name__)
def test_a_failure_does_not_show_what_is_as_it_should_be(
    fake: FakeLab, journal: JournalView, event: Event
) -> None:
    fake.event(event)
    with pytest.raises(ExpectationFailed) as error:
        journal.expect(StepBegan, within=0)
    assert "the journal meanwhile" not in str(error.value)


def test_a_capture_that_ended_is_told_where_the_journal_is_asked(fake: FakeLab, journal: JournalView) -> None:
    fake.event(CaptureEnded(at=0, reason="the disk is full"))
    with pytest.raises(ExpectationFailed, match="CaptureEnded: the capture ends here: the disk is full"):
        journal.expect(StepBegan, within=0)


def test_many_of_a_kind_do_not_hide_another(fake: FakeLab, cable: LinkView) -> None:
    fake.event(events.UplinkChanged(at=0, uplink="wifi", change="down"))
    for number in range(1000):
        fake.event(FrameDropped(at=0, link="cable", rule="loss 3%", frame=f"IP {number}"))
    with pytest.raises(ExpectationFailed) as error:
        cable.expect(tcp.syn(), within=0)
    shown = failure(error)[failure(error).index("  the journal meanwhile:") + 1 :]
    assert [line.split()[2] for line in shown] == ["UplinkChanged:", *["FrameDropped:"] * 3]
    assert shown[-1].endswith("IP 999")


def test_a_failure_on_a_silent_link_names_those_that_are_not(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(SYN, link="wifi")

    with pytest.raises(ExpectationFailed) as error:
        cable.expect(tcp.syn(), within=0.1)

    assert failure(error) == [
        "expected within 0.1 s: a TCP SYN on cable",
        "  0 frames since the lab began",
        "  links with frames: wifi",
    ]


def test_since_looks_only_at_what_came_later(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(SYN, RESET)
    fake.now += SECOND
    step = StepBegan(at=fake.now, step=1, name="again")
    fake.frames(SYN, RESET)
    first = cable.expect(tcp.reset())

    assert cable.expect(tcp.reset(), since=step).number == 4
    assert cable.expect(tcp.reset(), since=fake.now).number == 4
    assert cable.expect(tcp.syn(), since=first).number == 3
    with pytest.raises(ExpectationFailed, match="1 frame since frame #3, none like it"):
        cable.expect(udp.datagram(), since=cable.packets(tcp.syn())[-1], within=0)
    with pytest.raises(ExpectationFailed, match="2 frames since step 'again' began"):
        cable.expect(udp.datagram(), since=step, within=0)


def test_nothing_is_expected_for_a_while(fake: FakeLab, cable: LinkView) -> None:
    fake.later(0.7, lambda: fake.frames(RESET))

    cable.expect_none(tcp.reset(), for_=0.5)
    assert fake.now == START + SECOND // 2
    with pytest.raises(ExpectationFailed) as error:
        cable.expect_none(tcp.reset(to=GUEST), for_=0.5)

    assert failure(error) == [
        "expected for 0.5 s: no TCP reset to 192.168.65.3 on cable; but there was",
        (
            "    #1  0.200000 s  up    IP 203.0.113.10.81 > 192.168.65.3.40000: "
            "Flags [R.], seq 1, ack 0, win 100, length 0"
        ),
    ]


def test_a_sequence_is_found_in_its_order_with_others_between(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(RESET, SYN, udp_frame((SHOP, 7), b"x"))
    fake.later(0.2, lambda: fake.frames(RESET))

    packets = cable.expect_sequence([tcp.syn(), tcp.reset()])

    assert [packet.number for packet in packets] == [2, 4]


def test_a_sequence_that_stops_says_where(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(RESET, SYN)

    with pytest.raises(ExpectationFailed) as error:
        cable.expect_sequence([tcp.syn(to=SHOP), tcp.reset()], within=0.5)

    assert failure(error)[:3] == [
        "expected within 0.5 s: a TCP reset on cable, as number 2 of a sequence of 2",
        (
            "    number 1 was #2  0.000000 s  up    IP 192.168.65.3.40000 > 203.0.113.10.81: "
            "Flags [S], seq 1, win 100, length 0"
        ),
        "  0 frames since frame #2",
    ]
    assert fake.now == START + SECOND // 2


def test_saw_and_packets_ask_without_waiting(fake: FakeLab, cable: LinkView) -> None:
    assert not cable.saw(tcp.syn())
    fake.frames(SYN, RESET)

    assert cable.saw(tcp.syn())
    assert cable.saw(lambda packet: packet.number == 2)
    assert not cable.saw(icmp.unreachable())
    assert [packet.number for packet in cable.packets()] == [1, 2]
    assert [packet.number for packet in cable.packets(tcp.reset() | icmp.unreachable())] == [2]
    assert fake.now == START


def test_nothing_is_concluded_from_frames_that_were_not_captured(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(SYN)
    fake.event(CaptureEnded(at=0, reason="No space left on device"))

    assert cable.saw(tcp.syn())
    for conclude in (
        lambda: cable.expect_none(tcp.reset()),
        lambda: cable.expect(tcp.reset()),
        lambda: cable.saw(tcp.reset()),
        lambda: cable.packets(tcp.reset()),
    ):
        with pytest.raises(LabError, match=r"cable: the capture ended .*No space left on device"):
            conclude()
    assert fake.now == START


def test_expectations_are_written_into_the_journal(fake: FakeLab, cable: LinkView) -> None:
    fake.frames(SYN)
    cable.expect(tcp.syn())
    cable.expect_none(tcp.reset(), for_=0)
    with pytest.raises(ExpectationFailed):
        cable.expect(tcp.reset(), within=0)

    met, none, failed = expectations(fake)
    assert (met.what, met.met, met.frame) == ("a TCP SYN on cable", True, 1)
    assert (none.what, none.met, none.frame) == ("no TCP reset on cable", True, None)
    assert (failed.what, failed.met, failed.frame) == ("a TCP reset on cable", False, 1)
    assert re.match(r"#1 .*: flags are S, not R$", failed.nearest[0])


# On the journal


def test_an_event_is_awaited_by_its_fields(fake: FakeLab, journal: JournalView) -> None:
    fake.later(0.1, lambda: fake.event(Noted(at=0, text="other")))
    fake.later(0.2, lambda: fake.event(REFUSED))

    event = journal.expect(FlowRefused, remote=f"{SHOP}:81", answer="rst")

    assert event.error == "ECONNREFUSED"
    assert fake.now == START + SECOND // 5


def test_an_event_is_awaited_by_a_function(fake: FakeLab, journal: JournalView) -> None:
    fake.event(REFUSED)

    assert journal.expect(FlowRefused, lambda refused: refused.flow == 1).flow == 1
    assert not journal.saw(FlowRefused, lambda refused: refused.flow == 2)


def test_a_missing_event_shows_the_nearest(fake: FakeLab, journal: JournalView) -> None:
    fake.event(Noted(at=0, text="hello"))
    fake.event(REFUSED)

    with pytest.raises(ExpectationFailed) as error:
        journal.expect(FlowRefused, within=0, transport="tcp", error="EHOSTUNREACH")

    assert failure(error)[:4] == [
        "expected within 0 s: a FlowRefused event with transport tcp with error EHOSTUNREACH on the journal",
        "  2 events since the lab began; the nearest:",
        (
            "    0.000000 s  FlowRefused: flow 1 refused: tcp 192.168.65.3:40000 → 203.0.113.10:81: "
            "ECONNREFUSED, answered with rst"
        ),
        "        error is ECONNREFUSED, not EHOSTUNREACH",
    ]


def test_a_field_that_an_event_does_not_have_is_an_error(journal: JournalView) -> None:
    with pytest.raises(DescriptionError, match=r"FlowRefused has no field 'errno'.*it has .*error"):
        journal.saw(FlowRefused, errno=111)


def test_events_in_sequence_all_of_them_and_none(fake: FakeLab, journal: JournalView) -> None:
    fake.event(Noted(at=0, text="one"))
    fake.event(REFUSED)
    fake.event(Noted(at=0, text="two"))

    found = journal.expect_sequence([event(FlowRefused), event(Noted, text="two")], within=0)
    assert [type(one) for one in found] == [FlowRefused, Noted]
    assert [one.text for one in journal.events(Noted)] == ["one", "two"]
    journal.expect_none(FrameDropped, for_=0)
    with pytest.raises(ExpectationFailed, match="no Noted event with text two on the journal; but there was"):
        journal.expect_none(Noted, for_=0, text="two")


def test_verdicts_are_found_one_by_one_though_an_event_tells_of_many(
    fake: FakeLab, journal: JournalView
) -> None:
    fake.event(FrameDropped(at=0, link="wifi", direction="up", rule="loss 3%", frame="IP …", packet_id=1))
    fake.event(
        FramesDelayed(
            at=0,
            link="wifi",
            direction="up",
            rule="delay 1 ms",
            count=2,
            least=5,
            mean=6,
            most=7,
            first_at=fake.now,
            packet_ids=[2, 1],
            times=[0, 3],
            delays=[5, 2],
        )
    )

    found = journal.verdicts(what="delayed")
    assert [(one.packet_id, one.at - fake.now, one.delay) for one in found] == [(2, 0, 5), (3, 3, 7)]
    assert [one.packet_id for one in journal.verdicts(link="wifi")] == [1, 2, 3]
    assert [one.rule for one in journal.verdicts(lambda one: one.packet_id == 1)] == ["loss 3%"]
    assert journal.verdicts(link="lte") == []
    with pytest.raises(DescriptionError, match=r"no field 'number'.*it has .*packet_id"):
        journal.verdicts(number=1)


def test_columns_are_not_shown_to_people(fake: FakeLab, journal: JournalView) -> None:
    fake.event(
        FramesDelayed(
            at=0,
            link="wifi",
            direction="up",
            rule="delay 1 ms",
            count=1,
            least=5_000_000,
            mean=5_000_000,
            most=5_000_000,
            packet_ids=[2],
            times=[0],
            delays=[5],
        )
    )
    with pytest.raises(ExpectationFailed) as failure:
        journal.expect_none(FramesDelayed, for_=0)
    assert str(failure.value).endswith("FramesDelayed: wifi up held 1 frame by delay 1 ms: 5 ms")
    assert "packet_ids" not in str(failure.value)
