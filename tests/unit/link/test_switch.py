"""The learning switch: who gets which frame."""

import pytest

from guestnet.core.address import BROADCAST, Mac
from guestnet.core.events import AddressConflict, FrameDropped
from guestnet.core.time import SECOND
from guestnet.link.switch import AGEING, Switch

GATEWAY = Mac.parse("5a:94:ef:e4:0c:dd")
ONE = Mac.parse("52:54:00:65:00:01")
TWO = Mac.parse("52:54:00:65:00:02")
START = 1_700_000_000 * SECOND


def frame(destination: bytes, source: bytes, tail: bytes = b"\x08\x00payload") -> bytes:
    return destination + source + tail


@pytest.fixture
def switch() -> Switch:
    made = Switch(static={GATEWAY: "gateway"})
    for port in ("gateway", "one", "two"):
        made.add_port(port)
    return made


def test_broadcast_reaches_every_other_port(switch: Switch) -> None:
    sent = frame(BROADCAST, ONE)
    assert switch.forward("one", [sent], START) == {"gateway": [sent], "two": [sent]}


def test_multicast_reaches_every_other_port(switch: Switch) -> None:
    sent = frame(bytes.fromhex("01005e0000fb"), TWO)
    assert switch.forward("two", [sent], START) == {"gateway": [sent], "one": [sent]}


def test_unknown_unicast_is_flooded_and_a_learned_one_is_not(switch: Switch) -> None:
    first = frame(TWO, ONE)
    assert set(switch.forward("one", [first], START)) == {"gateway", "two"}
    switch.forward("two", [frame(ONE, TWO)], START)
    assert switch.forward("one", [first], START) == {"two": [first]}


def test_the_gateways_address_is_known_before_it_spoke(switch: Switch) -> None:
    assert set(switch.forward("one", [frame(GATEWAY, ONE)], START)) == {"gateway"}


def test_a_guest_cannot_take_the_gateways_address(switch: Switch) -> None:
    switch.forward("two", [frame(BROADCAST, GATEWAY)], START)
    assert set(switch.forward("one", [frame(GATEWAY, ONE)], START)) == {"gateway"}


def test_a_guest_that_uses_anothers_address_is_told_of_once_a_second(switch: Switch) -> None:
    for mac, holder in ((GATEWAY, "gateway"), (ONE, "one")):
        switch.forward(holder, [frame(BROADCAST, mac)], START)
        assert switch.take_events() == []
        for _ in range(5):
            switch.forward("two", [frame(BROADCAST, mac), frame(BROADCAST, TWO)], START + SECOND)
            switch.forward(holder, [frame(BROADCAST, mac)], START + SECOND)
        (event,) = switch.take_events()
        assert event == AddressConflict(at=START + SECOND, address=str(mac), holder=holder, claimant="two")
        switch.forward("two", [frame(BROADCAST, mac)], START + 2 * SECOND)
        assert len(switch.take_events()) == 1


def test_a_guest_that_was_plugged_in_elsewhere_is_no_conflict(switch: Switch) -> None:
    switch.forward("one", [frame(BROADCAST, ONE)], START)
    switch.remove_port("one")
    switch.forward("two", [frame(BROADCAST, ONE)], START)
    assert switch.take_events() == []


def test_a_batch_keeps_its_order_at_each_port(switch: Switch) -> None:
    switch.forward("two", [frame(BROADCAST, TWO)], START)
    batch = [frame(GATEWAY, ONE, b"\x08\x00%d" % number) for number in range(3)]
    mixed = [batch[0], frame(TWO, ONE), batch[1], batch[2]]
    assert switch.forward("one", mixed, START) == {"gateway": batch, "two": [mixed[1]]}


def test_an_address_is_forgotten_after_the_ageing_time(switch: Switch) -> None:
    switch.forward("two", [frame(BROADCAST, TWO)], START)
    assert set(switch.forward("one", [frame(TWO, ONE)], START + AGEING)) == {"two"}
    assert set(switch.forward("one", [frame(TWO, ONE)], START + AGEING + 1)) == {"gateway", "two"}


def test_a_guest_that_moved_is_found_at_its_new_port(switch: Switch) -> None:
    switch.forward("one", [frame(BROADCAST, ONE)], START)
    switch.forward("two", [frame(BROADCAST, ONE)], START)
    assert set(switch.forward("gateway", [frame(ONE, GATEWAY)], START)) == {"two"}


def test_frames_to_their_own_port_are_not_sent_back(switch: Switch) -> None:
    switch.forward("one", [frame(BROADCAST, ONE), frame(BROADCAST, TWO)], START)
    assert switch.forward("one", [frame(TWO, ONE)], START) == {}


def test_a_removed_port_gets_nothing_and_its_addresses_are_unknown(switch: Switch) -> None:
    switch.forward("two", [frame(BROADCAST, TWO)], START)
    switch.remove_port("two")
    assert set(switch.forward("one", [frame(TWO, ONE)], START)) == {"gateway"}


def test_the_table_is_bounded_and_forgets_the_address_that_was_silent_longest() -> None:
    switch = Switch(limit=2)
    for port in ("one", "two", "three"):
        switch.add_port(port)
    for number in range(3):
        switch.forward("two", [frame(BROADCAST, bytes((2, 0, 0, 0, 0, number)))], START + number)
    assert switch.learned == 2
    assert set(switch.forward("one", [frame(bytes((2, 0, 0, 0, 0, 0)), ONE)], START)) == {"two", "three"}


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [(b"\xff" * 13, "shorter"), (frame(GATEWAY, BROADCAST), "group address")],
)
def test_malformed_frames_are_dropped_and_journaled(switch: Switch, wrong: bytes, rule: str) -> None:
    assert switch.forward("one", [wrong], START) == {}
    (event,) = switch.take_events()
    assert isinstance(event, FrameDropped)
    assert rule in event.rule
    assert event.at == START


def test_addresses_reserved_for_bridges_are_not_forwarded(switch: Switch) -> None:
    assert switch.forward("one", [frame(bytes.fromhex("0180c2000000"), ONE)], START) == {}


def test_where_a_single_frame_leads_is_known_of_stations_that_spoke(switch: Switch) -> None:
    sent, answer = frame(GATEWAY, ONE), frame(ONE, GATEWAY)
    assert switch.leads_to("one", sent, START) is None  # it has to be learned
    switch.forward("one", [sent], START)
    for at in (START, START + 1, START + SECOND - 1):
        assert switch.leads_to("one", sent, at) == "gateway"
        assert switch.leads_to("gateway", answer, at) == "one"
    assert switch.leads_to("one", sent, START + SECOND) is None  # to be learned again
    assert switch.leads_to("gateway", answer, START + AGEING + 1) is None
    assert switch.leads_to("one", frame(BROADCAST, ONE), START) is None
    assert switch.leads_to("two", sent, START) is None
    assert switch.leads_to("two", frame(ONE, GATEWAY), START) is None


def test_where_a_frame_leads_changes_with_ports_and_stations(switch: Switch) -> None:
    answer = frame(ONE, GATEWAY)
    switch.forward("one", [frame(GATEWAY, ONE)], START)
    assert switch.leads_to("gateway", answer, START) == "one"
    switch.forward("two", [frame(GATEWAY, ONE)], START)
    assert switch.leads_to("gateway", answer, START) == "two"
    switch.remove_port("two")
    assert switch.leads_to("gateway", answer, START) is None
