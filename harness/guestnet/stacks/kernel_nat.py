"""The laptop's kernel as the stack: guests' frames are routed out of the laptop, behind its NAT.

What most virtual machines on Linux have (libvirt's "default" network, Vagrant, many hypervisors' "NAT"): a
bridge in the laptop's namespace with the guests' gateway on it, forwarding, nftables masquerade, dnsmasq for
DHCP, and a resolver that asks the laptop's. Packets that a guest sends are *forwarded*, so every policy that
tells those from the laptop's own applies: a VPN that takes only what the host itself sends leaves these
guests without a network. That is what the builtin stack exists for, and this one is here to show it.

::

    netns guest  eth0 ═════ _guest1 ┐
                                    ├ guests (bridge: .1, and .2 for the laptop) ── routes, NAT ── uplinks,
                                    VPNs
    QEMU ── stream ── _guest1x ═════┘ _guest1

A QEMU's frames go by this process: from the stream socket to a packet socket on one end of a veth pair, whose
other end is a port of the bridge. No TAP device is needed, and so no rights on /dev/net/tun.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final, TypeVar

import dns.rcode

from guestnet.core.address import Mac
from guestnet.core.errors import DescriptionError
from guestnet.core.events import LinkChanged
from guestnet.core.laptop import LaptopFacts
from guestnet.core.port import Frame
from guestnet.edge.dns_server import Asked, DnsServer, bind_resolver
from guestnet.edge.qemu_port import QemuPort, socket_pair
from guestnet.edge.resolv_conf import ResolvConf
from guestnet.edge.resolver import Resolver
from guestnet.gateway.config import GATEWAY_NAME, HOST_NAME
from guestnet.link.verdicts import dropped
from guestnet.services.dns.names import OwnNames
from guestnet.stacks.base import Plug, StackOptions
from guestnet.stacks.processes import Processes
from guestnet.system import dnsmasq, nft
from guestnet.system.offloads import switch_off
from guestnet.wire.dns import failure, octets

BRIDGE: Final = "guests"
_OLDEST_DNSMASQ: Final = "2.90 (Debian 12)"
_TABLE: Final = "ip guests"
_LEASE: Final = 86400
_BATCH: Final = 64
_LARGEST: Final = 65536 + 64

# linux/if_packet.h
_ETH_P_ALL: Final = 3
_OUTGOING: Final = 4


T = TypeVar("T")


class KernelNatStack:
    """A ``Stack``. IPv4 only; a guest's cable can't be impaired, and flows are the kernel's own business."""

    name = "kernel-nat"
    capabilities = frozenset(
        {
            "ipv4",
            "tcp",
            "udp",
            "icmp-echo",
            "gateway-echo",
            "host-name",
            "host-services",
            "guest-to-guest",
            "capture",
            "mtu",
            "address-plan",
            "connect-errors",
            "roaming",
        }
    )
    cables = None

    def __init__(self, options: StackOptions) -> None:
        if not 576 <= options.mtu <= 65520:
            raise DescriptionError(
                f"the stack {self.name} with an MTU of {options.mtu}", remedy="choose 576 to 65520"
            )
        self._options = options
        network = IPv4Network(options.subnet)
        self._network = network
        self._gateway, self._host, self._first = network[1], network[2], network[3]
        self._names = OwnNames({GATEWAY_NAME: [self._gateway.packed], HOST_NAME: [self._host.packed]})
        self._cables: dict[str, _Cable] = {}
        self._processes = Processes(options.artifacts, _OLDEST_DNSMASQ)
        self._resolv_conf = ResolvConf(options.resolv_conf)
        self._resolver: Resolver | None = None
        self._dns: DnsServer | None = None

    async def start(self) -> None:
        """As of ``Stack``. Raises EnvironmentMissing."""
        await asyncio.to_thread(self._build)
        self._processes.start("guests", "guests", self._dhcp())
        self._resolver = Resolver()
        self._dns = DnsServer(self._resolve, [bind_resolver(str(self._gateway))])

    def told(self, facts: LaptopFacts) -> None:
        """As of ``Stack``: its guests are told of none of it."""

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        """As of ``Stack``."""
        self.unplug(guest)
        ours, theirs = socket_pair()
        try:
            device = _in_a_thread(_make_veth, guest, self._options.mtu, None)
            self._cables[guest] = _Cable(
                link, device, self._options, ours, lambda why: self._left(guest, why)
            )
        except BaseException:
            ours.close()
            theirs.close()
            raise
        fd = theirs.detach()
        return Plug(f"stream,addr.type=fd,addr.str={fd}", fd)

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None:
        """Not with this stack: raises DescriptionError."""
        raise DescriptionError(
            f"the stack {self.name} with a TAP device", remedy="let it make its own: plug_netns()"
        )

    async def plug_netns(self, guest: str, mac: Mac, link: str, network: Path) -> None:
        """As of ``Stack``."""
        self.unplug(guest)
        device = await asyncio.to_thread(_make_veth, guest, self._options.mtu, network)
        self._cables[guest] = _Cable(link, device, self._options, None, lambda why: None)

    def unplug(self, guest: str) -> None:
        """As of ``Stack``."""
        if (cable := self._cables.pop(guest, None)) is not None:
            cable.close()
            _in_a_thread(_delete, cable.device)

    async def stop(self) -> None:
        """As of ``Stack``. The bridge goes with its namespace."""
        for guest in list(self._cables):
            self.unplug(guest)
        for ending in (self._dns, self._resolver):
            if ending is not None:
                await ending.close()
        self._dns = self._resolver = None
        self._processes.end_all()

    # --- what the kernel is told ---

    def _build(self) -> None:
        from pyroute2 import IPRoute

        with IPRoute() as routes:
            routes.link("add", kind="bridge", ifname=BRIDGE, br_forward_delay=0)
            (index,) = routes.link_lookup(ifname=BRIDGE)
            _without_ipv6(BRIDGE)
            routes.link("set", index=index, mtu=self._options.mtu, state="up")
            length = self._network.prefixlen
            routes.addr("add", index=index, address=str(self._gateway), prefixlen=length)
            routes.addr("add", index=index, address=str(self._host), prefixlen=32)
        # Of the laptop's loopback services, which guests reach at an address of their own network.
        Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet").write_text("1")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        nft.load(self._rules(), what="NAT", remedy="as root, run: modprobe nft_masq")

    def _rules(self) -> str:
        return f"""
table {_TABLE} {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "{BRIDGE}" ip daddr {self._host} dnat to 127.0.0.1
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {self._network} oifname != {{ "{BRIDGE}", "lo" }} masquerade
  }}
}}
"""

    def _dhcp(self) -> list[str]:
        return dnsmasq.command(
            "--log-dhcp", "--port=0", f"--interface={BRIDGE}", "--except-interface=lo",
            "--dhcp-authoritative", "--no-ping", "--dhcp-sequential-ip", "--leasefile-ro",
            f"--dhcp-range={self._first},{self._network[-2]},{self._network.netmask},{_LEASE}",
            f"--dhcp-option=option:router,{self._gateway}",
            f"--dhcp-option=option:dns-server,{self._gateway}",
            f"--dhcp-option=option:mtu,{self._options.mtu}",
        )  # fmt: skip

    # --- names ---

    async def _resolve(self, asked: Asked) -> bytes:
        if (own := self._names.answer(asked.query)) is not None:
            return octets(own)
        assert self._resolver is not None
        answer = await self._resolver.ask(asked.wire, self._resolv_conf.servers)
        return answer if answer is not None else failure(asked.query, dns.rcode.SERVFAIL)

    def _left(self, guest: str, why: str) -> None:
        cable = self._cables.get(guest)
        if cable is not None:
            self.unplug(guest)
            options = self._options
            change = f"unplugged: {why}"
            options.recorder.event(LinkChanged(at=options.clock.now(), link=cable.link, change=change))


class _Cable:
    """A port of the bridge: its frames captured, and with a QEMU at the other end, carried."""

    def __init__(
        self,
        link: str,
        device: str,
        options: StackOptions,
        stream: socket.socket | None,
        left: Callable[[str], None],
    ) -> None:
        """``stream``, which is the cable's own from now on, speaks QEMU's framing."""
        self.link = link
        self.device = device
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self._packets.bind((_other(device) if stream is not None else device, _ETH_P_ALL))
        self._port: QemuPort | None = None
        if stream is not None:
            self._port = QemuPort(link, stream, receive=self._from_guest, dropped=self._lose, closed=left)
        self._loop.add_reader(self._packets, self._readable)

    def close(self) -> None:
        """Let go of both ends."""
        self._loop.remove_reader(self._packets)
        self._packets.close()
        if self._port is not None:
            self._port.close()

    def _from_guest(self, batches: Sequence[Sequence[Frame]]) -> None:
        now = self._options.clock.now()
        for frames in batches:
            self._options.recorder.frames(self.link, "up", frames, now)
            for frame in frames:
                with contextlib.suppress(OSError):  # larger than the MTU, or the bridge is busy: lost
                    self._packets.send(frame)

    def _readable(self) -> None:
        towards: list[Frame] = []
        away: list[Frame] = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BATCH):
                data, address = self._packets.recvfrom(_LARGEST)
                (towards if (address[2] == _OUTGOING) != (self._port is not None) else away).append(data)
        now = self._options.clock.now()
        if self._port is not None:
            # What we see here as outgoing is what we have sent ourselves.
            if towards:
                self._port.send(towards)
                self._options.recorder.frames(self.link, "down", towards, now)
            return
        if away:
            self._options.recorder.frames(self.link, "up", away, now)
        if towards:
            self._options.recorder.frames(self.link, "down", towards, now)

    def _lose(self, frames: Sequence[Frame], rule: str) -> None:
        for event in dropped(self.link, rule, frames, self._options.clock.now()):
            self._options.recorder.event(event)


def _other(device: str) -> str:
    """The other end of a QEMU guest's veth pair."""
    return f"{device}x"


def _in_a_thread(act: Callable[..., T], *arguments: object) -> T:
    """pyroute2 runs an event loop of its own, which none may be in that runs already; it takes
    milliseconds."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(act, *arguments).result()


def _make_veth(guest: str, mtu: int, network: Path | None) -> str:
    """A port of the bridge, up; its other end is eth0 in ``network``, or beside it. Its name."""
    from pyroute2 import IPRoute

    device = f"_{guest}"
    with IPRoute() as routes:
        (bridge,) = routes.link_lookup(ifname=BRIDGE)
        peer: dict[str, object] = {"ifname": _other(device), "mtu": mtu}
        handle = -1
        if network is not None:
            handle = os.open(network, os.O_RDONLY | os.O_CLOEXEC)
            peer = {"ifname": "eth0", "mtu": mtu, "net_ns_fd": handle}
        try:
            routes.link("add", kind="veth", ifname=device, mtu=mtu, peer=peer)
        finally:
            if handle >= 0:
                os.close(handle)
        _without_ipv6(device)
        (index,) = routes.link_lookup(ifname=device)
        # Frames are captured, and carried by us, as they would be on a wire.
        switch_off(device)
        routes.link("set", index=index, master=bridge, state="up")
        if network is None:
            _without_ipv6(_other(device))
            switch_off(_other(device))
            (index,) = routes.link_lookup(ifname=_other(device))
            routes.link("set", index=index, state="up")
    return device


def _delete(device: str) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as routes:
        for index in routes.link_lookup(ifname=device):
            routes.link("del", index=index)


def _without_ipv6(device: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
