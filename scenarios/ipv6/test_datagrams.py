"""UDP and pings over IPv6, whole and in fragments, and the sizes that do not fit."""

import msgspec
import pytest

from guestnet.scenario import Lab, icmpv6, udp
from guestnet.world.described.world import World
from guestnet.world.profiles.load import load_profile

pytestmark = pytest.mark.lab(needs="ipv6")

ECHO, GATEWAY = "2001:db8::30", "fd65:6775:6573:7400::1"


def test_datagrams_and_pings_come_back(lab: Lab) -> None:
    """Of every size; a closed port is told; and for a host that is silent nobody answers."""
    lab.guest.autoconfiguration()
    with lab.step("a datagram"):
        assert lab.guest.udp_echo(ECHO, 7, b"hello, laptop") == b"hello, laptop"
        lab.cable.expect_sequence([udp.datagram(to=(ECHO, 7)), udp.datagram(source=(ECHO, 7))])
    with lab.step("a datagram in fragments"):
        large = bytes(range(256)) * 30
        assert lab.guest.udp_echo(ECHO, 7, large) == large
    with lab.step("a closed port"):
        sent = lab.guest.udp_send(ECHO, 9, b"anybody?")
        lab.cable.expect(icmpv6.unreachable("port", to=sent.address, about=(ECHO, 9)), within=3.0)
    with lab.step("pings of the gateway, the laptop and a real host"):
        for host in (GATEWAY, "fe80::1%eth0", "host.docker.internal", "shop.example"):
            assert lab.guest.ping(host, count=2, family=6).received == 2
        lab.cable.expect(icmpv6.echo_reply(source="2001:db8::10"))
        assert lab.guest.ping("2001:db8::10", count=1, size=4000).received == 1
    with lab.step("a silent host stays silent"):
        assert lab.guest.ping("silent6.example", count=1, timeout=1, family=6).received == 0
        assert not lab.cable.saw(icmpv6.echo_reply(source="2001:db8::98"))


def with_small_uplink() -> World:
    plain = load_profile("plain")
    return msgspec.structs.replace(
        plain, links={"wifi": msgspec.structs.replace(plain.links["wifi"], mtu=1280)}
    )


@pytest.mark.lab(profile=with_small_uplink())
def test_a_packet_too_big_for_the_uplink_is_told(lab: Lab) -> None:
    """The guest learns the path's MTU by ICMPv6 (RFC 8201), and from then on sends what fits."""
    lab.guest.autoconfiguration()

    first = lab.guest.ping("2001:db8::10", count=1, size=1400)
    second = lab.guest.ping("2001:db8::10", count=1, size=1400)

    assert (first.received, first.errors) == (0, ["Packet too big: mtu=1280"])
    assert second.received == 1
    lab.cable.expect(icmpv6.packet_too_big(mtu=1280, about="2001:db8::10"))
