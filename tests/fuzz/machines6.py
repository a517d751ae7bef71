"""The machines of IPv6, as ``machines`` does it."""

from collections.abc import Callable
from typing import Final

from guestnet.core import rng
from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.services.dhcpv6 import Dhcpv6Config, Dhcpv6Server
from guestnet.tcpip import reassembly
from guestnet.tcpip.icmpv6 import check_extensions
from guestnet.tcpip.ndp import NdpCache, packet_of, read
from guestnet.tcpip.reassembly import Reassembler, fragment6
from guestnet.tcpip.router import Advertiser
from guestnet.wire import dhcpv6, icmpv6, ipv6, ndp
from guestnet.wire.dhcpv6 import Dhcpv6, IaAddress, IaNa, MessageType, Options
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Extension, Ipv6, NextHeader, ip6
from tests.fuzz.machines import OUR_MAC, START, fall_silent
from tests.fuzz.script import Script, blocks

ROUTER: Final = ip6("fe80::1")
PREFIX: Final = ip6("fd65:6775:6573:7400::")
GUEST: Final = ip6("fd65:6775:6573:7400::3")
GUEST_MAC: Final = Mac.parse("52:54:00:65:00:01")


def _address(number: int) -> bytes:
    return PREFIX[:15] + bytes((number,))


def discovery(data: bytes) -> None:
    """The cache hears messages of neighbour discovery, is asked for addresses, and time passes."""
    script, now = Script(data), START
    ours = (ROUTER, _address(1))
    cache = NdpCache(OUR_MAC, ours)
    while script.goes_on:
        kind = script.number() & 3
        if kind == 0:
            try:
                packet = ipv6.parse(script.block())
                found = read(packet, icmpv6.parse(packet.payload))
            except WireError:
                continue
            if packet.source in ours:
                cache.on_impostor(packet.source, GUEST_MAC, now)
            elif isinstance(found, ndp.NeighbourSolicitation):
                cache.on_solicitation(packet.source, found, GUEST_MAC, now)
            elif isinstance(found, ndp.NeighbourAdvertisement):
                cache.on_advertisement(found, GUEST_MAC, now)
            elif (known := found.options.source_mac) is not None and not known.is_group:
                cache.hint(packet.source, known)
        elif kind == 1:
            cache.send(_address(script.number()), bytes(40), now)
        elif kind == 2:
            now += script.duration()
            cache.on_timer(now)
        else:
            cache.confirm(_address(script.number()), now)
        for outgoing in cache.transmit():
            said = ipv6.parse(outgoing.payload) if len(outgoing.payload) > 40 else None
            assert said is None or said.source in ours
        cache.events()
    fall_silent(cache.poll_at, cache.on_timer, now)


def advertiser(data: bytes) -> None:
    """The router is asked, what it tells changes, it ends and begins again, and time passes."""
    script, now = Script(data), START
    router = Advertiser(OUR_MAC, ROUTER, ndp.RouterAdvertisement(1800), rng.stream(1, "fuzz"))
    while script.goes_on:
        kind, due = script.number() & 7, 0
        if kind < 4:
            try:
                packet = ipv6.parse(script.block())
                found = read(packet, icmpv6.parse(packet.payload))
            except WireError:
                continue
            if isinstance(found, ndp.RouterSolicitation):
                router.on_solicitation(packet.source, GUEST_MAC)
                due = 1
            elif isinstance(found, ndp.RouterAdvertisement):
                router.change(found, now)
        elif kind == 4:
            router.start(now)
        elif kind == 5:
            router.shutdown()
            due = 1
            assert router.poll_at() is None
        else:
            now += script.duration()
            at = router.poll_at()
            due = int(at is not None and at <= now)
            router.on_timer(now)
            assert router.poll_at() is None or (router.poll_at() or 0) > now
        told = router.transmit()
        assert len(told) == due
        for outgoing in told:
            packet = ipv6.parse(outgoing.payload)
            said = read(packet, icmpv6.parse(packet.payload, packet.source, packet.destination))
            assert said == router.advertisement
    router.shutdown()
    assert router.poll_at() is None


def fragments6(data: bytes) -> None:
    """Fragments of IPv6 in any order; in the end nothing is kept."""
    script, now = Script(data), START
    config = reassembly.Config(max_octets=20_000, max_datagrams=8, max_fragments=16)
    reassembler = Reassembler[Ipv6](config)
    while script.goes_on:
        if script.number() & 7 == 7:
            now += script.duration()
            reassembler.on_timer(now)
            continue
        try:
            packet = ipv6.parse(script.block())
            check_extensions(packet)
            whole = reassembler.on_packet(packet, now)
        except WireError:
            continue
        assert whole is None or not whole.is_fragment
        assert 0 <= reassembler.octets <= config.max_octets
    fall_silent(reassembler.poll_at, reassembler.on_timer, now)
    assert reassembler.octets == 0


def dhcpv6_server(data: bytes) -> None:
    """Messages of clients; no address is bound to two associations at a time."""
    script, now = Script(data), START
    server = Dhcpv6Server(
        Dhcpv6Config(duid=dhcpv6.duid_ll(OUR_MAC), first=_address(3), last=_address(6), dns_servers=(ROUTER,))
    )
    clients: set[tuple[bytes, int]] = set()
    while script.goes_on:
        kind = script.number()
        if kind & 7 == 7:
            now += script.duration()
            continue
        try:
            message = dhcpv6.parse(script.block())
        except WireError:
            continue
        answer = server.handle(message, GUEST_MAC, now, unicast=bool(kind & 8))
        if answer.message is not None:
            assert dhcpv6.parse(dhcpv6.emit(answer.message)) == answer.message
        clients |= {(message.options.client_id or b"", one.iaid) for one in message.options.ia_na}
        leases = [lease[0] for client in clients if (lease := server.lease(*client, now)) is not None]
        assert len(leases) == len(set(leases)) <= 4


def _discoveries() -> list[bytes]:
    known = ndp.Options(source_mac=GUEST_MAC)
    group = ipv6.solicited_node(_address(1))
    told = ndp.Options(target_mac=GUEST_MAC)
    heard = [
        packet_of(GUEST, group, ndp.NeighbourSolicitation(_address(1), known)),
        packet_of(UNSPECIFIED, group, ndp.NeighbourSolicitation(_address(1))),
        packet_of(GUEST, ROUTER, ndp.NeighbourAdvertisement(GUEST, solicited=True, options=told)),
        packet_of(GUEST, ALL_NODES, ndp.NeighbourAdvertisement(_address(1), override=True, options=told)),
        packet_of(ip6("fe80::9"), ipv6.ALL_ROUTERS, ndp.RouterSolicitation(known)),
    ]
    return [blocks(0, heard), b"\1\3" + blocks(0, heard[2:3]) + b"\2\x61\1\3\2\x42\3\3\2\x61"]


def _fragments() -> list[bytes]:
    whole = Ipv6(GUEST, ROUTER, 17, bytes(3000))
    pieces = [ipv6.emit(one) for one in fragment6(whole, 1280, 7)]
    routed = Extension(NextHeader.ROUTING, b"\0\1" + bytes(20))
    options = Extension(NextHeader.DESTINATION_OPTIONS, b"\x05\x02\0\0\x01\0")
    return [
        blocks(0, pieces),
        blocks(0, pieces[::-1]),
        blocks(0, [ipv6.emit(Ipv6(GUEST, ROUTER, 17, bytes(8), extensions=(options, routed)))]),
    ]


def _clients() -> list[bytes]:
    client, server = dhcpv6.duid_ll(GUEST_MAC), dhcpv6.duid_ll(OUR_MAC)

    def message(kind: MessageType, *, named: bool) -> bytes:
        asked = (IaNa(1, addresses=(IaAddress(_address(3)),)),)
        options = Options(client_id=client, server_id=server if named else None, ia_na=asked)
        return dhcpv6.emit(Dhcpv6(kind, 7, options))

    unnamed = [MessageType.SOLICIT, MessageType.CONFIRM, MessageType.REBIND]
    named = [MessageType.REQUEST, MessageType.RENEW, MessageType.DECLINE, MessageType.RELEASE]
    return [
        blocks(0, [message(kind, named=False) for kind in unnamed]),
        blocks(0, [message(kind, named=True) for kind in named]),
        blocks(0, [message(unnamed[0], named=False), message(named[0], named=True)]) + b"\7\x61",
    ]


def _routers() -> list[bytes]:
    known = ndp.Options(source_mac=GUEST_MAC)
    prefix = ndp.Prefix(PREFIX, 64, on_link=True, autonomous=True, valid_lifetime=9, preferred_lifetime=9)
    servers = (ndp.DnsServers((GUEST,), 9),)
    told = ndp.RouterAdvertisement(
        9, 64, options=ndp.Options(mtu=1400, prefixes=(prefix,), dns_servers=servers)
    )
    asked = [
        packet_of(ip6("fe80::9"), ipv6.ALL_ROUTERS, ndp.RouterSolicitation(known)),
        packet_of(UNSPECIFIED, ipv6.ALL_ROUTERS, ndp.RouterSolicitation()),
    ]
    changed = packet_of(ROUTER, ALL_NODES, told)
    return [b"\4" + blocks(0, asked) + b"\6\x87\6\x87", b"\4" + blocks(0, [changed, asked[0]]) + b"\6\x91\5"]


CORPORA: Final[dict[str, Callable[[], list[bytes]]]] = {
    "discovery": _discoveries,
    "advertiser": _routers,
    "fragments6": _fragments,
    "dhcpv6 server": _clients,
}
