"""A lab, as a scenario sees it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Literal, Self

from guestnet.core.errors import CapabilityMissing, DescriptionError, GuestnetError, LabError
from guestnet.core.events import Noted, Outcome, StepBegan, StepEnded
from guestnet.core.rng import stream
from guestnet.core.time import duration
from guestnet.journal.query import Trace
from guestnet.lab.process.client import LabProcess
from guestnet.lab.process.door import Visit
from guestnet.lab.process.labs import LabServer
from guestnet.lab.process.proxies import Say, say_on_stderr
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.portal import AuthorityOf
from guestnet.lab.requests.protocol import AddGuest, LabStatus, Now, Status
from guestnet.lab.requests.time import AdvanceClock, FallAsleep, WakeUp
from guestnet.lab.requests.world import Roam
from guestnet.scenario.expecting import JournalView
from guestnet.scenario.guest import Guest
from guestnet.scenario.links import Link, Links
from guestnet.scenario.machine import Host
from guestnet.scenario.observer import Duration, Observer
from guestnet.scenario.portal import PortalView, portals
from guestnet.scenario.uplinks import UplinkView, uplinks
from guestnet.scenario.verbs import author, running, verb
from guestnet.scenario.views import Views
from guestnet.scenario.vpn import VpnView, vpns


class Lab:
    """A running lab: its guests, its links and what happens on them. Ends with its context.

    Made by `Lab.start`, or around a lab process that somebody else has started.
    """

    description: LabDescription
    artifacts: Path
    """The folder of its journal, capture and logs."""
    seed: int
    journal: JournalView
    links: Links
    uplinks: Views[UplinkView]
    vpns: Views[VpnView]
    portals: Views[PortalView]

    def __init__(self, process: LabProcess | Visit) -> None:
        self.process = process
        self.description = process.description
        self.artifacts = process.artifacts
        self.seed = process.description.seed
        self._observer = Observer(process, Trace(process.artifacts))
        self._steps = 0
        self.journal = JournalView(self._observer)
        self.links = Links(self._observer, self._link_names)
        self.uplinks = uplinks(self._observer)
        self.vpns = vpns(self._observer)
        self.portals = portals(self._observer)
        self._status: LabStatus = process.started
        self._guests = [Guest(info, self._observer) for info in self._status.guests]

    @classmethod
    def start(
        cls,
        description: LabDescription,
        artifacts: Path,
        *,
        deadline: float = 60.0,
        server: LabServer | None = None,
        say: Say = say_on_stderr,
    ) -> Self:
        """Start a lab that writes into the folder ``artifacts``; its guests have leases, if so described.

        Who starts many keeps a ``server`` for all of them. ``say`` is told what has to be made before. Raises
        as `LabProcess.start` and `Guest.lease` do.
        """
        lab = cls(LabProcess.start(description, artifacts, deadline=deadline, server=server, say=say))
        try:
            for guest in lab.guests:
                lab._settle(guest)
        except BaseException:
            lab.close()
            raise
        return lab

    def __repr__(self) -> str:
        status = self._status
        guests = ", ".join(guest.name for guest in self._guests) or "none"
        return f"<Lab {status.scenario}: world {status.world}, stack {status.stack}, guests: {guests}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the lab; its journal and capture stay."""
        self.process.close()

    def _called(self) -> str:
        return "lab"

    # Guests and hosts

    @property
    def guests(self) -> list[Guest]:
        """In the order in which they came."""
        return list(self._guests)

    @property
    def guest(self) -> Guest:
        """The first guest. Raises DescriptionError in a lab that was asked for without."""
        if not self._guests:
            raise DescriptionError("this lab has no guest", remedy="ask for guests=1, or call add_guest()")
        return self._guests[0]

    @verb
    def add_guest(self) -> Guest:
        """One more guest on the same network."""
        guest = Guest(self._observer.call(AddGuest(), timeout=120.0), self._observer)
        self._guests.append(guest)
        self._settle(guest)
        return guest

    def _settle(self, guest: Guest) -> None:
        if self.description.lease:
            guest.settle()

    @property
    def hosts(self) -> dict[str, Host]:
        """The hosts of the world by name."""
        return {name: Host(name, self._observer) for name in self._status.hosts}

    @property
    def laptop(self) -> Host:
        """The machine that runs the stack."""
        return Host("laptop", self._observer)

    # Links

    @property
    def cable(self) -> Link:
        """The first guest's cable."""
        return self.guest.cable

    def _link_names(self) -> list[str]:
        world = self.description.profile
        described = [] if isinstance(world, str) else [*world.links, *world.vpns]
        return [*described, *(guest.cable.name for guest in self._guests)]

    @property
    def cables(self) -> dict[str, Link]:
        """Each guest's cable, by the guest's name."""
        return {guest.name: guest.cable for guest in self._guests}

    # Networks

    @property
    def portal(self) -> PortalView:
        """The world's only captive portal. Raises DescriptionError when there is none, or more than one."""
        return self.portals.only

    @property
    def ca(self) -> str:
        """The certificate of the lab's own authority, in PEM: for ``guest.trust(lab.ca)``.

        Raises DescriptionError when nothing in the world speaks TLS.
        """
        return self._observer.call(AuthorityOf())

    @property
    def vpn(self) -> VpnView:
        """The laptop's only VPN. Raises DescriptionError when there is none, or more than one."""
        return self.vpns.only

    @verb
    def roam(self, uplink: str | None) -> None:
        """Leave all uplinks but ``uplink`` and connect that one; with None the laptop is offline."""
        self._observer.call(Roam(uplink=uplink))

    @property
    def trace(self) -> Trace:
        """Journal and capture so far, for questions of one's own."""
        self._observer.refresh()
        return self._observer.trace

    # The scenario's own marks

    @contextmanager
    def step(self, name: str) -> Iterator[StepBegan]:
        """A part of the scenario with a name, for the report; it yields what ``since=`` takes."""
        self._steps += 1
        number, where = self._steps, author()
        began = StepBegan(
            at=self._observer.record(StepBegan(at=0, step=number, name=name, where=where)),
            step=number, name=name, where=where,
        )  # fmt: skip
        try:
            yield began
        except BaseException as error:
            # A lab that is dead can't write any more, and is not what went wrong here.
            with suppress(LabError):
                self._observer.record(StepEnded(at=0, step=number, name=name, outcome=_outcome(error)))
            raise
        self._observer.record(StepEnded(at=0, step=number, name=name, outcome="passed"))

    def note(self, text: str, *, level: Literal["info", "warning", "error"] = "info") -> None:
        """Write ``text`` into the journal."""
        self._observer.record(Noted(at=0, text=text, level=level))

    def now(self) -> int:
        """The lab clock, in ns: for ``since=``."""
        return self._observer.call(Now())

    @verb
    def jump(self, by: Duration) -> int:
        """Let the lab clock jump forward by ``by``, and only that: hours of silence for the stack.

        What it has timers for is due at once: idle flows and UDP mappings end, leases and neighbours age.
        Journal and capture go on from there. Guests, hosts and kernels have clocks of their own and notice
        nothing; see `Guest.set_clock` for those of guests. The answer is the time after it, in ns.
        """
        return self._observer.call(AdvanceClock(by=duration(by)))

    @contextmanager
    def asleep(
        self, *, hours: float = 0, minutes: float = 0, seconds: float = 0,
        guest_sleeps: bool = True, uplinks_return: bool = True, clocks_set: bool = True,
    ) -> Iterator[None]:  # fmt: skip
        """Shut the laptop's lid for that long; the block is what happens before it is opened::

            with lab.asleep(hours=8):
                lab.roam("lte")  # it wakes up somewhere else

        First the guests are paused and the laptop leaves its uplinks, then the lab clock jumps, then comes
        the block. At its end, also when it fails, the same uplinks come up again, unless the block has
        connected the laptop itself, and the guests go on. What a guest was doing goes on where it stopped:
        its monotonic clock has not run. Its wall clock is set right (that of a netns guest is the machine's).

        ``guest_sleeps=False``: it runs on without a network. ``uplinks_return=False``: on waking there is
        none but what the block has brought. ``clocks_set=False``: nobody tells the guest that time has
        passed. The kernels of hosts, which are this machine's, do not age: none of their connections ends.
        """
        length = duration(hours * 3600 + minutes * 60 + seconds)
        if not length:
            raise DescriptionError("a sleep of no time", remedy="give hours=, minutes= or seconds=")
        call = self._observer.call
        with running(self, "asleep", hours=hours, minutes=minutes, seconds=seconds):
            call(FallAsleep(guests=guest_sleeps))
            woken = WakeUp(uplinks=uplinks_return, clocks=clocks_set)
            try:
                call(AdvanceClock(by=length))
                yield
            except BaseException:
                # A lab that is dead can't wake, and is not what went wrong here.
                with suppress(GuestnetError):
                    call(woken)
                raise
            call(woken)

    def sleep(
        self, *, hours: float = 0, minutes: float = 0, seconds: float = 0,
        guest_sleeps: bool = True, uplinks_return: bool = True, clocks_set: bool = True,
    ) -> None:  # fmt: skip
        """Shut the laptop's lid and open it after that long: `asleep` with nothing happening meanwhile."""
        with self.asleep(
            hours=hours, minutes=minutes, seconds=seconds,
            guest_sleeps=guest_sleeps, uplinks_return=uplinks_return, clocks_set=clocks_set,
        ):  # fmt: skip
            pass

    def rng(self, name: str) -> Random:
        """A random stream of the scenario's own: the same under the same seed."""
        return stream(self.seed, "scenario", name)

    def status(self) -> LabStatus:
        """What runs in the lab now."""
        self._status = self._observer.call(Status())
        return self._status

    @property
    def capabilities(self) -> frozenset[str]:
        """Words for what the stack can do (`guestnet.stacks.base.Stack`)."""
        return frozenset(self._status.capabilities)


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, AssertionError):
        return "failed"
    # pytest.skip() raises a class of this name; pytest may not even be installed here.
    is_skip = isinstance(error, CapabilityMissing) or type(error).__name__ == "Skipped"
    return "skipped" if is_skip else "error"
