"""passt (https://passt.top): sockets of the laptop behind a guest's ethernet, in C; a stack to compare with.

One process a guest, in the laptop's network namespace, on the other end of the guest's socketpair. Its
gateway has the address that the host has with ``builtin``, because passt maps its gateway to the laptop's
loopback; queries to the address that is the gateway's with ``builtin`` go to the first of the laptop's
resolvers, as they were when the guest was plugged in. For a netns guest it is pasta, the same program, which
makes the guest's TAP device itself. The version that Debian 12 ships (2023-03-09) is the
oldest that is known to work, Debian 13's (2025-05-03) the newest.

What scenarios show of the former, with guests of either kind, is its own doing and stays red. A refused
connect is answered by a reset without ACK, which a guest must ignore (RFC 9293 section 3.10.7.3), so it looks
like silence; to a datagram a closed port is silence, too. The FIN of a server is not passed on once the guest
has sent its own. When a server resets at once, octets that it sent before are lost, now and then the reset
too. Of a datagram in fragments, which passt says are out of its scope, the first alone is passed on, as if it
were all.

IPv6 is off: passt takes it from an interface of the laptop that has a default route, and none is there yet.
"""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.core.laptop import LaptopFacts
from guestnet.edge.qemu_port import socket_pair
from guestnet.stacks.base import Plug, StackOptions
from guestnet.stacks.processes import Processes
from guestnet.system.programs import require

_OLDEST: Final = "that of Debian 12 (2023-03-09)"


class PasstStack:
    """A ``Stack``. Guests do not see each other; there is no host.docker.internal and no capture."""

    name = "passt"
    capabilities = frozenset({"ipv4", "tcp", "udp", "icmp-echo", "host-services", "host-sockets", "mtu"})
    cables = None

    def __init__(self, options: StackOptions) -> None:
        if not 576 <= options.mtu <= 65520:
            raise DescriptionError(
                f"the stack passt with an MTU of {options.mtu}", remedy="choose 576 to 65520"
            )
        self._options = options
        self._processes = Processes(options.artifacts, _OLDEST)

    async def start(self) -> None:
        """As of ``Stack``. Raises EnvironmentMissing when passt is not installed."""
        require("passt")

    def told(self, facts: LaptopFacts) -> None:
        """As of ``Stack``: its guests are told of none of it."""

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """As of ``Stack``."""
        self.unplug(guest)
        ours, theirs = socket_pair()
        with ours:
            fd = ours.fileno()
            words = self._words("passt", mac, "--fd", str(fd))
            self._processes.start(guest, link, words, [fd])
        fd = theirs.detach()
        return Plug(f"stream,addr.type=fd,addr.str={fd}", fd)

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """Not with this stack: raises DescriptionError."""
        raise DescriptionError(
            "the stack passt with a TAP device", remedy="let it make its own: plug_netns()"
        )

    async def plug_netns(self, guest: str, mac: Mac, link: str, network: Path) -> None:
        """As of ``Stack``. Raises EnvironmentMissing when passt is installed without pasta."""
        require("pasta")
        words = self._words(
            "pasta", mac, "--netns-only", "--netns", str(network), "--no-netns-quit", "--ns-ifname", "eth0",
            "--tcp-ns", "none", "--udp-ns", "none", "--dhcp-dns",
        )  # fmt: skip
        # It writes its PID once the device is there.
        await self._processes.start_ready(guest, link, lambda ready: [*words, "--pid", ready.path])

    def unplug(self, guest: str) -> None:
        """As of ``Stack``: ends its passt."""
        self._processes.end(guest)

    async def stop(self) -> None:
        """As of ``Stack``."""
        self._processes.end_all()

    def _words(self, program: str, mac: Mac, *more: str) -> list[str]:
        # The last octet of the guests' MAC addresses counts from 1.
        network = IPv4Network(self._options.subnet)
        return [
            *(program, "--foreground", "--ipv4-only", *more),
            # An interface that is there before the world is; what passt would learn from it is said here.
            *("--interface", "lo", "--mac-addr", "5a:94:ef:e4:0c:dd"),
            *("--address", str(network[2 + mac[5]]), "--netmask", str(network.prefixlen)),
            *("--gateway", str(network[2])),
            *("--mtu", str(self._options.mtu), "--tcp-ports", "none", "--udp-ports", "none"),
        ]
