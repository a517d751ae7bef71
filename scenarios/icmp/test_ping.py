"""ICMP echo (RFC 792): answered by whom it was sent to."""

import pytest

from guestnet.scenario import Lab, icmp


@pytest.mark.lab(needs=("gateway-echo", "icmp-echo"))
def test_the_gateway_and_a_real_host_answer_a_ping(lab: Lab) -> None:
    """The gateway answers for itself; for a host behind the laptop, that host answers."""
    gateway = lab.guest.ping(lab.guest.lease().router, count=3)
    host = lab.guest.ping("shop.example", count=3)

    assert (gateway.sent, gateway.received) == (3, 3)
    assert (host.sent, host.received) == (3, 3)
    lab.cable.expect_sequence([icmp.echo_request(to="203.0.113.10"), icmp.echo_reply(source="203.0.113.10")])


def test_a_silent_host_stays_silent(lab: Lab) -> None:
    """The stack never answers for a host that does not."""
    ping = lab.guest.ping("silent.example", count=1, timeout=1)

    assert (ping.sent, ping.received) == (1, 0)
    lab.cable.expect(icmp.echo_request(to="203.0.113.98"))
    assert not lab.cable.saw(icmp.echo_reply(source="203.0.113.98"))
