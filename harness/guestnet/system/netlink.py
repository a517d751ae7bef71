"""What pyroute2 has no word for."""

from ipaddress import IPv4Interface, IPv6Interface
from typing import Any, Final

IFA_F_NODAD: Final = 0x02
"""linux/if_addr.h: use the address without duplicate address detection (RFC 4862 section 5.4)."""


def address(interface: IPv4Interface | IPv6Interface) -> dict[str, Any]:
    """How netlink is told of ``interface``, so that it can be used at once.

    IPv6 gets no duplicate address detection: until that is over nobody can bind to the address. Where none is
    to be made, the kernel still finds that out a little later.
    """
    told: dict[str, Any] = {"address": str(interface.ip), "prefixlen": interface.network.prefixlen}
    return told | ({"flags": IFA_F_NODAD} if interface.version == 6 else {})
