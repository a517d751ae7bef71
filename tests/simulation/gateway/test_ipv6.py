"""The gateway over IPv6, in virtual time: discovery, DHCPv6, DNS, flows, errors."""

import errno

import dns.message
import pytest
from msgspec.structs import replace

from guestnet.core.events import DhcpServed, FlowOpened, FlowRefused, FrameDropped
from guestnet.core.laptop import LaptopFacts
from guestnet.core.time import SECOND
from guestnet.gateway import commands, events
from guestnet.gateway.config import GatewayConfig, Ipv6Config
from guestnet.wire import dhcp, dhcpv6, icmpv6, ip, ipv6, ndp, tcp, udp
from guestnet.wire.dhcpv6 import Dhcpv6, IaNa, MessageType
from guestnet.wire.icmpv6 import ParameterProblem, TimeExceeded, Type, Unreachable
from guestnet.wire.ipv4 import Protocol
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Extension, Fragment, Ipv6, NextHeader, ip6
from guestnet.wire.tcp import Flags, Segment
from tests.simulation.gateway.bench import Bench
from tests.support.fake_guest import GATEWAY6, GUEST6, HOST6, MAC, ROUTER6, FakeGuest

SERVER = ip6("2001:db8::10")
LINK_LOCAL = ip6("fe80::5054:ff:fe65:1")


def bench(config: GatewayConfig | None = None, address: bytes = GUEST6) -> Bench:
    guest = FakeGuest()
    guest.take_address(address)
    return Bench(config, guest)


def said(one: Bench) -> icmpv6.Icmpv6:
    """The only ICMPv6 message for the guest."""
    one.settle()
    [(_, message)] = one.guest.messages
    assert isinstance(message, icmpv6.Icmpv6)
    return message


# --- discovery ---


def test_a_guest_that_asks_is_told_prefix_router_and_dns() -> None:
    one = bench(address=LINK_LOCAL)
    one.guest.solicit_router()
    one.settle()
    [told] = [message for message in one.guest.discovered if isinstance(message, ndp.RouterAdvertisement)]
    assert (told.router_lifetime, told.managed, told.other_config) == (1800, False, True)
    [prefix] = told.options.prefixes
    assert (prefix.prefix, prefix.length) == (ip6("fd65:6775:6573:7400::"), 64)
    assert (prefix.on_link, prefix.autonomous) == (True, True)
    assert told.options.dns_servers[0].servers == (GATEWAY6,)
    assert told.options.dns_search[0].domains == ("docker.internal",)
    assert (told.options.mtu, told.options.source_mac) == (1500, GatewayConfig().mac)


def test_what_the_router_tells_may_be_chosen() -> None:
    own = Ipv6Config(managed=True, other_config=False, autonomous=False, router_lifetime=0)
    one = bench(GatewayConfig(ipv6=own, mtu=1400))
    one.guest.solicit_router()
    one.settle()
    [told] = one.guest.discovered[:1]
    assert isinstance(told, ndp.RouterAdvertisement)
    assert (told.router_lifetime, told.managed, told.other_config) == (0, True, False)
    assert (told.options.prefixes[0].autonomous, told.options.mtu) == (False, 1400)


def test_advertisements_come_also_unasked() -> None:
    one = bench()
    one.tell()
    one.advance(60 * SECOND)
    told = [message for message in one.guest.discovered if isinstance(message, ndp.RouterAdvertisement)]
    assert len(told) >= 2


def test_neighbours_find_each_other_and_lose_each_other() -> None:
    one = bench()
    one.guest.ping(GATEWAY6)
    one.settle()
    assert said(one) == icmpv6.echo_reply(77, 1, b"ping")
    one.advance(60 * SECOND)
    one.guest.messages.clear()
    one.guest.ping(GATEWAY6, 2)
    one.settle()
    assert said(one) == icmpv6.echo_reply(77, 2, b"ping")


@pytest.mark.parametrize("ours", [ROUTER6, GATEWAY6, HOST6])
def test_all_our_addresses_answer_pings(ours: bytes) -> None:
    one = bench(address=LINK_LOCAL if ours == ROUTER6 else GUEST6)
    one.guest.ping(ours)
    one.settle()
    assert one.guest.messages == [(ours, icmpv6.echo_reply(77, 1, b"ping"))]


def test_who_tries_our_address_is_told_that_it_is_taken() -> None:
    one = bench()
    group = ipv6.solicited_node(GATEWAY6)
    question = icmpv6.emit(ndp.emit(ndp.NeighbourSolicitation(GATEWAY6)), UNSPECIFIED, group)
    one.guest.send_packet(Ipv6(UNSPECIFIED, group, Protocol.ICMPV6, question, hop_limit=255))
    one.settle()
    [answer] = one.guest.discovered
    assert isinstance(answer, ndp.NeighbourAdvertisement)
    assert (answer.target, answer.override) == (GATEWAY6, True)


def test_a_guest_that_speaks_as_a_router_is_told_of() -> None:
    one = bench(address=LINK_LOCAL)
    one.guest.send_ndp(ALL_NODES, ndp.RouterAdvertisement(1800))
    one.settle()
    assert [event.rule for event in one.noted(FrameDropped)] == ["ndp: a guest speaks as a router"]


def test_without_ipv6_there_is_silence() -> None:
    for config in (GatewayConfig(ipv6=Ipv6Config(is_on=False)), GatewayConfig(mtu=1000)):
        one = bench(config)
        one.guest.mtu = config.mtu
        one.guest.solicit_router()
        one.guest.ping(GATEWAY6)
        one.advance(60 * SECOND)
        assert (one.guest.discovered, one.guest.messages, one.journal) == ([], [], [])


# --- services ---


def test_dhcpv6_gives_addresses_and_dns() -> None:
    one = bench(address=LINK_LOCAL)
    duid = dhcpv6.duid_ll(MAC)
    options = dhcpv6.Options(client_id=duid, ia_na=(IaNa(7),), rapid_commit=True)
    one.guest.send_dhcpv6(Dhcpv6(MessageType.SOLICIT, 1, options))
    one.settle()
    [reply] = one.guest.answers
    assert reply.type == MessageType.REPLY
    assert reply.options.ia_na[0].addresses[0].address == GUEST6
    assert (reply.options.dns_servers, reply.options.domain_search) == ((GATEWAY6,), ("docker.internal",))
    [event] = one.noted(DhcpServed)
    assert (event.kind, event.mac, event.address) == ("REPLY", str(MAC), "fd65:6775:6573:7400::3")
    one.guest.send_dhcpv6(Dhcpv6(MessageType.INFORMATION_REQUEST, 2, dhcpv6.Options(client_id=duid)))
    one.settle()
    assert one.guest.answers[1].options.dns_servers == (GATEWAY6,)


def test_guests_are_told_of_the_captive_portal_as_soon_as_the_gateway_knows() -> None:
    """RFC 8910: by an advertisement that nobody asked for, and from then on by everything."""
    one = bench(address=LINK_LOCAL)
    one.tell()
    for uri in ("https://portal.example/api", ""):
        one.guest.discovered.clear()
        one.tell(events.LaptopTold(LaptopFacts(portal=uri)))
        told = [message for message in one.guest.discovered if isinstance(message, ndp.RouterAdvertisement)]
        assert [message.options.captive_portal for message in told] == [uri or None]
        one.guest.send_dhcpv6(Dhcpv6(MessageType.INFORMATION_REQUEST, 2, dhcpv6.Options()))
        one.guest.send_dhcp(dhcp.MessageType.INFORM)
        one.settle()
        assert one.guest.answers[-1].options.captive_portal == (uri or None)
        assert one.guest.leases[-1].options.captive_portal == (uri or None)


def test_what_routers_do_not_advertise_is_no_news_to_guests() -> None:
    one = bench(address=LINK_LOCAL)
    facts = LaptopFacts(portal="https://portal.example/api")
    one.tell(events.LaptopTold(facts))
    one.guest.discovered.clear()
    one.tell(events.LaptopTold(replace(facts, resolvers=("192.0.2.1",), search=("example",))))
    assert one.guest.discovered == []


def test_a_portal_whose_address_is_too_long_to_be_told_is_none() -> None:
    """RFC 8910 section 2: 255 octets at most."""
    one = bench(address=LINK_LOCAL)
    longest = "https://portal.example/".ljust(255, "a")
    for uri, told in ((longest, longest), (longest + "a", None)):
        one.tell(events.LaptopTold(LaptopFacts(portal=uri)))
        one.guest.send_dhcp(dhcp.MessageType.INFORM)
        one.settle()
        assert one.guest.leases[-1].options.captive_portal == told


@pytest.mark.parametrize(("own", "address"), [(GATEWAY6, GUEST6), (ROUTER6, LINK_LOCAL)])
def test_dns_answers_over_ipv6_and_has_addresses_of_it(own: bytes, address: bytes) -> None:
    one = bench(address=address)
    query = dns.message.make_query("host.docker.internal", "AAAA")
    one.guest.send_datagram(own, 53, query.to_wire())
    one.settle()
    [(source, datagram)] = one.guest.datagrams
    answer = dns.message.from_wire(bytes(datagram.payload))
    assert source == own
    assert [str(record) for rrset in answer.answer for record in rrset] == ["fd65:6775:6573:7400::2"]


def test_dns_answers_over_tcp_and_ipv6() -> None:
    one = bench()
    stream = one.guest.connect(GATEWAY6, 53)
    query = dns.message.make_query("gateway.docker.internal", "AAAA").to_wire()
    stream.send(len(query).to_bytes(2, "big") + query)
    one.settle()
    answer = dns.message.from_wire(bytes(stream.received[2:]))
    assert [str(record) for rrset in answer.answer for record in rrset] == ["fd65:6775:6573:7400::1"]


# --- flows ---


def test_tcp_goes_through_both_ways() -> None:
    one = bench()
    stream = one.guest.connect(SERVER, 80)
    one.settle()
    connect = one.take(commands.Connect)
    assert (connect.address, connect.port, connect.ttl) == (SERVER, 80, 63)
    one.tell(events.Connected(connect.flow, "[2001:db8::99]:50000"))
    assert stream.is_established
    assert stream.connection.sender.mss == 1500 - 60 - 12
    up = bytes(range(256)) * 1000
    stream.send(up, then_shut=True)
    one.settle()
    one.advance(SECOND)
    assert bytes(one.sent[connect.flow]) == up
    one.tell(events.DataReceived(connect.flow, b"hello" * 1000), events.EndOfStream(connect.flow))
    assert stream.received == b"hello" * 1000
    assert stream.has_ended
    [opened] = one.noted(FlowOpened)
    assert opened.guest == "[fd65:6775:6573:7400::3]:40000"
    assert (opened.remote, opened.host) == ("[2001:db8::10]:80", "[2001:db8::99]:50000")


def test_the_host_address_is_the_loopback_of_the_laptop() -> None:
    one = bench()
    one.guest.connect(HOST6, 8080)
    one.settle()
    assert one.take(commands.Connect).address == ipv6.LOOPBACK


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENETUNREACH, Unreachable.NO_ROUTE),
        (errno.EAFNOSUPPORT, Unreachable.NO_ROUTE),
        (errno.EHOSTUNREACH, Unreachable.ADDRESS),
        (errno.EACCES, Unreachable.PROHIBITED),
    ],
)
def test_what_the_hosts_connect_fails_with_is_told(number: int, code: int) -> None:
    one = bench()
    one.guest.connect(SERVER, 80)
    one.settle()
    one.tell(events.ConnectFailed(one.take(commands.Connect).flow, number))
    message = said(one)
    assert (message.type, message.code) == (Type.DESTINATION_UNREACHABLE, code)
    assert one.guest.messages[0][0] == GATEWAY6
    quote = ipv6.parse(message.payload)
    assert tcp.parse(quote.payload, GUEST6, SERVER).flags == Flags.SYN


def test_a_refused_connect_is_reset() -> None:
    one = bench()
    stream = one.guest.connect(SERVER, 80)
    one.settle()
    one.tell(events.ConnectFailed(one.take(commands.Connect).flow, errno.ECONNREFUSED))
    assert stream.is_refused


def test_udp_goes_through_both_ways() -> None:
    one = bench()
    one.guest.send_datagram(SERVER, 7, b"up")
    one.settle()
    opened, sent = one.take(commands.OpenDatagram), one.take(commands.SendDatagram)
    assert (opened.version, opened.port) == (6, 5000)
    assert (sent.address, sent.port, sent.payload, sent.ttl, sent.dont_fragment) == (
        SERVER,
        7,
        b"up",
        63,
        True,
    )
    one.tell(events.DatagramReceived(sent.flow, SERVER, 7, b"down"))
    assert one.guest.datagrams == [(SERVER, udp.Datagram(7, 5000, b"down"))]
    one.tell(events.DatagramReceived(sent.flow, ipv6.LOOPBACK, 9, b"local"))
    assert one.guest.datagrams[1][0] == HOST6


def test_large_datagrams_go_in_fragments_both_ways() -> None:
    one = bench()
    large = bytes(range(256)) * 20
    one.guest.send_datagram(SERVER, 7, large)
    one.settle()
    sent = one.take(commands.SendDatagram)
    assert (sent.payload, sent.dont_fragment) == (large, False)
    one.tell(events.DatagramReceived(sent.flow, SERVER, 7, large))
    assert one.guest.datagrams == [(SERVER, udp.Datagram(7, 5000, large))]


@pytest.mark.parametrize(
    ("number", "mtu", "kind", "code", "rest"),
    [
        (errno.ECONNREFUSED, 0, Type.DESTINATION_UNREACHABLE, Unreachable.PORT, 0),
        (errno.ENETUNREACH, 0, Type.DESTINATION_UNREACHABLE, Unreachable.NO_ROUTE, 0),
        (errno.EMSGSIZE, 1280, Type.PACKET_TOO_BIG, 0, 1280),
    ],
)
def test_errors_of_datagrams_are_told(number: int, mtu: int, kind: int, code: int, rest: int) -> None:
    one = bench()
    one.guest.send_datagram(SERVER, 7, b"up")
    one.settle()
    flow = one.take(commands.SendDatagram).flow
    one.tell(events.DatagramFailed(flow, SERVER, 7, number, b"up", mtu=mtu))
    message = said(one)
    assert (message.type, message.code, message.rest) == (kind, code, rest)
    [event] = one.noted(FlowRefused)
    assert event.remote == "[2001:db8::10]:7"


def test_what_a_router_said_comes_from_that_router() -> None:
    one = bench()
    one.guest.send_datagram(SERVER, 33434, b"probe", ttl=2)
    one.settle()
    sent = one.take(commands.SendDatagram)
    assert sent.ttl == 1
    router = ip6("2001:db8:ffff::1")
    cause = events.IcmpCause(Type.TIME_EXCEEDED, TimeExceeded.HOP_LIMIT, router)
    one.tell(events.DatagramFailed(sent.flow, SERVER, 33434, errno.EHOSTUNREACH, b"probe", cause))
    assert one.guest.messages[0][0] == router
    message = said(one)
    assert message.type == Type.TIME_EXCEEDED
    quote = ipv6.parse(message.payload)
    assert udp.parse(quote.payload, GUEST6, SERVER) == udp.Datagram(5000, 33434, b"probe")


def test_what_is_link_local_outside_means_nobody_inside() -> None:
    one = bench()
    one.guest.send_datagram(SERVER, 7, b"up")
    one.settle()
    flow = one.take(commands.SendDatagram).flow
    for stranger in ("fe80::5", "fd65:6775:6573:7400::9", "fd65:6775:6573:7400::1"):
        one.tell(events.DatagramReceived(flow, ip6(stranger), 7, b"down"))
    assert one.guest.datagrams == []
    cause = events.IcmpCause(Type.DESTINATION_UNREACHABLE, Unreachable.NO_ROUTE, ip6("fe80::5"))
    one.tell(events.DatagramFailed(flow, SERVER, 7, errno.ENETUNREACH, b"up", cause))
    assert one.guest.messages[0][0] == GATEWAY6


@pytest.mark.parametrize("kind", ["udp", "icmp"])
def test_a_host_without_ipv6_is_told_at_once(kind: str) -> None:
    one = bench()
    if kind == "udp":
        one.guest.send_datagram(SERVER, 7, b"up")
        one.settle()
        one.tell(events.DatagramLost(one.take(commands.OpenDatagram).flow, errno.EAFNOSUPPORT))
    else:
        one.guest.ping(SERVER)
        one.settle()
        one.tell(events.EchoLost(one.take(commands.SendEcho).flow, errno.EAFNOSUPPORT))
    message = said(one)
    assert (message.type, message.code) == (Type.DESTINATION_UNREACHABLE, Unreachable.NO_ROUTE)
    assert [event.answer for event in one.noted(FlowRefused)] == ["no-route-unreachable"]


def test_pings_of_real_hosts_go_out_and_come_back() -> None:
    one = bench()
    one.guest.ping(SERVER, 3, b"data")
    one.settle()
    sent = one.take(commands.SendEcho)
    assert (sent.address, sent.sequence, sent.payload, sent.ttl) == (SERVER, 3, b"data", 63)
    one.tell(events.EchoReplied(sent.flow, SERVER, 3, b"data"))
    assert one.guest.messages == [(SERVER, icmpv6.echo_reply(77, 3, b"data"))]


# --- what may not be, and what is wrong ---


def test_a_packet_out_of_hops_is_told() -> None:
    one = bench()
    one.guest.send_datagram(SERVER, 33434, b"probe", ttl=1)
    message = said(one)
    assert (message.type, message.code) == (Type.TIME_EXCEEDED, TimeExceeded.HOP_LIMIT)
    assert not one.has(commands.OpenDatagram)


def test_a_link_local_source_goes_nowhere() -> None:
    one = bench(address=LINK_LOCAL)
    one.guest.ping(SERVER)
    message = said(one)
    assert (message.type, message.code) == (Type.DESTINATION_UNREACHABLE, Unreachable.BEYOND_SCOPE)


@pytest.mark.parametrize("destination", ["::1", "::", "::ffff:1.2.3.4", "fe80::9", "ff02::9"])
def test_some_destinations_are_never_forwarded(destination: str) -> None:
    one = bench()
    octets = udp.emit(udp.Datagram(1, 2, b"x"), GUEST6, ip6(destination))
    frame = GatewayConfig().mac + MAC + b"\x86\xdd" + ip.emit(Ipv6(GUEST6, ip6(destination), 17, octets))
    one.tell(events.FramesReceived([frame]))
    assert not one.has(commands.OpenDatagram)


@pytest.mark.parametrize("source", [SERVER, HOST6, ROUTER6, ipv6.LOOPBACK])
def test_a_source_that_is_no_guests_is_dropped(source: bytes) -> None:
    one = bench()
    octets = udp.emit(udp.Datagram(1, 2, b"x"), source, SERVER)
    one.guest.send_packet(Ipv6(source, SERVER, 17, octets))
    one.settle()
    assert "is no guest's" in one.noted(FrameDropped)[0].rule
    assert not one.has(commands.OpenDatagram)


def test_a_closed_port_of_ours_is_told() -> None:
    one = bench()
    one.guest.send_datagram(GATEWAY6, 9, b"x")
    assert (said(one).type, said(one).code) == (Type.DESTINATION_UNREACHABLE, Unreachable.PORT)
    stream = one.guest.connect(GATEWAY6, 80)
    one.settle()
    assert stream.is_refused


def test_an_unknown_header_is_told_with_its_place() -> None:
    one = bench()
    options = Extension(NextHeader.DESTINATION_OPTIONS, b"\1\4" + bytes(4))
    one.guest.send_packet(Ipv6(GUEST6, SERVER, 253, b"x", extensions=(options,)))
    message = said(one)
    expected = (Type.PARAMETER_PROBLEM, ParameterProblem.NEXT_HEADER, 40)
    assert (message.type, message.code, message.pointer) == expected
    one.guest.messages.clear()
    one.guest.send_packet(Ipv6(GUEST6, SERVER, 253, b"x"))
    assert said(one).pointer == 6
    one.guest.messages.clear()
    one.guest.send_packet(Ipv6(GUEST6, SERVER, NextHeader.NONE, b""))
    one.settle()
    assert one.guest.messages == []


def test_a_routing_header_of_type_0_is_refused() -> None:
    one = bench()
    routing = Extension(NextHeader.ROUTING, b"\0\1" + bytes(4) + SERVER)
    one.guest.send_packet(Ipv6(GUEST6, SERVER, 17, bytes(8), extensions=(routing,)))
    message = said(one)
    assert (message.type, message.code, message.pointer) == (Type.PARAMETER_PROBLEM, 0, 42)


def test_fragments_that_never_are_a_whole_are_told_after_a_minute() -> None:
    one = bench()
    octets = udp.emit(udp.Datagram(5000, 7, bytes(2000)), GUEST6, SERVER)
    one.guest.send_packet(Ipv6(GUEST6, SERVER, 17, octets[:800], extensions=(Fragment(0, True, 5),)))
    one.settle()
    one.advance(61 * SECOND)
    message = said(one)
    assert (message.type, message.code) == (Type.TIME_EXCEEDED, TimeExceeded.REASSEMBLY)


def test_errors_are_limited_in_number() -> None:
    limits = replace(GatewayConfig().limits, icmp_errors=10, icmp_burst=5)
    one = bench(GatewayConfig(limits=limits))
    for _ in range(50):
        one.guest.send_datagram(GATEWAY6, 9, b"x")
    one.settle()
    assert len(one.guest.messages) == 5


def test_a_guest_that_says_that_it_got_too_much_gets_less() -> None:
    one = bench()
    one.guest.connect(SERVER, 80)
    one.settle()
    flow = one.take(commands.Connect).flow
    one.tell(events.Connected(flow, "[::1]:50000"))
    one.guest.segments.clear()
    first = Segment(80, 40000, one.gateway.tcp._table._by_number[flow].connection.sender.snd_nxt & 0xFFFFFFFF,
                    0, Flags.ACK, 0)  # fmt: skip
    one.guest._streams.clear()
    one.tell(events.DataReceived(flow, bytes(1400)))
    assert [len(segment.payload) for segment in one.guest.segments] == [1400]
    about = ip.emit(Ipv6(SERVER, GUEST6, 6, tcp.emit(first, SERVER, GUEST6)))
    octets = icmpv6.emit(icmpv6.packet_too_big(1300, about), GUEST6, SERVER)
    one.guest.segments.clear()
    one.guest.send_packet(Ipv6(GUEST6, SERVER, Protocol.ICMPV6, octets))
    one.settle()
    assert [len(segment.payload) for segment in one.guest.segments] == [1228, 172]


def test_a_guest_that_closed_its_port_ends_the_flow() -> None:
    one = bench()
    one.guest.send_datagram(SERVER, 7, b"up")
    one.settle()
    one.take(commands.SendDatagram)
    octets = udp.emit(udp.Datagram(7, 5000, b"down"), SERVER, GUEST6)
    about = ip.emit(Ipv6(SERVER, GUEST6, 17, octets))
    error = icmpv6.emit(icmpv6.unreachable(Unreachable.PORT, about), GUEST6, SERVER)
    one.guest.send_packet(Ipv6(GUEST6, SERVER, Protocol.ICMPV6, error))
    one.settle()
    assert one.has(commands.CloseDatagram)
