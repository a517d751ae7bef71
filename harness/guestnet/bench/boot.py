"""``guestnet bench boot``: how long a guest takes to be there, and a scenario to be over.

All figures come from whole labs as scenarios have them, from one server (guestnet.lab.labs), and from their
journals.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from guestnet.bench.form import Figure, figure
from guestnet.core.events import DhcpServed, GuestStarted
from guestnet.core.time import to_seconds
from guestnet.lab.process.labs import LabServer
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab

Boot = Literal["cold", "restore"]
Progress = Callable[[str, int, int], None]


class Sample(NamedTuple):
    """One lab, in seconds.

    ``guest``: from the start of QEMU until the agent answered. ``lease``: from there until the guest had one
    (0 when nobody waited for it). ``overhead``: the whole lab, up and down again.
    """

    guest: float
    lease: float
    overhead: float
    accelerator: str


def sample(boot: Boot, stack: str, server: LabServer) -> Sample:
    """Start a lab with one guest, and end it. Raises ExpectationFailed when a cold guest gets no lease."""
    description = LabDescription(scenario=f"bench boot {boot}", seed=1, stack=stack, boot=boot, lease=False)
    lease = 0.0
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        began = time.monotonic()
        with Lab.start(description, Path(folder), server=server) as lab:
            started = lab.journal.expect(GuestStarted)
            if boot == "cold":
                served = lab.journal.expect(DhcpServed, within=10.0, kind="ACK", mac=started.mac)
                lease = to_seconds(served.at - started.at) + started.seconds
        overhead = time.monotonic() - began
    return Sample(started.seconds, lease, overhead, started.accelerator)


def sample_netns(stack: str, server: LabServer) -> tuple[float, float]:
    """Of one lab with a namespace for a guest, in seconds: from the request for the guest until it has
    answered its first command, and the whole lab, up and down again."""
    description = LabDescription(
        scenario="bench boot netns", seed=1, stack=stack, guest="netns", guests=0, lease=False
    )
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        began = time.monotonic()
        with Lab.start(description, Path(folder), server=server) as lab:
            asked = time.monotonic()
            lab.add_guest().run(["true"], check=True)
            ready = time.monotonic() - asked
        return ready, time.monotonic() - began


def measure_netns(runs: int, stack: str, progress: Progress) -> tuple[str, list[Figure]]:
    """No accelerator, and the figures of ``runs`` labs."""
    samples = []
    with LabServer() as server:
        sample_netns(stack, server)  # unpacks the image when that was not done yet
        for number in range(runs):
            progress("guests (netns)", number, runs)
            samples.append(sample_netns(stack, server))
            progress("guests (netns)", number + 1, runs)
    ready, overhead = zip(*samples, strict=True)
    return "no accelerator", [
        figure("netns_ready", ready, "s", stack=stack, guest="netns", mtu=1500),
        figure("scenario_overhead", overhead, "s", stack=stack, guest="netns", mtu=1500),
    ]


def measure(runs: int, stack: str, progress: Progress) -> tuple[str, list[Figure]]:
    """The accelerator, and the figures of ``runs`` labs of each kind."""
    taken: dict[Boot, list[Sample]] = {"cold": [], "restore": []}
    with LabServer() as server:
        sample("restore", stack, server)  # makes the snapshot when there is none
        for number in range(runs):
            for boot, samples in taken.items():
                progress(f"guests ({boot})", number, runs)
                samples.append(sample(boot, stack, server))
                progress(f"guests ({boot})", number + 1, runs)
    cold, restored = taken["cold"], taken["restore"]

    def seconds(name: str, values: list[float]) -> Figure:
        return figure(name, values, "s", stack=stack, guest="qemu", mtu=1500)

    return cold[0].accelerator, [
        seconds("cold_boot_to_lease", [one.lease for one in cold]),
        seconds("restore_to_agent", [one.guest for one in restored]),
        seconds("scenario_overhead", [one.overhead for one in restored]),
    ]
