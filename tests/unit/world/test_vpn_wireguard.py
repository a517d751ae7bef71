"""What drives a WireGuard tunnel, with a kernel that the test is."""

import asyncio

from guestnet.core.errors import GuestnetError, LabError
from guestnet.world.described.vpn import Vpn
from guestnet.world.vpn import messages
from guestnet.world.vpn.client import Client, Numbers
from guestnet.world.vpn.liveness import Deed, Seen
from guestnet.world.vpn.wireguard import Pair, Tunnel

VPN = Vpn(ends={"laptop": ("10.20.255.2/24",), "gw": ("10.20.255.1/24",)}, endpoint="198.51.100.18")


class Kernel(Pair):
    """Completes every handshake at once."""

    def __init__(self) -> None:
        self.seen = Seen(handshake=0, client=0, concentrator=0, source="198.51.100.1:4000")
        self.deeds: list[Deed] = []
        self.is_gone = False

    def look(self) -> Seen:
        if self.is_gone:
            raise LabError("WireGuard's device corp on laptop can't be used (No such device)")
        return self.seen

    def do(self, deed: Deed) -> None:
        self.deeds.append(deed)
        if deed == "initiate":
            self.seen = self.seen._replace(handshake=self.seen.handshake + 1)


class Driven:
    """A tunnel, and what it says."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.said: asyncio.Queue[messages.Changed | GuestnetError] = asyncio.Queue(maxsize=10)
        client = Client("corp", VPN, Numbers(0))
        self.tunnel = Tunnel(self.kernel, client, self.said.put_nowait, self.said.put_nowait)

    async def next(self) -> messages.Changed | GuestnetError:
        return await asyncio.wait_for(self.said.get(), 20)


def test_orders_become_deeds_and_what_comes_of_them_is_told() -> None:
    async def main() -> None:
        driven = Driven()
        driven.tunnel.tell(messages.Connect("corp"))
        assert await driven.next() == messages.Changed("corp", "established", "198.51.100.1:4000")
        driven.tunnel.tell(messages.Renew("corp", 0))
        assert await driven.next() == messages.Changed("corp", "rekeyed", "198.51.100.1:4000")
        driven.tunnel.tell(messages.Disconnect("corp"))
        await driven.tunnel.stop()
        assert driven.kernel.deeds == ["initiate", "initiate"]
        assert driven.said.empty()

    asyncio.run(main())


def test_a_device_that_is_gone_is_a_fault_of_the_world() -> None:
    async def main() -> None:
        driven = Driven()
        driven.kernel.is_gone = True
        driven.tunnel.tell(messages.Connect("corp"))
        fault = await driven.next()
        assert isinstance(fault, LabError)
        assert "No such device" in str(fault)
        await driven.tunnel.stop()

    asyncio.run(main())
