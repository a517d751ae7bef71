from guestnet.core.endpoint import show_endpoint
from guestnet.wire.ip import show_end
from guestnet.wire.ipv4 import ip4
from guestnet.wire.ipv6 import ip6


def test_a_port_stands_behind_its_address_and_ipv6_in_brackets() -> None:
    assert show_endpoint("203.0.113.10", 80) == show_end(ip4("203.0.113.10"), 80) == "203.0.113.10:80"
    assert show_endpoint("2001:db8::1", 80) == show_end(ip6("2001:db8::1"), 80) == "[2001:db8::1]:80"
