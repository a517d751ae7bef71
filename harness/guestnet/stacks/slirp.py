"""libslirp, the user network that the others are compared with: QEMU's own, and slirp4netns for namespaces.

Within QEMU each guest has one of its own: no switch, no capture, no events. slirp4netns (1.2.0, as Debian 12
ships it) is the same library in a process that makes the guest's TAP device. Addresses are made alike where
they can be: host address .2, resolver .3, guests from .15 on. The MTU is fixed in QEMU; slirp4netns takes
any, but its DHCP server does not tell it.

What scenarios show of both is libslirp's own doing and stays red: the guest hears nothing of an ICMP error
that the laptop gets for its connect; and a stream that the server resets at once may end in the guest as if
it were whole, now and then with octets missing.
"""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.core.laptop import LaptopFacts
from guestnet.stacks.base import Plug, StackOptions
from guestnet.stacks.processes import Processes
from guestnet.system.programs import require

_QEMU_MTU: Final = 1500
_OLDEST: Final = "slirp4netns 1.2.0"


class SlirpStack:
    """A ``Stack``. Guests do not see each other; there is no host.docker.internal."""

    name = "slirp"
    capabilities = frozenset(
        {"ipv4", "tcp", "udp", "icmp-echo", "gateway-echo", "host-services", "host-sockets"}
    )
    cables = None

    def __init__(self, options: StackOptions) -> None:
        self._mtu = options.mtu
        self._network = IPv4Network(options.subnet)
        self._processes = Processes(options.artifacts, _OLDEST)

    async def start(self) -> None:
        """As of ``Stack``: there is nothing to open."""

    def told(self, facts: LaptopFacts) -> None:
        """As of ``Stack``: its guests are told of none of it."""

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """As of ``Stack``. Raises DescriptionError for another MTU than QEMU's."""
        if self._mtu != _QEMU_MTU:
            raise DescriptionError(
                f"the stack slirp with an MTU of {self._mtu} in a QEMU guest",
                remedy=f"leave it at {_QEMU_MTU}, or choose --guest netns or the stack builtin",
            )
        network = self._network
        return Plug(f"user,ipv6=off,net={network},host={network[2]},dns={network[3]},dhcpstart={network[15]}")

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """Not with this stack: raises DescriptionError."""
        raise DescriptionError(
            "the stack slirp with a TAP device", remedy="let it make its own: plug_netns()"
        )

    async def plug_netns(self, guest: str, mac: Mac, link: str, network: Path) -> None:
        """As of ``Stack``. Raises EnvironmentMissing when slirp4netns is not installed."""
        program = str(require("slirp4netns"))
        words = (program, "--netns-type=path", f"--cidr={self._network}", f"--mtu={self._mtu}")
        await self._processes.start_ready(
            guest, link, lambda ready: [*words, f"--ready-fd={ready.descriptor}", str(network), "eth0"]
        )

    def unplug(self, guest: str) -> None:
        """As of ``Stack``; the cable of a QEMU guest is part of QEMU."""
        self._processes.end(guest)

    async def stop(self) -> None:
        """As of ``Stack``."""
        self._processes.end_all()
