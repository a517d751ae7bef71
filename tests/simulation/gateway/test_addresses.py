"""Who has which address on the guests' ethernet: ARP as RFC 826 and RFC 5227 have it, and who pretends."""

import pytest

from guestnet.core.address import BROADCAST, ZERO, Mac
from guestnet.core.events import AddressConflict
from guestnet.core.time import MINUTE, SECOND
from guestnet.gateway import events
from guestnet.gateway.config import GatewayConfig
from guestnet.wire import arp, ethernet, ipv4, udp
from guestnet.wire.arp import Arp, Operation
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import ANY, Ip4, Ipv4, Protocol, ip4
from tests.simulation.gateway.bench import SERVER, Bench
from tests.support.fake_guest import GATEWAY, HOST, MAC

OURS = GatewayConfig().mac
OTHER = Mac.parse("52:54:00:65:00:99")


def say(bench: Bench, packet: Arp, *, to: Mac = BROADCAST) -> list[Arp]:
    """Any station says ``packet``; what the gateway says to that, by ARP."""
    bench.guest.arps.clear()
    frame = ethernet.header(to, packet.sender_mac, EtherType.ARP) + arp.emit(packet)
    bench.tell(events.FramesReceived([frame]))
    return bench.guest.arps


def speak(bench: Bench, mac: Mac, source: Ip4) -> None:
    octets = udp.emit(udp.Datagram(5000, 7, b"x"), source, SERVER)
    packet = ipv4.emit(Ipv4(source, SERVER, Protocol.UDP, octets))
    bench.tell(events.FramesReceived([ethernet.header(OURS, mac, EtherType.IPV4) + packet]))


@pytest.mark.parametrize("address", [GATEWAY, HOST])
def test_a_probe_for_an_address_of_ours_is_answered(address: Ip4) -> None:
    """RFC 5227 2.1.1: so its sender does not take it."""
    bench = Bench()
    (answer,) = say(bench, arp.request(MAC, ANY, address))
    assert (answer.operation, answer.sender_mac, answer.sender_ip) == (Operation.REPLY, OURS, address)
    assert bench.noted(AddressConflict) == []


def test_a_probe_for_a_free_address_is_not_answered() -> None:
    assert say(Bench(), arp.request(MAC, ANY, ip4("192.168.65.77"))) == []


@pytest.mark.parametrize("operation", [Operation.REQUEST, Operation.REPLY])
def test_who_claims_an_address_of_ours_is_told_and_it_is_defended_once_in_ten_seconds(
    operation: Operation,
) -> None:
    """RFC 5227 2.4 (c)."""
    bench = Bench()
    claim = Arp(operation, OTHER, GATEWAY, ZERO, GATEWAY)
    (defence,) = say(bench, claim)
    assert (defence.sender_mac, defence.sender_ip, defence.target_ip) == (OURS, GATEWAY, GATEWAY)
    (conflict,) = bench.noted(AddressConflict)
    assert conflict == AddressConflict(
        at=bench.now, address="192.168.65.1", holder=str(OURS), claimant=str(OTHER)
    )
    bench.advance(9 * SECOND)
    assert say(bench, claim) == []
    bench.advance(SECOND)
    assert len(say(bench, claim)) == 1


def test_an_announcement_moves_what_the_gateway_sends() -> None:
    """RFC 826: who knows the sender's address takes over the new hardware address."""
    bench = Bench()
    bench.guest.ping(GATEWAY, 1)
    bench.settle()
    assert len(bench.guest.messages) == 1
    bench.guest.mac = OTHER
    bench.guest._neighbours.mac = OTHER
    say(bench, arp.request(OTHER, bench.guest.address, bench.guest.address))
    bench.guest.ping(GATEWAY, 2)
    bench.settle()
    assert [message.sequence for _, message in bench.guest.messages] == [1, 2]


def test_an_answer_that_nobody_asked_for_teaches_nothing() -> None:
    """Else any station could fill the table, or be in it before it is spoken to."""
    bench = Bench()
    unasked = Arp(Operation.REPLY, OTHER, ip4("192.168.65.9"), ZERO, ip4("192.168.65.4"))
    say(bench, unasked)
    octets = udp.emit(udp.Datagram(5000, 9, b""), ip4("192.168.65.9"), GATEWAY)
    packet = Ipv4(ip4("192.168.65.9"), GATEWAY, Protocol.UDP, octets)
    bench.guest.arps.clear()
    bench.tell(events.FramesReceived([ethernet.header(OURS, OTHER, EtherType.IPV4) + ipv4.emit(packet)]))
    (question,) = bench.guest.arps
    assert (question.operation, question.target_ip) == (Operation.REQUEST, ip4("192.168.65.9"))


def test_a_guest_that_is_silent_for_long_is_asked_again_before_it_is_forgotten() -> None:
    bench = Bench()
    bench.guest.ping(GATEWAY, 1)
    bench.settle()
    bench.advance(5 * MINUTE)
    bench.guest.arps.clear()
    bench.guest.ping(GATEWAY, 2)
    bench.settle()
    assert len(bench.guest.messages) == 2
    bench.advance(10 * SECOND)
    questions = [one for one in bench.guest.arps if one.operation == Operation.REQUEST]
    assert [one.target_ip for one in questions] == [bench.guest.address]
    bench.guest.ping(GATEWAY, 3)
    bench.settle()
    assert len(bench.guest.messages) == 3


def test_a_guest_that_speaks_as_another_is_told_once_a_second() -> None:
    bench = Bench()
    address = bench.guest.address
    speak(bench, MAC, address)
    assert bench.noted(AddressConflict) == []
    for _ in range(10):
        speak(bench, OTHER, address)
        speak(bench, MAC, address)
    (conflict,) = bench.noted(AddressConflict)
    assert (conflict.address, conflict.holder, conflict.claimant) == (
        "192.168.65.3",
        str(MAC),
        str(OTHER),
    )
    bench.advance(SECOND)
    speak(bench, OTHER, address)
    assert len(bench.noted(AddressConflict)) == 2
