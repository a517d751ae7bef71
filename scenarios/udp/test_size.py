"""Large datagrams: cut into fragments and put together again (RFC 791), or refused where it is not wanted."""

import pytest

from guestnet.scenario import Lab, icmp

# A socket that never fragments (IP_MTU_DISCOVER, IP_PMTUDISC_DO) sends a datagram: the MTU (IP_MTU) that the
# kernel knows of soon afterwards.
INSIST = r"""
use strict; use Socket;
my ($host, $port, $size) = @ARGV;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die;
setsockopt($s, 0, 10, pack("i", 2)) or die;
connect($s, pack_sockaddr_in($port, inet_aton($host))) or die;
send($s, "x" x $size, 0) or die "send: $!";
for (1 .. 100) {
    select(undef, undef, undef, 0.05);
    my $mtu = unpack "i", getsockopt($s, 0, 14);
    if ($mtu < 1500) { print $mtu; last }
}
"""


def test_the_largest_datagrams_go_both_ways_though_nobody_knew_the_guest_before(lab: Lab) -> None:
    """65,507 octets, more than forty fragments each way (RFC 768, RFC 791)."""
    payload = bytes(range(256)) * 255 + bytes(227)
    assert lab.guest.udp_echo("203.0.113.30", 7, payload, timeout=10) == payload


@pytest.mark.lab(stack="builtin")
def test_a_guest_learns_the_mtu_of_the_laptops_way(lab: Lab) -> None:
    """What the laptop's kernel refuses to cut (EMSGSIZE) is ICMP fragmentation needed (RFC 1191)."""
    for host in (lab.hosts["internet"], lab.laptop):
        host.run("ip link set wifi mtu 1280", check=True)
    ran = lab.guest.run(["perl", "-", "203.0.113.30", "7", "1400"], input=INSIST, check=True)
    assert ran.stdout == "1280"
    lab.cable.expect(icmp.unreachable(code=4, source="192.168.65.1"))
    # Without that wish it is cut on the way, and the answer comes.
    payload = bytes(1400)
    assert lab.guest.udp_echo("203.0.113.30", 7, payload) == payload
