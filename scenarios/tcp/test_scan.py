"""Many connects at once, most of them in vain: each gets its own answer, and nobody waits for anybody."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab

# Non-blocking connects, all in flight together: what they came to, by errno (0: connected).
SCAN = r"""
use strict; use Socket; use Errno; use Fcntl;
my ($host, $first, $last, $seconds) = @ARGV;
my (%open, %count);
for my $port ($first .. $last) {
    socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
    fcntl($s, F_SETFL, O_NONBLOCK);
    if (connect($s, pack_sockaddr_in($port, inet_aton($host)))) { $count{0}++ }
    elsif ($! == Errno::EINPROGRESS) { $open{fileno $s} = $s }
    else { $count{$! + 0}++ }
}
my $until = time + $seconds;
while (%open && time < $until) {
    my $want = ""; vec($want, $_, 1) = 1 for keys %open;
    my $ready = $want;
    select(undef, $ready, undef, 1) > 0 or next;
    for my $fd (grep { vec($ready, $_, 1) } keys %open) {
        $count{unpack "i", getsockopt($open{$fd}, SOL_SOCKET, SO_ERROR)}++;
        close delete $open{$fd};
    }
}
$count{silent} = keys %open if %open;
print join " ", map { "$_=$count{$_}" } sort keys %count;
"""


def scan(lab: Lab, host: str, first: int, last: int, *, seconds: int) -> dict[str, int]:
    ran = lab.guest.run(
        ["perl", "-", host, str(first), str(last), str(seconds)], input=SCAN, timeout=90, check=True
    )
    return {name: int(count) for name, _, count in (word.partition("=") for word in ran.stdout.split())}


def test_a_scan_of_a_thousand_ports_finds_the_open_one_and_every_closed_one(lab: Lab) -> None:
    """Connected for the one, ECONNREFUSED for 900 (RFC 9293, section 3.10.7.1)."""
    assert scan(lab, "203.0.113.10", 1, 901, seconds=60) == {"0": 1, "111": 900}


@pytest.mark.lab(needs="flow-events")
def test_a_live_host_answers_at_once_while_hundreds_of_connects_wait_for_a_silent_one(lab: Lab) -> None:
    """More than there may be connects in flight: they give way to each other, never the live one to them."""
    with lab.step("600 connects to a silent host") as step:
        assert scan(lab, "203.0.113.98", 1, 600, seconds=2) == {"silent": 600}
    attempt = lab.guest.connect("shop.example", 80, timeout=5)
    assert attempt.error == ""
    lab.journal.expect(events.LimitReached, limit="connecting", since=step)


# A raw segment that begins nothing, to a port of HOST: the flags of the RST that answers it, or "silence".
STRAY = r"""
use strict; use Socket;
my ($host, $flags) = @ARGV; my $me = (split / /, `ip -4 -o addr show eth0`)[6]; $me =~ s{/.*}{};
socket(my $s, PF_INET, SOCK_RAW, 6) or die "raw: $!";
my ($from, $to) = (inet_aton($me), inet_aton($host));
my $tcp = pack("n n N N C C n n n", 4444, 80, 7, 9, 0x50, $flags, 1024, 0, 0);
my $sum = unpack("%32n*", $from . $to . pack("n n", 6, length $tcp) . $tcp);
$sum = ($sum & 0xffff) + ($sum >> 16) for 1, 2; substr($tcp, 16, 2) = pack("n", ~$sum & 0xffff);
send($s, $tcp, 0, pack_sockaddr_in(0, $to)) or die "send: $!";
$SIG{ALRM} = sub { print "silence"; exit }; alarm 2;
while (recv($s, my $got, 99, 0)) {
    next unless substr($got, 12, 4) eq $to;
    print unpack("C", substr($got, 33, 1)); exit;
}
"""


@pytest.mark.lab(needs="flow-events")
@pytest.mark.parametrize("flags", [0x10, 0x01], ids=["ack", "fin"])
def test_a_dead_host_is_not_up_for_other_scans_than_by_syn(lab: Lab, flags: int) -> None:
    """What nmap does by -sA and -sF: a RST says that a host lives, so nobody may send one in its name."""
    lab.jump("10s")

    assert lab.guest.run(["perl", "-", "203.0.113.98", str(flags)], input=STRAY).stdout == "silence"
    assert lab.guest.connect("203.0.113.10", 80).connected
    assert lab.guest.run(["perl", "-", "203.0.113.10", str(flags)], input=STRAY).stdout in ("4", "20")
