"""An HTTP proxy, which is mitmproxy: ``python -P -m guestnet.world.servers.proxy``, a process for each.

It is run by the Python of an environment that has mitmproxy, msgspec and what these need (the extra
``proxies``), so it imports no more.

mitmproxy takes most of a second to import, so the process is started before there is a world; then it reads
one `ProxyOrder`, and reports as the server process does. It never opens TLS unless told to: a CONNECT is a
tunnel. Names it asks of resolvers of its own, as proxies do in networks that know only inside names.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from mitmproxy import options
from mitmproxy.http import HTTPFlow
from mitmproxy.tools.dump import DumpMaster

from guestnet.system.calls import CLONE_NEWNET, CLONE_NEWNS, bind, setns, unshare
from guestnet.system.orders import orders, report
from guestnet.world.servers.reports import Failed, ProxyOrder, Ready, Request, shown
from guestnet.world.servers.streams import show

_STREAMED: Final = "64k"
"""Longer bodies pass as they come."""


class _Access:
    """An addon that writes the access log, and says when the proxy listens."""

    def __init__(self, name: str, master: Any) -> None:
        self._name = name
        self._master = master

    def running(self) -> None:
        """mitmproxy's servers are there, or never will be."""
        for server in self._master.addons.get("proxyserver").servers:
            if not server.is_running:
                report(Failed(self._name, str(server.last_exception)))
                self._master.shutdown()
                return
        report(Ready())

    def http_connected(self, flow: HTTPFlow) -> None:
        """A tunnel was made."""
        self._log(flow, "200")

    def http_connect_error(self, flow: HTTPFlow) -> None:
        """A tunnel was refused, by us or by what is behind us."""
        self._log(flow, self._status(flow))

    def response(self, flow: HTTPFlow) -> None:
        """A request was answered."""
        self._log(flow, self._status(flow))

    def error(self, flow: HTTPFlow) -> None:
        """A request was not answered by its server; the client got an error of ours."""
        self._log(flow, flow.error.msg if flow.error is not None else "error")

    def _status(self, flow: HTTPFlow) -> str:
        return str(flow.response.status_code) if flow.response is not None else "error"

    def _log(self, flow: HTTPFlow, status: str) -> None:
        request = flow.request
        target = f"{request.host}:{request.port}" if request.method == "CONNECT" else request.pretty_url
        client = show(flow.client_conn.peername)
        report(Request(self._name, client, shown(f"{request.method} {target}"), status))


def _enter(order: ProxyOrder) -> None:
    """Into the network of the proxy's host, with a resolv.conf of its own."""
    opened = os.open(order.namespace, os.O_RDONLY | os.O_CLOEXEC)
    setns(opened, CLONE_NEWNET)
    os.close(opened)
    folder = Path(order.folder)
    folder.mkdir()
    shutil.copyfile(order.authority_with_key, folder / "mitmproxy-ca.pem")
    resolv_conf = folder / "resolv.conf"
    resolv_conf.write_text("".join(f"nameserver {address}\n" for address in order.resolvers))
    unshare(CLONE_NEWNS)
    bind(str(resolv_conf), str(Path("/etc/resolv.conf").resolve()))


def _master(order: ProxyOrder) -> Any:
    given = options.Options(
        # An IPv6 address has no brackets here.
        mode=[f"regular@{address}:{order.port}" for address in order.addresses],
        confdir=order.folder,
        ignore_hosts=[] if order.intercept else [".*"],
        ssl_verify_upstream_trusted_ca=order.authority,
    )
    # Much of mitmproxy has no types.
    master: Any = DumpMaster(given, with_termlog=False, with_dumper=False)
    master.options.update(stream_large_bodies=_STREAMED, onboarding=False)
    if order.login:
        master.options.update(proxyauth=order.login)
    master.addons.add(_Access(order.name, master))
    return master


async def _main() -> int:
    told = await orders()
    order = await told.first(ProxyOrder)
    _enter(order)
    master = _master(order)
    running = asyncio.create_task(master.run())
    stop = asyncio.create_task(told.end())
    await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
    master.shutdown()
    with contextlib.suppress(SystemExit):
        await running
    stop.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
