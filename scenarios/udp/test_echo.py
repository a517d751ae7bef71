"""UDP through the stack."""

import errno

from guestnet.scenario import Lab, icmp, udp

# A connected socket sends a datagram: the errno that recv() has for it within ten seconds, or "silence".
ASK = r"""
use strict; use Socket;
my ($host, $port) = @ARGV;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die;
connect($s, pack_sockaddr_in($port, inet_aton($host))) or die;
send($s, "anybody?", 0) or die "send: $!";
my $bits = ""; vec($bits, fileno $s, 1) = 1;
select($bits, undef, undef, 10) or do { print "silence"; exit };
recv($s, my $answer, 99, 0);
print $! + 0;
"""


def test_a_datagram_is_echoed(lab: Lab) -> None:
    """A datagram goes out of a host socket and its answer comes back to the guest's port."""
    answer = lab.guest.udp_echo("echo.example", 7, b"hello, laptop")

    assert answer == b"hello, laptop"
    lab.cable.expect_sequence(
        [
            udp.datagram(to=("203.0.113.30", 7), payload=b"hello, laptop"),
            udp.datagram(source=("203.0.113.30", 7), payload=b"hello, laptop"),
        ]
    )


def test_a_closed_port_is_port_unreachable(lab: Lab) -> None:
    """The ICMP error that the laptop's socket got reaches the guest's socket (RFC 1122, section 4.1.3.3)."""
    ran = lab.guest.run(["perl", "-", "203.0.113.30", "9"], input=ASK, check=True)

    assert ran.stdout == str(errno.ECONNREFUSED)
    lab.cable.expect(icmp.unreachable(code=3))
