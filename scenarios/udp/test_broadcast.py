"""Broadcast and multicast stay on the guests' ethernet: every guest gets them, nobody else."""

import pytest

from guestnet.scenario import Lab, icmp, udp


@pytest.mark.lab(guests=2, needs="guest-to-guest")
def test_guests_hear_each_others_broadcasts_and_multicasts(lab: Lab) -> None:
    """By the subnet's address, by 255.255.255.255 and by a group; the second guest answers by unicast."""
    one, two = lab.guests
    for guest in (one, two):
        guest.lease()
    two.run("sysctl -w net.ipv4.icmp_echo_ignore_broadcasts=0", check=True)

    ping = one.run("ping -n -b -c 1 -W 5 192.168.65.255")
    assert ping.ok, ping.stdout
    (address,) = [found.address for found in two.addresses("eth0") if found.family == 4]
    one.cable.expect(icmp.echo_reply(source=address))

    sent = one.run(
        "for to in 192.168.65.255 255.255.255.255 239.1.2.3; do"
        " echo hello | socat -u - UDP4-DATAGRAM:$to:5353,broadcast || exit 1; done"
    )
    assert sent.ok, sent.stderr
    for to in ("192.168.65.255", "255.255.255.255", "239.1.2.3"):
        two.cable.expect(udp.datagram(to=(to, 5353), payload=b"hello\n"))
        assert not lab.links.wifi.saw(udp.datagram(to=(to, 5353)))
    assert not one.cable.saw(icmp.unreachable())
