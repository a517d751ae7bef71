"""Our own tunnel over UDP, which works on every kernel, and whose captures can be read.

A tunnel's interface is one end of a veth pair; what the host sends into it arrives at the other end, in a
hidden namespace, where a process of its own reads it (`guestnet.world.vpn.ends`).
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from guestnet.core.errors import LabError
from guestnet.core.rng import stream
from guestnet.system import namespace, offloads
from guestnet.system.calls import bind
from guestnet.system.forked import Spawner
from guestnet.world.described.model import LAPTOP
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.kernel.places import NETNS
from guestnet.world.links.diversion import End
from guestnet.world.vpn import devices, messages
from guestnet.world.vpn.client import Client
from guestnet.world.vpn.process import TunnelProcess
from guestnet.world.vpn.transport import Failed, Far, Told

HIDDEN: Final = NETNS / "_vpn"
"""The namespace at the other ends of all tunnels' interfaces; no host can be called so."""

_FIRST_INDEX: Final = 20000
"""Of interfaces. Those of a pair must differ, or the kernel may take a second to see the carrier."""
_LARGEST_MTU: Final = 65535
_IFF_NOARP: Final = 0x80
_SECOND: Final = 1_000_000_000


class UdpTransport:
    """A `Transport`. Keys and all else that is random come from ``seed``; its process from ``spawner``."""

    def __init__(self, seed: int, spawner: Spawner, told: Told, failed: Failed) -> None:
        self._seed = seed
        self._failed = failed
        self._process = TunnelProcess(spawner, told, self._ended)
        self._namespaces = Namespaces()
        self._hidden = -1

    @property
    def pids(self) -> dict[str, int]:
        """As of `Transport`."""
        return self._process.pids

    async def prepare(self) -> None:
        """As of `Transport`."""
        await self._process.prepare()

    async def start(self, namespaces: Namespaces, clients: Sequence[Client]) -> None:
        """As of `Transport`."""
        self._namespaces = namespaces
        await asyncio.to_thread(self._make, clients)
        await self._process.open([self._order(client) for client in clients])

    def far(self, client: Client) -> Far:
        """As of `Transport`."""
        return Far(End(HIDDEN.name, _device(client.numbers.number, is_gateway=False)), are_peers=True)

    def tell(self, command: messages.Command) -> None:
        """As of `Transport`."""
        self._process.tell(command)

    async def stop(self) -> None:
        """As of `Transport`."""
        await self._process.stop()
        if self._hidden >= 0:
            os.close(self._hidden)
            self._hidden = -1

    def _ended(self, reason: str) -> None:
        self._failed(LabError(f"the world broke: {reason}", remedy="see lab.log"))

    def _order(self, client: Client) -> messages.Open:
        vpn, number = client.vpn, client.numbers.number
        laptop, gateway = (
            messages.Side(
                namespace=str(self._namespaces.path(host)),
                mac=_mac(number, is_gateway),
                addresses=vpn.ends[vpn.gateway if host == LAPTOP else LAPTOP],
                device=_device(number, is_gateway),
            )
            for is_gateway, host in ((False, LAPTOP), (True, vpn.gateway))
        )
        rng = stream(self._seed, "vpn", client.name)
        return messages.Open(
            client.name, laptop, gateway, str(HIDDEN), vpn.endpoint, vpn.port, client.numbers.mark,
            rng.randbytes(32).hex(), rng.getrandbits(63), round(vpn.keepalive * _SECOND),
            round(vpn.rekey * _SECOND), frag_needed=vpn.frag_needed,
        )  # fmt: skip

    # In a thread

    def _make(self, clients: Sequence[Client]) -> None:
        self._hidden = namespace.make()
        HIDDEN.touch()
        bind(f"/proc/self/fd/{self._hidden}", str(HIDDEN))
        self._namespaces.add_hidden(HIDDEN.name, self._hidden)
        for client in clients:
            self._make_devices(client)

    def _make_devices(self, client: Client) -> None:
        from pyroute2 import IPRoute

        name, vpn, number = client.name, client.vpn, client.numbers.number
        for is_gateway, host in ((False, LAPTOP), (True, vpn.gateway)):
            device = _device(number, is_gateway)
            with self._namespaces.inside(host):
                with IPRoute() as routes:
                    other = {"ifname": device, "net_ns_fd": self._hidden, "mtu": _LARGEST_MTU}
                    index = _FIRST_INDEX + 2 * number + is_gateway
                    devices.refusable(
                        f"{host}: {name}",
                        partial(
                            routes.link, "add", kind="veth", ifname=name, index=index, mtu=vpn.mtu,
                            address=_mac(number, is_gateway), peer=other,
                        ),
                    )  # fmt: skip
                    routes.link("set", index=index, flags=_IFF_NOARP, change=_IFF_NOARP)
                offloads.switch_off(name)
                # No link-local address, and so nobody who looks for routers: it is not ethernet really.
                with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                    Path(f"/proc/sys/net/ipv6/conf/{name}/addr_gen_mode").write_text("1")
            with namespace.inside(self._hidden):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
                with IPRoute() as routes:
                    routes.link("set", index=devices.index_of(routes, device), state="up")
        devices.bring_up(self._namespaces, vpn.gateway, name, vpn.ends[vpn.gateway], vpn.mtu)


def _device(number: int, is_gateway: bool) -> str:
    """The name of the interface's other end in the hidden namespace."""
    return f"_{'g' if is_gateway else 'l'}{number}"


def _mac(number: int, is_gateway: bool) -> str:
    """Of the interface."""
    return f"02:00:00:01:{number:02x}:{is_gateway:02x}"
