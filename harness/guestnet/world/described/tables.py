"""A world as it was written, before anybody asked whether it can be."""

import msgspec

from guestnet.world.described.model import Host, Link, Uplink
from guestnet.world.described.nat64 import Nat64
from guestnet.world.described.portal import Portal
from guestnet.world.described.server import Server
from guestnet.world.described.vpn import Vpn


class Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tables of a world, by the names of what is in them."""

    name: str
    hosts: dict[str, Host]
    links: dict[str, Link] = {}
    servers: dict[str, Server] = {}
    uplinks: dict[str, Uplink] = {}
    nat64: dict[str, Nat64] = {}
    vpns: dict[str, Vpn] = {}
    portals: dict[str, Portal] = {}
