"""TCP's urgent octet: in its place in the stream, and nothing waits behind it (RFC 9293, section 3.8.5)."""

from guestnet.scenario import Lab

# Listens, and only then lets its caller go on. Whoever connects gets an urgent octet between two words.
SERVER = r"""
use strict; use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
bind($s, pack_sockaddr_in(4012, inet_aton("203.0.113.30"))) or die; listen($s, 5) or die;
exit if fork; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null"; alarm 60;
accept(my $c, $s) or die;
send($c, "before", 0); send($c, "!", MSG_OOB); send($c, "after", 0);
sysread($c, my $thanks, 9);
"""
CLIENT = r"""
use strict; use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
connect($s, pack_sockaddr_in(4012, inet_aton("203.0.113.30"))) or die;
$SIG{ALRM} = sub { print " and then nothing"; exit }; alarm 10; $| = 1;
my $all = ""; while ($all !~ /after$/) { sysread($s, my $d, 99) or last; $all .= $d; print $d }
"""


def test_what_a_server_sends_behind_an_urgent_octet_arrives(lab: Lab) -> None:
    """Sent at once, read in three parts: a read of the laptop's stops before the mark."""
    lab.hosts["internet"].run(["perl", "-"], input=SERVER, check=True)

    ran = lab.guest.run(["perl", "-"], input=CLIENT, timeout=20)

    assert ran.stdout in ("before!after", "beforeafter"), ran.stderr
