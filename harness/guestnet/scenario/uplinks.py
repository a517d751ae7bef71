"""The laptop's uplinks, as a scenario changes them: ``lab.uplinks["wifi"].down()``."""

from collections.abc import Iterator, Mapping, Sequence

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests.world import RenumberUplink, SetUplink, UplinkState, UplinkStates
from guestnet.scenario.observer import Observer


class UplinkView:
    """One uplink of the laptop. Each change is an `UplinkChanged` in the journal."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer

    def up(self) -> None:
        """Connect: addresses, routes and resolver are there when this returns."""
        self._observer.call(SetUplink(uplink=self.name, up=True))

    def down(self) -> None:
        """Disconnect: what it brought is gone when this returns. Connections over it stall; nobody ends
        them, as on a real laptop."""
        self._observer.call(SetUplink(uplink=self.name, up=False))

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
        return f"<UplinkView {self.name}>"


class UplinkViews(Mapping[str, UplinkView]):
    """By name, in the order of the profile."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def __getitem__(self, name: str) -> UplinkView:
        if name not in list(self):
            there = ", ".join(self) or "none: this world has no [uplinks]"
            raise DescriptionError(f"there is no uplink {name!r}", remedy=f"there are {there}")
        return UplinkView(name, self._observer)

    def __iter__(self) -> Iterator[str]:
        return iter([state.name for state in self._observer.call(UplinkStates())])

    def __len__(self) -> int:
        return len(list(iter(self)))
