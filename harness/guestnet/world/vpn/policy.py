"""What VPN clients tell the laptop's firewall, and a black hole that of both ends, as rules of nft(8).

A table for each VPN, replaced as a whole, so that nothing gets through in between.

- *Kill switch*: by an uplink leave only the tunnel's own datagrams (they have its mark), DHCP and neighbour
  discovery, and what is for the local networks; of a split tunnel's routes, nothing. It holds also while the
  tunnel is lost, which is what it is for.
- *Host only*: nothing that was forwarded goes into the tunnel. Clients do so against laptops that are routers
  for somebody; guests behind the kernel's own NAT look the same.
- *Local network blocked*: nothing for the uplinks' own networks leaves by them, multicast and broadcast
  included, but DHCP, neighbour discovery and the tunnel.
- *Clamped MSS*: in SYNs that are forwarded, the option is no more than the smaller of both directions allows.
- *Black hole*: no ICMP "fragmentation needed" or "packet too big" leaves either end.

A concentrator that is to be silent, and whose kernel is not ours to hush otherwise, has a table of its own.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

from guestnet.world.described.vpn import Vpn

Network = IPv4Network | IPv6Network

_ALWAYS: Final = (
    "meta mark {mark} accept",
    "udp sport 68 udp dport 67 accept",
    "udp sport 546 udp dport 547 accept",
    "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
)
_TO_ALL: Final = ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
"""Multicast and broadcast: what finds printers and screens in a local network."""
_TOO_BIG: Final = (
    "icmp type destination-unreachable icmp code frag-needed drop",
    "icmpv6 type packet-too-big drop",
)


def table(name: str) -> str:
    """Of the VPN ``name``."""
    return f"inet vpn-{name}"


def laptop_rules(
    name: str, vpn: Vpn, *, mark: int, uplinks: Sequence[str], local: Sequence[str], is_up: bool = True
) -> str:
    """The ruleset of the laptop, in place of the one before; none when no policy needs one.

    ``uplinks`` are interfaces, ``local`` the networks behind them. While the VPN is not up, only the kill
    switch holds.
    """
    chains = []
    if uplinks and (leaving := _leaving(vpn, mark, [ip_network(each) for each in local], is_up)):
        ways = ", ".join(f'"{each}"' for each in uplinks)
        chains += [
            _chain("out", "output", [f"oifname {{ {ways} }} jump leaving"]),
            # Reached also by what is forwarded to an uplink: to a firewall of the laptop it is all the same.
            _chain("through", "forward", [f"oifname {{ {ways} }} jump leaving"]),
        ]
        chains.insert(0, _chain("leaving", "", leaving))
    if is_up:
        chains += _forwarding(name, vpn)
        if not vpn.frag_needed:
            chains.append(_chain("told", "output", _TOO_BIG))
    return _replaced(table(name), chains)


def gateway_rules(name: str, vpn: Vpn) -> str:
    """The ruleset of the concentrator, in place of the one before."""
    if vpn.frag_needed:
        return _replaced(table(name), [])
    return _replaced(table(name), [_chain("told", "output", _TOO_BIG), _chain("passed", "forward", _TOO_BIG)])


def mute_rules(name: str, port: int | None) -> str:
    """The concentrator hears and says nothing at ``port``; None: it does."""
    chains = (
        []
        if port is None
        else [
            _chain("heard", "input", [f"udp dport {port} drop"]),
            _chain("said", "output", [f"udp sport {port} drop"]),
        ]
    )
    return _replaced(f"inet mute-{name}", chains)


def no_rules(name: str) -> str:
    """Away with whatever there is."""
    return _replaced(table(name), [])


def _leaving(vpn: Vpn, mark: int, local: Sequence[Network], is_up: bool) -> list[str]:
    rules: list[str] = []
    if vpn.block_local and is_up:
        rules += _to([*local, *map(ip_network, _TO_ALL)], "drop")
    if vpn.kill_switch:
        if vpn.full:
            rules += [*_to(local, "accept"), "drop"]
        else:
            rules += _to([ip_network(route) for route in vpn.routes], "drop")
    return [*(rule.replace("{mark}", hex(mark)) for rule in _ALWAYS), *rules] if rules else []


def _forwarding(name: str, vpn: Vpn) -> list[str]:
    rules = []
    if vpn.host_only:
        rules += [f'oifname "{name}" drop', f'iifname "{name}" drop']
    if vpn.clamp_mss:
        syn = "tcp flags & (syn | rst) == syn"
        rules += [f'{way} "{name}" {syn} tcp option maxseg size set rt mtu' for way in ("oifname", "iifname")]
    return [_chain("forwarded", "forward", rules)] if rules else []


def _to(networks: Sequence[Network], verdict: str) -> list[str]:
    """Rules for packets to ``networks``."""
    four = collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    six = collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    parted = {"ip": [str(each) for each in four], "ip6": [str(each) for each in six]}
    return [f"{word} daddr {{ {', '.join(texts)} }} {verdict}" for word, texts in parted.items() if texts]


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    head = f"type filter hook {hook} priority filter; policy accept;" if hook else ""
    body = "\n".join(f"    {rule}" for rule in (head, *rules) if rule)
    return f"  chain {name} {{\n{body}\n  }}"


def _replaced(whole: str, chains: Sequence[str]) -> str:
    """The table ``whole``, in one transaction; one that is not there can't be deleted, so it is added
    before."""
    text = f"table {whole}\ndelete table {whole}\n"
    if chains:
        body = "\n".join(chains)
        text += f"table {whole} {{\n{body}\n}}\n"
    return text
