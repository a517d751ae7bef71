"""The tunnel process, started by guestnet.world.vpn.process, forked by the lab's init.

A process of its own, because packets through a tunnel are work, and the lab's loop has a stack to run.
"""

import asyncio
import gc
import sys
from functools import partial

import msgspec

from guestnet.world.vpn.ends import Tunnel
from guestnet.world.vpn.messages import (
    Changed,
    Connect,
    Disconnect,
    Failed,
    Open,
    Opened,
    Order,
    Renew,
    Report,
    Silence,
    Tune,
)
from guestnet.world.vpn.session import News


def _report(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


def _told(name: str, news: News, source: str) -> None:
    _report(Changed(name, news, source))


def _open(order: Open) -> Tunnel | None:
    try:
        tunnel = Tunnel(order, partial(_told, order.name))
    except OSError as error:
        _report(Failed(order.name, f"{error.strerror or error}"))
        return None
    _report(Opened(order.name))
    return tunnel


def _follow(tunnel: Tunnel, order: Order) -> None:
    match order:
        case Connect():
            tunnel.connect()
        case Disconnect():
            tunnel.disconnect()
        case Renew(pause=pause):
            tunnel.renew(pause)
        case Silence(is_silent=is_silent):
            tunnel.silence(is_silent)
        case Tune():
            tunnel.tune(order.keepalive, order.rekey, order.frag_needed)


async def _run() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    decoder = msgspec.json.Decoder[Order](Order)
    tunnels: dict[str, Tunnel] = {}
    gc.freeze()
    while line := await orders.readline():
        order = decoder.decode(line)
        if isinstance(order, Open):
            if (tunnel := _open(order)) is not None:
                tunnels[order.name] = tunnel
        elif order.name in tunnels:
            _follow(tunnels[order.name], order)


def main() -> None:
    """Make the tunnels that the orders on standard input ask for."""
    asyncio.run(_run())
