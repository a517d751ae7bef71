"""Router advertisements in virtual time."""

import itertools

import pytest

from guestnet.core import rng
from guestnet.core.address import Mac
from guestnet.core.time import SECOND
from guestnet.tcpip.ndp import read
from guestnet.tcpip.router import Advertiser
from guestnet.wire import icmpv6, ipv6, ndp
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Ip6, ip6
from guestnet.wire.ndp import RouterAdvertisement

MAC = Mac.parse("5a:94:ef:e4:0c:ee")
GUEST_MAC = Mac.parse("52:54:00:12:34:56")
ALL_NODES_MAC = Mac.parse("33:33:00:00:00:01")
ROUTER, GUEST = ip6("fe80::1"), ip6("fe80::9")
TOLD = RouterAdvertisement(1800, options=ndp.Options(source_mac=MAC, mtu=1500))


@pytest.fixture
def advertiser() -> Advertiser:
    return Advertiser(MAC, ROUTER, TOLD, rng.stream(1, "router"))


def said(advertiser: Advertiser) -> list[tuple[Mac, Ip6, ndp.Ndp]]:
    out = []
    for mac, _, payload in advertiser.transmit():
        packet = ipv6.parse(payload)
        assert packet.source == ROUTER
        message = icmpv6.parse(packet.payload, packet.source, packet.destination)
        out.append((mac, packet.destination, read(packet, message)))
    return out


def test_it_is_silent_until_it_starts(advertiser: Advertiser) -> None:
    advertiser.on_timer(SECOND)
    assert (said(advertiser), advertiser.poll_at()) == ([], None)


def test_the_first_three_come_soon_and_then_seldom(advertiser: Advertiser) -> None:
    advertiser.start(0)
    times: list[int] = []
    while len(times) < 8:
        now = advertiser.poll_at()
        assert now is not None
        advertiser.on_timer(now)
        assert said(advertiser) == [(ALL_NODES_MAC, ALL_NODES, TOLD)]
        times.append(now)
    assert times[0] == 16 * SECOND
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[:2] == [16 * SECOND] * 2
    assert all(200 * SECOND <= gap <= 600 * SECOND for gap in gaps[2:])
    assert len(set(gaps[2:])) > 1


def test_who_asks_is_answered_alone_and_at_once(advertiser: Advertiser) -> None:
    advertiser.change(TOLD, 0)
    advertiser.on_timer(0)
    said(advertiser)
    due = advertiser.poll_at()
    advertiser.on_solicitation(GUEST, GUEST_MAC)
    advertiser.on_solicitation(UNSPECIFIED, GUEST_MAC)
    assert said(advertiser) == [(GUEST_MAC, GUEST, TOLD), (GUEST_MAC, ALL_NODES, TOLD)]
    assert advertiser.poll_at() == due


def test_a_change_is_told_to_all(advertiser: Advertiser) -> None:
    advertiser.change(TOLD, 0)
    advertiser.on_timer(0)
    said(advertiser)
    other = RouterAdvertisement(0)
    advertiser.change(other, 5 * SECOND)
    advertiser.on_timer(5 * SECOND)
    assert said(advertiser) == [(ALL_NODES_MAC, ALL_NODES, other)]
    assert advertiser.poll_at() == 21 * SECOND


def test_a_shutdown_takes_the_route_back(advertiser: Advertiser) -> None:
    advertiser.change(TOLD, 0)
    advertiser.on_timer(0)
    said(advertiser)
    advertiser.shutdown()
    [(_, destination, last)] = said(advertiser)
    assert destination == ALL_NODES
    assert isinstance(last, RouterAdvertisement)
    assert (last.router_lifetime, last.options) == (0, TOLD.options)
    assert advertiser.poll_at() is None
