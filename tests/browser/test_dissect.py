"""The page's dissectors against the project's own parsers, and against damaged frames."""

import base64
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Dot1Q, Ether

from guestnet.core.address import Mac
from guestnet.journal.capture import CaptureReader, Record
from guestnet.report.embed import bundle, scripts
from guestnet.wire import dhcpv6, ethernet, frame, icmpv6, ipv6, ndp, tcp, udp
from guestnet.wire.ipv4 import show_ip4
from guestnet.wire.ipv6 import ip6, show_ip6

if TYPE_CHECKING:
    from playwright.sync_api import Page

Layers = list[dict[str, Any]]


def dissect(page: "Page", frames: list[bytes], original: int | None = None) -> list[Layers]:
    """What the report's scripts make of ``frames``."""
    page.goto("about:blank")
    call = """
        ([frames, original]) => JSON.stringify(frames.map((text) => {
            const bytes = Uint8Array.from(atob(text), (octet) => octet.charCodeAt(0));
            return dissect(bytes, original ?? bytes.length);
        }))
    """
    page.add_script_tag(content=bundle("dissect/frame.js", scripts()))
    # As text: Playwright takes its time over thousands of small objects.
    text = page.evaluate(call, [[base64.b64encode(one).decode() for one in frames], original])
    layers: list[Layers] = json.loads(text)
    return layers


@pytest.fixture(scope="session")
def records(red_run: Path) -> list[Record]:
    return [record for path in sorted(red_run.rglob("*.pcapng")) for record in CaptureReader(path).read()]


def value(layers: Layers, layer: str, field: str) -> str | None:
    """The first field of that name, without what stands in brackets behind it."""
    for one in layers:
        for found in one["fields"] if one["name"] == layer else []:
            if found["name"] == field:
                return str(found["value"]).split(" (")[0]
    return None


def test_layers_say_what_the_projects_parsers_say(page: "Page", records: list[Record]) -> None:
    for record, layers in zip(records, dissect(page, [record.data for record in records]), strict=True):
        packet = frame.decode(record.data)
        assert packet.eth is not None
        assert value(layers, "Ethernet", "Source") == str(packet.eth.source)
        if packet.ip is not None:
            assert value(layers, "IPv4", "Source") == show_ip4(packet.ip.source)
            assert value(layers, "IPv4", "Destination") == show_ip4(packet.ip.destination)
        if packet.tcp is not None:
            assert value(layers, "TCP", "Sequence number") == str(packet.tcp.seq)
            assert value(layers, "TCP", "Window") == str(packet.tcp.window)
        if packet.udp is not None:
            assert value(layers, "UDP", "Destination port") == str(packet.udp.destination_port)
        if packet.dhcp is not None:
            assert packet.dhcp.options.message_type is not None
            assert value(layers, "DHCP", "Option 53 Message type") == packet.dhcp.options.message_type.name
        if packet.arp is not None:
            assert value(layers, "ARP", "Target IP") == show_ip4(packet.arp.target_ip)


def test_every_right_checksum_is_found_right(page: "Page", records: list[Record]) -> None:
    told = [
        field["value"]
        for layers in dissect(page, [record.data for record in records])
        for layer in layers
        for field in layer["fields"]
        if "hecksum" in field["name"] and not layer["name"].startswith("Quoted")
    ]

    assert len(told) > len(records)
    assert all(text.endswith("(correct)") for text in told)


def test_a_wrong_checksum_is_told(page: "Page", records: list[Record]) -> None:
    octets = bytearray(next(record.data for record in records if frame.decode(record.data).tcp is not None))
    octets[-1] ^= 1

    (layers,) = dissect(page, [bytes(octets)])

    (checksum,) = [field for field in layers[2]["fields"] if field["name"] == "Checksum"]
    assert checksum["wrong"] == "wrong checksum"


def test_fields_lie_within_the_frame_and_within_their_layer(page: "Page", records: list[Record]) -> None:
    for record, layers in zip(records, dissect(page, [record.data for record in records]), strict=True):
        for layer in layers:
            assert not layer["wrong"]
            for field in layer["fields"]:
                assert layer["start"] <= field["start"] <= field["end"] <= layer["end"] <= len(record.data)


def test_a_frame_that_the_capture_cut_is_not_called_malformed(page: "Page", records: list[Record]) -> None:
    layers = dissect(page, [record.data[:40] for record in records[:12]], 1500)

    assert {one[-1]["wrong"] for one in layers} == {"the capture keeps only its beginning"}


def test_a_cut_segment_still_tells_its_length(page: "Page", records: list[Record]) -> None:
    octets = next(record.data for record in records if len(record.data) == 1500)

    (layers,) = dissect(page, [octets[:128]], 1500)

    assert layers[2]["summary"].endswith("1446 B")
    assert not any(layer["wrong"] for layer in layers)


def test_damaged_frames_end_in_layers_never_in_an_error(page: "Page", records: list[Record]) -> None:
    rng = random.Random(20_261_120)
    frames = [rng.randbytes(rng.randrange(120)) for _ in range(500)]
    for _ in range(3_000):
        octets = bytearray(rng.choice(records).data)
        for _ in range(rng.randrange(1, 6)):
            octets[rng.randrange(min(len(octets), 90))] = rng.choice((0, 1, 255, rng.randrange(256)))
        frames.append(bytes(octets[: rng.randrange(len(octets) + 1)]))

    layers = dissect(page, frames)

    assert len(layers) == len(frames)
    assert all(len(one) < 40 for one in layers)


def test_names_that_point_at_themselves_end(page: "Page") -> None:
    message = bytes.fromhex("000180000001000000000000c00c00010001")
    frame = Ether() / IP(src="1.1.1.1", dst="2.2.2.2") / UDP(sport=53, dport=53) / message

    (layers,) = dissect(page, [bytes(frame)])

    assert layers[-1]["name"] == "DNS"
    assert layers[-1]["wrong"]


def test_ipv6_and_vlan_are_known(page: "Page") -> None:
    frame = (
        Ether(src="52:54:00:65:00:01", dst="33:33:00:00:00:01")
        / Dot1Q(vlan=100)
        / IPv6(src="fe80::1", dst="ff02::1", hlim=255)
        / ICMPv6ND_NS(tgt="2001:db8::10")
        / ICMPv6NDOptSrcLLAddr(lladdr="52:54:00:65:00:01")
    )

    (layers,) = dissect(page, [bytes(frame)])

    assert [layer["name"] for layer in layers] == ["Ethernet", "802.1Q VLAN", "IPv6", "ICMPv6"]
    assert value(layers, "IPv6", "Source") == "fe80::1"
    assert value(layers, "ICMPv6", "Target") == "2001:db8::10"
    assert value(layers, "ICMPv6", "Source link-layer address") == "52:54:00:65:00:01"


GUEST6, ROUTER6, GATEWAY6, SHOP6 = (
    ip6(text) for text in ("fd65:6775:6573:7400::3", "fe80::1", "fd65:6775:6573:7400::1", "2001:db8::10")
)
MAC6 = Mac.parse("52:54:00:65:00:01")
PORTAL = "https://portal.hotel.example/api"


def ipv6_frames() -> list[bytes]:
    """One frame of each kind that IPv6 brings along, by the project's own writers."""
    options = ndp.Options(
        source_mac=MAC6, mtu=1400, prefixes=(ndp.Prefix(GATEWAY6[:8] + bytes(8), 64),),
        dns_servers=(ndp.DnsServers((GATEWAY6,), 600),),
        dns_search=(ndp.DnsSearch(("docker.internal",), 600),), captive_portal=PORTAL,
    )  # fmt: skip
    messages = [
        ndp.emit(ndp.RouterSolicitation(ndp.Options(source_mac=MAC6))),
        ndp.emit(ndp.RouterAdvertisement(1800, managed=True, other_config=True, options=options)),
        ndp.emit(ndp.NeighbourSolicitation(GATEWAY6, ndp.Options(source_mac=MAC6))),
        ndp.emit(ndp.NeighbourAdvertisement(GATEWAY6, router=True, options=ndp.Options(target_mac=MAC6))),
        icmpv6.echo_request(1, 2, b"payload"),
    ]
    segment = tcp.Segment(40000, 80, 7, 8, tcp.Flags.SYN, 64240, b"", mss=1440)
    syn = ipv6.Ipv6(GUEST6, SHOP6, 6, tcp.emit(segment, GUEST6, SHOP6))
    quote = ipv6.emit(syn)
    messages += [icmpv6.packet_too_big(1280, quote), icmpv6.unreachable(icmpv6.Unreachable.PORT, quote)]
    leased = dhcpv6.IaNa(1, 900, 1440, (dhcpv6.IaAddress(GUEST6, 1800, 3600),))
    told = dhcpv6.Options(
        client_id=dhcpv6.duid_ll(MAC6), server_id=dhcpv6.duid_ll(MAC6), ia_na=(leased,),
        option_request=(23, 24),
        status=dhcpv6.Status(0, "fine"), dns_servers=(GATEWAY6,), domain_search=("docker.internal",),
        elapsed_time=20, rapid_commit=True, information_refresh_time=3600, captive_portal=PORTAL,
    )  # fmt: skip
    reply = udp.Datagram(547, 546, dhcpv6.emit(dhcpv6.Dhcpv6(dhcpv6.MessageType.REPLY, 0xABCDEF, told)))
    packets = [
        *(ipv6.Ipv6(ROUTER6, GUEST6, 58, icmpv6.emit(one, ROUTER6, GUEST6), 255) for one in messages),
        syn,
        ipv6.Ipv6(GATEWAY6, GUEST6, 17, udp.emit(reply, GATEWAY6, GUEST6)),
        ipv6.Ipv6(GUEST6, SHOP6, 6, syn.payload, extensions=(ipv6.Extension(60, bytes((1, 4, 0, 0, 0, 0))),)),
        ipv6.Ipv6(GUEST6, SHOP6, 17, b"the rest", extensions=(ipv6.Fragment(1448, False, 9),)),
    ]
    ether = ethernet.header(MAC6, MAC6, ethernet.EtherType.IPV6)
    return [ether + ipv6.emit(packet) for packet in packets]


def test_layers_of_ipv6_say_what_the_projects_parsers_say(page: "Page") -> None:
    frames = ipv6_frames()
    for octets, layers in zip(frames, dissect(page, frames), strict=True):
        packet = frame.decode(octets)
        assert packet.error is None
        assert not any(layer["wrong"] for layer in layers)
        assert packet.ip is not None
        assert value(layers, "IPv6", "Source") == show_ip6(packet.ip.source)
        for layer in layers:
            for field in layer["fields"]:
                assert layer["start"] <= field["start"] <= field["end"] <= layer["end"] <= len(octets)
        if packet.tcp is not None:
            assert value(layers, "TCP", "Sequence number") == str(packet.tcp.seq)
        if isinstance(packet.ndp, ndp.NeighbourSolicitation | ndp.NeighbourAdvertisement):
            assert value(layers, "ICMPv6", "Target") == show_ip6(packet.ndp.target)
        if isinstance(packet.ndp, ndp.RouterAdvertisement):
            assert value(layers, "ICMPv6", "Captive portal") == PORTAL
        if packet.dhcpv6 is not None:
            assert value(layers, "DHCPv6", "Option 103 Captive portal") == PORTAL
            assert layers[-1]["summary"] == f"REPLY {show_ip6(GUEST6)}"
    checksums = [
        field["value"]
        for layers in dissect(page, frames)
        for layer in layers
        for field in layer["fields"]
        if field["name"] == "Checksum" and not layer["name"].startswith("Quoted")
    ]
    assert checksums
    assert all(text.endswith("(correct)") for text in checksums)


def test_options_of_a_router_advertisement_and_of_dhcpv6(page: "Page") -> None:
    layers = dissect(page, ipv6_frames())
    advertisement, lease = layers[1], layers[8]

    assert value(advertisement, "ICMPv6", "Flags") == "managed addresses, other configuration"
    assert value(advertisement, "ICMPv6", "Prefix") == "fd65:6775:6573:7400::/64"
    assert value(advertisement, "ICMPv6", "MTU") == "1400"
    assert value(advertisement, "ICMPv6", "DNS servers") == "fd65:6775:6573:7400::1 for 600 s"
    assert value(advertisement, "ICMPv6", "DNS search list") == "docker.internal for 600 s"
    assert value(lease, "DHCPv6", "Option 3 IA_NA") == "id 1, T1 900 s, T2 1440 s"
    assert value(lease, "DHCPv6", "Option 23 DNS servers") == "fd65:6775:6573:7400::1"
    assert value(lease, "DHCPv6", "Option 6 Option request") == "23 DNS servers, 24 Domain search"


def test_damaged_frames_of_ipv6_end_in_layers_too(page: "Page") -> None:
    rng = random.Random(20_261_121)
    frames, whole = [], ipv6_frames()
    for _ in range(2_000):
        octets = bytearray(rng.choice(whole))
        for _ in range(rng.randrange(1, 4)):
            octets[rng.randrange(14, len(octets))] = rng.choice((0, 1, 255, rng.randrange(256)))
        frames.append(bytes(octets[: rng.randrange(14, len(octets) + 1)]))

    layers = dissect(page, frames)

    assert len(layers) == len(frames)
    assert all(len(one) < 40 for one in layers)


def test_what_a_frame_of_ipv6_is_called(page: "Page") -> None:
    page.goto("about:blank")
    page.add_script_tag(content=bundle("classify.js", scripts()))
    call = (
        "(frames) => frames.map((text) => classify(Uint8Array.from(atob(text), (one) => one.charCodeAt(0))))"
    )
    found = page.evaluate(call, [base64.b64encode(one).decode() for one in ipv6_frames()])

    labels = ["NDP"] * 4 + ["ICMPV6"] * 3 + ["TCP", "DHCPV6", "TCP", "FRAGMENT"]
    assert [one["label"] for one in found] == labels
    assert [one["trouble"] for one in found] == [
        label == "ICMPV6" and n > 4 for n, label in enumerate(labels)
    ]
