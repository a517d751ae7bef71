"""What the lab does when a scenario changes the world, by the request (`harness.lab.world_requests`)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from harness.lab import world_requests as ask
from harness.lab.request import Request
from harness.world.running import RunningWorld


async def _resolvers(around: RunningWorld, request: ask.ResolversOf) -> list[str]:
    lines = around.resolv_conf.read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


CHANGES: Final[dict[type[Request[Any]], Callable[[RunningWorld, Any], Awaitable[object]]]] = {
    ask.ResolversOf: _resolvers,
}
"""By the class of the request. Each raises LabError or DescriptionError for what can't be."""
