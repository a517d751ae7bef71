"""What the lab does when a scenario changes the world, by the request (`guestnet.lab.requests.world`)."""

from typing import Final

from guestnet.lab.requests import world as ask
from guestnet.lab.requests.handler import Handlers
from guestnet.world.described.states import UplinkState, VpnState
from guestnet.world.running import RunningWorld


class WorldControl:
    """Of the running world ``around`` the lab. Handlers raise LabError and DescriptionError."""

    def __init__(self, around: RunningWorld) -> None:
        self._around = around
        self.handlers: Final[Handlers] = {
            ask.ResolversOf: self._resolvers,
            ask.UplinkStates: self._uplink_states,
            ask.SetUplink: self._set_uplink,
            ask.Roam: self._roam,
            ask.RenumberUplink: self._renumber,
            ask.VpnStates: self._vpn_states,
            ask.SetVpn: self._set_vpn,
            ask.DropVpn: self._drop_vpn,
            ask.RekeyVpn: self._rekey_vpn,
            ask.ReconnectVpn: self._reconnect_vpn,
            ask.ChangeVpn: self._change_vpn,
        }

    async def _resolvers(self, request: ask.ResolversOf) -> list[str]:
        lines = self._around.resolv_conf.read_text().splitlines()
        return [line.split()[1] for line in lines if line.startswith("nameserver ")]

    async def _uplink_states(self, request: ask.UplinkStates) -> list[UplinkState]:
        return self._around.uplinks.states

    async def _set_uplink(self, request: ask.SetUplink) -> None:
        await (self._around.uplinks.up if request.up else self._around.uplinks.down)(request.uplink)

    async def _roam(self, request: ask.Roam) -> None:
        await self._around.uplinks.roam(request.uplink)

    async def _renumber(self, request: ask.RenumberUplink) -> None:
        await self._around.uplinks.renumber(request.uplink, request.addresses, request.gateways)

    async def _vpn_states(self, request: ask.VpnStates) -> list[VpnState]:
        return self._around.vpns.states

    async def _set_vpn(self, request: ask.SetVpn) -> None:
        await (self._around.vpns.connect if request.up else self._around.vpns.disconnect)(request.vpn)

    async def _drop_vpn(self, request: ask.DropVpn) -> None:
        await self._around.vpns.drop(request.vpn)

    async def _rekey_vpn(self, request: ask.RekeyVpn) -> None:
        await self._around.vpns.rekey(request.vpn, request.pause)

    async def _reconnect_vpn(self, request: ask.ReconnectVpn) -> None:
        await self._around.vpns.reconnect(request.vpn, request.addresses)

    async def _change_vpn(self, request: ask.ChangeVpn) -> None:
        await self._around.vpns.set(request.vpn, request.changes)
