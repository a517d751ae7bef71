"""Traceroute (RFC 792 time exceeded, RFC 1812, section 5.3.1): the gateway, then the laptop's own way."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, icmp

BEYOND = "198.51.100.7"
"""Behind a network that the internet forwards to, where nobody is."""
GATEWAY, ROUTER = "192.168.65.1", "192.168.1.1"

CONNECT = r"""
use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
setsockopt($s, 0, 2, pack("i", $ARGV[1])) or die;  # IPPROTO_IP, IP_TTL
connect($s, pack_sockaddr_in(80, inet_aton($ARGV[0]))) and print "connected" or printf "%d", $!;
"""


@pytest.mark.lab(needs=("flow-events", "connect-errors"))
def test_udp_icmp_and_tcp_show_the_gateway_first_and_then_the_laptops_router(lab: Lab) -> None:
    """Each hop answers from its own address; the real hops are the ones that the laptop's sockets meet."""
    lab.hosts["internet"].run(
        "ip link add beyond type veth peer nowhere && ip link set beyond up && ip link set nowhere up &&"
        " ip route add 198.51.100.0/24 dev beyond",
        check=True,
    )
    for protocol in ("", "-I"):
        with lab.step(f"traceroute {protocol}"):
            ran = lab.guest.run(f"busybox traceroute {protocol} -n -q 1 -w 5 -m 2 {BEYOND}", check=True)
            hops = [line.split()[1] for line in ran.stdout.splitlines() if line.lstrip()[0].isdigit()]
            assert hops == [GATEWAY, ROUTER]

    with lab.step("connect() with a small TTL") as step:
        for ttl, hop in ((1, GATEWAY), (2, ROUTER)):
            ran = lab.guest.run(["perl", "-", BEYOND, str(ttl)], input=CONNECT)
            assert ran.stdout == "113", "EHOSTUNREACH, which is what time exceeded is to a connect()"
            lab.cable.expect(icmp.time_exceeded(source=hop), since=step)
    lab.journal.expect(
        events.FlowRefused, transport="tcp", remote=f"{BEYOND}:80", answer="time-exceeded", since=step
    )
