"""TCP connects and streams through the stack, as connect() and recv() in the guest see them."""

import pytest

from guestnet.core import events
from guestnet.scenario import Lab, icmp, tcp


def test_ten_mebibytes_arrive_intact_both_ways(lab: Lab) -> None:
    """A download and an upload of 10 MiB each arrive byte for byte."""
    with lab.step("download 10 MiB"):
        down = lab.guest.download("http://files.example/size/10485760")
        assert down.bytes == 10 * 2**20
        assert down.intact
    with lab.step("upload 10 MiB"):
        up = lab.guest.upload("http://files.example/", size="10MiB")
        assert up.bytes == 10 * 2**20
        assert up.intact

    lab.cable.expect_sequence([tcp.syn(to=("203.0.113.20", 80)), tcp.syn_ack(source=("203.0.113.20", 80))])
    lab.journal.expect(events.FlowClosed, within=5.0, transport="tcp", remote="203.0.113.20:80")
    assert not lab.cable.saw(tcp.reset())


def test_a_refused_connect_is_a_reset_within_a_second(lab: Lab) -> None:
    """A closed port is said at once, by an RST to the guest's SYN (RFC 9293, section 3.10.7.1)."""
    attempt = lab.guest.connect("shop.example", 81)

    assert attempt.refused
    assert attempt.error == "ECONNREFUSED"
    syn = lab.cable.expect(tcp.syn(to=("203.0.113.10", 81)))
    reset = lab.cable.expect(tcp.reset(to=attempt.source), within=1.0)
    assert reset.at - syn.at < 1_000_000_000
    lab.journal.expect(events.FlowRefused, remote="203.0.113.10:81", error="ECONNREFUSED", answer="rst")


@pytest.mark.lab(needs="connect-errors")
def test_an_unreachable_host_is_ehostunreach_in_the_guest(lab: Lab) -> None:
    """What the laptop's own connect() says, the guest's connect() says too: not a timeout, not a reset."""
    attempt = lab.guest.connect("dead.example", 80)

    assert attempt.error == "EHOSTUNREACH"
    assert not attempt.refused
    lab.cable.expect(icmp.unreachable(code=1))
    assert not lab.cable.saw(tcp.reset())
    lab.journal.expect(events.FlowRefused, remote="203.0.113.99:80", error="EHOSTUNREACH")


def test_a_half_closed_connection_still_carries_the_answer(lab: Lab) -> None:
    """The guest sends its FIN first; the server reads to the end, then answers; both FINs are seen."""
    payload = bytes(range(256)) * 64

    exchange = lab.guest.half_close("echo.example", 9007, payload)

    assert exchange.intact
    lab.cable.expect_sequence(
        [
            tcp.syn(to=("203.0.113.30", 9007)),
            tcp.fin(to=("203.0.113.30", 9007)),
            tcp.data(source=("203.0.113.30", 9007)),
            tcp.fin(source=("203.0.113.30", 9007)),
        ]
    )
