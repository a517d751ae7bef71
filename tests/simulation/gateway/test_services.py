"""DHCP and DNS on the gateway's address, and what its interface lets in."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from guestnet.core.address import BROADCAST as BROADCAST_MAC
from guestnet.core.events import AddressConflict, DhcpServed, DnsAnswered, FrameDropped
from guestnet.core.time import MINUTE, SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig
from guestnet.gateway.gateway import Gateway
from guestnet.wire import arp, ethernet, ipv4, udp
from guestnet.wire.dhcp import MessageType
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv4 import ANY, Ipv4, Protocol, ip4
from tests.simulation.gateway.bench import SERVER, START, Bench
from tests.support.fake_guest import GATEWAY, HOST, MAC, FakeGuest


def query(bench: Bench, name: str, rdtype: str = "A") -> dns.message.QueryMessage:
    message = dns.message.make_query(name, rdtype)
    bench.guest.send_datagram(GATEWAY, 53, message.to_wire())
    bench.settle()
    return message


def answer(bench: Bench) -> dns.message.Message:
    (source, datagram) = bench.guest.datagrams.pop()
    assert (source, datagram.source_port) == (GATEWAY, 53)
    return dns.message.from_wire(bytes(datagram.payload))


# --- DHCP ---


def test_a_guest_without_address_gets_one() -> None:
    guest = FakeGuest()
    bench = Bench(GatewayConfig(mtu=1400), guest)
    guest.take_address(ANY)
    guest.send_dhcp(MessageType.DISCOVER)
    bench.settle()
    offer = guest.leases[-1]
    assert offer.yiaddr == ip4("192.168.65.3")
    guest.send_dhcp(MessageType.REQUEST, requested_address=offer.yiaddr, server_identifier=GATEWAY)
    bench.settle()
    ack = guest.leases[-1]
    assert ack.type == MessageType.ACK
    assert ack.options.interface_mtu == 1400
    assert [event.kind for event in bench.noted(DhcpServed)] == ["OFFER", "ACK"]


# --- DNS ---


def forwarded(bench: Bench) -> commands.AskServer:
    """What the laptop's first server is asked."""
    listing = bench.take(commands.ListServers)
    bench.tell(events.ServersListed(listing.token, ["192.0.2.53", "192.0.2.54"]))
    return bench.take(commands.AskServer)


def test_a_server_that_can_not_be_asked_gives_way_to_the_next_and_a_late_answer_is_passed_over() -> None:
    bench = Bench()
    asked = query(bench, "shop.example", "A")
    first = forwarded(bench)
    bench.tell(events.ServerFailed(first.token))
    second = bench.take(commands.AskServer)
    assert second.server == "192.0.2.54"
    bench.advance(2 * SECOND)
    third = bench.take(commands.AskServer)
    response = dns.message.make_response(asked).to_wire()
    bench.tell(events.ServerAnswered(second.token, response))
    assert answer(bench).rcode() == dns.rcode.NOERROR
    assert bench.take(commands.ForgetServer).token == third.token
    bench.tell(events.ServerAnswered(third.token, response))
    assert not bench.guest.datagrams


def test_own_names_are_answered_without_the_laptop() -> None:
    bench = Bench()
    asked = query(bench, "host.docker.internal")
    message = answer(bench)
    assert message.id == asked.id
    assert str(message.answer[0][0]) == "192.168.65.2"
    assert not bench.has(commands.ListServers)


def test_other_names_are_the_laptops_business() -> None:
    bench = Bench()
    asked = query(bench, "shop.example", "MX")
    resolve = forwarded(bench)
    assert (resolve.query, resolve.server, resolve.stream) == (asked.to_wire(), "192.0.2.53", False)
    response = dns.message.make_response(asked)
    response.answer.append(dns.rrset.from_text("shop.example.", 77, "IN", "MX", "10 mail.example."))
    bench.tell(events.ServerAnswered(resolve.token, response.to_wire()))
    assert answer(bench).answer == response.answer
    (noted,) = bench.noted(DnsAnswered)
    assert (noted.client, noted.source, noted.rcode) == ("192.168.65.3:5000", "host", "NOERROR")


def test_a_resolver_that_never_answers_is_servfail_in_the_end() -> None:
    bench = Bench()
    query(bench, "shop.example")
    forwarded(bench)
    bench.advance(10 * SECOND)
    assert answer(bench).rcode() == dns.rcode.SERVFAIL


def test_dns_over_tcp_answers_several_queries_on_one_connection() -> None:
    bench = Bench()
    stream = bench.guest.connect(GATEWAY, 53)
    first = dns.message.make_query("host.docker.internal", "A")
    second = dns.message.make_query("many.example", "A")
    for message in (first, second):
        wire = message.to_wire()
        stream.send(len(wire).to_bytes(2, "big") + wire)
    bench.settle()
    resolve = forwarded(bench)
    response = dns.message.make_response(second)
    many = [f"10.0.{number}.1" for number in range(200)]
    response.answer.append(dns.rrset.from_text("many.example.", 5, "IN", "A", *many))
    bench.tell(events.ServerAnswered(resolve.token, response.to_wire()))
    octets = bytes(stream.received)
    length = int.from_bytes(octets[:2], "big")
    assert str(dns.message.from_wire(octets[2 : 2 + length]).answer[0][0]) == "192.168.65.2"
    rest = octets[2 + length :]
    long = dns.message.from_wire(rest[2 : 2 + int.from_bytes(rest[:2], "big")])
    assert len(long.answer[0]) == 200
    assert not long.flags & dns.flags.TC
    stream.send(b"", then_shut=True)
    bench.settle()
    assert stream.has_ended


def test_a_silent_dns_connection_is_closed() -> None:
    bench = Bench()
    stream = bench.guest.connect(GATEWAY, 53)
    bench.settle()
    assert stream.is_established
    bench.advance(MINUTE)
    assert stream.is_refused


# --- the interface ---


def frame(packet: Ipv4) -> bytes:
    return ethernet.header(GatewayConfig().mac, MAC, EtherType.IPV4) + ipv4.emit(packet)


def datagram(source: bytes) -> Ipv4:
    octets = udp.emit(udp.Datagram(5000, 7, b"x"), source, SERVER)
    return Ipv4(source, SERVER, Protocol.UDP, octets)


@pytest.mark.parametrize(
    "source", ["10.1.2.3", "192.168.65.1", "192.168.65.2", "192.168.65.255", "127.0.0.1"]
)
def test_packets_from_who_is_no_guest_are_dropped_with_a_reason(source: str) -> None:
    bench = Bench()
    bench.tell(events.FramesReceived([frame(datagram(ip4(source)))]))
    (dropped,) = bench.noted(FrameDropped)
    assert "no guest's" in dropped.rule
    assert source in dropped.frame
    assert bench.commands == []


def test_damaged_packets_are_dropped_with_a_reason() -> None:
    bench = Bench()
    good = frame(datagram(bench.guest.address))
    damaged = [good[:35], good[:-1] + b"y", good[:24] + b"\0\0" + good[26:]]
    bench.tell(events.FramesReceived(damaged))
    assert [event.rule.partition(" at ")[0] for event in bench.noted(FrameDropped)] == [
        "ipv4 total length",
        "udp checksum",
        "ipv4 header checksum",
    ]
    assert bench.commands == []


def test_frames_for_others_are_none_of_our_business() -> None:
    bench = Bench()
    octets = ethernet.header(bytes.fromhex("525400650002"), MAC, EtherType.IPV4) + ipv4.emit(
        datagram(bench.guest.address)
    )
    bench.tell(events.FramesReceived([octets]))
    assert bench.commands == []
    assert bench.journal == []


@pytest.mark.parametrize("address", [GATEWAY, HOST])
def test_the_gateway_answers_arp_for_itself_and_for_the_host(address: bytes) -> None:
    bench = Bench()
    request = arp.emit(arp.request(MAC, bench.guest.address, address))
    bench.tell(events.FramesReceived([ethernet.header(BROADCAST_MAC, MAC, EtherType.ARP) + request]))
    assert bench.guest.arps[-1].sender_ip == address
    assert bench.guest.arps[-1].sender_mac == GatewayConfig().mac


def test_it_does_not_answer_arp_for_guests() -> None:
    bench = Bench()
    request = arp.emit(arp.request(MAC, bench.guest.address, ip4("192.168.65.77")))
    bench.tell(events.FramesReceived([ethernet.header(BROADCAST_MAC, MAC, EtherType.ARP) + request]))
    assert bench.guest.arps == []


def test_a_guest_that_claims_the_gateways_address_is_told_of() -> None:
    bench = Bench()
    claim = arp.emit(arp.request(MAC, GATEWAY, GATEWAY))
    bench.tell(events.FramesReceived([ethernet.header(BROADCAST_MAC, MAC, EtherType.ARP) + claim]))
    (conflict,) = bench.noted(AddressConflict)
    assert (conflict.address, conflict.claimant) == ("192.168.65.1", str(MAC))


def test_what_cannot_be_delivered_because_nobody_answers_arp_is_told() -> None:
    bench = Bench()
    # The guest's datagram comes by, but it has never asked for us by ARP and does not answer either.
    bench.guest.mac = FakeGuest().mac
    silent = ip4("192.168.65.9")
    octets = udp.emit(udp.Datagram(5000, 53, b"\0\7\1\0\0\1\0\0\0\0\0\0"), silent, GATEWAY)
    bench.tell(events.FramesReceived([frame(Ipv4(silent, GATEWAY, Protocol.UDP, octets))]))
    bench.advance(10 * SECOND)
    (dropped,) = bench.noted(FrameDropped)
    assert "nobody answers ARP for 192.168.65.9" in dropped.rule


def test_a_turn_puts_out_at_most_one_batch_of_frames_and_it_is_the_last_command() -> None:
    gateway = Gateway(GatewayConfig())
    request = ethernet.header(BROADCAST_MAC, MAC, EtherType.ARP) + arp.emit(
        arp.request(MAC, ip4("192.168.65.3"), GATEWAY)
    )
    given = gateway.handle([events.FramesReceived([request] * 5), events.FramesReceived([request])], START)
    assert [type(command) for command in given] == [commands.SendFrames]
    (batch,) = given
    assert isinstance(batch, commands.SendFrames)
    assert len(batch.frames) == 6


def test_fragments_that_never_become_whole_are_told_of() -> None:
    bench = Bench()
    octets = udp.emit(udp.Datagram(5000, 7, bytes(3000)), bench.guest.address, SERVER)
    first = Ipv4(
        bench.guest.address, SERVER, Protocol.UDP, octets[:1480], identification=5, more_fragments=True
    )
    bench.tell(events.FramesReceived([frame(first)]))
    bench.advance(MINUTE)
    ((_, message),) = bench.guest.messages
    assert (message.type, message.code) == (11, 1)
