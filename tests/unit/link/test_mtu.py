"""A link with an MTU: what fits, what is answered, what is cut and what vanishes."""

import pytest

from guestnet.core.events import FrameImpaired
from guestnet.link.link import Link
from guestnet.link.rules.mtu import NAMELESS4, NAMELESS6
from guestnet.link.settings import Mtu, impairments
from guestnet.tcpip.reassembly import Reassembler
from guestnet.wire import icmp, icmpv6
from guestnet.wire.frame import decode
from guestnet.wire.ip import IpAddress
from guestnet.wire.ipv4 import Ipv4, Protocol, ip4
from guestnet.wire.ipv6 import ip6
from guestnet.wire.tcp import Flags
from tests.support.road import START, Road
from tests.unit.link.frames import GUEST, GUEST6, ONE, SERVER, SERVER6, TWO, a_tcp, a_udp, an_arp, frame

ROUTER: tuple[IpAddress, IpAddress] = (ip4("192.0.2.1"), ip6("2001:db8::1"))
BIG = a_tcp(Flags.ACK, bytes(1400))
BIG6 = a_tcp(Flags.ACK, bytes(1400), source=GUEST6, to=SERVER6)


def through(*frames: bytes, mtu: Mtu, addresses: tuple[IpAddress, ...] = ROUTER) -> Road:
    link = Link("tunnel", addresses=addresses)
    link.impair(impairments(mtu=mtu), START)
    return Road(link).drive([(START, frames)])


def test_what_fits_passes_as_it_is() -> None:
    fits = a_tcp(Flags.ACK, bytes(1360))
    assert len(fits) == 14 + 1400
    road = through(fits, an_arp(), mtu=Mtu(1400))
    assert [out.frame for out in road.out] == [fits, an_arp()]
    assert not road.answers
    assert not road.events


def test_ethernet_padding_does_not_count() -> None:
    padded = a_tcp(Flags.ACK) + bytes(60)
    assert [out.frame for out in through(padded, mtu=Mtu(68)).out] == [padded]


def test_a_large_packet_is_answered_with_frag_needed() -> None:
    road = through(BIG, mtu=Mtu(1400))
    assert not road.out
    assert road.captured == [(BIG, "mtu 1400")]
    assert [event.rule for event in road.dropped] == ["mtu 1400"]
    (answer,) = map(decode, road.answers)
    assert answer.error is None
    assert answer.eth is not None
    assert answer.ip is not None
    assert answer.icmp is not None
    assert (answer.eth.destination, answer.eth.source) == (ONE, TWO)
    assert (answer.ip.source, answer.ip.destination) == (ROUTER[0], GUEST)
    assert (answer.icmp.type, answer.icmp.code, answer.icmp.mtu) == (3, 4, 1400)
    assert answer.icmp.payload == BIG[14 : 14 + 548]
    assert len(answer.ip.payload) + 20 == 576


def test_a_large_packet_of_version_6_is_answered_with_packet_too_big() -> None:
    (answer,) = map(decode, through(BIG6, mtu=Mtu(1280)).answers)
    assert answer.error is None
    assert answer.ip is not None
    assert answer.icmpv6 is not None
    assert (answer.ip.source, answer.ip.destination) == (ROUTER[1], GUEST6)
    assert (answer.icmpv6.type, answer.icmpv6.mtu) == (2, 1280)
    assert len(answer.ip.payload) + 40 == 1280
    assert bytes(answer.icmpv6.payload) == BIG6[14 : 14 + 1232]


def test_a_link_without_addresses_answers_all_the_same() -> None:
    answers = through(BIG, BIG6, mtu=Mtu(1300), addresses=()).answers
    sources = [packet.ip.source for packet in map(decode, answers) if packet.ip is not None]
    assert sources == [NAMELESS4, NAMELESS6]


def test_a_black_hole_says_nothing() -> None:
    road = through(BIG, BIG6, mtu=Mtu(1400, black_hole=True))
    assert not road.out
    assert not road.answers
    assert [rule for _, rule in road.captured] == ["mtu 1400 black hole"] * 2


def test_a_filter_leaves_the_others_alone() -> None:
    road = through(BIG, BIG6, mtu=Mtu(1400, only="ipv6"))
    assert [out.frame for out in road.out] == [BIG]


@pytest.mark.parametrize("black_hole", [False, True])
def test_what_may_be_fragmented_is(black_hole: bool) -> None:
    whole = a_udp(bytes(range(250)) * 12)
    road = through(whole, mtu=Mtu(1000, black_hole=black_hole))
    assert all(len(out.frame) <= 1014 for out in road.out)
    assert all(out.note == f"fragment, mtu 1000{' black hole' if black_hole else ''}" for out in road.out)
    assert not road.captured
    assert not road.answers
    assert [event.rule for event in road.events if isinstance(event, FrameImpaired)]
    reassembler: Reassembler[Ipv4] = Reassembler()
    together = None
    for out in road.out:
        packet = decode(out.frame).ip
        assert isinstance(packet, Ipv4)
        together = reassembler.on_packet(packet, START) or together
    assert together is not None
    assert bytes(together.payload) == whole[34:]


NO_ANSWER = {
    "an ICMP error": frame(
        Ipv4(SERVER, GUEST, Protocol.ICMP, icmp.emit(icmp.unreachable(1, bytes(1400))), dont_fragment=True)
    ),
    "a later fragment": frame(
        Ipv4(GUEST, SERVER, Protocol.UDP, bytes(1400), fragment_offset=1480, dont_fragment=True)
    ),
    "to a group": frame(Ipv4(GUEST, ip4("224.0.0.5"), 89, bytes(1400), dont_fragment=True)),
    "from nobody": frame(Ipv4(ip4("0.0.0.0"), SERVER, 17, bytes(1400), dont_fragment=True)),
    "from a group": frame(Ipv4(ip4("224.0.0.5"), SERVER, 17, bytes(1400), dont_fragment=True)),
    "to all on the ethernet": frame(
        Ipv4(GUEST, SERVER, 17, bytes(1400), dont_fragment=True), to=b"\xff" * 6
    ),
    "an ICMPv6 error": a_tcp(source=SERVER6, to=GUEST6)[:20]
    + b"\x3a\x40"
    + SERVER6
    + GUEST6
    + icmpv6.emit(icmpv6.time_exceeded(0, bytes(1400)), SERVER6, GUEST6),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_ANSWER)
def test_what_no_error_may_be_sent_about(name: str) -> None:
    one = bytearray(NO_ANSWER[name])
    if name.endswith("v6 error"):
        one[18:20] = (len(one) - 54).to_bytes(2, "big")
    road = through(bytes(one), mtu=Mtu(1280))
    assert not road.out
    assert not road.answers
    assert len(road.captured) == 1
