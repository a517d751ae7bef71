"""The laptop's VPNs, as a scenario changes them: ``lab.vpn.drop()``, ``lab.vpns["corp"].set(mtu=1280)``."""

from collections.abc import Iterator, Mapping
from typing import Unpack

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests.world import (
    ChangeVpn,
    DropVpn,
    ReconnectVpn,
    RekeyVpn,
    SetVpn,
    VpnState,
    VpnStates,
)
from guestnet.scenario.keywords import VpnSettings
from guestnet.scenario.observer import Duration, Observer, in_seconds


class VpnView:
    """One VPN of the laptop. Each change is a `VpnChanged` in the journal; its packets are on the link of its
    name, ``lab.links["corp"]``, which can be impaired as any link, and its datagrams on the uplink's."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer

    def connect(self) -> None:
        """Connect: routes, policies and resolver are there when this returns.

        The concentrator of a VPN that was dropped answers again. Raises LabError when it can't be reached.
        """
        self._observer.call(SetVpn(vpn=self.name, up=True))

    def disconnect(self) -> None:
        """Disconnect as a user does: the laptop is as if there were no VPN."""
        self._observer.call(SetVpn(vpn=self.name, up=False))

    def drop(self) -> None:
        """The concentrator falls silent. The client finds that out after three times its ``keepalive``
        ("lost" in the journal), keeps nothing but its kill switch, and goes on trying until `connect`."""
        self._observer.call(DropVpn(vpn=self.name))

    def rekey(self, *, pause: Duration = 0.0) -> None:
        """The client changes keys, and for ``pause`` it has none: packets wait."""
        self._observer.call(RekeyVpn(vpn=self.name, pause=in_seconds(pause)))

    def reconnect(self, *addresses: str, address: str = "") -> None:
        """Disconnect and connect; inside the tunnel the laptop is ``address`` then, as "10.20.255.9/24"."""
        given = (*addresses, address) if address else addresses
        self._observer.call(ReconnectVpn(vpn=self.name, addresses=given))

    def set(self, **changes: Unpack[VpnSettings]) -> None:
        """Change settings, in a tunnel that is up at once: ``set(kill_switch=True, mtu=1280)``.

        `guestnet.world.described.vpn.Vpn` has their names. Raises DescriptionError.
        """
        self._observer.call(ChangeVpn(vpn=self.name, changes=dict(changes)))

    @property
    def state(self) -> VpnState:
        """How it is now: up, down or lost; its settings; where the concentrator sees the laptop."""
        return next(each for each in self._observer.call(VpnStates()) if each.name == self.name)

    @property
    def is_up(self) -> bool:
        """Whether packets go into it."""
        return self.state.status == "up"

    @property
    def addresses(self) -> list[str]:
        """The laptop's inside, with prefix lengths."""
        return list(self.state.settings.ends["laptop"])

    def __repr__(self) -> str:
        return f"<VpnView {self.name}>"


class VpnViews(Mapping[str, VpnView]):
    """By name, in the order of the profile."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __getitem__(self, name: str) -> VpnView:
        if name not in list(self):
            there = ", ".join(self) or "none: this world has no [vpns]"
            raise DescriptionError(f"there is no VPN {name!r}", remedy=f"there are {there}")
        return VpnView(name, self._observer)

    def __iter__(self) -> Iterator[str]:
        return iter([state.name for state in self._observer.call(VpnStates())])

    def __len__(self) -> int:
        return len(list(iter(self)))

    @property
    def only(self) -> VpnView:
        """That of a laptop that has one. Raises DescriptionError."""
        names = list(self)
        if len(names) != 1:
            raise DescriptionError(
                f"this world has {len(names)} VPNs",
                remedy="say lab.vpns[…]" if names else "choose a profile with [vpns]",
            )
        return VpnView(names[0], self._observer)
