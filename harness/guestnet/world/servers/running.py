"""The servers of a world as processes of the lab: started, known to listen, watched, ended."""

import asyncio
import itertools
import logging
import os
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final, NamedTuple

import msgspec

from guestnet.core.errors import LabError
from guestnet.system.children import Children
from guestnet.system.dnsmasq import STARTED
from guestnet.system.forked import Spawner
from guestnet.system.orders import LINE_LIMIT, Ordered, Speaking
from guestnet.system.programs import require
from guestnet.world.described.server import KINDS, Server, has_tls
from guestnet.world.described.world import World
from guestnet.world.kernel import nft
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.kernel.places import RUN
from guestnet.world.servers import iperf3
from guestnet.world.servers.dnsmasq import QueryLog, command
from guestnet.world.servers.failing import cannot, cannot_at
from guestnet.world.servers.messages import (
    AskedName,
    AskedPage,
    Clock,
    Name,
    Order,
    Orders,
    Page,
    PortalOrder,
    Report,
)
from guestnet.world.servers.paths import CA, CA_WITH_KEY, package_alone, proxy_folder
from guestnet.world.servers.reports import Failed, ProxyOrder, Ready, Request

_START_TIMEOUT: Final = 15.0
_OURS: Final = "servers"
"""What the server process is called."""

_log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """A line of a server's access log, as core.events.Served has it."""

    server: str
    client: str
    request: str
    status: str


Ask = Callable[[AskedPage | AskedName], Awaitable[Page | Name]]
"""Decides what a portal answers."""


class Servers:
    """Runs the servers of one world.

    ``on_answer`` is called for each line of their access logs, ``on_end`` with a reason when one of the
    processes ends that was not told to; ``now`` is the lab's time, and ``ask`` what portals answer. Proxies
    are run by the interpreter ``proxy_python``, which has what `proxy` needs.
    """

    def __init__(
        self,
        world: World,
        on_answer: Callable[[Answered], None],
        on_end: Callable[[str], None],
        *,
        spawner: Spawner,
        now: Callable[[], int],
        ask: Ask,
        proxy_python: str,
    ) -> None:
        self._spawner = spawner
        self._world = world
        self._on_answer = on_answer
        self._on_end = on_end
        self._now = now
        self._ask = ask
        self._proxy_python = proxy_python
        self.processes = Children(on_end)
        self._python: Ordered[Report] | None = None
        self._proxies: dict[str, Ordered[Report]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> dict[str, int]:
        """PIDs of the processes, by what they serve."""
        return self.processes.pids

    async def prepare(self) -> None:
        """Start what needs no world: Python's imports take a while. Raises EnvironmentMissing."""
        dnsmasq = ["dnsmasq"] if self._named("dns") or self._world.portals else []
        iperf3 = ["iperf3"] if self._named("iperf3") else []
        for program in ("nsenter", *dnsmasq, *iperf3):
            require(program)
        # A proxy takes the longest, so it comes first.
        for name in self._named("proxy"):
            self._proxies[name] = self._ordered(name, await self._proxy_process())
        if self._orders() or self._needs_authority:
            process = await self._spawner.start("guestnet.world.servers.process", limit=LINE_LIMIT)
            self._python = self._ordered(_OURS, process)

    async def start(self, namespaces: Namespaces) -> None:
        """Return when every server listens. Raises LabError naming the one that can't."""
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                others = [
                    start(name, server, namespaces)
                    for kind, start in (("dns", self._start_dns), ("iperf3", self._start_iperf3))
                    for name, server in self._named(kind).items()
                ]
                await asyncio.gather(self._start_python(namespaces), self._prohibit(namespaces), *others)
        except TimeoutError as error:
            raise LabError(
                f"the world's servers did not listen within {_START_TIMEOUT:.0f} s", remedy="see lab.log"
            ) from error

    async def stop(self) -> None:
        """End the processes and wait for them. Idempotent."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self.processes.stop()

    def clock_jumped(self) -> None:
        """Tell the servers that have a clock what time it is."""
        if self._python is not None:
            self._python.tell(Clock(self._now() - time.monotonic_ns()))

    def _named(self, kind: str) -> dict[str, Server]:
        return {name: server for name, server in self._world.servers.items() if server.kind == kind}

    def _ordered(self, name: str, process: Speaking) -> Ordered[Report]:
        self.processes.own(name, process)
        return Ordered(process, msgspec.json.Decoder[Report](Report))

    async def _proxy_process(self) -> Process:
        return await asyncio.create_subprocess_exec(
            self._proxy_python, "-P", "-m", "guestnet.world.servers.proxy",
            stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT, process_group=0,
            env={**os.environ, "PYTHONPATH": str(package_alone())},
        )  # fmt: skip

    # Our own servers

    @property
    def _needs_authority(self) -> bool:
        """Whether anything speaks TLS: proxies may, and portals do."""
        world = self._world
        return bool(world.portals or self._named("proxy") or any(map(has_tls, world.servers.values())))

    def _orders(self, namespaces: Namespaces | None = None) -> list[Order]:
        """What the server process is to run: of a name server what answers for the names that fail."""
        orders = []
        for number, (name, server) in enumerate(self._world.servers.items()):
            fault_address = fault_address_of(number) if server.faults else ""
            if KINDS[server.kind].by != "process" and not fault_address:
                continue
            namespace = str(namespaces.path(server.host)) if namespaces is not None else ""
            names = certificate_names(server, self._world) if has_tls(server) else ()
            orders.append(Order(name, server, namespace, names, fault_address))
        return orders

    async def _start_python(self, namespaces: Namespaces) -> None:
        if self._python is None:
            return
        world = self._world
        portals = [
            PortalOrder(name, portal.name, str(namespaces.path(portal.host)), world.portal_addresses(name))
            for name, portal in world.portals.items()
        ]
        now = self._now()
        orders = Orders(
            self._orders(namespaces), portals, now, now - time.monotonic_ns(), authority=self._needs_authority
        )
        await self._await_ready(_OURS, self._python, orders)
        await asyncio.gather(
            *(
                self._await_ready(name, proxy, self._proxy_order(name, namespaces))
                for name, proxy in self._proxies.items()
            )
        )

    def _proxy_order(self, name: str, namespaces: Namespaces) -> ProxyOrder:
        server = self._world.servers[name]
        return ProxyOrder(
            name=name,
            namespace=str(namespaces.path(server.host)),
            addresses=server.addresses,
            port=server.port,
            login=server.login,
            intercept=server.intercept,
            resolvers=server.resolvers,
            folder=str(proxy_folder(name)),
            authority=str(CA),
            authority_with_key=str(CA_WITH_KEY),
        )

    async def _await_ready(self, name: str, child: Ordered[Report], orders: Orders | ProxyOrder) -> None:
        child.tell(orders)
        first = await child.report() or Failed(name, "its process ended; lab.log has its words")
        if isinstance(first, Failed):
            table = "portals" if first.server in self._world.portals else "servers"
            raise cannot(_OURS if first.server == _OURS else f"{table}.{first.server}", first.reason)
        assert isinstance(first, Ready)
        self.processes.follow(name, child.process, self._read_reports(child))

    async def _read_reports(self, child: Ordered[Report]) -> None:
        async for report in child.each():
            if isinstance(report, Request):
                self._on_answer(Answered(report.server, report.client, report.request, report.status))
            elif isinstance(report, (AskedPage, AskedName)):
                task = asyncio.create_task(self._answer(report), name=f"asked by {report.portal}")
                self._asking.add(task)
                task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s, and what it got", task.get_name(), exc_info=error)
            self._on_end(f"a portal does not know what to answer ({error or type(error).__name__})")

    async def _answer(self, asked: AskedPage | AskedName) -> None:
        assert self._python is not None
        self._python.tell(await self._ask(asked))

    # Others' servers, and none

    async def _start_dns(self, name: str, server: Server, namespaces: Namespaces) -> None:
        folder = RUN / f"dns-{name}"
        folder.mkdir()
        number = list(self._world.servers).index(name)
        words = command(server, folder, fault_address_of(number))
        path, read = namespaces.path(server.host), self.query_reader(name)
        await self.processes.run_in(path, name, words, STARTED, read, cannot_at(f"servers.{name}"))

    def query_reader(self, name: str) -> Callable[[str], None]:
        """What reads the log of the dnsmasq called ``name``."""
        queries = QueryLog()

        def read(line: str) -> None:
            if answered := queries.read(line):
                self._on_answer(Answered(name, *answered))
            else:
                _log.debug("%s: %s", name, line)

        return read

    async def _start_iperf3(self, name: str, server: Server, namespaces: Namespaces) -> None:
        def read(line: str) -> None:
            if (client := iperf3.client(line)) is not None:
                self._on_answer(Answered(name, client, "iperf3", "accepted"))

        for index, address in enumerate(server.addresses):
            words = iperf3.command(address, server.port)
            known_as = name if index == 0 else f"{name}.{index}"
            path, wrong = namespaces.path(server.host), cannot_at(f"servers.{known_as}")
            await self.processes.run_in(path, known_as, words, iperf3.STARTED, read, wrong)

    async def _prohibit(self, namespaces: Namespaces) -> None:
        """Let the hosts of "prohibit" servers answer with ICMP communication administratively prohibited."""
        prohibited = sorted(self._named("prohibit").values(), key=_host)
        for host, servers in itertools.groupby(prohibited, key=_host):
            what = f"the prohibited ports of {host}"
            await asyncio.to_thread(nft.load, namespaces, host, prohibiting(list(servers)), what=what)


def _host(server: Server) -> str:
    return server.host


def prohibiting(servers: list[Server]) -> str:
    """nftables' words for the ports of "prohibit" servers of one host."""
    rules = [
        f"{'ip' if ip_address(address).version == 4 else 'ip6'} daddr {address} "
        f"meta l4proto {{ tcp, udp }} th dport {server.port} reject with icmpx admin-prohibited"
        for server in servers
        for address in server.addresses
    ]
    chain = "\n".join(["type filter hook input priority filter;", *rules])
    return f"table inet prohibit {{\nchain input {{\n{chain}\n}}\n}}\n"


def certificate_names(server: Server, world: World) -> tuple[str, ...]:
    """The names of the certificate of ``server``: its own, or what the zones of ``world`` call its addresses,
    aliases too, and the addresses themselves."""
    if server.names:
        return server.names
    records = [record for each in world.servers.values() for record in each.records]
    wanted = {ip_address(address) for address in server.addresses}
    names = {
        record.name: None
        for record in records
        if record.type in ("A", "AAAA") and ip_address(record.value) in wanted
    }
    names |= {record.name: None for record in records if record.type == "CNAME" and record.value in names}
    return (*names, *server.addresses)


def fault_address_of(number: int) -> str:
    """Where the failing name server of the world's server ``number`` listens, in its host's loopback."""
    return f"127.53.{number >> 8}.{number & 255}"
