"""The laptop's uplinks, as a scenario changes them: ``lab.uplinks["wifi"].down()``."""

from collections.abc import Sequence

from guestnet.lab.requests.world import RenumberUplink, SetUplink, UplinkState, UplinkStates
from guestnet.scenario.observer import Observer
from guestnet.scenario.verbs import verb
from guestnet.scenario.views import Views, told


class UplinkView:
    """One uplink of the laptop. Each change is an `UplinkChanged` in the journal."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer

    @verb
    def up(self) -> None:
        """Connect: addresses, routes and resolver are there when this returns."""
        self._observer.call(SetUplink(uplink=self.name, up=True))

    @verb
    def down(self) -> None:
        """Disconnect: what it brought is gone when this returns. Connections over it stall; nobody ends
        them, as on a real laptop."""
        self._observer.call(SetUplink(uplink=self.name, up=False))

    @verb
    def renumber(self, *addresses: str, gateways: Sequence[str] | None = None) -> None:
        """Its network gives it other ``addresses``, as "192.168.1.77/24"; those of the other IP version stay.

        Without ``gateways`` it keeps those that it can still reach. Raises DescriptionError.
        """
        ways = None if gateways is None else tuple(gateways)
        self._observer.call(RenumberUplink(uplink=self.name, addresses=addresses, gateways=ways))

    @property
    def is_up(self) -> bool:
        """Whether it is connected now."""
        return self._state.up

    @property
    def addresses(self) -> list[str]:
        """Those that it has, or would have if it were up, with prefix lengths."""
        return list(self._state.addresses)

    @property
    def _state(self) -> UplinkState:
        return next(each for each in self._observer.call(UplinkStates()) if each.name == self.name)

    def __repr__(self) -> str:
        return f"<UplinkView {self.name}: {told(self._show)}>"

    def _called(self) -> str:
        return f"lab.uplinks[{self.name!r}]"

    def _show(self) -> str:
        state = self._state
        return ", ".join(["up" if state.up else "down", *state.addresses])


def uplinks(observer: Observer) -> Views[UplinkView]:
    """Those of the laptop."""
    return Views(
        "uplink", "uplinks", lambda: [state.name for state in observer.call(UplinkStates())],
        lambda name: UplinkView(name, observer),
    )  # fmt: skip
