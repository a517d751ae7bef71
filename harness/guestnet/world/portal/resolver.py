"""The access point's dnsmasq: names, and DHCP that says where the portal's API is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from guestnet.system import dnsmasq
from guestnet.world.described.portal import Portal, Ways
from guestnet.world.portal.decide import api_url

CAPTIVE_PORTAL: Final = 114
"""DHCP option (RFC 8910 section 2.1)."""
_LEASE: Final = "1h"


def command(portal: Portal, addresses: Sequence[str], folder: Path) -> list[str]:
    """Its command line; it keeps its files in ``folder``, see `options`."""
    pool = [f"--dhcp-range={portal.pool[0]},{portal.pool[1]},{_LEASE}"] if portal.pool else []
    return dnsmasq.command(
        "--log-queries=extra",
        f"--interface={portal.link}",
        "--except-interface=lo",
        "--no-resolv",
        "--no-hosts",
        "--cache-size=0",
        f"--host-record={','.join([portal.name, *addresses])}",
        *(f"--server={address}" for address in portal.resolvers),
        *pool,
        f"--dhcp-optsfile={folder / 'options'}",
        f"--dhcp-leasefile={folder / 'leases'}",
        "--dhcp-authoritative",
    )


def options(portal: Portal, ways: Ways) -> str:
    """What dnsmasq's file of DHCP options is to have; it is read again at a SIGHUP."""
    return f"{CAPTIVE_PORTAL},{api_url(portal)}\n" if ways.api else ""
