"""The laptop's sleep: what its lid does to guests, uplinks and clocks, in the order in which a real one does.

Falling asleep, processors stop first and radios after them; then time passes (`AdvanceClock`), and with it go
leases, UDP mappings and whatever else the stack has timers for. Waking up, uplinks come back, guests go on,
and somebody tells them the time: a machine that was paused has not noticed the night, neither its wall clock
nor its monotonic one. The wall clock is set, as the agents of desktop products do; the monotonic one goes on
where it stood, as it does on a Linux that was suspended.

What ages outside the stack are the NAT mappings of routers. Else the kernels of hosts, which are this
machine's, do not: their connections believe that no time has passed.
"""

import asyncio
from typing import Final

from guestnet.core.errors import LabError
from guestnet.core.events import ClockJumped, FellAsleep, Noted, WokeUp
from guestnet.core.recorder import Recorder
from guestnet.core.time import SECOND, to_seconds
from guestnet.edge.clock import LabClock
from guestnet.lab.controls.guests import Guests
from guestnet.lab.requests import time as ask
from guestnet.lab.requests.handler import Handlers
from guestnet.world.kernel.aging import age
from guestnet.world.running import RunningWorld


class Sleep:
    """Of the laptop with these ``guests`` and that world ``around`` it."""

    def __init__(self, clock: LabClock, recorder: Recorder, guests: Guests, around: RunningWorld) -> None:
        self._clock = clock
        self._recorder = recorder
        self._guests = guests
        self._around = around
        self._since: int | None = None
        self._paused: list[str] = []
        self._down: list[str] = []
        self.handlers: Final[Handlers] = {
            ask.AdvanceClock: self._advance,
            ask.FallAsleep: self._fall_asleep,
            ask.WakeUp: self._wake_up,
        }

    async def _advance(self, request: ask.AdvanceClock) -> int:
        # Before the jump, which is the last moment of the time until then.
        before = self._clock.now()
        self._recorder.event(ClockJumped(at=before, clock="lab", seconds=to_seconds(request.by)))
        after = self._clock.advance(request.by)
        if seconds := request.by // SECOND:
            around = self._around
            ended = await asyncio.to_thread(age, around.world, around.namespaces, seconds)
            if ended:
                text = f"the world's routers forgot {ended} flows that had been idle for too long"
                self._recorder.event(Noted(at=self._clock.now(), text=text))
        return after

    async def _fall_asleep(self, request: ask.FallAsleep) -> None:
        if self._since is not None:
            raise LabError("the laptop is asleep already", remedy="leave the block of lab.asleep() before")
        self._since = self._clock.now()
        if request.guests:
            self._paused = await self._guests.fall_asleep()
        if request.uplinks:
            self._down = [state.name for state in self._around.uplinks.states if state.up]
            await self._around.uplinks.roam(None)
        self._recorder.event(FellAsleep(at=self._clock.now(), guests=self._paused, uplinks=self._down))

    async def _wake_up(self, request: ask.WakeUp) -> None:
        if self._since is None:
            raise LabError("the laptop is not asleep")
        slept = self._clock.now() - self._since
        paused, down = self._paused, self._down
        self._since, self._paused, self._down = None, [], []
        uplinks = self._around.uplinks
        try:
            if request.uplinks and not any(state.up for state in uplinks.states):
                for name in down:
                    await uplinks.up(name)
        finally:
            await self._guests.wake_up(paused, set_clocks=request.clocks)
        up = [state.name for state in uplinks.states if state.up]
        self._recorder.event(
            WokeUp(at=self._clock.now(), seconds=to_seconds(slept), guests=paused, uplinks=up)
        )
