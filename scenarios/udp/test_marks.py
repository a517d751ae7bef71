"""TTL and DSCP cross the stack as they would cross a router (RFC 1812, section 5.3.1; RFC 2474)."""

import pytest

from guestnet.journal.query import Packet
from guestnet.scenario import Lab, icmp, tcp, udp
from guestnet.scenario.links import Link
from guestnet.scenario.matchers.base import Matchable

pytestmark = pytest.mark.lab(needs="flow-events")

EXPEDITED = 0xB8
ECHO = "203.0.113.30"
SEND = r"""
use strict; use Socket;
my ($type) = @ARGV;
socket(my $s, PF_INET, $type eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0) or die;
setsockopt($s, 0, 1, pack("i", 0xb8)) or die;   # IPPROTO_IP, IP_TOS
connect($s, pack_sockaddr_in(7, inet_aton("203.0.113.30"))) or die;
syswrite($s, "x"); sysread($s, my $d, 9); print $d;
"""
# Answers one datagram with IP_TOS and a TTL of its own, once its caller has gone on.
SERVER = r"""
use strict; use Socket;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die;
bind($s, pack_sockaddr_in(5060, inet_aton("203.0.113.30"))) or die;
setsockopt($s, 0, 1, pack("i", 0xb8)) or die; setsockopt($s, 0, 2, pack("i", 57)) or die;
exit if fork; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null"; alarm 60;
my $who = recv($s, my $d, 99, 0); send($s, $d, 0, $who);
"""


def header(link: Link, wanted: Matchable[Packet]) -> tuple[int, int]:
    """TTL and TOS of the first such packet."""
    ip = link.packets(wanted)[0].ip
    assert ip is not None
    return ip.ttl, ip.tos


def test_the_dscp_of_a_guests_datagram_is_kept(lab: Lab) -> None:
    assert lab.guest.run(["perl", "-", "udp"], input=SEND).stdout == "x"

    assert header(lab.links.wifi, udp.datagram(to=(ECHO, 7)))[1] == EXPEDITED


def test_the_dscp_of_a_guests_stream_is_kept(lab: Lab) -> None:
    assert lab.guest.run(["perl", "-", "tcp"], input=SEND).stdout == "x"

    segments = lab.links.wifi.packets(tcp.segment(to=(ECHO, 7)))
    assert {segment.ip.tos & 0xFC for segment in segments if segment.ip is not None} == {EXPEDITED}


def test_the_marks_of_a_servers_datagram_are_kept(lab: Lab) -> None:
    lab.hosts["internet"].run(["perl", "-"], input=SERVER, check=True)

    assert lab.guest.udp_echo(ECHO, 5060, b"x") == b"x"
    answer = udp.datagram(source=(ECHO, 5060))
    ttl, tos = header(lab.links.wifi, answer)
    assert tos == EXPEDITED
    assert header(lab.cable, answer) == (ttl - 1, EXPEDITED)


def test_the_marks_of_a_ping_are_kept_and_its_reply_tells_how_far_a_host_is(lab: Lab) -> None:
    assert "1 received" in lab.guest.run("ping -n -c 1 -Q 0xb8 203.0.113.10").stdout

    asked, answered = icmp.echo_request(to="203.0.113.10"), icmp.echo_reply(source="203.0.113.10")
    assert header(lab.links.wifi, asked)[1] == EXPEDITED
    ttl, tos = header(lab.links.wifi, answered)
    assert tos == EXPEDITED
    assert header(lab.cable, answered) == (ttl - 1, EXPEDITED)
