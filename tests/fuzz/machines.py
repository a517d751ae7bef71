"""Whole machines: an input is a script of what happens to one, from its creation until all falls silent."""

from collections.abc import Callable
from typing import Any, Final

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.services.dhcp import DhcpConfig, DhcpServer, client_key
from guestnet.services.dns.forwarding import AskServer
from guestnet.services.dns.service import DnsService, ListServers
from guestnet.tcpip import neighbour, reassembly
from guestnet.tcpip.arp import ArpCache
from guestnet.tcpip.reassembly import Reassembler
from guestnet.wire import arp, dhcp, ipv4
from guestnet.wire.ipv4 import ip4
from tests.fuzz import corpus
from tests.fuzz.script import Script, blocks

START: Final = 1_700_000_000 * SECOND
OUR_MAC: Final = Mac.parse("5a:94:ef:e4:0c:dd")
GATEWAY: Final = ip4("192.168.65.1")


def neighbours(data: bytes) -> None:
    """The neighbour cache hears ARP, is asked for addresses, and time passes."""
    script, now = Script(data), START
    config = neighbour.Config()
    cache = ArpCache(OUR_MAC, [GATEWAY, ip4("192.168.65.2")], config)
    while script.goes_on:
        kind = script.number() & 3
        if kind == 0:
            try:
                cache.on_arp(arp.parse(script.block()), now)
            except WireError:
                continue
        elif kind == 1:
            cache.send(bytes((192, 168, 65, script.number())), bytes(40), now)
        elif kind == 2:
            now += script.duration()
            cache.on_timer(now)
        else:
            cache.confirm(bytes((192, 168, 65, script.number())), now)
        cache.transmit()
        cache.events()
    fall_silent(cache.poll_at, cache.on_timer, now)


def fragments(data: bytes) -> None:
    """Fragments of IPv4 in any order; in the end nothing is kept."""
    script, now = Script(data), START
    config = reassembly.Config(max_octets=20_000, max_datagrams=8, max_fragments=16)
    reassembler = Reassembler[ipv4.Ipv4](config)
    while script.goes_on:
        if script.number() & 7 == 7:
            now += script.duration()
            reassembler.on_timer(now)
            continue
        try:
            whole = reassembler.on_packet(ipv4.parse(script.block(), verify=False), now)
        except WireError:
            continue
        assert whole is None or not (whole.more_fragments or whole.fragment_offset)
        assert 0 <= reassembler.octets <= config.max_octets
    fall_silent(reassembler.poll_at, reassembler.on_timer, now)
    assert reassembler.octets == 0


def dhcp_server(data: bytes) -> None:
    """Messages of clients; no address is bound to two of them at a time."""
    script, now = Script(data), START
    config = DhcpConfig(
        server=GATEWAY, subnet_mask=ip4("255.255.255.0"), first=ip4("192.168.65.3"), last=ip4("192.168.65.6"),
        routers=(GATEWAY,), dns_servers=(GATEWAY,),
    )  # fmt: skip
    server = DhcpServer(config)
    clients: set[bytes] = set()
    while script.goes_on:
        if script.number() & 7 == 7:
            now += script.duration()
            continue
        try:
            message = dhcp.parse(script.block())
        except WireError:
            continue
        answer = server.handle(message, now)
        for reply in [] if answer.reply is None else [answer.reply]:
            dhcp.parse(dhcp.emit(reply.message))
        clients.add(client_key(message))
        leases = [lease[0] for client in clients if (lease := server.lease(client, now)) is not None]
        assert len(leases) == len(set(leases)) <= 4


def dns_service(data: bytes) -> None:
    """Queries of clients, answers of the resolver; what is asked is bounded and ends."""
    script, now = Script(data), START
    service: DnsService[int] = DnsService({"gateway.docker.internal": (GATEWAY,)}, limit=4)
    tokens: list[int] = []
    while script.goes_on:
        kind = script.number()
        if kind & 3 == 3:
            now += script.duration()
            told = service.due(now)
        elif kind & 3 == 2 and tokens:
            answer = script.block()
            token = tokens.pop(kind >> 2 & len(tokens) - 1)
            told = service.answered(token, answer, now) if answer else service.failed(token, now)
        else:
            asked = service.query(script.block(), 1, f"192.168.65.3:{kind}", now, stream=bool(kind & 4))
            servers = ["192.0.2.53", "192.0.2.54"][: kind >> 3 & 3]
            told = service.listed(asked.token, servers, now) if isinstance(asked, ListServers) else []
        tokens += [each.token for each in told if isinstance(each, AskServer)]
        assert service.pending <= 4
        tokens = tokens[-4:]
    fall_silent(service.poll_at, service.due, now)
    assert service.pending == 0


def fall_silent(poll_at: Callable[[], int | None], on_timer: Callable[[int], Any], now: int) -> None:
    """Let time pass until nothing is due any more."""
    for _ in range(1000):
        at = poll_at()
        if at is None:
            return
        now = max(now, at)
        on_timer(now)
    raise AssertionError("its timers never end")


CORPORA: Final[dict[str, Callable[[], list[bytes]]]] = {
    "neighbours": lambda: [blocks(0, corpus.ethertype(0x0806)), b"\1\3\2\x21\2\x42\1\3\2\x61"],
    "fragments": lambda: [
        blocks(0, [packet for packet in corpus.ethertype(0x0800) if packet[6] & 0x3F or packet[7]])
    ],
    "dhcp server": lambda: [blocks(0, corpus.of_udp(67, 68))],
    "dns service": lambda: [
        blocks(1, corpus.of_udp(53)[:8]),
        blocks(1, corpus.of_udp(53)[::2][:4]) + blocks(2, corpus.of_udp(53)[1::2][:4]),
    ],
}
