"""A world in the kernel: one network namespace a host, veth pairs as links, addresses, routes.

Namespaces belong to threads in Linux, and a netlink socket stays in the namespace that it was opened in. So
the building thread walks through the namespaces, opens a socket in each, and comes home. It must be one that
runs nothing else meanwhile (``asyncio.to_thread``).

A namespace lives as long as something refers to it: here an open descriptor and a bind mount under
/run/netns, and both end with the lab process.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.system import namespace, netlink
from guestnet.system.calls import bind
from guestnet.world.described.model import LAPTOP, Host, Link, Route
from guestnet.world.described.uplink_problems import link_of
from guestnet.world.described.world import World
from guestnet.world.kernel.places import NETNS

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_LOOPBACK: Final = 1
_FIRST_INDEX: Final = 1000
"""Of the interfaces at the links' first ends."""

_SYSCTLS: Final = {
    # New namespaces inherit these from the machine; a world is the same everywhere.
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # A machine that does without IPv6 may have switched it off for its own interfaces.
    "ipv6/conf/all/disable_ipv6": "0",
    "ipv6/conf/default/disable_ipv6": "0",
    # Link-local addresses, too, work without duplicate address detection.
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
    # Every packet gets its ICMP error: Linux sends one a second to a peer (icmp(7)).
    "ipv4/icmp_ratemask": "0",
    "ipv6/icmp/ratelimit": "0",
    # Ping sockets for root, who is the only user here (icmp(7)).
    "ipv4/ping_group_range": "0 0",
}


class Namespaces:
    """The network namespaces of a world's hosts, each by an open descriptor."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._hidden: dict[str, int] = {}

    @property
    def hosts(self) -> list[str]:
        """Names of the hosts, the laptop first."""
        return list(self._descriptors)

    def path(self, host: str) -> Path:
        """The bind mount of the namespace of ``host``: for ``nsenter --net=``."""
        return NETNS / host

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """The calling thread is in the namespace of ``host`` while the block runs."""
        with namespace.inside(self.descriptor(host)):
            yield

    def close(self) -> None:
        """Let go of the namespaces."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    @classmethod
    def make(cls, world: World) -> Self:
        """A namespace for each host of ``world``; the laptop's is the calling thread's. Raises OSError."""
        self = cls()
        try:
            self._descriptors[LAPTOP] = namespace.current()
            for host in world.hosts:
                if host != LAPTOP:
                    self._descriptors[host] = namespace.make()
                self.path(host).touch()
                bind(f"/proc/self/fd/{self._descriptors[host]}", str(self.path(host)))
        except BaseException:
            self.close()
            raise
        return self

    def descriptor(self, host: str) -> int:
        """The open descriptor of the namespace of ``host``, for setns(2); it stays ours."""
        return self._hidden[host] if host in self._hidden else self._descriptors[host]

    def add_hidden(self, name: str, descriptor: int) -> None:
        """Another namespace, of no host, to go ``inside`` by ``name``. ``descriptor`` stays the caller's."""
        self._hidden[name] = descriptor


def prepare_laptop(world: World) -> None:
    """Set the switches of the laptop's kernel, whose namespace is the calling thread's; then comes the stack,
    which may set some otherwise, then `build`. Raises EnvironmentMissing."""
    _set_sysctls(world.hosts[LAPTOP])


def build(world: World) -> Namespaces:
    """Make ``world`` in the kernel, in the calling thread; the laptop's uplinks stay down.

    Raises EnvironmentMissing, or DescriptionError when the kernel refuses something that the description's
    own rules let through.
    """
    # Here, in the thread: a fifth of a lab's start goes into this import, and a guest can restore meanwhile.
    from pyroute2 import IPRoute

    _require_ipv6(world)
    try:
        namespaces = Namespaces.make(world)
    except OSError as error:
        raise EnvironmentMissing(
            f"no network namespace could be made ({error.strerror})",
            remedy="raise user.max_net_namespaces, or use a kernel with CONFIG_NET_NS",
        ) from error
    try:
        with ExitStack() as sockets:
            routes: dict[str, IPRoute] = {}
            for host in world.hosts:
                with namespaces.inside(host):
                    if host != LAPTOP:
                        _set_sysctls(world.hosts[host])
                    routes[host] = sockets.enter_context(IPRoute())
            _build(world, namespaces, routes)
    except BaseException:
        namespaces.close()
        raise
    return namespaces


def _require_ipv6(world: World) -> None:
    has_ipv6 = any(address.version == 6 for host in world.hosts for address in world.addresses_of(host))
    if has_ipv6 and not Path("/proc/sys/net/ipv6").exists():
        raise EnvironmentMissing(
            f"this kernel has no IPv6, and the world {world.name} has",
            remedy="boot it without ipv6.disable=1",
        )


def _build(world: World, namespaces: Namespaces, sockets: dict[str, "IPRoute"]) -> None:
    for number, (name, link) in enumerate(world.links.items()):
        _add_link(number, name, link, namespaces, sockets[LAPTOP])
    uplinks = {link_of(name, uplink) for name, uplink in world.uplinks.items()}
    for host, description in world.hosts.items():
        socket = sockets[host]
        _refusable(f"{host}: loopback up", partial(socket.link, "set", index=_LOOPBACK, state="up"))
        for address in description.addresses:
            _add_address(socket, host, _LOOPBACK, address)
        for name, link in world.links.items():
            if host in link.ends and not (host == LAPTOP and name in uplinks):
                (index,) = socket.link_lookup(ifname=name)
                _refusable(f"{host}: {name} up", partial(socket.link, "set", index=index, state="up"))
                for address in link.ends[host]:
                    _add_address(socket, host, index, address)
    # Next hops must be reachable when a route is added, so routes come when all links are up.
    for host, description in world.hosts.items():
        for route in description.routes:
            _add_route(sockets[host], host, route)


def _add_link(number: int, name: str, link: Link, namespaces: Namespaces, socket: "IPRoute") -> None:
    near, far = (
        {
            "ifname": name,
            "net_ns_fd": namespaces.descriptor(host),
            "mtu": link.mtu,
            "address": f"02:00:00:00:{number:02x}:{end:02x}",
        }
        for end, host in enumerate(link.ends)
    )
    # The other end counts from 1, so that the two differ: where they are alike the kernel may take a second
    # to see a carrier (net/core/link_watch.c, linkwatch_urgent_event).
    near["index"] = _FIRST_INDEX + number
    _refusable(f"link {name}", lambda: socket.link("add", kind="veth", peer=far, **near))


def _add_address(socket: "IPRoute", host: str, index: int, text: str) -> None:
    told = netlink.address(ip_interface(text))
    _refusable(f"{host}: address {text}", lambda: socket.addr("add", index=index, **told))


def _add_route(socket: "IPRoute", host: str, route: Route) -> None:
    arguments: dict[str, Any] = {"dst": route.to, "type": route.kind}
    if route.via:
        arguments["gateway"] = route.via
        if route.to == "default" and ":" in route.via:
            arguments["dst"] = "::/0"
    _refusable(f"{host}: route to {route.to}", lambda: socket.route("add", **arguments))


def _refusable(what: str, act: Callable[[], object]) -> None:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        act()
    except NetlinkError as error:
        reason = os.strerror(error.code)
        if error.code == errno.EOPNOTSUPP:
            raise EnvironmentMissing(
                f"this kernel can't do {what!r} ({reason})", remedy="as root, run: modprobe veth"
            ) from error
        raise DescriptionError(
            f"the kernel refuses {what!r} ({reason})", remedy="change the profile there"
        ) from error


def _set_sysctls(host: Host) -> None:
    forward = "1" if host.forward else "0"
    for name, value in {
        **_SYSCTLS,
        "ipv4/ip_forward": forward,
        "ipv6/conf/all/forwarding": forward,
    }.items():
        path = Path("/proc/sys/net", name)
        try:
            path.write_text(value)
        except FileNotFoundError:
            # A kernel without IPv6, or one that does not keep this value for each namespace.
            continue
        except OSError as error:
            raise EnvironmentMissing(
                f"{path} can't be set ({error.strerror})",
                remedy="make /proc/sys writable (in a container: --security-opt systempaths=unconfined)",
            ) from error
