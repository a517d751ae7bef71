"""Who has which IPv6 address: duplicate address detection (RFC 4862 5.4), and who claims one of ours."""

import pytest

from guestnet.core.address import Mac
from guestnet.core.events import AddressConflict
from guestnet.core.time import SECOND
from guestnet.gateway import events
from guestnet.gateway.config import GatewayConfig
from guestnet.tcpip.ndp import packet_of
from guestnet.wire import ethernet, ipv6, ndp
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Ip6, ip6, show_ip6, solicited_node
from guestnet.wire.ndp import Ndp, NeighbourAdvertisement, NeighbourSolicitation, Options
from tests.simulation.gateway.bench import Bench
from tests.support.fake_guest import GATEWAY6, GUEST6, HOST6, ROUTER6, FakeGuest

OURS = GatewayConfig().mac
OTHER = Mac.parse("52:54:00:65:00:99")
OTHER_LINK = ip6("fe80::5054:ff:fe65:99")


@pytest.fixture
def bench() -> Bench:
    guest = FakeGuest()
    guest.take_address(GUEST6)
    return Bench(guest=guest)


def say(bench: Bench, source: Ip6, destination: Ip6, message: Ndp, mac: Mac = OTHER) -> list[Ndp]:
    """Any station says ``message`` to a group or to us; what is advertised because of it."""
    bench.guest.discovered.clear()
    link = Mac(ipv6.group_mac(destination)) if ipv6.is_multicast(destination) else OURS
    frame = ethernet.header(link, mac, EtherType.IPV6) + packet_of(source, destination, message)
    bench.tell(events.FramesReceived([frame]))
    return [one for one in bench.guest.discovered if isinstance(one, NeighbourAdvertisement)]


def claims(address: Ip6) -> dict[str, tuple[Ip6, Ip6, Ndp]]:
    """All ways in which a station says that ``address`` is its own."""
    told, known = Options(target_mac=OTHER), Options(source_mac=OTHER)
    announced = NeighbourAdvertisement(address, override=True, options=told)
    question = NeighbourSolicitation(GUEST6, known)
    return {
        "announced": (address, ALL_NODES, announced),
        "announced by its other address": (OTHER_LINK, ALL_NODES, announced),
        "answered": (address, ROUTER6, NeighbourAdvertisement(address, solicited=True, options=told)),
        "used in a question": (address, solicited_node(GUEST6), question),
        "used as a router": (address, ALL_NODES, ndp.RouterAdvertisement(1800)),
    }


@pytest.mark.parametrize("address", [GATEWAY6, HOST6, ROUTER6])
def test_who_looks_whether_an_address_of_ours_is_free_hears_each_time_that_it_is_not(
    bench: Bench, address: Ip6
) -> None:
    for _ in range(3):
        asked = NeighbourSolicitation(address)
        (answer,) = say(bench, UNSPECIFIED, solicited_node(address), asked)
        assert isinstance(answer, NeighbourAdvertisement)
        assert (answer.target, answer.solicited, answer.override) == (address, False, True)
        assert answer.options.target_mac == OURS
    (conflict,) = bench.noted(AddressConflict)
    assert conflict == AddressConflict(
        at=bench.now, address=show_ip6(address), holder=str(OURS), claimant=str(OTHER)
    )


@pytest.mark.parametrize("address", [GATEWAY6, HOST6, ROUTER6])
@pytest.mark.parametrize("claim", claims(GATEWAY6))
def test_who_claims_an_address_of_ours_is_told_and_it_is_defended_once_in_ten_seconds(
    bench: Bench, claim: str, address: Ip6
) -> None:
    said = claims(address)[claim]
    if claim == "used as a router" and address != ROUTER6:
        said = (address, ALL_NODES, NeighbourSolicitation(GUEST6))
    (defence,) = say(bench, *said)
    assert isinstance(defence, NeighbourAdvertisement)
    assert (defence.target, defence.override, defence.options.target_mac) == (address, True, OURS)
    (conflict,) = bench.noted(AddressConflict)
    assert (conflict.holder, conflict.claimant) == (str(OURS), str(OTHER))
    bench.advance(9 * SECOND)
    assert say(bench, *said) == []
    bench.advance(SECOND)
    assert len(say(bench, *said)) == 1


def test_a_claim_teaches_nothing_of_who_has_the_guests_address(bench: Bench) -> None:
    bench.guest.ping(GATEWAY6)
    bench.settle()
    for said in claims(GATEWAY6).values():
        say(bench, *said)
    bench.guest.messages.clear()
    bench.guest.ping(GATEWAY6, 2)
    bench.settle()
    assert [message.sequence for _, message in bench.guest.messages] == [2]


def test_who_looks_for_a_free_address_of_the_guests_is_left_alone(bench: Bench) -> None:
    free = ip6("fd65:6775:6573:7400::77")
    assert say(bench, UNSPECIFIED, solicited_node(free), NeighbourSolicitation(free)) == []
    assert bench.noted(AddressConflict) == []


def test_what_comes_back_of_our_own_is_no_claim(bench: Bench) -> None:
    for said in claims(GATEWAY6).values():
        say(bench, *said, mac=OURS)
    assert bench.noted(AddressConflict) == []


def test_a_forged_claim_with_a_wrong_checksum_is_no_claim(bench: Bench) -> None:
    source, destination, message = claims(GATEWAY6)["announced"]
    packet = bytearray(packet_of(source, destination, message))
    packet[42] ^= 1
    frame = ethernet.header(Mac(ipv6.group_mac(destination)), OTHER, EtherType.IPV6) + bytes(packet)
    bench.tell(events.FramesReceived([frame]))
    assert bench.noted(AddressConflict) == []
