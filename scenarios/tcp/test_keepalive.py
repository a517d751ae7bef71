"""Who has gone without a word is noticed at the other end, if a lab asks for it (RFC 9293, section 3.8.4)."""

import pytest

from guestnet.scenario import Lab, tcp

pytestmark = pytest.mark.lab(keepalive=1)

SERVER = r"""
use strict; use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
bind($s, pack_sockaddr_in(4002, inet_aton("203.0.113.30"))) or die; listen($s, 5) or die;
exit if fork; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null"; alarm 90;
accept(my $c, $s) or die; sysread($c, my $d, 9);
"""
# Only reads, once its caller has gone on: what ends that goes to a file.
CLIENT = r"""
use strict; use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
connect($s, pack_sockaddr_in(4002, inet_aton("203.0.113.30"))) or die;
exit if fork; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null"; alarm 90;
my $end = defined sysread($s, my $x, 9) ? "end" : "$!";
open(my $f, ">", "/tmp/part"); print $f $end; close $f; rename "/tmp/part", "/tmp/end";
"""


def connect(lab: Lab) -> None:
    lab.hosts["internet"].run(["perl", "-"], input=SERVER, check=True)
    lab.guest.run(["perl", "-"], input=CLIENT, check=True)


def test_a_server_that_has_become_silent_is_a_reset_for_the_guest(lab: Lab) -> None:
    connect(lab)
    lab.links.wifi.impair(loss="100%")

    ended = lab.guest.run("until [ -e /tmp/end ]; do sleep 0.1; done; cat /tmp/end", timeout=40)
    assert ended.stdout == "Connection reset by peer"


def test_a_guest_that_has_become_silent_is_a_reset_for_the_server(lab: Lab) -> None:
    connect(lab)
    lab.cable.impair(loss="100%")

    lab.links.wifi.expect(tcp.reset(to=("203.0.113.30", 4002)), within=30)
