"""The guests of a lab with a guest that is none: what the journal and the client get to know."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from guestnet.core.address import Mac
from guestnet.core.errors import GuestError
from guestnet.core.events import ClockJumped, CommandRun, Event, GuestEnded, GuestStarted, LinkChanged
from guestnet.core.laptop import LaptopFacts
from guestnet.core.port import Frame
from guestnet.core.recorder import Direction, Mark
from guestnet.core.result import Ran
from guestnet.core.time import HOUR, SECOND
from guestnet.edge.clock import LabClock
from guestnet.guest.base import Command
from guestnet.lab.controls.guests import Guests
from guestnet.lab.controls.makers import Made
from guestnet.lab.requests import protocol
from guestnet.lab.requests.request import Request
from guestnet.lab.requests.time import SetClock
from guestnet.stacks.base import Cables, Plug


class Journal:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def frames(
        self, link: str, direction: Direction, frames: Sequence[Frame], now: int,
        comment: str = "", marks: Sequence[Mark] = (),
    ) -> None:  # fmt: skip
        raise AssertionError("guests record no frames themselves")


class Unplugging:
    """A stack of which only the unplugging matters."""

    name = "fake"
    capabilities = frozenset[str]()
    cables: Cables | None = None

    def __init__(self) -> None:
        self.unplugged: list[str] = []

    async def start(self) -> None: ...

    def told(self, facts: LaptopFacts) -> None: ...

    def plug(self, guest: str, mac: Mac, link: str) -> Plug:
        raise AssertionError("the fake maker plugs nothing in")

    def plug_tap(self, guest: str, mac: Mac, link: str, fd: int) -> None: ...

    async def plug_netns(self, guest: str, mac: Mac, link: str, network: Path) -> None: ...

    def unplug(self, guest: str) -> None:
        self.unplugged.append(guest)

    async def stop(self) -> None: ...


class FakeGuest:
    """Runs "true" at once and everything else until it ends, as `Guest` has it."""

    has_clock = True

    def __init__(self, name: str, mac: str) -> None:
        self.hostname = name
        self.mac = mac
        self.ended: asyncio.Future[GuestError | None] = asyncio.get_running_loop().create_future()
        self.calls: list[str] = []

    async def run(
        self,
        command: Command,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109 - as of Guest
        stdin: bytes = b"",
        environment: object = None,
    ) -> Ran:
        if command != "true":
            raise await asyncio.shield(self.ended) or GuestError("stopped")
        return Ran(status=0, stdout_bytes=stdin, stderr_bytes=b"", seconds=0.25)

    async def read_file(self, path: str) -> bytes:
        return path.encode()

    async def write_file(self, path: str, content: bytes) -> None:
        self.calls.append(f"write {path}")

    async def reset(self) -> None:
        self.calls.append("reset")

    async def pause(self) -> None:
        self.calls.append("pause")

    async def resume(self) -> None:
        self.calls.append("resume")

    async def set_clock(self, at: int) -> None:
        self.calls.append(f"clock {at // SECOND}")

    async def set_link(self, up: bool) -> None:
        self.calls.append(f"link {up}")

    async def stop(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


IMAGE = "tiny:bookworm 12.15, 767b9ae45761"


class FakeMaker:
    def __init__(self) -> None:
        self.made: list[FakeGuest] = []
        self.error: GuestError | None = None

    async def make(self, number: int, name: str, mac: Mac, link: str) -> Made:
        if self.error is not None:
            raise self.error
        self.made.append(FakeGuest(name, str(mac)))
        return Made(self.made[-1], "boot", IMAGE, "tcg")


class Bench:
    """Guests with their surroundings; made in a running loop."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.stack = Unplugging()
        self.maker = FakeMaker()
        self.clock = LabClock(1_700_000_000 * SECOND)
        self.guests = Guests("qemu", self.maker, self.stack, self.journal, self.clock)

    async def ask(self, request: Request[Any]) -> object:
        return await self.guests.handlers[type(request)](request)

    def named(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.journal.events if type(event) is kind]


def test_guests_are_numbered_and_each_has_a_cable_and_a_mac() -> None:
    async def scenario() -> None:
        bench = Bench()
        infos = [await bench.guests.add(), await bench.ask(protocol.AddGuest())]

        assert infos == bench.guests.infos
        assert infos == [
            protocol.GuestInfo(name="guest1", mac="52:54:00:65:00:01", link="cable", kind="qemu"),
            protocol.GuestInfo(name="guest2", mac="52:54:00:65:00:02", link="cable-guest2", kind="qemu"),
        ]
        started = bench.named(GuestStarted)
        assert [(each.guest, each.how, each.image) for each in started if isinstance(each, GuestStarted)] == [
            ("guest1", "boot", IMAGE),
            ("guest2", "boot", IMAGE),
        ]
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_command_is_journaled_with_its_end() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()
        result = await bench.ask(protocol.Run(guest="guest1", command="true", input=b"x" * 9000))
        (event,) = bench.named(CommandRun)

        assert isinstance(result, Ran)
        assert len(result.stdout) == 9000
        assert isinstance(event, CommandRun)
        assert (event.guest, event.command, event.status, event.seconds) == ("guest1", "true", 0, 0.25)
        assert len(event.stdout) < 5000
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_guest_that_ends_fails_what_is_under_way_and_what_comes_later_but_not_its_neighbour() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()
        await bench.guests.add()
        pending = asyncio.create_task(bench.ask(protocol.Run(guest="guest1", command="cat")))
        await asyncio.sleep(0)
        bench.maker.made[0].ended.set_result(GuestError("QEMU was killed", remedy="start again"))

        with pytest.raises(GuestError, match="QEMU was killed"):
            await pending
        with pytest.raises(GuestError, match="guest1 is no more: QEMU was killed"):
            await bench.ask(protocol.ReadFile(guest="guest1", path="/x"))
        assert await bench.ask(protocol.ReadFile(guest="guest2", path="/x")) == b"/x"
        (event,) = bench.named(GuestEnded)
        assert isinstance(event, GuestEnded)
        assert (event.guest, event.reason) == ("guest1", "QEMU was killed")
        assert bench.guests.ended == {"guest1": "QEMU was killed"}
        assert bench.stack.unplugged == ["guest1"]
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_guest_that_is_told_to_stop_is_no_fault_and_keeps_its_name() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()
        await bench.ask(protocol.StopGuest(guest="guest1"))
        again = await bench.guests.add()
        (event,) = bench.named(GuestEnded)

        assert isinstance(event, GuestEnded)
        assert event.reason == "stopped"
        assert again.name == "guest2"
        await bench.guests.stop()

    asyncio.run(scenario())


def test_the_verbs_reach_the_guest_and_the_journal() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()
        for request in (
            protocol.WriteFile(guest="guest1", path="/x", content=b""),
            protocol.PauseGuest(guest="guest1"),
            protocol.ResumeGuest(guest="guest1"),
            protocol.SetLink(guest="guest1", up=False),
            protocol.ResetGuest(guest="guest1"),
        ):
            assert await bench.ask(request) is None

        assert bench.maker.made[0].calls == ["write /x", "pause", "resume", "link False", "reset"]
        (changed,) = bench.named(LinkChanged)
        assert isinstance(changed, LinkChanged)
        assert (changed.link, changed.change) == ("cable", "down: at the guest's end")
        started = bench.named(GuestStarted)[-1]
        assert isinstance(started, GuestStarted)
        assert started.how == "reset"
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_night_pauses_who_runs_and_tells_them_the_time_after_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        for _ in range(3):
            await bench.guests.add()
        await bench.ask(protocol.PauseGuest(guest="guest2"))
        sleeping = await bench.guests.fall_asleep()
        assert sleeping == ["guest1", "guest3"]
        with pytest.raises(GuestError, match="guest1 sleeps: ask it after"):
            await bench.ask(protocol.Run(guest="guest1", command="true"))
        bench.maker.made[2].ended.set_result(GuestError("QEMU was killed"))
        await asyncio.sleep(0)
        bench.clock.advance(8 * HOUR)
        await bench.guests.wake_up(sleeping, set_clocks=True)

        await bench.ask(protocol.Run(guest="guest1", command="true"))
        one, two, three = (guest.calls for guest in bench.maker.made)
        assert one[:2] == ["pause", "resume"]
        assert 0 <= int(one[2].removeprefix("clock ")) - (1_700_000_000 + 8 * 3600) < 60
        assert (two, three) == (["pause"], ["pause"])

        sleeping = await bench.guests.fall_asleep()
        await bench.guests.wake_up(sleeping, set_clocks=False)
        assert one[3:] == ["pause", "resume"]
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_clock_is_set_and_the_journal_says_how_far_it_is_off() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()
        calls = bench.maker.made[0].calls
        assert await bench.ask(SetClock(guest="guest1", at=5 * SECOND, ahead=-SECOND)) == 4 * SECOND
        await bench.ask(SetClock(guest="guest1", ahead=HOUR))

        assert calls[0] == "clock 4"
        assert 0 <= int(calls[1].removeprefix("clock ")) - (1_700_000_000 + 3600) < 60
        events = [event for event in bench.journal.events if isinstance(event, ClockJumped)]
        assert [event.clock for event in events] == ["guest1", "guest1"]
        assert events[0].seconds < -1_600_000_000
        assert events[1].seconds == 3600
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_guest_that_comes_after_a_jump_has_the_labs_time() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()
        assert bench.maker.made[0].calls == []
        bench.clock.advance(HOUR)
        await bench.guests.add()
        await bench.ask(protocol.ResetGuest(guest="guest1"))

        for calls in (bench.maker.made[0].calls[1:], bench.maker.made[1].calls):
            (call,) = calls
            assert 0 <= int(call.removeprefix("clock ")) - (1_700_000_000 + 3600) < 60
        await bench.guests.stop()

    asyncio.run(scenario())


def test_a_guest_that_does_not_come_up_leaves_no_cable() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.maker.error = GuestError("it panicked")

        with pytest.raises(GuestError, match="it panicked"):
            await bench.guests.add()
        assert bench.stack.unplugged == ["guest1"]
        assert bench.guests.infos == []

    asyncio.run(scenario())


def test_an_unknown_guest_is_an_error_that_names_those_there() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.guests.add()

        with pytest.raises(GuestError, match="no guest2: this lab has guest1"):
            await bench.ask(protocol.PauseGuest(guest="guest2"))
        await bench.guests.stop()

    asyncio.run(scenario())
