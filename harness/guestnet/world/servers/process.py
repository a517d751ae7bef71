"""The server process, started by guestnet.world.servers.running, forked by the lab's init.

One process serves every host of the world: a socket stays in the network namespace that it was made in.
What only some worlds need is imported when they do.
"""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import msgspec

from guestnet.system.calls import CLONE_NEWNET, setns
from guestnet.system.orders import orders, report
from guestnet.world.described.portal import NAMES
from guestnet.world.described.server import Certificate, ServerKind
from guestnet.world.kernel.places import RUN
from guestnet.world.servers import broken, packages, registry
from guestnet.world.servers.asking import ROUTES, Questions, names_of
from guestnet.world.servers.http import PAGES, Routes, serve_http
from guestnet.world.servers.messages import (
    Clock,
    Order,
    Orders,
    PortalOrder,
    Told,
)
from guestnet.world.servers.ntp import Clock as LabTime
from guestnet.world.servers.ntp import NtpServer
from guestnet.world.servers.paths import CA, CA_WITH_KEY
from guestnet.world.servers.reports import Failed, Ready, Request, shown
from guestnet.world.servers.streams import UdpEcho, serve_half_close, serve_tcp_echo

if TYPE_CHECKING:
    from guestnet.world.servers.certificates import Authority

_BACKLOG: Final = 512
def _log(server: str, client: str, request: str, status: str) -> None:
    report(Request(server, client, shown(request), status))


def _bind(address: str, port: int, kind: socket.SocketKind, *, deaf: bool = False) -> socket.socket:
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    bound = socket.socket(family, kind)
    if deaf:
        broken.deafen(bound)
    if kind is socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((address, port))
    if kind is socket.SOCK_STREAM:
        bound.listen(_BACKLOG)
    bound.setblocking(False)
    return bound


Starter = Callable[[Order, str, ssl.SSLContext | None, LabTime], Awaitable[object]]
"""Lets the server listen on the address, with the context if it has TLS; what it returns is to be kept."""


def _pages(routes: Routes) -> Starter:
    async def start(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
        stream = _bind(address, order.server.port, socket.SOCK_STREAM)
        return serve_http(order.name, stream, _log, routes=routes, tls=tls)

    return start


async def _ntp(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    bound = _bind(address, order.server.port, socket.SOCK_DGRAM)
    distance = round(order.server.offset * 1e9)
    ntp = NtpServer(order.name, bound, _log, lambda: time.now() + distance)
    asyncio.get_running_loop().add_reader(bound, ntp.readable)
    return ntp


async def _echo(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    stream = _bind(address, order.server.port, socket.SOCK_STREAM)
    datagram = _bind(address, order.server.port, socket.SOCK_DGRAM)
    return await serve_tcp_echo(order.name, stream, _log), UdpEcho(order.name, datagram, _log)


async def _half_close(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    return await serve_half_close(order.name, _bind(address, order.server.port, socket.SOCK_STREAM), _log)


async def _tarpit(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    return await broken.serve_tarpit(order.name, _bind(address, order.server.port, socket.SOCK_STREAM), _log)


async def _reset(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    stream = _bind(address, order.server.port, socket.SOCK_STREAM)
    return await broken.serve_reset(order.name, stream, _log, order.server.octets)


async def _silent(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    return [_bind(address, order.server.port, kind, deaf=True) for kind in kinds]


async def _failing_names(order: Order, address: str, tls: ssl.SSLContext | None, time: LabTime) -> object:
    from guestnet.edge.dns_server import DnsServer, bind
    from guestnet.world.servers.faults import failing

    return DnsServer(failing(order.server.faults, order.server.records), [bind(address)])


STARTERS: Final[dict[ServerKind, Starter]] = {
    "http": _pages(PAGES),
    "https": _pages(PAGES),
    "packages": _pages(packages.ROUTES),
    "registry": _pages(registry.ROUTES),
    "dns": _failing_names,
    "ntp": _ntp,
    "echo": _echo,
    "half-close": _half_close,
    "tarpit": _tarpit,
    "reset": _reset,
    "silent": _silent,
}
"""How each kind begins that the server process runs, and of name servers those that fail."""


class _Servers:
    """All servers of the process."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.time = LabTime(orders.clock)
        self.questions = Questions(report)
        self._kept: list[object] = []
        self._authority: Authority | None = None

    async def start(self) -> bool:
        """Whether all of them listen; what does not is reported."""
        if self._orders.authority:
            from guestnet.world.servers.certificates import Authority

            self._authority = Authority(self._orders.now)
            self._authority.write(CA_WITH_KEY)
            CA.write_text(self._authority.pem)
        for order in self._orders.servers:
            tls = self._tls(order)
            for address in (order.fault_address,) if order.fault_address else order.server.addresses:
                try:
                    _enter(order.namespace)
                    started = STARTERS[order.server.kind](order, address, tls, self.time)
                    self._kept.append(await started)
                except OSError as error:
                    reason = f"{address} port {order.server.port}: {error.strerror}"
                    report(Failed(order.name, reason))
                    return False
        for portal in self._orders.portals:
            try:
                self._serve_portal(portal)
            except OSError as error:
                report(Failed(portal.name, f"the access point's ports: {error.strerror}"))
                return False
        return True

    def _tls(self, order: Order) -> ssl.SSLContext | None:
        if not order.names:
            return None
        return self._context(order.name, order.names, order.server.certificate or "valid")

    def _context(self, name: str, names: tuple[str, ...], kind: Certificate) -> ssl.SSLContext:
        assert self._authority is not None
        path = RUN / f"tls-{name}.pem"
        self._authority.issue(names, path, kind)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _serve_portal(self, portal: PortalOrder) -> None:
        from guestnet.edge.dns_server import DnsServer, bind

        tls = self._context(portal.name, (portal.host, *portal.addresses), "valid")
        for address in portal.addresses:
            _enter(portal.namespace)
            for port, context in ((80, None), (443, tls)):
                stream = _bind(address, port, socket.SOCK_STREAM)
                served = serve_http(
                    portal.name, stream, _log, routes=ROUTES, tls=context, questions=self.questions
                )
                self._kept.append(served)
            self._kept.append(DnsServer(names_of(portal.name, self.questions), [bind(address, NAMES)]))


def _enter(namespace: str) -> None:
    opened = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(opened, CLONE_NEWNET)
    finally:
        os.close(opened)


async def _run() -> int:
    told = await orders()
    servers = _Servers(await told.first(Orders))
    if not await servers.start():
        return 1
    gc.freeze()
    report(Ready())
    async for message in told.each(msgspec.json.Decoder[Told](Told)):
        if isinstance(message, Clock):
            servers.time.distance = message.clock
        else:
            servers.questions.answered(message)
    return 0


def main() -> int:
    """Serve what the orders on standard input say; its exit status."""
    return asyncio.run(_run())
