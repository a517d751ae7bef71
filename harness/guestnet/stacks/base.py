"""What a stack is to the lab.

A lab opens one stack, starts it, and plugs each guest into it::

    stack = open_stack("builtin", options)
    await stack.start()
    plug = stack.plug("guest1", mac, "cable")
    # QEMU: -netdev <plug.netdev>,id=… with pass_fds=plug.fds, then plug.close()
    await stack.stop()
"""

import os
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from guestnet.core.address import Ipv6Mode, Mac
from guestnet.core.laptop import LaptopFacts
from guestnet.core.recorder import Recorder
from guestnet.edge.clock import LabClock
from guestnet.link.impairable import Impairable


class StackOptions(Struct, frozen=True, kw_only=True):
    """What every stack is opened with; at ``start()`` the caller is in the laptop's network namespace.

    ``subnet`` and ``prefix`` are the guests' networks. ``mtu`` in octets of IP packet, 576 to 65520.
    ``resolv_conf`` is the laptop's resolver file, read by the stack and followed when it changes.
    ``keepalive``, in seconds, is for stacks that can ask silent ends of connections whether they are there;
    0: never. ``artifacts`` is where a stack may leave files (None: nowhere).
    """

    recorder: Recorder
    clock: LabClock
    seed: int
    mtu: int = 1500
    keepalive: int = 0
    ipv6: Ipv6Mode = "slaac"
    subnet: str = "192.168.65.0/24"
    prefix: str = "fd65:6775:6573:7400::/64"
    resolv_conf: Path = Path("/etc/resolv.conf")
    artifacts: Path | None = None


class Plug(Struct, frozen=True):
    """The guest's end of a cable.

    ``netdev`` is the text of QEMU's ``-netdev`` without its ``id``: ``stream,addr.type=fd,addr.str=7``.
    ``fd`` is the descriptor that this text names: it belongs to the caller, who passes it to QEMU
    (``pass_fds``) and then closes it (``close()``); None when the stack lives inside QEMU.
    """

    netdev: str
    fd: int | None = None

    @property
    def fds(self) -> tuple[int, ...]:
        """For ``subprocess``'s ``pass_fds``."""
        return () if self.fd is None else (self.fd,)

    def close(self) -> None:
        """Close the caller's copy of ``fd``, once it was passed on."""
        if self.fd is not None:
            os.close(self.fd)


class Cables(Impairable, Protocol):
    """The cables of a stack whose frames pass the lab's process: they can be impaired, and pulled."""

    def set_plugged(self, name: str, plugged: bool) -> None:
        """Pull the cable ``name``, or plug it in.

        Frames on a pulled one are dropped, and the journal says so. Raises DescriptionError when there is
        none, or nobody at its end.
        """


class Stack(Protocol):
    """A network stack under test.

    ``capabilities`` are words that scenarios may require: "ipv4", "ipv6", "tcp", "udp", "icmp-echo" (of real
    hosts), "gateway-echo", "host-name" (host.docker.internal resolves), "host-services" (the host address
    reaches the laptop's loopback), "guest-to-guest", "tap" (``plug_tap`` works), "capture" (the stack
    records the cable itself), "flow-events" (it writes flows, leases, names and limits into the journal),
    "mtu", "connect-errors" (the guest's connect() fails with the errno that the host saw), "impairments" (of
    its cables), "address-plan" (router, DHCP and DNS server have the subnet's first address, the laptop the
    second, guests begin with the third), "lab-clock" (when the lab clock jumps, the stack's timers do),
    "roaming" (guests' queries go to the resolvers that the laptop has at the moment), "host-sockets" (guests'
    flows are the laptop's own: each has a socket there, and keeps its address), "captive-portal" (guests are
    told of the portal of which the laptop's network tells it, RFC 8910).
    """

    name: str
    capabilities: frozenset[str]

    @property
    def cables(self) -> Cables | None:
        """Those of its guests, by their links' names; None when nobody can impair them."""

    async def start(self) -> None:
        """Open what the stack needs in the current network namespace."""

    def told(self, facts: LaptopFacts) -> None:
        """What the laptop knows of its networks from now on: called once started, and at each change.

        A stack tells its guests what of it it can ("captive-portal"), and leaves the rest.
        """

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """A cable called ``link`` for a QEMU guest. A guest that is plugged again loses its former cable."""

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """A cable to a TAP device (IFF_NO_PI, with or without IFF_VNET_HDR); owns ``fd``.

        Raises DescriptionError if not "tap".
        """

    async def plug_netns(self, guest: str, mac: Mac, link: str, network: Path) -> None:
        """Make a device ``eth0``, down, in the namespace at ``network``, and be at its other end.

        For stacks that are not "tap", whose device is their own. Raises DescriptionError if it is.
        """

    def unplug(self, guest: str) -> None:
        """Close the guest's cable, if it has one."""

    async def stop(self) -> None:
        """Close everything. Idempotent."""
