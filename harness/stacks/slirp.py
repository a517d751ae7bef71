"""QEMU's own user network (libslirp), as every QEMU has it: the stack to compare with.

It lives inside QEMU, each guest with one of its own: no switch, no capture, no events. Its addresses are made
alike where it can: host address .2, resolver .3, guests from .15 on.
"""

from typing import Final

from harness.core.address import Mac
from harness.core.errors import DescriptionError
from harness.stacks.base import Plug, StackOptions

_NETDEV: Final = (
    "user,ipv6=off,net=192.168.65.0/24,host=192.168.65.2,dns=192.168.65.3,dhcpstart=192.168.65.15"
)


class SlirpStack:
    """A ``Stack``. There is no host.docker.internal, and no MTU to set."""

    name = "slirp"
    capabilities = frozenset({"ipv4", "tcp", "udp", "icmp-echo", "gateway-echo", "host-services"})

    def __init__(self, options: StackOptions) -> None:
        if options.mtu != 1500:
            raise DescriptionError(
                f"the stack slirp with an MTU of {options.mtu}",
                remedy="leave it at 1500, or choose the stack builtin",
            )

    async def start(self) -> None:
        """As of ``Stack``: there is nothing to open."""

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """As of ``Stack``."""
        return Plug(_NETDEV)

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """Not with this stack: raises DescriptionError."""
        raise DescriptionError(
            "the stack slirp with a netns guest: it lives inside QEMU",
            remedy="choose the guest qemu, or the stack builtin",
        )

    def unplug(self, guest: str) -> None:
        """As of ``Stack``: the cable is part of QEMU."""

    async def stop(self) -> None:
        """As of ``Stack``."""
