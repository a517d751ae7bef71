"""What a client sets up on the laptop, and takes away again, in the order that lets nothing get around it.

All of it blocks, and is for a thread that runs nothing else meanwhile.
"""

from collections.abc import Sequence

from guestnet.world.described.model import LAPTOP
from guestnet.world.kernel import nft
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.vpn import devices, policy
from guestnet.world.vpn.client import Client


class Setup:
    """Of the VPNs of a laptop with these ``uplinks``."""

    def __init__(self, namespaces: Namespaces, uplinks: Sequence[str]) -> None:
        self._namespaces = namespaces
        self._uplinks = uplinks

    def apply(self, client: Client, *, anew: bool = False) -> None:
        """Addresses, if ``anew``; policies and routes of a VPN that is up."""
        if anew:
            ends = client.vpn.ends[LAPTOP]
            devices.bring_up(self._namespaces, LAPTOP, client.name, ends, client.vpn.mtu)
        self.protect(client, is_up=True)
        devices.add_routes(self._namespaces, client.name, client.vpn, client.numbers)

    def try_on(self, client: Client) -> None:
        """The interface is up for the transport to try; nothing goes by it."""
        devices.take_up(self._namespaces, client.name)

    def take_away(self, client: Client) -> None:
        """All of that but, unless the VPN is down for good, the kill switch and the trying."""
        self.protect(client)
        devices.take_down(self._namespaces, client.name, client.numbers)
        if client.is_trying:
            self.try_on(client)

    def protect(self, client: Client, *, is_up: bool = False) -> None:
        """The policies for the networks that the laptop is in now, of what the VPN is, or will be."""
        is_up = is_up or client.status == "up"
        if client.status == "down" and not is_up:
            rules = policy.no_rules(client.name)
        else:
            rules = policy.laptop_rules(
                client.name, client.vpn, mark=client.numbers.mark, uplinks=self._uplinks,
                local=self.local_networks(), is_up=is_up,
            )  # fmt: skip
        nft.load(self._namespaces, LAPTOP, rules, what=f"the policies of the VPN {client.name}")

    def local_networks(self) -> list[str]:
        """Those that the laptop is in."""
        return devices.local_networks(self._namespaces, self._uplinks)

    def set_both_ends(self, client: Client) -> None:
        """What can be set of a VPN that is not up."""
        for host in client.vpn.ends:
            devices.set_mtu(self._namespaces, host, client.name, client.vpn.mtu)
        self.guard_gateway(client, always=True)

    def guard_gateway(self, client: Client, *, always: bool = False) -> None:
        """The concentrator's own policies; ``always``: even if there are none."""
        if always or not client.vpn.frag_needed:
            rules = policy.gateway_rules(client.name, client.vpn)
            what = f"the concentrator of the VPN {client.name}"
            nft.load(self._namespaces, client.vpn.gateway, rules, what=what)

    def route_hosts(self, client: Client, addresses: Sequence[str]) -> None:
        """Send what is for ``addresses`` into the tunnel."""
        devices.route_hosts(self._namespaces, client.name, addresses)
