"""A lab process without a lab: what a script says happens while somebody waits."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from guestnet.core.events import Event
from guestnet.core.result import Ran
from guestnet.journal.query import Trace
from guestnet.journal.recording import FileRecorder
from guestnet.lab.controls.commands import show
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import (
    Activity,
    AddGuest,
    GuestInfo,
    LabStatus,
    Now,
    Record,
    Run,
    RunOn,
    Sizes,
    Status,
)
from guestnet.lab.requests.request import Request
from guestnet.scenario.observer import Observer

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
GUEST = "192.168.65.3"
SHOP = "203.0.113.10"


def tcp_frame(
    flags: str, *, to: tuple[str, int], source: tuple[str, int] = (GUEST, 40000), data: bytes = b""
) -> bytes:
    packet = Ether(src="52:54:00:65:00:01", dst="52:54:00:65:00:fe") / IP(src=source[0], dst=to[0])
    return bytes(packet / TCP(sport=source[1], dport=to[1], flags=flags, seq=1, ack=0, window=100) / data)


def udp_frame(to: tuple[str, int], data: bytes, source: tuple[str, int] = (GUEST, 40000)) -> bytes:
    return bytes(Ether() / IP(src=source[0], dst=to[0]) / UDP(sport=source[1], dport=to[1]) / data)


def unreachable(code: int, about: bytes, to: str = GUEST) -> bytes:
    assert ip_address(to)
    return bytes(Ether() / IP(src="192.168.65.1", dst=to) / ICMP(type=3, code=code) / about[14:42])


class FakeLab:
    """Time passes only while somebody waits; ``later`` says what happens then.

    It stands in for LabProcess: ``call``, ``description``, ``artifacts``, ``started``, ``close``.
    """

    def __init__(self, folder: Path) -> None:
        self.artifacts = folder
        self.description = LabDescription(scenario="test", seed=42)
        self.recorder = FileRecorder(folder)
        self.now = START
        self.script: list[tuple[int, Callable[[], None]]] = []
        self.runs: list[Run | RunOn] = []
        self.answers: list[Ran] = []
        self.requests: list[Request[Any]] = []
        self.closed = False
        self.replies: dict[type[Request[Any]], Any] = {}
        """To requests of these kinds; all others are answered with None."""
        guest = GuestInfo(name="guest1", mac="52:54:00:65:00:01", link="cable", kind="qemu")
        self.started = LabStatus(
            scenario="test", stack="builtin", world="plain", seconds=0.0, guests=[guest],
            hosts=["laptop", "internet"], servers=[], pids={}, ended={},
            capabilities=["capture", "flow-events"],
        )  # fmt: skip

    def seconds(self) -> float:
        """A monotonic clock."""
        return (self.now - START) / SECOND

    def frames(self, *frames: bytes, link: str = "cable", direction: Any = "up", comment: str = "") -> None:
        self.recorder.frames(link, direction, frames, self.now, comment)

    def event(self, event: Event) -> None:
        self.recorder.event(msgspec.structs.replace(event, at=self.now))

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do ``what`` so many seconds from now."""
        self.script.append((self.now + round(seconds * SECOND), what))
        self.script.sort(key=lambda entry: entry[0])

    def answer(self, stdout: str = "", stderr: str = "", status: int = 0) -> None:
        """What the next command ends with."""
        self.answers.append(
            Ran(status=status, stdout_bytes=stdout.encode(), stderr_bytes=stderr.encode(), seconds=0.1)
        )

    def call(self, request: Request[Any], *, timeout: float | None = None) -> Any:
        if isinstance(request, Record):
            self.event(request.event)
            return self.now
        self.requests.append(request)
        if isinstance(request, Activity):
            return self._activity(request)
        if isinstance(request, Now):
            return self.now
        if isinstance(request, Run | RunOn):
            self.runs.append(request)
            return msgspec.structs.replace(self.answers.pop(0), command=show(request.command))
        if isinstance(request, AddGuest):
            return GuestInfo(name="guest2", mac="52:54:00:65:00:02", link="cable-guest2", kind="qemu")
        if isinstance(request, Status):
            return self.started
        return self.replies.get(type(request))

    def close(self) -> None:
        self.closed = True
        self.recorder.close(self.now)

    def _activity(self, request: Activity) -> Sizes:
        deadline = self.now + round(request.timeout * SECOND)
        sizes = self.recorder.flush()
        while sizes.journal <= request.journal and sizes.capture <= request.capture:
            if not self.script or self.script[0][0] > deadline:
                self.now = deadline
                break
            self.now, what = self.script.pop(0)
            what()
            sizes = self.recorder.flush()
        return Sizes(journal=sizes.journal, capture=sizes.capture)

    def observer(self) -> Observer:
        return Observer(self, Trace(self.artifacts), self.seconds)
