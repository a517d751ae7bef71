"""UDP through the stack."""

from harness.scenario import Lab, icmp, udp


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
    lab.guest.udp_send("echo.example", 9, b"anybody?")

    lab.cable.expect(icmp.unreachable(code=3), within=3.0)
