"""What a captive portal is to the kernel of its access point: a table of nftables.

All of it is replaced at once whenever something changes, and names the machines that are logged in: by
hardware address, so that a login counts for both versions of IP. What was redirected stays so until its
connection ends (conntrack), as with real ones.
"""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from guestnet.world.described.portal import NAMES, Portal, Ways

_TABLE: Final = "table inet portal"
_TCP: Final = {
    "reset": "reject with tcp reset",
    "silence": "drop",
    "prohibit": "reject with icmpx admin-prohibited",
    "certificate": "drop",  # it never comes here: the portal answers itself
}
_REST: Final = _TCP | {"reset": "reject with icmpx port-unreachable"}


def ruleset(portal: Portal, ways: Ways, garden: Iterable[str], logged_in: Iterable[str]) -> str:
    """The table for the clients on ``portal.link``, replacing what is there.

    ``garden`` are the prefixes that everybody reaches, ``logged_in`` the hardware addresses of machines.
    """
    networks = [ip_network(each) for each in garden]
    table = [
        _set("open", "ether_addr", logged_in),
        _set("garden4", "ipv4_addr", (str(each) for each in networks if each.version == 4)),
        _set("garden6", "ipv6_addr", (str(each) for each in networks if each.version == 6)),
        _block("chain prerouting", _translations(portal.link, ways)),
        _block("chain forward", _verdicts(portal.link, ways)),
    ]
    return f"{_TABLE}\ndelete {_TABLE}\n{_block(_TABLE, table)}\n"


def _translations(link: str, ways: Ways) -> list[str]:
    """What the portal answers in others' names."""
    past = {
        "captive": [],
        # To the access point's own addresses IPv6 works; it is the way out that is broken.
        "dead": ["meta nfproto ipv6 fib daddr type != local accept"],
        "open": ["meta nfproto ipv6 accept"],
    }
    return [
        "type nat hook prerouting priority dstnat",
        f'iifname != "{link}" accept',
        *past[ways.ipv6],
        "ether saddr @open accept",
        "ip daddr @garden4 accept",
        "ip6 daddr @garden6 accept",
        "tcp dport 80 redirect",
        *(["tcp dport 443 redirect"] if ways.tls == "certificate" else []),
        *([f"meta l4proto {{ tcp, udp }} th dport 53 redirect to :{NAMES}"] if ways.forge else []),
    ]


def _verdicts(link: str, ways: Ways) -> list[str]:
    """What goes through."""
    past = {
        "captive": [],
        "dead": ["meta nfproto ipv6 drop"],
        "open": ["meta nfproto ipv6 accept"],
    }
    rest = _REST[ways.other]
    return [
        "type filter hook forward priority filter",
        f'iifname != "{link}" accept',
        *past[ways.ipv6],
        *([] if ways.udp else [f"ether saddr @open meta l4proto udp th dport != 53 {rest}"]),
        "ether saddr @open accept",
        "ip daddr @garden4 accept",
        "ip6 daddr @garden6 accept",
        f"tcp dport 443 {_TCP[ways.tls]}",
        f"meta l4proto tcp {_TCP[ways.other]}",
        rest,
    ]


def _set(name: str, kind: str, elements: Iterable[str]) -> str:
    listed = ", ".join(sorted(set(elements)))
    ranges = [] if kind == "ether_addr" else ["flags interval", "auto-merge"]
    return _block(
        f"set {name}", [f"type {kind}", *ranges, *([f"elements = {{ {listed} }}"] if listed else [])]
    )


def _block(head: str, lines: Iterable[str]) -> str:
    return head + " {\n" + "\n".join(lines) + "\n}"
