"""Where destinations lead."""

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.gateway.addressing import Addressing, Reach
from guestnet.gateway.config import GatewayConfig, Ipv6Config
from guestnet.wire.ipv4 import ip4
from guestnet.wire.ipv6 import ip6

POLICY = Addressing(GatewayConfig())


@pytest.mark.parametrize(
    ("destination", "reach"),
    [
        ("192.168.65.1", Reach.GATEWAY),
        ("192.168.65.2", Reach.HOST),
        ("192.168.65.3", Reach.NOWHERE),
        ("192.168.65.255", Reach.GROUP),
        ("255.255.255.255", Reach.GROUP),
        ("224.0.0.251", Reach.GROUP),
        ("239.255.255.250", Reach.GROUP),
        ("127.0.0.1", Reach.NOWHERE),
        ("0.0.0.1", Reach.NOWHERE),
        ("240.0.0.1", Reach.NOWHERE),
        ("192.168.64.1", Reach.FORWARD),
        ("203.0.113.10", Reach.FORWARD),
        ("10.0.0.1", Reach.FORWARD),
    ],
)
def test_reach(destination: str, reach: Reach) -> None:
    assert POLICY.reach(ip4(destination)) is reach


@pytest.mark.parametrize(
    ("address", "guest"),
    [
        ("192.168.65.3", True),
        ("192.168.65.254", True),
        ("192.168.65.1", False),
        ("192.168.65.2", False),
        ("192.168.65.255", False),
        ("192.168.66.3", False),
    ],
)
def test_who_may_be_a_guest(address: str, guest: bool) -> None:
    assert POLICY.is_guest(ip4(address)) is guest


def test_the_host_address_is_the_loopback_both_ways() -> None:
    assert POLICY.to_host(ip4("192.168.65.2")) == ip4("127.0.0.1")
    assert POLICY.to_guest(ip4("127.0.0.1")) == ip4("192.168.65.2")
    assert POLICY.to_host(ip4("203.0.113.10")) == POLICY.to_guest(ip4("203.0.113.10")) == ip4("203.0.113.10")


def test_another_subnet_has_the_same_plan() -> None:
    config = GatewayConfig(subnet="10.99.0.0/16")
    assert (config.gateway, config.host) == (ip4("10.99.0.1"), ip4("10.99.0.2"))
    assert (config.first_guest, config.last_guest) == (ip4("10.99.0.3"), ip4("10.99.255.254"))
    assert Addressing(config).reach(ip4("192.168.65.1")) is Reach.FORWARD


@pytest.mark.parametrize(
    ("subnet", "why"), [("192.168.65.1/24", "host bits"), ("10.0.0.0/30", "no room"), ("x", "x")]
)
def test_an_impossible_subnet_is_told(subnet: str, why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        GatewayConfig(subnet=subnet)


@pytest.mark.parametrize(
    ("destination", "reach"),
    [
        ("fe80::1", Reach.GATEWAY),
        ("fd65:6775:6573:7400::1", Reach.GATEWAY),
        ("fd65:6775:6573:7400::2", Reach.HOST),
        ("fd65:6775:6573:7400::3", Reach.NOWHERE),
        ("fe80::2", Reach.NOWHERE),
        ("febf::1", Reach.NOWHERE),
        ("::", Reach.NOWHERE),
        ("::1", Reach.NOWHERE),
        ("::ffff:203.0.113.10", Reach.NOWHERE),
        ("ff02::1", Reach.GROUP),
        ("ff0e::1", Reach.GROUP),
        ("fd65:6775:6573:7401::3", Reach.FORWARD),
        ("2001:db8::10", Reach.FORWARD),
        ("64:ff9b::1", Reach.FORWARD),
        ("::2", Reach.FORWARD),
    ],
)
def test_reach_over_ipv6(destination: str, reach: Reach) -> None:
    assert POLICY.reach(ip6(destination)) is reach


@pytest.mark.parametrize(
    ("address", "guest"),
    [
        ("fd65:6775:6573:7400::3", True),
        ("fd65:6775:6573:7400:5054:ff:fe12:3456", True),
        ("fe80::5054:ff:fe12:3456", True),
        ("fe80::1", False),
        ("fd65:6775:6573:7400::1", False),
        ("fd65:6775:6573:7400::2", False),
        ("2001:db8::10", False),
        ("ff02::1", False),
        ("::", False),
    ],
)
def test_who_may_be_a_guest_over_ipv6(address: str, guest: bool) -> None:
    assert POLICY.is_guest(ip6(address)) is guest


def test_the_host_address_is_the_ipv6_loopback_both_ways() -> None:
    host, loopback, server = ip6("fd65:6775:6573:7400::2"), ip6("::1"), ip6("2001:db8::10")
    assert POLICY.to_host(host) == loopback
    assert POLICY.to_guest(loopback) == host
    assert POLICY.to_host(server) == POLICY.to_guest(server) == server
    assert POLICY.is_host(host)
    assert not POLICY.is_host(server)


@pytest.mark.parametrize("prefix", ["fd65::/48", "fd65:6775:6573:7400::1/64", "192.168.65.0/24", "nothing"])
def test_an_impossible_prefix_is_said_so(prefix: str) -> None:
    with pytest.raises(DescriptionError, match="prefix"):
        Ipv6Config(prefix=prefix)


def test_an_impossible_router_lifetime_is_said_so() -> None:
    with pytest.raises(DescriptionError, match="router lifetime of 9001"):
        Ipv6Config(router_lifetime=9001)
