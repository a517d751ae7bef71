"""passt (https://passt.top): sockets of the laptop behind a guest's ethernet, in C; a stack to compare with.

One process a guest, in the laptop's network namespace, on the other end of the guest's socketpair. Its
gateway has the address that the host has with ``builtin``, because passt maps its gateway to the laptop's
loopback; queries to the address that is the gateway's with ``builtin`` go to the first of the laptop's
resolvers, as they were when the guest was plugged in. The version that Debian 12 ships (2023-03-09) is the
oldest that is known to work.
"""

import shutil
import subprocess

from harness.core.address import Mac
from harness.core.errors import DescriptionError, EnvironmentMissing
from harness.edge.qemu_port import socket_pair
from harness.stacks.base import Plug, StackOptions


class PasstStack:
    """A ``Stack``. Guests do not see each other; there is no host.docker.internal and no capture."""

    name = "passt"
    capabilities = frozenset({"ipv4", "tcp", "udp", "icmp-echo", "host-services", "mtu"})

    def __init__(self, options: StackOptions) -> None:
        if not 576 <= options.mtu <= 65520:
            raise DescriptionError(
                f"the stack passt with an MTU of {options.mtu}", remedy="choose 576 to 65520"
            )
        self._options = options
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        """As of ``Stack``. Raises EnvironmentMissing when passt is not installed."""
        if shutil.which("passt") is None:
            raise EnvironmentMissing("passt is not installed", remedy="sudo apt-get install passt")

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """As of ``Stack``."""
        self.unplug(guest)
        ours, theirs = socket_pair()
        with ours:
            self._processes[guest] = self._launch(ours.fileno(), link, mac)
        fd = theirs.detach()
        return Plug(f"stream,addr.type=fd,addr.str={fd}", fd)

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """Not with this stack: raises DescriptionError."""
        raise DescriptionError(
            "the stack passt with a netns guest", remedy="choose the guest qemu, or the stack builtin"
        )

    def unplug(self, guest: str) -> None:
        """As of ``Stack``: ends its passt."""
        process = self._processes.pop(guest, None)
        if process is not None:
            process.kill()
            process.wait()

    async def stop(self) -> None:
        """As of ``Stack``."""
        for guest in list(self._processes):
            self.unplug(guest)

    def _launch(self, fd: int, link: str, mac: Mac) -> subprocess.Popen[bytes]:
        # The last octet of the guests' MAC addresses counts from 1.
        address = f"192.168.65.{2 + mac[5]}"
        command = [
            *("passt", "--foreground", "--stderr", "--ipv4-only", "--fd", str(fd)),
            # An interface that is there before the world is; what passt would learn from it is said here.
            *("--interface", "lo", "--mac-addr", "5a:94:ef:e4:0c:dd"),
            *("--address", address, "--netmask", "24", "--gateway", "192.168.65.2"),
            *("--dns", "192.168.65.1", "--dns-forward", "192.168.65.1"),
            *("--mtu", str(self._options.mtu), "--tcp-ports", "none", "--udp-ports", "none"),
        ]
        artifacts = self._options.artifacts
        if artifacts is None:
            return subprocess.Popen(
                command, pass_fds=[fd], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        with (artifacts / f"passt-{link}.log").open("wb") as log:
            return subprocess.Popen(command, pass_fds=[fd], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
