"""All that is fuzzed: what to do with an input, where to begin, and its share of the nightly ten million."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tests.fuzz import (
    corpus,
    gateway_machine,
    link_machine,
    machines,
    machines6,
    parsers,
    tcp_machine,
    translator_machine,
    tunnel_machine,
)


class Target(Struct, frozen=True):
    """``run`` fails by any exception. ``runs`` inputs a night, none longer than ``longest`` octets."""

    run: Callable[[bytes], None]
    corpus: Callable[[], list[bytes]]
    runs: int
    longest: int = 600


def _captures() -> list[bytes]:
    whole = corpus.CAPTURE.read_bytes()
    return [whole[:300], whole[:1500]]


TARGETS: Final[dict[str, Target]] = {
    **{name: Target(parsers.parser(name), parsers.CORPORA[name], 550_000) for name in parsers.FORMATS},
    "frame": Target(parsers.whole_frame, corpus.frames, 500_000),
    "dns": Target(parsers.dns_message, lambda: corpus.of_udp(53), 100_000),
    "pcapng": Target(parsers.capture, _captures, 350_000, 1500),
    "virtio": Target(parsers.offloaded, parsers.offloads, 400_000),
    "neighbours": Target(machines.neighbours, machines.CORPORA["neighbours"], 500_000),
    "fragments": Target(machines.fragments, machines.CORPORA["fragments"], 400_000, 2000),
    "discovery": Target(machines6.discovery, machines6.CORPORA["discovery"], 300_000),
    "advertiser": Target(machines6.advertiser, machines6.CORPORA["advertiser"], 200_000),
    "fragments6": Target(machines6.fragments6, machines6.CORPORA["fragments6"], 300_000, 4000),
    "dhcpv6-server": Target(machines6.dhcpv6_server, machines6.CORPORA["dhcpv6 server"], 300_000, 2000),
    "dhcp-server": Target(machines.dhcp_server, machines.CORPORA["dhcp server"], 300_000, 2000),
    "dns-service": Target(machines.dns_service, machines.CORPORA["dns service"], 100_000),
    "tcp-connection": Target(tcp_machine.connection, tcp_machine.corpora, 900_000, 250),
    "filter": Target(link_machine.filter_text, link_machine.filters, 300_000, 100),
    "tunnel": Target(tunnel_machine.tunnel, tunnel_machine.scripts, 200_000, 300),
    "translator": Target(translator_machine.translator, translator_machine.packets, 300_000, 1600),
    "link": Target(link_machine.link, link_machine.scripts, 300_000, 3000),
    "gateway": Target(gateway_machine.gateway, gateway_machine.corpora, 400_000, 1500),
}
