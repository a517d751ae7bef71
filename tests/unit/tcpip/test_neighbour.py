"""The neighbour cache against a scripted neighbour."""

import pytest

from guestnet.core.address import BROADCAST, Mac
from guestnet.core.time import SECOND
from guestnet.tcpip.arp import ArpCache
from guestnet.tcpip.neighbour import Config, Conflict, Outgoing, Overflow, State, Unreachable
from guestnet.wire import arp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import ip4

GATEWAY_MAC = Mac.parse("5a:94:ef:e4:0c:ee")
GUEST_MAC = Mac.parse("52:54:00:12:34:56")
OTHER_MAC = Mac.parse("52:54:00:99:99:99")
GATEWAY, HOST, GUEST = ip4("192.168.65.1"), ip4("192.168.65.2"), ip4("192.168.65.3")


@pytest.fixture
def cache() -> ArpCache:
    return ArpCache(GATEWAY_MAC, [GATEWAY, HOST])


def question(to: Mac = BROADCAST) -> Outgoing:
    return Outgoing(to, EtherType.ARP, arp.emit(arp.request(GATEWAY_MAC, GATEWAY, GUEST)))


def answer(mac: Mac = GUEST_MAC) -> arp.Arp:
    return arp.reply(arp.request(GATEWAY_MAC, GATEWAY, GUEST), mac)


def until_timer(cache: ArpCache) -> int:
    due = cache.poll_at()
    assert due is not None
    cache.on_timer(due)
    return due


def test_packets_wait_for_the_answer_and_then_go_out_in_order(cache: ArpCache) -> None:
    assert cache.send(GUEST, b"one", 0) is None
    assert cache.send(GUEST, b"two", 0) is None
    assert cache.transmit() == [question()]
    cache.on_arp(answer(), 5)
    assert cache.transmit() == [
        Outgoing(GUEST_MAC, EtherType.IPV4, b"one"),
        Outgoing(GUEST_MAC, EtherType.IPV4, b"two"),
    ]
    assert cache.send(GUEST, b"three", 6) == GUEST_MAC
    assert cache.transmit() == []


def test_only_the_latest_packets_wait(cache: ArpCache) -> None:
    packets = [bytes([number]) * 20_000 for number in range(10)]
    for packet in packets:
        cache.send(GUEST, packet, 0)
    assert cache.events() == [Overflow(GUEST, packet) for packet in packets[:4]]
    cache.transmit()
    cache.on_arp(answer(), 1)
    assert [out.payload for out in cache.transmit()] == packets[4:]


def test_a_silent_neighbour_is_asked_three_times_and_given_up(cache: ArpCache) -> None:
    cache.send(GUEST, b"lost", 0)
    asked = [cache.transmit()]
    for _ in range(2):
        until_timer(cache)
        asked.append(cache.transmit())
    assert asked == [[question()]] * 3
    assert until_timer(cache) == 3 * SECOND
    assert cache.transmit() == []
    assert cache.events() == [Unreachable(GUEST, (b"lost",))]
    assert cache.state(GUEST) is None
    assert cache.poll_at() is None


@pytest.mark.parametrize("target", [GATEWAY, HOST])
def test_a_request_for_us_is_answered_and_learnt_from(cache: ArpCache, target: bytes) -> None:
    asked = arp.request(GUEST_MAC, GUEST, target)
    cache.on_arp(asked, 0)
    assert cache.transmit() == [Outgoing(GUEST_MAC, EtherType.ARP, arp.emit(arp.reply(asked, GATEWAY_MAC)))]
    assert cache.lookup(GUEST) == GUEST_MAC


def test_a_probe_for_our_address_is_answered_but_not_learnt_from(cache: ArpCache) -> None:
    cache.on_arp(arp.request(GUEST_MAC, bytes(4), GATEWAY), 0)
    [reply] = cache.transmit()
    assert reply.destination == GUEST_MAC
    assert cache.lookup(bytes(4)) is None


def test_talk_among_others_is_not_learnt_but_refreshes(cache: ArpCache) -> None:
    among_others = arp.request(GUEST_MAC, GUEST, ip4("192.168.65.9"))
    cache.on_arp(among_others, 0)
    assert cache.lookup(GUEST) is None
    assert cache.transmit() == []
    cache.learn(GUEST, OTHER_MAC, 0)
    cache.on_arp(among_others, 0)
    assert cache.lookup(GUEST) == GUEST_MAC


def test_a_used_entry_is_confirmed_by_unicast_before_it_is_forgotten(cache: ArpCache) -> None:
    cache.learn(GUEST, GUEST_MAC, 0)
    assert until_timer(cache) == 30 * SECOND
    assert cache.state(GUEST) is State.STALE
    assert cache.poll_at() is None
    assert cache.send(GUEST, b"x", 100 * SECOND) == GUEST_MAC
    assert cache.state(GUEST) is State.DELAY
    assert until_timer(cache) == 105 * SECOND
    assert cache.state(GUEST) is State.PROBE
    assert cache.transmit() == [question(GUEST_MAC)]
    cache.on_arp(answer(), 106 * SECOND)
    assert cache.state(GUEST) is State.REACHABLE


def test_a_neighbour_that_left_is_forgotten(cache: ArpCache) -> None:
    cache.learn(GUEST, GUEST_MAC, 0)
    until_timer(cache)
    cache.send(GUEST, b"x", 100 * SECOND)
    for _ in range(4):
        until_timer(cache)
    assert cache.state(GUEST) is None
    assert cache.events() == []


def test_progress_of_a_transport_confirms(cache: ArpCache) -> None:
    cache.learn(GUEST, GUEST_MAC, 0)
    until_timer(cache)
    cache.confirm(GUEST, 40 * SECOND)
    assert cache.state(GUEST) is State.REACHABLE


def test_a_conflict_is_reported_and_defended_once_in_ten_seconds(cache: ArpCache) -> None:
    claim = arp.request(GUEST_MAC, GATEWAY, GATEWAY)
    for now in (0, 1 * SECOND, 9 * SECOND):
        cache.on_arp(claim, now)
    assert cache.events() == [Conflict(GATEWAY, GUEST_MAC)] * 3
    announcement = Outgoing(BROADCAST, EtherType.ARP, arp.emit(arp.request(GATEWAY_MAC, GATEWAY, GATEWAY)))
    assert cache.transmit() == [announcement]
    cache.on_arp(claim, 10 * SECOND)
    assert cache.transmit() == [announcement]


def test_our_own_frames_coming_back_are_ignored(cache: ArpCache) -> None:
    cache.on_arp(arp.request(GATEWAY_MAC, GATEWAY, GATEWAY), 0)
    cache.on_arp(arp.Arp(2, BROADCAST, GUEST, GATEWAY_MAC, GATEWAY), 0)
    assert (cache.events(), cache.transmit(), cache.lookup(GUEST)) == ([], [], None)


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache = ArpCache(GATEWAY_MAC, [GATEWAY], Config(max_entries=3))
    cache.learn(GUEST, GUEST_MAC, 0)
    for last in range(100, 150):
        cache.learn(ip4(f"192.168.65.{last}"), OTHER_MAC, 0)
        assert cache.send(GUEST, b"", 1) == GUEST_MAC
    known = [last for last in range(256) if cache.state(ip4(f"192.168.65.{last}"))]
    assert known == [3, 148, 149]


def test_a_scan_does_not_grow_the_cache_and_says_what_it_drops() -> None:
    cache = ArpCache(GATEWAY_MAC, [GATEWAY], Config(max_entries=2))
    for last in range(10, 20):
        cache.send(ip4(f"192.168.65.{last}"), b"x", 0)
    assert len(cache.events()) == 8
    cache.forget(ip4("192.168.65.19"))
    cache.forget(ip4("192.168.65.18"))
    assert cache.poll_at() is None
