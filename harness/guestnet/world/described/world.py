"""The model of a world: frozen, the same whether it was written in Python or in TOML.

A `World` is hosts and the links between them. A link's interface has the link's name on both of its
hosts. `guestnet.world.described.problems` says what can't be; constructing a `World` raises `WorldError` for
the first of them.
"""

from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Literal

import msgspec

from guestnet.world.described.model import LAPTOP
from guestnet.world.described.place import WorldError
from guestnet.world.described.problems import addresses, problems
from guestnet.world.described.tables import Tables

Families = Literal["both", "ipv4", "ipv6"]
"""The IP versions that a laptop has a network for."""


class World(Tables, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything around the stack. Raises WorldError when it can't be."""

    def __post_init__(self) -> None:
        for problem in problems(self):
            raise WorldError(problem)

    def addresses_of(self, host: str) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Every address of ``host``: its own (/32 or /128 unless given), then its links'."""
        return addresses(host, self.hosts, self.links)

    def portal_addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of the access point of portal ``name`` where its clients are, IPv4 first."""
        portal = self.portals[name]
        own = [str(ip_interface(each).ip) for each in self.links[portal.link].ends[portal.host]]
        return tuple(sorted(own, key=lambda each: ":" in each))

    def with_laptop(self, families: Families) -> "World":
        """The same world around a laptop that has addresses, routes and resolvers of these families only.

        Its loopback keeps both, as every Linux does; so do the servers on it. Raises WorldError.
        """
        if families == "both":
            return self
        version = 4 if families == "ipv4" else 6
        laptop = self.hosts[LAPTOP]
        laptop = msgspec.structs.replace(
            laptop,
            addresses=_of(version, laptop.addresses),
            routes=tuple(route for route in laptop.routes if _of(version, (route.via or route.to,))),
            resolvers=_of(version, laptop.resolvers),
        )
        links = {
            name: msgspec.structs.replace(
                link,
                ends={
                    host: _of(version, addresses) if host == LAPTOP else addresses
                    for host, addresses in link.ends.items()
                },
            )
            for name, link in self.links.items()
        }
        uplinks = {
            name: msgspec.structs.replace(
                uplink,
                gateways=_of(version, uplink.gateways),
                resolvers=_of(version, uplink.resolvers),
                routes=tuple(route for route in uplink.routes if _of(version, (route.via or route.to,))),
            )
            for name, uplink in self.uplinks.items()
        }
        # It can't get to a concentrator of the other family.
        vpns = {
            name: msgspec.structs.replace(vpn, up=vpn.up and bool(_of(version, (vpn.endpoint,))))
            for name, vpn in self.vpns.items()
        }
        return msgspec.structs.replace(
            self, hosts=self.hosts | {LAPTOP: laptop}, links=links, uplinks=uplinks, vpns=vpns
        )


def _of(version: int, addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(address for address in addresses if ip_interface(address).version == version)
