"""Neighbour discovery against a scripted neighbour."""

import pytest

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.tcpip.ndp import NdpCache, packet_of, read
from guestnet.tcpip.neighbour import Conflict, Outgoing, State
from guestnet.wire import icmpv6, ipv6, ndp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Ip6, Ipv6, ip6, solicited_node
from guestnet.wire.ndp import Ndp, NeighbourAdvertisement, NeighbourSolicitation, Options

OUR_MAC = Mac.parse("5a:94:ef:e4:0c:ee")
GUEST_MAC = Mac.parse("52:54:00:12:34:56")
OTHER_MAC = Mac.parse("52:54:00:99:99:99")
ROUTER, GATEWAY = ip6("fe80::1"), ip6("fd65:6775:6573:7400::1")
GUEST = ip6("fd65:6775:6573:7400::3")
ALL_NODES_MAC = Mac.parse("33:33:00:00:00:01")


@pytest.fixture
def cache() -> NdpCache:
    return NdpCache(OUR_MAC, [ROUTER, GATEWAY])


def heard(source: Ip6, destination: Ip6, message: Ndp) -> tuple[Ipv6, icmpv6.Icmpv6]:
    packet = ipv6.parse(packet_of(source, destination, message))
    return packet, icmpv6.parse(packet.payload, source, destination)


def said(cache: NdpCache) -> list[tuple[Mac, Ip6, Ip6, Ndp]]:
    """Where each message went, from whom, to whom."""
    out = []
    for destination, ethertype, payload in cache.transmit():
        assert ethertype == EtherType.IPV6
        packet = ipv6.parse(payload)
        message = icmpv6.parse(packet.payload, packet.source, packet.destination)
        out.append((destination, packet.source, packet.destination, read(packet, message)))
    return out


def answer(
    mac: Mac | None = GUEST_MAC, *, solicited: bool = True, override: bool = True
) -> NeighbourAdvertisement:
    return NeighbourAdvertisement(
        GUEST, solicited=solicited, override=override, options=Options(target_mac=mac)
    )


def question() -> NeighbourSolicitation:
    return NeighbourSolicitation(GUEST, Options(source_mac=OUR_MAC))


def test_a_packet_waits_for_the_answer_of_the_targets_group(cache: NdpCache) -> None:
    assert cache.send(GUEST, b"one", 0) is None
    group = solicited_node(GUEST)
    assert said(cache) == [(Mac(ipv6.group_mac(group)), ROUTER, group, question())]
    cache.on_advertisement(answer(), GUEST_MAC, 5)
    assert cache.transmit() == [Outgoing(GUEST_MAC, EtherType.IPV6, b"one")]
    assert cache.state(GUEST) is State.REACHABLE


def test_an_answer_without_an_address_is_none(cache: NdpCache) -> None:
    cache.send(GUEST, b"one", 0)
    cache.on_advertisement(answer(None), GUEST_MAC, 1)
    assert cache.state(GUEST) is State.INCOMPLETE


def test_an_announcement_of_a_stranger_is_not_kept(cache: NdpCache) -> None:
    cache.on_advertisement(answer(solicited=False), GUEST_MAC, 1)
    assert cache.state(GUEST) is None


def test_what_was_not_asked_for_is_stale_and_probed_by_unicast(cache: NdpCache) -> None:
    cache.send(GUEST, b"one", 0)
    cache.on_advertisement(answer(solicited=False), GUEST_MAC, 1)
    assert cache.state(GUEST) is State.STALE
    cache.transmit()
    assert cache.send(GUEST, b"two", 2) == GUEST_MAC
    cache.on_timer(2 + 5 * SECOND)
    assert said(cache) == [(GUEST_MAC, ROUTER, GUEST, question())]
    cache.on_advertisement(answer(), GUEST_MAC, 6 * SECOND)
    assert cache.state(GUEST) is State.REACHABLE


@pytest.mark.parametrize(
    ("override", "solicited", "mac", "state"),
    [
        (False, True, GUEST_MAC, State.STALE),
        (True, True, OTHER_MAC, State.REACHABLE),
        (True, False, OTHER_MAC, State.STALE),
    ],
)
def test_another_mac_counts_only_when_it_overrides(
    cache: NdpCache, override: bool, solicited: bool, mac: Mac, state: State
) -> None:
    cache.learn(GUEST, GUEST_MAC, 0)
    cache.on_advertisement(answer(OTHER_MAC, override=override, solicited=solicited), OTHER_MAC, 1)
    assert (cache.lookup(GUEST), cache.state(GUEST)) == (mac, state)


def test_an_answer_without_an_address_confirms_the_known_one(cache: NdpCache) -> None:
    cache.hint(GUEST, GUEST_MAC)
    assert cache.state(GUEST) is State.STALE
    cache.on_advertisement(answer(None), GUEST_MAC, 1)
    assert (cache.lookup(GUEST), cache.state(GUEST)) == (GUEST_MAC, State.REACHABLE)


@pytest.mark.parametrize("target", [ROUTER, GATEWAY])
def test_a_question_for_us_is_answered_and_learnt_from(cache: NdpCache, target: Ip6) -> None:
    asked = NeighbourSolicitation(target, Options(source_mac=GUEST_MAC))
    cache.on_solicitation(GUEST, asked, GUEST_MAC, 0)
    reply = NeighbourAdvertisement(
        target, router=True, solicited=True, override=True, options=Options(target_mac=OUR_MAC)
    )
    assert said(cache) == [(GUEST_MAC, target, GUEST, reply)]
    assert cache.state(GUEST) is State.STALE


def test_a_question_for_another_is_not_ours(cache: NdpCache) -> None:
    asked = NeighbourSolicitation(GUEST, Options(source_mac=OTHER_MAC))
    cache.on_solicitation(ip6("fe80::9"), asked, OTHER_MAC, 0)
    assert (cache.transmit(), cache.lookup(ip6("fe80::9"))) == ([], None)


def test_who_wants_our_address_is_told_that_it_is_taken(cache: NdpCache) -> None:
    cache.on_solicitation(UNSPECIFIED, NeighbourSolicitation(GATEWAY), GUEST_MAC, 0)
    [(mac, source, destination, reply)] = said(cache)
    assert (mac, source, destination) == (ALL_NODES_MAC, GATEWAY, ALL_NODES)
    assert isinstance(reply, NeighbourAdvertisement)
    assert (reply.target, reply.solicited, reply.override) == (GATEWAY, False, True)
    assert cache.events() == [Conflict(GATEWAY, GUEST_MAC)]
    assert cache.lookup(UNSPECIFIED) is None


def test_who_claims_our_address_is_reported_and_answered_once_in_ten_seconds(cache: NdpCache) -> None:
    claim = NeighbourAdvertisement(GATEWAY, override=True, options=Options(target_mac=GUEST_MAC))
    for now in (0, SECOND, 10 * SECOND):
        cache.on_advertisement(claim, GUEST_MAC, now)
    assert cache.events() == [Conflict(GATEWAY, GUEST_MAC)] * 3
    assert [(mac, destination) for mac, _, destination, _ in said(cache)] == [(ALL_NODES_MAC, ALL_NODES)] * 2


def test_all_our_addresses_are_announced(cache: NdpCache) -> None:
    cache.announce()
    assert [message.target for *_, message in said(cache) if isinstance(message, NeighbourAdvertisement)] == [
        ROUTER,
        GATEWAY,
    ]


def test_a_message_that_crossed_a_router_is_refused() -> None:
    packet, message = heard(GUEST, ROUTER, question())
    far = Ipv6(packet.source, packet.destination, packet.protocol, packet.payload, hop_limit=254)
    assert read(packet, message) == question()
    with pytest.raises(WireError, match="hop limit of 254"):
        read(far, message)


@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        (UNSPECIFIED, ROUTER, NeighbourSolicitation(ROUTER)),
        (UNSPECIFIED, solicited_node(GUEST), question()),
        (UNSPECIFIED, ROUTER, ndp.RouterSolicitation(Options(source_mac=GUEST_MAC))),
        (GUEST, ALL_NODES, answer(solicited=True)),
        (GUEST, ALL_NODES, ndp.RouterAdvertisement(1800)),
        (GUEST, ROUTER, ndp.Redirect(ROUTER, GUEST)),
    ],
)
def test_what_the_rfc_calls_invalid_is_refused(source: Ip6, destination: Ip6, message: Ndp) -> None:
    with pytest.raises(WireError, match="ndp"):
        read(*heard(source, destination, message))


def test_our_own_frames_coming_back_are_ignored(cache: NdpCache) -> None:
    cache.on_solicitation(UNSPECIFIED, NeighbourSolicitation(GATEWAY), OUR_MAC, 0)
    cache.on_advertisement(NeighbourAdvertisement(GATEWAY), OUR_MAC, 0)
    assert (cache.events(), cache.transmit()) == ([], [])
