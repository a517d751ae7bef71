"""NAT mappings after a jump of the lab clock: those that nobody used for so long are gone.

The kernel counts a mapping's time by its own clock, which does not jump. So each entry of a router's
connection tracking is asked what it has left, and loses that much of it (ctnetlink, as conntrack(8) does).
"""

import errno
from typing import Final

from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces

_FAMILIES: Final = (2, 10)
"""IPv4, IPv6."""


def age(world: World, namespaces: Namespaces, seconds: int) -> int:
    """Make the NAT mappings and tracked flows of all routers older; returns how many ended.

    The calling thread visits their namespaces meanwhile.
    """
    ended = 0
    for name, host in world.hosts.items():
        if host.masquerade or host.rules:
            with namespaces.inside(name):
                ended += sum(_age(family, seconds) for family in _FAMILIES)
    return ended


def _age(family: int, seconds: int) -> int:
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket

    ended = 0
    with NFCTSocket(family) as tracking:
        for entry in list(tracking.dump()):
            flow = NFCTAttrTuple.from_netlink(family, entry.get_attr("CTA_TUPLE_ORIG"))
            left = entry.get_attr("CTA_TIMEOUT") - seconds
            try:
                if left > 0:
                    tracking.entry("set", tuple_orig=flow, timeout=left)
                else:
                    tracking.entry("del", tuple_orig=flow)
                    ended += 1
            except NetlinkError as error:
                if error.code != errno.ENOENT:  # it ended by itself
                    raise
    return ended
