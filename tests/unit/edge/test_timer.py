"""The fine timer, on the real clock: only what comes when, never how exactly."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from guestnet.core.time import MICROSECOND, MILLISECOND, SECOND
from guestnet.edge.timer import Timer


class Alarm:
    """A timer, and the monotonic times at which it expired."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.timer = Timer(lambda: self.at.append(time.monotonic_ns()))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.at) < count:  # noqa: ASYNC110 -- the timer tells by a plain callback
                await asyncio.sleep(0)


def go(scenario: Callable[[Alarm], Awaitable[None]]) -> None:
    async def run() -> None:
        alarm = Alarm()
        try:
            await scenario(alarm)
        finally:
            alarm.timer.close()

    asyncio.run(run())


def test_it_expires_once_and_not_too_early() -> None:
    async def scenario(alarm: Alarm) -> None:
        begun = time.monotonic_ns()
        alarm.timer.set(300 * MICROSECOND)
        await alarm.until(1)
        assert alarm.at[0] - begun >= 300 * MICROSECOND
        alarm.timer.set(20 * MILLISECOND)
        await alarm.until(2)
        assert len(alarm.at) == 2

    go(scenario)


def test_what_is_past_expires_as_soon_as_possible() -> None:
    async def scenario(alarm: Alarm) -> None:
        alarm.timer.set(-5 * SECOND)
        await alarm.until(1)

    go(scenario)


def test_a_later_time_takes_the_place_of_an_earlier_one_and_cancel_of_any() -> None:
    async def scenario(alarm: Alarm) -> None:
        alarm.timer.set(1)
        alarm.timer.set(3600 * SECOND)
        other = Alarm()
        other.timer.set(MILLISECOND)
        await other.until(1)
        alarm.timer.set(1)
        alarm.timer.cancel()
        other.timer.set(MILLISECOND)
        await other.until(2)
        other.timer.close()
        assert alarm.at == []

    go(scenario)


def test_a_closed_one_never_expires() -> None:
    async def scenario(alarm: Alarm) -> None:
        alarm.timer.set(1)
        alarm.timer.close()
        alarm.timer.close()
        other = Alarm()
        other.timer.set(MILLISECOND)
        await other.until(1)
        other.timer.close()
        assert alarm.at == []

    go(scenario)
