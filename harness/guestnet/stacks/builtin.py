"""The stack of this project: the gateway and its driver in the lab's own process."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from guestnet.core.address import Ipv6Mode, Mac
from guestnet.core.errors import DescriptionError, LabError
from guestnet.core.events import LinkChanged
from guestnet.core.laptop import LaptopFacts
from guestnet.edge.descriptors import fitting
from guestnet.edge.driver import Driver
from guestnet.edge.qemu_port import socket_pair
from guestnet.gateway import gateway
from guestnet.gateway.config import GatewayConfig, Ipv6Config
from guestnet.gateway.events import LaptopTold
from guestnet.gateway.gateway import Gateway
from guestnet.stacks.base import Plug, StackOptions
from guestnet.stacks.cables import DriverCables

_IPV6: Final[dict[Ipv6Mode, Ipv6Config]] = {
    "slaac": Ipv6Config(),
    "managed": Ipv6Config(managed=True, autonomous=False),
    "no-router": Ipv6Config(router_lifetime=0),
    "off": Ipv6Config(is_on=False),
}


def is_compiled() -> bool:
    """Whether this install has the data path compiled (``hatch_build.py``)."""
    return not gateway.__file__.endswith(".py")


class BuiltinStack:
    """A ``Stack``: one gateway, one switch, any number of guests."""

    name = "builtin"
    capabilities = frozenset(
        {
            "ipv4",
            "ipv6",
            "tcp",
            "udp",
            "icmp-echo",
            "gateway-echo",
            "address-plan",
            "host-name",
            "host-services",
            "guest-to-guest",
            "tap",
            "capture",
            "flow-events",
            "mtu",
            "connect-errors",
            "impairments",
            "lab-clock",
            "roaming",
            "host-sockets",
            "captive-portal",
            "keepalive",
        }
    )

    def __init__(self, options: StackOptions) -> None:
        self._options = options
        self.config = GatewayConfig(
            subnet=options.subnet,
            mtu=options.mtu,
            keepalive=options.keepalive,
            seed=options.seed,
            ipv6=replace(_IPV6[options.ipv6], prefix=options.prefix),
        )
        self._driver: Driver | None = None
        self.cables = DriverCables(lambda: self._running, options.clock)
        self._links: dict[str, str] = {}

    async def start(self) -> None:
        """As of ``Stack``. Raises EnvironmentMissing when this process may open too few sockets."""
        options = self._options
        self.config = replace(self.config, limits=fitting(self.config.limits))
        self._driver = Driver(
            Gateway(self.config),
            self.config.mac,
            recorder=options.recorder,
            clock=options.clock,
            resolv_conf=options.resolv_conf,
            seed=options.seed,
        )

    def told(self, facts: LaptopFacts) -> None:
        """As of ``Stack``."""
        self._running.tell(LaptopTold(facts))

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """As of ``Stack``."""
        driver = self._running
        self.unplug(guest)
        ours, theirs = socket_pair()
        driver.attach_qemu(link, ours, self._note_unplugged(guest, link))
        self._links[guest] = link
        fd = theirs.detach()
        return Plug(f"stream,addr.type=fd,addr.str={fd}", fd)

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """As of ``Stack``."""
        self.unplug(guest)
        self._running.attach_tap(link, fd, self._note_unplugged(guest, link))
        self._links[guest] = link

    async def plug_netns(self, guest: str, mac: Mac, link: str, network: Path) -> None:
        """Not with this stack: raises DescriptionError."""
        raise DescriptionError("the stack builtin makes no device of its own", remedy="use plug_tap()")

    def unplug(self, guest: str) -> None:
        """As of ``Stack``."""
        link = self._links.pop(guest, None)
        if link is not None and self._driver is not None:
            self._driver.detach(link)

    async def stop(self) -> None:
        """As of ``Stack``."""
        driver, self._driver = self._driver, None
        self._links.clear()
        if driver is not None:
            await driver.close()

    @property
    def driver(self) -> Driver:
        """For measurements: what it holds."""
        return self._running

    @property
    def _running(self) -> Driver:
        if self._driver is None:
            raise LabError("the builtin stack is not started", remedy="await start() before plug()")
        return self._driver

    def _note_unplugged(self, guest: str, link: str) -> Callable[[str], None]:
        def note(reason: str) -> None:
            if self._links.get(guest) == link:
                del self._links[guest]
            now = self._options.clock.now()
            self._options.recorder.event(LinkChanged(at=now, link=link, change=f"unplugged: {reason}"))

        return note
