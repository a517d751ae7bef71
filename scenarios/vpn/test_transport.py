"""What crosses the uplink: WireGuard's datagrams, sealed, or ours of the same shape, which can be read."""

import pytest

from guestnet.scenario import Lab, tcp, udp

REGISTRY = "10.20.0.5"
CONCENTRATOR = ("198.51.100.18", 51820)
INITIATION, RESPONSE, DATA = 1, 2, 4
ASKED = "GET /size/1000"


def kinds(lab: Lab) -> dict[int, set[int]]:
    """Lengths of the tunnel's datagrams on the Wi-Fi, by their type (WireGuard's paper, section 5.4)."""
    found: dict[int, set[int]] = {}
    for way in (udp.datagram(to=CONCENTRATOR), udp.datagram(source=CONCENTRATOR)):
        for packet in lab.links.wifi.packets(way):
            assert packet.udp is not None
            payload = bytes(packet.udp.payload)
            found.setdefault(int.from_bytes(payload[:4], "little"), set()).add(len(payload))
    return found


@pytest.mark.lab(profile="over-wireguard.toml")
def test_what_goes_into_wireguard_can_not_be_read_outside(lab: Lab) -> None:
    """Handshake and data messages of the real protocol; the request is in the tunnel and nowhere else."""
    assert lab.guest.download("http://registry.corp.example/size/1000").intact
    lab.links.corp.expect(tcp.data(to=(REGISTRY, 80), contains=ASKED))
    assert not lab.links.wifi.saw(udp.datagram(contains=ASKED))

    seen = kinds(lab)
    assert set(seen) == {INITIATION, RESPONSE, DATA}
    assert seen[INITIATION] == {148}
    assert seen[RESPONSE] == {92}
    # A keepalive has none; all others are filled up to 16 octets.
    assert all(length % 16 == 0 and length >= 32 for length in seen[DATA])
    assert lab.vpn.state.transport == "wireguard"


@pytest.mark.lab(profile="over-udp.toml")
def test_what_goes_into_our_own_tunnel_can_be_read(lab: Lab) -> None:
    """The same types of message, and an ordinary capture of the uplink shows what is inside."""
    assert lab.guest.download("http://registry.corp.example/size/1000").intact
    lab.links.corp.expect(tcp.data(to=(REGISTRY, 80), contains=ASKED))
    lab.links.wifi.expect(udp.datagram(to=CONCENTRATOR, contains=ASKED))
    assert set(kinds(lab)) == {INITIATION, RESPONSE, DATA}
    assert lab.vpn.state.transport == "udp"
