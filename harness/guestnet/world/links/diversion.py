"""Taking the frames of a link aside, and letting them be as they were: what happens in the kernel.

::

    laptop                     ether (hidden)                     internet
    wifi ═══════════════════════════════════════════════════════════ wifi
      │ egress hook                                       egress hook │
      └▶ _w0 ────────▶ ring ─▶ link engine ◀─ ring ◀──────── _w0 ◀────┘
    wifi ◀ sender ◀──────────────────┴┴─────────────────▶ sender ▶ wifi

An nftables hook at the device's egress forwards what would leave to a pair of devices of its own, whose other
end is in a namespace that belongs to nobody. There a ring collects it; segments are cut and checksums are
complete by then, as these devices have no offloads. What the engine lets through is sent from the device that
it would have left by, with a mark that the hook knows. Names, addresses, routes and connections stay as they
are, and without the hook the link is a plain veth pair again.

The two devices need not be each other's peers: between those of a tunnel is whatever carries the tunnel. A
device without a link layer forwards its packets as they are, and the ring gives them an ethernet header.
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from guestnet.core.errors import EnvironmentMissing, LabError
from guestnet.system import namespace, offloads
from guestnet.world.kernel import nft
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.links import bare
from guestnet.world.links.ring import MARK, Ring, Sender

_LARGEST_MTU: Final = 65535
_ETHERNET: Final = 18
"""Octets of an ethernet header, with a VLAN tag."""
_ORDINARY: Final = 1500
"""An MTU that a device may be given later, if it has a smaller one."""
_RING: Final = 4 << 20
"""Octets of frames that wait at most, in each direction."""
_SLOTS: Final = 2048
_SIOCGIFMTU: Final = 0x8921

REMEDY: Final = "use Linux 5.16 or newer with CONFIG_NETFILTER_EGRESS, and nft 1.0.1 or newer"
"""Where the hook can't be."""

_HOOK: Final = """
table netdev {table} {{
    chain out {{
        type filter hook egress device "{device}" priority 0;
        meta mark != {mark:#x} fwd to "{side}"
    }}
}}
"""


class End(NamedTuple):
    """One end of a link: a host's device."""

    host: str
    device: str


class Ether:
    """The hidden namespace. All its work is done in threads that run nothing else meanwhile."""

    def __init__(self) -> None:
        self._descriptor = -1

    @property
    def descriptor(self) -> int:
        """Of the namespace, which is made at the first call. Raises EnvironmentMissing."""
        if self._descriptor < 0:
            try:
                self._descriptor = namespace.make()
                with namespace.inside(self._descriptor):
                    _without_ipv6("default")
            except OSError as error:
                raise EnvironmentMissing(
                    f"no network namespace could be made ({error.strerror})",
                    remedy="raise user.max_net_namespaces",
                ) from error
        return self._descriptor

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is there while the block runs."""
        with namespace.inside(self.descriptor):
            yield

    def close(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Side(NamedTuple):
    """Of one end: what would leave by it, and the way to let it."""

    ring: Ring
    sender: Sender


class Diversion:
    """The frames of the link between ``ends``, taken aside by the ``number``-th diversion of this world.

    All but ``close`` may take some ten milliseconds and is for a thread. Between making it and ``divert`` it
    does nothing. Raises EnvironmentMissing, LabError.
    """

    def __init__(self, namespaces: Namespaces, ether: Ether, ends: Sequence[End], number: int) -> None:
        self._namespaces = namespaces
        self._ether = ether
        self._ends = tuple(ends)
        self._side = f"_w{number}"
        self._table = f"guestnet-w{number}"
        self.sides: list[Side] = []
        with ExitStack() as undo:
            undo.callback(self.restore)
            size = self._size()
            for which, end in enumerate(ends):
                addresses = bare.BACK if which else bare.AWAY
                self.sides.append(self._take(end, f"w{number}-{which}", size, addresses))
            undo.pop_all()

    def divert(self) -> None:
        """From here on frames go into the rings."""
        for end in self._ends:
            ruleset = _HOOK.format(table=self._table, device=end.device, mark=MARK, side=self._side)
            what = f"a hook at the egress of {end.device}"
            nft.load(self._namespaces, end.host, ruleset, what=what, remedy=REMEDY)

    def rejoin(self) -> None:
        """From here on frames go their own way; what is in the rings is still to be sent on."""
        for end in self._ends:
            ruleset = f"table netdev {self._table}\ndelete table netdev {self._table}\n"
            nft.load(self._namespaces, end.host, ruleset, what=f"no hook at the egress of {end.device}")

    def restore(self) -> None:
        """Take everything away but the hooks."""
        from pyroute2 import IPRoute

        self.close()
        for end in self._ends:
            with self._namespaces.inside(end.host), IPRoute() as routes:
                for index in routes.link_lookup(ifname=self._side):
                    routes.link("del", index=index)

    def close(self) -> None:
        """Let go of rings and senders. Idempotent."""
        while self.sides:
            ring, sender = self.sides.pop()
            ring.close()
            sender.close()

    def _size(self) -> int:
        """Of the largest frame that gets through. Raises LabError."""
        mtus = []
        for end in self._ends:
            with self._namespaces.inside(end.host):
                try:
                    mtus.append(_mtu(end.device))
                except OSError as error:
                    raise _refused(end, error.strerror) from error
        return max(min(mtus), _ORDINARY) + _ETHERNET

    def _take(self, end: End, peer: str, size: int, addresses: bytes) -> Side:
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError

        there = self._ether.descriptor
        try:
            with self._namespaces.inside(end.host):
                is_bare = bare.is_bare(end.device)
                sender = Sender(end.device, is_bare=is_bare)
                try:
                    with IPRoute() as routes:
                        routes.link(
                            "add", kind="veth", ifname=self._side, mtu=_LARGEST_MTU,
                            peer={"ifname": peer, "net_ns_fd": there, "mtu": _LARGEST_MTU},
                        )  # fmt: skip
                        _without_ipv6(self._side)
                        offloads.switch_off(self._side)
                        (index,) = routes.link_lookup(ifname=self._side)
                        routes.link("set", index=index, state="up")
                    ring = self._open_ring(peer, size, addresses if is_bare else None)
                except BaseException:
                    sender.close()
                    raise
        except (OSError, NetlinkError) as error:
            reason = os.strerror(error.code) if isinstance(error, NetlinkError) else error.strerror
            raise _refused(end, reason) from error
        return Side(ring, sender)

    def _open_ring(self, device: str, size: int, addresses: bytes | None) -> Ring:
        from pyroute2 import IPRoute

        with self._ether.inside():
            with IPRoute() as routes:
                (index,) = routes.link_lookup(ifname=device)
                routes.link("set", index=index, state="up")
            slots = min(_RING // size, _SLOTS)
            return Ring(device, size=size, slots=slots, offloads=False, addresses=addresses)


def _refused(end: End, reason: str | None) -> LabError:
    return LabError(
        f"the frames of {end.device} on {end.host} can't be taken aside ({reason})",
        remedy="see whether the link's interface is still there",
    )


def _without_ipv6(device: str) -> None:
    path = Path("/proc/sys/net/ipv6/conf", device, "disable_ipv6")
    if path.exists():
        path.write_text("1")


def _mtu(device: str) -> int:
    """Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock.fileno(), _SIOCGIFMTU, struct.pack("16s24x", device.encode()))
    (mtu,) = struct.unpack_from("i", answer, 16)
    return int(mtu)
