"""What the lab does when a scenario changes the world, by the request (`guestnet.lab.requests.world`)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from guestnet.lab.controls import portal as portal_control
from guestnet.lab.requests import world as ask
from guestnet.lab.requests.request import Request
from guestnet.world.laptop.uplinks import UplinkState
from guestnet.world.running import RunningWorld
from guestnet.world.vpn.running import VpnState


async def _resolvers(around: RunningWorld, request: ask.ResolversOf) -> list[str]:
    lines = around.resolv_conf.read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


async def _uplink_states(around: RunningWorld, request: ask.UplinkStates) -> list[UplinkState]:
    return around.uplinks.states


async def _set_uplink(around: RunningWorld, request: ask.SetUplink) -> None:
    await (around.uplinks.up if request.up else around.uplinks.down)(request.uplink)


async def _roam(around: RunningWorld, request: ask.Roam) -> None:
    await around.uplinks.roam(request.uplink)


async def _renumber(around: RunningWorld, request: ask.RenumberUplink) -> None:
    await around.uplinks.renumber(request.uplink, request.addresses, request.gateways)


async def _vpn_states(around: RunningWorld, request: ask.VpnStates) -> list[VpnState]:
    return around.vpns.states


async def _set_vpn(around: RunningWorld, request: ask.SetVpn) -> None:
    await (around.vpns.connect if request.up else around.vpns.disconnect)(request.vpn)


async def _drop_vpn(around: RunningWorld, request: ask.DropVpn) -> None:
    await around.vpns.drop(request.vpn)


async def _rekey_vpn(around: RunningWorld, request: ask.RekeyVpn) -> None:
    await around.vpns.rekey(request.vpn, request.pause)


async def _reconnect_vpn(around: RunningWorld, request: ask.ReconnectVpn) -> None:
    await around.vpns.reconnect(request.vpn, request.addresses)


async def _change_vpn(around: RunningWorld, request: ask.ChangeVpn) -> None:
    await around.vpns.set(request.vpn, request.changes)


CHANGES: Final[dict[type[Request[Any]], Callable[[RunningWorld, Any], Awaitable[object]]]] = {
    ask.ResolversOf: _resolvers,
    ask.UplinkStates: _uplink_states,
    ask.SetUplink: _set_uplink,
    ask.Roam: _roam,
    ask.RenumberUplink: _renumber,
    ask.VpnStates: _vpn_states,
    ask.SetVpn: _set_vpn,
    ask.DropVpn: _drop_vpn,
    ask.RekeyVpn: _rekey_vpn,
    ask.ReconnectVpn: _reconnect_vpn,
    ask.ChangeVpn: _change_vpn,
    **portal_control.CHANGES,
}
"""By the class of the request. Each raises LabError or DescriptionError for what can't be."""
