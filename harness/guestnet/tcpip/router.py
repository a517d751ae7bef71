"""Router advertisements (RFC 4861 6.2) as a machine: solicited ones at once, the others by their timers.

Unsolicited ones come at random intervals between ``min_interval`` and ``max_interval``, the first three at
most 16 seconds apart. A solicitation is answered to its sender alone: then what a guest heard does not depend
on the others, and the least delay between multicasts (6.2.6) holds nobody up. The random delay before an
answer (6.2.6) is for links with many routers, which would all speak at once; here is one.

``shutdown`` and a change of what is advertised are told to all at once, as RFC 4861 6.2.4 and 6.2.5 ask.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guestnet.core.address import Mac
from guestnet.core.rng import Stream
from guestnet.core.time import SECOND
from guestnet.tcpip.ndp import packet_of
from guestnet.tcpip.neighbour import Outgoing
from guestnet.wire import ipv6
from guestnet.wire.ethernet import EtherType
from guestnet.wire.ipv6 import ALL_NODES, UNSPECIFIED, Ip6
from guestnet.wire.ndp import RouterAdvertisement

_ALL_NODES_MAC: Final = Mac(ipv6.group_mac(ALL_NODES))
_INITIAL: Final = 3
_INITIAL_INTERVAL: Final = 16 * SECOND


class Config(Struct, frozen=True, kw_only=True):
    """Intervals in nanoseconds: RFC 4861 6.2.1's defaults."""

    min_interval: int = 200 * SECOND
    max_interval: int = 600 * SECOND


class Advertiser:
    """For one interface with ``mac`` and the link-local ``address``."""

    def __init__(
        self,
        mac: Mac,
        address: Ip6,
        advertisement: RouterAdvertisement,
        draws: Stream,
        config: Config | None = None,
    ) -> None:
        self.advertisement = advertisement
        self._mac = mac
        self._address = address
        self._draws = draws
        self._config = config if config is not None else Config()
        self._sent = 0
        self._due_at: int | None = None
        self._outgoing: list[Outgoing] = []

    def start(self, now: int) -> None:
        """The interface is up; who comes to it asks, so the first advertisement may wait for its interval."""
        self._due_at = now + _INITIAL_INTERVAL

    def on_solicitation(self, source: Ip6, mac: Mac) -> None:
        """Somebody at ``mac`` asks; without a ``source``, it gets the answer for all nodes (RFC 6085)."""
        self._send(mac, ALL_NODES if source == UNSPECIFIED else source)

    def change(self, advertisement: RouterAdvertisement, now: int) -> None:
        """From now on ``advertisement`` is true: all are told, and again soon (RFC 4861 6.2.4)."""
        self.advertisement = advertisement
        self._sent = 0
        self._due_at = now

    def shutdown(self) -> None:
        """We are no router any more (RFC 4861 6.2.5): a lifetime of 0 is told, then there is silence."""
        self.advertisement = replace(self.advertisement, router_lifetime=0)
        self._send(_ALL_NODES_MAC, ALL_NODES)
        self._due_at = None

    def transmit(self) -> list[Outgoing]:
        """The frames due now; drained."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def poll_at(self) -> int | None:
        """When ``on_timer`` is due."""
        return self._due_at

    def on_timer(self, now: int) -> None:
        """Advertise when it is time."""
        if self._due_at is None or now < self._due_at:
            return
        self._send(_ALL_NODES_MAC, ALL_NODES)
        self._sent += 1
        interval = self._draws.randint(self._config.min_interval, self._config.max_interval)
        self._due_at = now + (min(interval, _INITIAL_INTERVAL) if self._sent < _INITIAL else interval)

    def _send(self, mac: Mac, destination: Ip6) -> None:
        octets = packet_of(self._address, destination, self.advertisement)
        self._outgoing.append(Outgoing(mac, EtherType.IPV6, octets))
