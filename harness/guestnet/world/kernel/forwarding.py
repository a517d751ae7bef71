"""What routers of a world do beyond forwarding: source NAT, its timeouts, a firewall. By nftables (nft(8)).

NAT is the kernel's masquerading: a mapping for each flow, the port kept where it is free, answers only from
whom was asked. That is "address and port-dependent" mapping and filtering in RFC 4787's words, the strictest
kind, as many carriers have it. A mapping that nobody used for `nat_timeouts` is gone: what comes after that
from outside is dropped, and what comes from inside gets a new one (for TCP too: conntrack is "loose", and the
server, that knows the flow by its old address, answers with a reset).
"""

import re
from pathlib import Path
from typing import Final

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.world.described.model import Host, NatState
from guestnet.world.described.place import dotted
from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.kernel.nft import load

_SYSCTLS: Final[dict[NatState, str]] = {
    "udp": "nf_conntrack_udp_timeout",
    "udp-stream": "nf_conntrack_udp_timeout_stream",
    "tcp": "nf_conntrack_tcp_timeout_established",
    "icmp": "nf_conntrack_icmp_timeout",
}
_LINE: Final = re.compile(r"stdin:(\d+):")
_HEAD: Final = (
    "table inet router {",
    "chain forward {",
    "type filter hook forward priority filter; policy accept;",
)


def ruleset(host: Host) -> str:
    """For ``nft -f``; the rules begin in line ``len(_HEAD) + 1``. Empty when the host only forwards."""
    if not host.rules and not host.masquerade:
        return ""
    nat: list[str] = []
    if host.masquerade:
        links = ", ".join(f'"{link}"' for link in host.masquerade)
        nat = [
            "chain postrouting {",
            "type nat hook postrouting priority srcnat;",
            f"meta nfproto ipv4 oifname {{ {links} }} masquerade",
            "}",
            # Of what left with our address and is known no more, the way back must not be routed inside.
            "chain stray {",
            "type filter hook forward priority filter - 1;",
            f"meta nfproto ipv4 iifname {{ {links} }} ct state new,invalid drop",
            "}",
        ]
    return "\n".join([*_HEAD, *host.rules, "}", *nat, "}", ""])


def set_up(world: World, namespaces: Namespaces) -> None:
    """Make every router of ``world`` what it is. The calling thread visits their namespaces meanwhile.

    Raises EnvironmentMissing, and DescriptionError with the place of a rule that nft refuses.
    """
    for name, host in world.hosts.items():
        if text := ruleset(host):
            try:
                load(namespaces, name, text, what=f"what {name} forwards")
            except DescriptionError as error:
                raise _placed(error, name, host) from error
        if host.nat_timeouts:
            with namespaces.inside(name):
                _set_timeouts(host)


def _placed(error: DescriptionError, name: str, host: Host) -> DescriptionError:
    line = _LINE.search(error.message)
    index = int(line[1]) - len(_HEAD) - 1 if line else -1
    if not 0 <= index < len(host.rules):
        return error
    place = dotted(("hosts", name, "rules", index))
    return DescriptionError(f"{place}: {error.message}", remedy=error.remedy)


def _set_timeouts(host: Host) -> None:
    for state, seconds in host.nat_timeouts.items():
        path = Path("/proc/sys/net/netfilter", _SYSCTLS[state])
        try:
            path.write_text(str(seconds))
        except OSError as error:
            raise EnvironmentMissing(
                f"{path} can't be set ({error.strerror})", remedy="use a kernel with CONFIG_NF_CONNTRACK"
            ) from error
