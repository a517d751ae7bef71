"""Connects in flight: however many there are to dead hosts, one to somebody who lives is not held up."""

import errno

import pytest

from guestnet.core.events import FlowRefused, LimitReached
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import Limits
from guestnet.gateway.turned_away import SHOWN
from tests.simulation.gateway.bench import SERVER
from tests.simulation.gateway.floods import SILENT, assert_connects_at_once, connects, dead, introduced, syn


def test_thousands_of_connects_to_one_dead_host_do_not_hold_up_a_live_one() -> None:
    bench = introduced(Limits(connecting=64))
    for port in range(1, 3001):
        syn(bench, SILENT, port)
    bench.settle()
    assert len(connects(bench)) == 64
    assert_connects_at_once(bench)


def test_a_connect_to_each_of_thousands_of_dead_hosts_at_once_does_not_hold_up_a_live_one() -> None:
    bench = introduced(Limits())
    for number in range(3000):
        syn(bench, dead(number))
    bench.settle()
    assert len(connects(bench)) == 512
    bench.advance(5 * MILLISECOND)
    assert_connects_at_once(bench)


@pytest.mark.parametrize("after", [0, 500])
@pytest.mark.parametrize("parallel", [1, 6])
def test_in_a_flood_of_connects_each_to_another_dead_host_a_live_one_gets_in_and_stays(
    after: int, parallel: int
) -> None:
    """2,500 a second; the live host answers after 100 ms, and the guest sends no SYN a second time."""
    bench = introduced(Limits())
    live: set[int] = set()
    for millisecond in range(after + 600):
        for number in range(2 + millisecond % 2):
            syn(bench, dead(3 * millisecond + number))
        if millisecond == after + 400:
            for port in range(parallel):
                syn(bench, SERVER, 443, source_port=5000 + port)
        bench.settle()
        bench.advance(MILLISECOND)
        live = {one.flow for one in connects(bench) if one.address == SERVER}
        if millisecond in (after + 400, after + 500):
            assert len(live) == parallel, "turned away, or gave way before its answer could come"
    assert len(connects(bench)) == 512


def test_a_destination_that_has_answered_gets_in_whatever_else_is_asked_and_stays() -> None:
    """20,000 a second, and the live host answers after half a second."""
    bench = introduced(Limits(connecting=64))
    assert_connects_at_once(bench)
    for millisecond in range(1000):
        for number in range(20):
            syn(bench, dead(20 * millisecond + number))
        if millisecond == 300:
            syn(bench, SERVER, 444)
        bench.settle()
        bench.advance(MILLISECOND)
        if 300 <= millisecond <= 800:
            assert [one.port for one in connects(bench) if one.address == SERVER] == [443, 444]


def test_even_a_flood_too_fast_for_newcomers_leaves_them_a_way_in() -> None:
    """20,000 a second for ten seconds; the guest's SYN comes again as long as it is turned away."""
    bench = introduced(Limits(connecting=64))
    stream = bench.guest.connect(SERVER, 443)
    bench.settle()
    bench.tell(events.ConnectFailed(bench.take(commands.Connect).flow, errno.EHOSTUNREACH))
    assert not stream.is_established
    stream = bench.guest.connect(SERVER, 443)
    for millisecond in range(8000):
        for number in range(10):
            syn(bench, dead((20 * millisecond + number) % 0x10000))
        bench.settle()
        bench.advance(MILLISECOND)
        for connect in [one for one in connects(bench) if one.address == SERVER]:
            bench.tell(events.Connected(connect.flow, "192.168.1.10:50000"))
        if stream.is_established:
            break
    assert stream.is_established
    assert len(bench.gateway.tcp) <= 65


def test_a_destination_that_falls_silent_is_no_better_than_others() -> None:
    bench = introduced(Limits(connecting=4))
    assert_connects_at_once(bench)
    syn(bench, SERVER, 1)
    bench.settle()
    (connect,) = [one for one in connects(bench) if one.port == 1]
    bench.tell(events.ConnectFailed(connect.flow, errno.ETIMEDOUT))
    bench.commands.clear()
    syn(bench, SERVER, 2)
    for number in range(4):
        syn(bench, dead(number))
    bench.settle()
    assert [one.address for one in connects(bench)] == [dead(number) for number in range(4)]


def test_who_gave_way_is_said_without_a_flood_of_its_own() -> None:
    bench = introduced(Limits())
    for number in range(3000):
        syn(bench, dead(number))
    bench.settle()
    assert len(bench.noted(FlowRefused)) == SHOWN
    bench.advance(2 * SECOND)
    assert [one.count for one in bench.noted(LimitReached)] == [3000 - 512]


def test_the_flow_that_made_room_is_ended_at_the_edge_and_said() -> None:
    bench = introduced(Limits(connecting=2))
    for port in (1, 2):
        syn(bench, SILENT, port)
    bench.settle()
    first = connects(bench)[0]
    syn(bench, SERVER)
    bench.settle()
    assert bench.take(commands.Reset).flow == first.flow
    (refused,) = bench.noted(FlowRefused)
    assert (refused.flow, refused.answer) == (first.flow, "none")
    assert "limits.connecting is 2" in refused.error
    assert len(bench.gateway.tcp) == 2
    bench.advance(SECOND)
    (reached,) = bench.noted(LimitReached)
    assert (reached.limit, reached.bound, reached.count) == ("connecting", 2, 1)


def test_of_two_scans_none_takes_more_than_its_half() -> None:
    bench = introduced(Limits(connecting=64))
    for port in range(1, 200):
        syn(bench, SILENT, port)
    bench.settle()
    for port in range(1, 200):
        syn(bench, dead(1), port)
    bench.settle()
    held = [connect.address for connect in connects(bench)]
    assert (held.count(SILENT), held.count(dead(1))) == (32, 32)


def test_a_flood_is_counted_and_only_its_beginning_is_written_out() -> None:
    bench = introduced(Limits(connecting=8))
    for port in range(1, 1001):
        syn(bench, SILENT, port)
    bench.settle()
    assert len(bench.noted(FlowRefused)) == SHOWN
    bench.advance(2 * SECOND)
    (reached,) = bench.noted(LimitReached)
    assert reached.count == 1000 - 8


def test_syns_that_come_again_open_no_second_socket_whatever_else_happens() -> None:
    bench = introduced(Limits(connecting=8))
    for _ in range(5):
        for port in range(1, 8):
            syn(bench, SILENT, port)
        bench.advance(10 * SECOND)
    assert len(connects(bench)) == 7
