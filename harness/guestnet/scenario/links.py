"""What a scenario does to links: all that can be wrong with them, one setting at a time.

::

    lab.links.wifi.impair(delay="40ms", jitter="10ms")          both ways
    lab.links.wifi.impair("down", loss=Burst("3%", length=5))   towards the laptop; the delay stays
    lab.cable.impair(drop="first 2 tcp syn-ack to :443")
    with lab.links.wifi.impaired(down=True):                    silence, then as before
        ...
    lab.links.wifi.schedule([at("1s", down=True), at("2s", clear="down")], repeat="10s")
    lab.links.ethernet.pull()                                   no carrier
    lab.links.corp.impair(loss="10%")                           inside the tunnel of the VPN "corp"
    lab.links.wifi.clear("delay"); lab.links.wifi.clear()

`guestnet.link.settings.Impairments` has all settings, `guestnet.link.filter.language` the words of filters.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Literal, Unpack

from guestnet.core.errors import DescriptionError, LabError
from guestnet.lab.requests import links as ask
from guestnet.lab.requests.links import LinkSettings
from guestnet.link.settings import Schedule, Step, impairments
from guestnet.link.words import describe
from guestnet.scenario.expecting import LinkView
from guestnet.scenario.keywords import Impairing
from guestnet.scenario.observer import Observer
from guestnet.scenario.verbs import running, verb

Direction = Literal["up", "down"]


class Link(LinkView):
    """A link of the lab: what was captured on it, and what is wrong with it.

    "up" is away from the guest, or from the laptop. All verbs raise DescriptionError for a setting that can't
    be, and when there is no such link or it can't be impaired. A link of the world is captured at the end of
    the laptop, or at the first one; what impairments drop is the link of this name with "-dropped". A VPN's
    tunnel is a link, too: of the packets inside it, whatever becomes of the datagrams on the uplink.
    """

    @property
    def settings(self) -> LinkSettings:
        """What is wrong with either direction now."""
        return self._observer.call(ask.SettingsOf(link=self.name))

    def _called(self) -> str:
        return f"lab.links.{self.name}"

    def _show(self) -> str:
        settings = self.settings
        up, down = describe(settings.up), describe(settings.down)
        wrong = f"both ways {up}" if up == down else f"up {up or 'plain'}, down {down or 'plain'}"
        return f"{super()._show()}, {wrong if up or down else 'nothing impairs it'}"

    @property
    def dropped(self) -> LinkView:
        """The frames that impairments dropped, each with the rule as its ``comment``."""
        return LinkView(self._observer, f"{self.name}-dropped")

    @verb
    def impair(self, direction: Direction | None = None, /, **settings: Unpack[Impairing]) -> None:
        """Set ``settings`` in ``direction``, or in both; all others stay as they are."""
        self._impair(direction, settings)

    def _impair(self, direction: Direction | None, settings: Impairing) -> None:
        changes = impairments(**settings)
        self._observer.call(ask.Impair(link=self.name, settings=changes, direction=direction))

    @verb
    def clear(self, *settings: str, direction: Direction | None = None) -> None:
        """Take back ``settings`` ("delay", "loss", …), or all of them and the schedule.

        What is delayed arrives when it would have.
        """
        self._observer.call(ask.Clear(link=self.name, settings=settings, direction=direction))

    @contextmanager
    def impaired(
        self, direction: Direction | None = None, /, **settings: Unpack[Impairing]
    ) -> Iterator[None]:
        """``impair`` while the block runs; then everything is set as it was before."""
        given = () if direction is None else (direction,)
        with running(self, "impaired", *given, **settings):
            former = self.settings
            self._impair(direction, settings)
            try:
                yield
            except BaseException:
                # A lab that is dead has nothing to be restored, and is not what went wrong here.
                with suppress(LabError):
                    self._restore(former)
                raise
            self._restore(former)

    @verb
    def schedule(self, steps: Sequence[Step], *, repeat: str | None = None) -> None:
        """Follow ``steps`` (see `at`) from now on in place of a former schedule.

        With ``repeat`` ("10s"), all over again after that time.
        """
        schedule = Schedule(steps=tuple(steps), repeat=repeat)
        self._observer.call(ask.FollowSchedule(link=self.name, schedule=schedule))

    @verb
    def pull(self) -> None:
        """Pull the plug out: the guest, or the laptop (or the first end), sees no carrier.

        A radio link that loses everything in silence is ``impair(down=True)``; a VPN has no plug.
        """
        self._observer.call(ask.SetCarrier(link=self.name, carrier=False))

    @verb
    def plug(self) -> None:
        """Plug it in again."""
        self._observer.call(ask.SetCarrier(link=self.name, carrier=True))

    def _restore(self, former: LinkSettings) -> None:
        self._observer.call(ask.SetExactly(link=self.name, settings=former))


class Links(Mapping[str, Link]):
    """The links of the lab, as ``links["cable"]`` or ``links.wifi``, and what each drops as ``wifi-dropped``.

    Raises DescriptionError for a link that there is not: nothing ever passes there. Iterated, it gives those
    that the capture has frames of. ``known`` are the names of those that are described.
    """

    def __init__(self, observer: Observer, known: Callable[[], Iterable[str]]) -> None:
        self._observer = observer
        self._known = known

    def __getitem__(self, name: str) -> Link:
        known = list(self._known())
        if name.removesuffix("-dropped") not in known and name not in list(self):
            raise DescriptionError(f"there is no link {name!r}", remedy=f"give one of {', '.join(known)}")
        return Link(self._observer, name)

    def __getattr__(self, name: str) -> Link:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name.replace("_", "-")]

    def __repr__(self) -> str:
        return f"<lab.links: {', '.join(dict.fromkeys([*self._known(), *self._observer.trace.links]))}>"

    def __iter__(self) -> Iterator[str]:
        self._observer.refresh()
        return iter(self._observer.trace.links)

    def __len__(self) -> int:
        self._observer.refresh()
        return len(self._observer.trace.links)


def at(
    time: str, direction: Direction | None = None, /, *,
    clear: str | Sequence[str] = (), **settings: Unpack[Impairing],
) -> Step:  # fmt: skip
    """A step of a schedule, ``time`` ("200ms") after its start: take back ``clear``, then set ``settings``.

    Raises DescriptionError for a setting that can't be.
    """
    names = (clear,) if isinstance(clear, str) else tuple(clear)
    return Step(at=time, impair=impairments(**settings), clear=names, direction=direction)
