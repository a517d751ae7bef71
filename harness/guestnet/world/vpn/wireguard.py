"""The kernel's WireGuard (https://www.wireguard.com/papers/wireguard.pdf), made and driven by netlink.

Each end is a device in its host's own namespace, whose socket is there too; the laptop's has the VPN's mark.
Both ends let the other send from and receive at every address, since routes and policies decide that. Private
keys come from the seed; a handshake has nonces and keys of the kernel's own besides, so datagrams differ from
run to run. The kernel keeps no timer of its own for us, so that nothing is sent after the end.

Two things that netlink has no word for:

- *A sign of life*: the kernel sends an empty packet when its persistent keepalive is switched on.
- *New keys*: a private key that is set anew makes the kernel let all keys of sessions expire, for sending
  but not for receiving, and start a handshake with the next packet; so nothing that is under way is lost, and
  what is sent meanwhile waits. The key must differ from that which is set, and does in the bits that
  Curve25519 masks (RFC 7748 section 5): it is the same key, as the kernel keeps it masked.

A concentrator is mute by a table of nftables, as the kernel has no silent peers either.

What differs from our own tunnel is what differs in reality: datagrams have no DF, so a path that is too
narrow for them means fragments and not an ICMP error (`guestnet.world.vpn.ends`).
"""

import asyncio
import base64
import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from guestnet.core.errors import GuestnetError, LabError
from guestnet.core.rng import stream
from guestnet.system import offloads
from guestnet.world.described.model import LAPTOP
from guestnet.world.kernel import nft
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.links.diversion import End
from guestnet.world.vpn import devices, messages, policy
from guestnet.world.vpn.client import Client
from guestnet.world.vpn.liveness import Deed, Liveness, Seen
from guestnet.world.vpn.transport import Failed, Far, Told

KIND: Final = "wireguard"
_SECOND: Final = 1_000_000_000
_KEEPALIVE: Final = 25
"""Of the persistent keepalive, in seconds; it is on for a moment only."""
_EVERYTHING: Final = ("0.0.0.0/0", "::/0")
_PROBE: Final = "_wireguard"


def is_there() -> bool:
    """Whether this kernel makes such devices in the calling thread's namespace, which the caller must own.

    It blocks; the first time, the kernel may load a module.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as routes:
        try:
            routes.link("add", kind=KIND, ifname=_PROBE)
        except NetlinkError as error:
            if error.code in (errno.EOPNOTSUPP, errno.ENODEV, errno.EPERM):
                return False
            raise
        routes.link("del", index=devices.index_of(routes, _PROBE))
    return True


class WireGuardTransport:
    """A `Transport`. Private keys come from ``seed``."""

    def __init__(self, seed: int, told: Told, failed: Failed) -> None:
        self._seed = seed
        self._told = told
        self._failed = failed
        self._tunnels: dict[str, Tunnel] = {}

    @property
    def pids(self) -> dict[str, int]:
        """None: the kernel does it."""
        return {}

    async def prepare(self) -> None:
        """Nothing."""

    async def start(self, namespaces: Namespaces, clients: Sequence[Client]) -> None:
        """As of `Transport`."""
        for client in clients:
            pair = Pair(namespaces, client, self._seed)
            await asyncio.to_thread(pair.make)
            self._tunnels[client.name] = Tunnel(pair, client, self._told, self._failed)

    def far(self, client: Client) -> Far:
        """As of `Transport`."""
        return Far(End(client.vpn.gateway, client.name), are_peers=False)

    def tell(self, command: messages.Command) -> None:
        """As of `Transport`."""
        self._tunnels[command.name].tell(command)

    async def stop(self) -> None:
        """As of `Transport`."""
        for tunnel in self._tunnels.values():
            await tunnel.stop()


class Pair:
    """The two devices of a VPN. All blocks, and is for a thread that runs nothing else meanwhile."""

    def __init__(self, namespaces: Namespaces, client: Client, seed: int) -> None:
        self._namespaces = namespaces
        self._name = client.name
        self._vpn = client.vpn
        self._mark = client.numbers.mark
        rng = stream(seed, "vpn", client.name, KIND)
        self._keys = {host: _unmasked(rng.randbytes(32)) for host in (LAPTOP, client.vpn.gateway)}
        self._public: dict[str, str] = {}

    def make(self) -> None:
        """Both, as peers of each other; the concentrator's is up. Raises DescriptionError, LabError."""
        from pyroute2 import IPRoute

        name, vpn = self._name, self._vpn
        for host in self._keys:
            with self._namespaces.inside(host):
                with IPRoute() as routes:
                    add = partial(routes.link, "add", kind=KIND, ifname=name, mtu=vpn.mtu)
                    devices.refusable(f"{host}: {name}", add)
                # A capture shows packets as they are carried, none larger than the MTU.
                offloads.switch_off(name)
        self._set(LAPTOP, {"private_key": self._keys[LAPTOP], "fwmark": self._mark})
        self._set(vpn.gateway, {"private_key": self._keys[vpn.gateway], "listen_port": vpn.port})
        for host, other in ((LAPTOP, vpn.gateway), (vpn.gateway, LAPTOP)):
            self._public[host] = self._get(other).get_attr("WGDEVICE_A_PUBLIC_KEY").decode()
        there = {"endpoint_addr": vpn.endpoint, "endpoint_port": vpn.port}
        self._set(LAPTOP, self._peer(LAPTOP, allowed_ips=_EVERYTHING, **there))
        self._set(vpn.gateway, self._peer(vpn.gateway, allowed_ips=_EVERYTHING))
        devices.bring_up(self._namespaces, vpn.gateway, name, vpn.ends[vpn.gateway], vpn.mtu)

    def look(self) -> Seen:
        """What the kernel says now. Raises LabError."""
        (ours,), (theirs,) = (self._get(host).get_attr("WGDEVICE_A_PEERS") for host in self._keys)
        at = ours.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME")
        source = theirs.get_attr("WGPEER_A_ENDPOINT")
        return Seen(
            handshake=at["tv_sec"] * _SECOND + at["tv_nsec"],
            client=ours.get_attr("WGPEER_A_RX_BYTES"),
            concentrator=theirs.get_attr("WGPEER_A_RX_BYTES"),
            source="" if source is None else f"{source['addr']}:{source['port']}",
        )

    def do(self, deed: Deed) -> None:
        """Raises LabError."""
        match deed:
            case "initiate":
                key = {"private_key": self._keys[LAPTOP]}
                self._set(LAPTOP, key | self._now(LAPTOP), self._quiet(LAPTOP))
            case "expire":
                self._set(LAPTOP, {"private_key": self._keys[LAPTOP]})
            case "sign":
                self._set(LAPTOP, self._now(LAPTOP), self._quiet(LAPTOP))
            case "answer":
                self._set(self._vpn.gateway, self._now(self._vpn.gateway), self._quiet(self._vpn.gateway))
            case "mute" | "unmute":
                rules = policy.mute_rules(self._name, self._vpn.port if deed == "mute" else None)
                what = f"a silent concentrator of the VPN {self._name}"
                nft.load(self._namespaces, self._vpn.gateway, rules, what=what)

    def _now(self, host: str) -> dict[str, object]:
        """What makes the end at ``host`` send an empty packet."""
        return self._peer(host, persistent_keepalive=_KEEPALIVE)

    def _quiet(self, host: str) -> dict[str, object]:
        return self._peer(host, persistent_keepalive=0)

    def _peer(self, host: str, **fields: object) -> dict[str, object]:
        return {"peer": {"public_key": self._public[host], **fields}}

    def _set(self, host: str, *changes: dict[str, object]) -> None:
        with self._netlink(host) as socket:
            for change in changes:
                socket.set(self._name, **change)

    def _get(self, host: str) -> Any:
        with self._netlink(host) as socket:
            (device,) = socket.info(self._name)
        return device

    @contextmanager
    def _netlink(self, host: str) -> Iterator[Any]:
        from pyroute2 import WireGuard
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            with self._namespaces.inside(host), WireGuard() as socket:
                yield socket
        except NetlinkError as error:
            raise LabError(
                f"WireGuard's device {self._name} on {host} can't be used ({os.strerror(error.code)})",
                remedy='see whether it is still there, or choose transport = "udp" for the VPN',
            ) from error


class Tunnel:
    """Runs a VPN's `Liveness`: does its deeds, tells its news."""

    def __init__(self, pair: Pair, client: Client, told: Told, failed: Failed) -> None:
        self._pair = pair
        self._name = client.name
        self._told = told
        self._failed = failed
        self._liveness = Liveness(_ns(client.vpn.keepalive), _ns(client.vpn.rekey))
        self._ordered = asyncio.Event()
        self._is_ending = False
        self._task = asyncio.create_task(self._run(), name=f"WireGuard {client.name}")
        self._task.add_done_callback(self._done)

    def tell(self, command: messages.Command) -> None:
        """As of `Transport`."""
        now = time.monotonic_ns()
        match command:
            case messages.Connect():
                self._liveness.connect(now)
            case messages.Disconnect():
                self._liveness.disconnect()
            case messages.Renew(pause=pause):
                self._liveness.renew(now, pause)
            case messages.Silence(is_silent=is_silent):
                self._liveness.silence(is_silent)
            case messages.Tune():
                self._liveness.tune(now, command.keepalive, command.rekey)
        self._ordered.set()

    async def stop(self) -> None:
        """End."""
        # Not cancelled: a thread of it would go on in namespaces that are about to be closed.
        self._is_ending = True
        self._ordered.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._wait()
            self._ordered.clear()
            if self._is_ending:
                return
            seen = await asyncio.to_thread(self._pair.look)
            for deed in self._liveness.poll(time.monotonic_ns(), seen):
                await asyncio.to_thread(self._pair.do, deed)
            for news in self._liveness.take_news():
                self._told(messages.Changed(self._name, news, seen.source))

    async def _wait(self) -> None:
        """Until there is something to do."""
        at = self._liveness.poll_at()
        try:
            async with asyncio.timeout(None if at is None else max(at - time.monotonic_ns(), 0) / _SECOND):
                await self._ordered.wait()
        except TimeoutError:
            return

    def _done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            what = f"the VPN {self._name} failed ({type(error).__name__}: {error})"
            self._failed(error if isinstance(error, GuestnetError) else LabError(what, remedy="see lab.log"))


def _unmasked(secret: bytes) -> str:
    """A private key as the kernel never keeps it, in base64."""
    return base64.b64encode(bytes((secret[0] | 1,)) + secret[1:]).decode()


def _ns(seconds: float) -> int:
    return round(seconds * _SECOND)
