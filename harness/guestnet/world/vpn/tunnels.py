"""The tunnel process, started by guestnet.world.vpn.process, forked by the lab's init.

A process of its own, because packets through a tunnel are work, and the lab's loop has a stack to run.
"""

import asyncio
import gc
from functools import partial

import msgspec

from guestnet.system.orders import orders, report
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
    Silence,
    Tune,
)
from guestnet.world.vpn.session import News


def _told(name: str, news: News, source: str) -> None:
    report(Changed(name, news, source))


def _open(order: Open) -> Tunnel | None:
    try:
        tunnel = Tunnel(order, partial(_told, order.name))
    except OSError as error:
        report(Failed(order.name, f"{error.strerror or error}"))
        return None
    report(Opened(order.name))
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
    told = await orders()
    tunnels: dict[str, Tunnel] = {}
    gc.freeze()
    async for order in told.each(msgspec.json.Decoder[Order](Order)):
        if isinstance(order, Open):
            if (tunnel := _open(order)) is not None:
                tunnels[order.name] = tunnel
        elif order.name in tunnels:
            _follow(tunnels[order.name], order)


def main() -> None:
    """Make the tunnels that the orders on standard input ask for."""
    asyncio.run(_run())
