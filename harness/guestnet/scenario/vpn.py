"""The laptop's VPNs, as a scenario changes them: ``lab.vpn.drop()``, ``lab.vpns["corp"].set(mtu=1280)``."""

from typing import Unpack

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
from guestnet.scenario.verbs import verb
from guestnet.scenario.views import Views, told


class VpnView:
    """One VPN of the laptop. Each change is a `VpnChanged` in the journal; its packets are on the link of its
    name, ``lab.links["corp"]``, which can be impaired as any link, and its datagrams on the uplink's."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer

    @verb
    def connect(self) -> None:
        """Connect: routes, policies and resolver are there when this returns.

        The concentrator of a VPN that was dropped answers again. Raises LabError when it can't be reached.
        """
        self._observer.call(SetVpn(vpn=self.name, up=True))

    @verb
    def disconnect(self) -> None:
        """Disconnect as a user does: the laptop is as if there were no VPN."""
        self._observer.call(SetVpn(vpn=self.name, up=False))

    @verb
    def drop(self) -> None:
        """The concentrator falls silent. The client finds that out after three times its ``keepalive``
        ("lost" in the journal), keeps nothing but its kill switch, and goes on trying until `connect`."""
        self._observer.call(DropVpn(vpn=self.name))

    @verb
    def rekey(self, *, pause: Duration = 0.0) -> None:
        """The client changes keys, and for ``pause`` it has none: packets wait."""
        self._observer.call(RekeyVpn(vpn=self.name, pause=in_seconds(pause)))

    @verb
    def reconnect(self, *addresses: str, address: str = "") -> None:
        """Disconnect and connect; inside the tunnel the laptop is ``address`` then, as "10.20.255.9/24"."""
        given = (*addresses, address) if address else addresses
        self._observer.call(ReconnectVpn(vpn=self.name, addresses=given))

    @verb
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
        return f"<VpnView {self.name}: {told(self._show)}>"

    def _called(self) -> str:
        return f"lab.vpns[{self.name!r}]"

    def _show(self) -> str:
        state = self.state
        return ", ".join([state.status, *state.settings.ends["laptop"], f"by {state.transport}"])


def vpns(observer: Observer) -> Views[VpnView]:
    """Those of the laptop."""
    return Views(
        "VPN", "vpns", lambda: [state.name for state in observer.call(VpnStates())],
        lambda name: VpnView(name, observer),
    )  # fmt: skip
