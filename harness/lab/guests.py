"""The guests of a lab."""

from pathlib import Path
from typing import Any

from harness.core.errors import EnvironmentMissing
from harness.core.recorder import Recorder
from harness.edge.clock import LabClock
from harness.lab.description import LabDescription
from harness.lab.protocol import GuestInfo, Request
from harness.stacks.base import Stack


class Guests:
    def __init__(
        self, description: LabDescription, stack: Stack, recorder: Recorder, clock: LabClock, artifacts: Path
    ) -> None:
        self.infos: list[GuestInfo] = []
        self.pids: dict[str, int] = {}
        self.ended: dict[str, str] = {}

    async def add(self) -> GuestInfo:
        raise EnvironmentMissing("not yet")

    async def handle(self, request: Request[Any]) -> object:
        raise EnvironmentMissing("not yet")

    async def stop(self) -> None:
        pass
