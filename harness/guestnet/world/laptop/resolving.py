"""The laptop's resolver: what resolv.conf says, put together from uplinks and VPNs.

Nobody else writes the file. Without a VPN it names the uplink's servers. A VPN that resolves everything
(zone ".") takes their place. One that resolves some zones only, or that must see what names resolve to, needs
a stub resolver (`guestnet.world.laptop.stub`), and resolv.conf names that one; the file goes back to naming
servers as soon as no VPN needs it.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from guestnet.wire.dns import PORT
from guestnet.world.laptop.stub import ADDRESS, Seen, Stub, Zone

ALL: Final = "."
"""The zone of every name."""


class _Vpn(NamedTuple):
    servers: tuple[str, ...]
    zones: tuple[str, ...]
    routed: tuple[str, ...]
    seen: Seen | None


class LaptopResolver:
    """Owns ``resolv_conf`` from now on. Its verbs are for the lab's event loop, and hold at once.

    ``on_change`` is told what the file names, when that is something else. ``port`` and ``servers_port`` are
    for tests: a resolv.conf has no place for them.
    """

    def __init__(
        self,
        resolv_conf: Path,
        uplink: Sequence[str],
        *,
        on_change: Callable[[tuple[str, ...]], None] = lambda servers: None,
        address: str = ADDRESS,
        port: int = PORT,
        servers_port: int = PORT,
    ) -> None:
        """``uplink``: the servers that the file names already."""
        self._path = resolv_conf
        self._on_change = on_change
        self._uplink = tuple(uplink)
        self._vpns: dict[str, _Vpn] = {}
        self._stub: Stub | None = None
        self._stub_at = (address, port, servers_port)
        self._named: tuple[str, ...] = self._uplink

    @property
    def servers(self) -> tuple[str, ...]:
        """What resolv.conf names now."""
        return self._named

    @property
    def stub(self) -> Stub | None:
        """The stub resolver, when there had to be one."""
        return self._stub

    def set_uplink(self, servers: Sequence[str]) -> None:
        """The servers that the networks of the laptop give; none when there is no network."""
        self._uplink = tuple(servers)
        self._apply()

    def set_vpn(
        self,
        name: str,
        servers: Sequence[str],
        zones: Sequence[str],
        *,
        routed: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> None:
        """The VPN ``name`` resolves ``zones`` (`ALL` for everything) by ``servers``.

        ``seen`` gets what names in the zones ``routed`` resolve to, whoever resolves them, before the client
        does. Of two VPNs that resolve the same zone, the one that came last does it. Raises DescriptionError
        when a stub is needed and can't be.
        """
        self._vpns.pop(name, None)
        self._vpns[name] = _Vpn(tuple(servers), tuple(zones), tuple(routed), seen)
        self._apply()

    def clear_vpn(self, name: str) -> None:
        """The VPN ``name`` resolves nothing any more."""
        if self._vpns.pop(name, None) is not None:
            self._apply()

    async def close(self) -> None:
        """End the stub resolver."""
        if self._stub is not None:
            await self._stub.close()

    def _apply(self) -> None:
        zones = self._zones()
        if all(zone.name == ALL and zone.seen is None for zone in zones.values()):
            self._write(zones[ALL].servers)
            return
        if self._stub is None:
            address, port, servers_port = self._stub_at
            self._stub = Stub(address=address, port=port, servers_port=servers_port)
        self._stub.set_zones(list(zones.values()))
        self._write((self._stub_at[0],))

    def _zones(self) -> dict[str, Zone]:
        servers: dict[str, tuple[str, ...]] = {ALL: self._uplink}
        for vpn in self._vpns.values():
            if vpn.servers:
                servers |= dict.fromkeys((zone.lower() for zone in vpn.zones), vpn.servers)
        zones = {name: Zone(name, each) for name, each in servers.items()}
        for vpn in self._vpns.values():
            for name in (routed.lower() for routed in vpn.routed):
                zones[name] = Zone(name, _closest(name, servers), vpn.seen)
        return zones

    def _write(self, servers: tuple[str, ...]) -> None:
        """In place, because the file is mounted on others by its inode; in one write, and longer each time:
        no reader sees half of it, and each sees by its size that it is another one."""
        if servers == self._named:
            return
        self._named = servers
        text = "".join(f"nameserver {server}\n" for server in servers) or "# no resolver\n"
        data = text.encode().ljust(self._path.stat().st_size + 1, b"\n")
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, data, 0)
        finally:
            os.close(descriptor)
        self._on_change(servers)


def _closest(name: str, servers: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The servers of the longest zone that ``name`` is in."""
    while name not in servers:
        name = name.partition(".")[2] or ALL
    return servers[name]
