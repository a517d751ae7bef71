"""``guestnet bench boot``: how long a guest takes to be there, and a scenario to be over.

All figures come from whole labs as scenarios have them, started by the same client, and from their journals.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from harness.bench.form import Figure, figure
from harness.core.errors import LabError
from harness.core.events import DhcpServed, Event, GuestStarted
from harness.core.time import to_seconds
from harness.journal.journal import JournalReader
from harness.journal.recording import JOURNAL
from harness.lab.client import LabProcess
from harness.lab.description import LabDescription

Boot = Literal["cold", "restore"]
Progress = Callable[[str, int, int], None]


class Sample(NamedTuple):
    """One lab, in seconds.

    ``guest``: from the start of QEMU until the agent answered. ``lease``: from there until the guest had one.
    ``overhead``: the whole lab, up and down again.
    """

    guest: float
    lease: float
    overhead: float
    accelerator: str


def sample(boot: Boot, stack: str) -> Sample:
    """Start a lab with one guest, and end it. Raises LabError when the guest got no lease."""
    description = LabDescription(scenario=f"bench boot {boot}", seed=1, stack=stack, boot=boot)
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        began = time.monotonic()
        with LabProcess.start(description, Path(folder)):
            pass
        overhead = time.monotonic() - began
        events = list(JournalReader(Path(folder) / JOURNAL).read())
    started = next(event for event in events if isinstance(event, GuestStarted))
    return Sample(started.seconds, _lease(started, events), overhead, started.accelerator)


def _lease(started: GuestStarted, events: list[Event]) -> float:
    """Seconds from the start of QEMU to the ACK of the guest's lease."""
    for event in events:
        if isinstance(event, DhcpServed) and event.kind == "ACK" and event.mac == started.mac:
            return to_seconds(event.at - started.at) + started.seconds
    raise LabError("the guest got no lease", remedy="see `guestnet shell --events`")


def measure(runs: int, stack: str, progress: Progress) -> tuple[str, list[Figure]]:
    """The accelerator, and the figures of ``runs`` labs of each kind."""
    sample("restore", stack)  # makes the snapshot when there is none
    taken: dict[Boot, list[Sample]] = {"cold": [], "restore": []}
    for number in range(runs):
        for boot, samples in taken.items():
            progress(boot, number, runs)
            samples.append(sample(boot, stack))
            progress(boot, number + 1, runs)
    cold, restored = taken["cold"], taken["restore"]

    def seconds(name: str, values: list[float]) -> Figure:
        return figure(name, values, "s", stack=stack, guest="qemu", mtu=1500)

    return cold[0].accelerator, [
        seconds("cold_boot_to_lease", [one.lease for one in cold]),
        seconds("restore_to_agent", [one.guest for one in restored]),
        seconds("scenario_overhead", [one.overhead for one in restored]),
    ]
