"""``guestnet bench world``: how long a world takes to be there and to be gone, and what is left of many.

The world has five hosts, two uplinks and a VPN (world.toml); there is no guest, so what is measured is a lab
and its world. Up is from the client's call to its answer, down from the order to end until nothing of the lab
runs.
"""

import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from guestnet.bench.form import Figure, figure
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import RunOn

PROFILE: Final = Path(__file__).with_name("world.toml")
_NAMESPACE: Final = re.compile(r"net:\[\d+\]")
Progress = Callable[[str, int, int], None]


class Cycle(NamedTuple):
    """One world, up and down again, in seconds; ``left`` says what of it is still there."""

    up: float
    down: float
    left: list[str]


def cycle() -> Cycle:
    """Make a world and take it down."""
    before = _held()
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        description = LabDescription(scenario="bench world", seed=1, guests=0, profile=str(PROFILE))
        began = time.monotonic()
        lab = LabProcess.start(description, Path(folder))
        up = time.monotonic() - began
        namespaces = [_namespace(lab, host) for host in lab.started.hosts]
        began = time.monotonic()
        lab.close()
        down = time.monotonic() - began
    left = [f"this process holds {what}" for what in sorted(_held() - before)]
    return Cycle(up, down, left + list(_users(namespaces)))


def measure(runs: int, cycles: int, progress: Progress) -> tuple[list[Figure], list[str]]:
    """The figures of ``cycles`` worlds in ``runs`` equal parts, each value a median; and what is left."""
    samples: list[Cycle] = []
    for number in range(cycles):
        progress("worlds", number, cycles)
        samples.append(cycle())
    progress("worlds", cycles, cycles)
    parts = [samples[number::runs] for number in range(runs)]
    left = [each for sample in samples for each in sample.left]
    return [
        figure("world_up", [statistics.median(one.up for one in part) for part in parts], "s"),
        figure("world_down", [statistics.median(one.down for one in part) for part in parts], "s"),
        figure("world_left", [len(left)], "1"),
    ], left


def _namespace(lab: LabProcess, host: str) -> str:
    """The network namespace of ``host``, as links in /proc name it: ``net:[4026532000]``."""
    ran = lab.call(RunOn(host=host, command=["readlink", "/proc/self/ns/net"]))
    return ran.stdout.strip()


def _held() -> set[str]:
    """What this process holds: descriptors, children and mounts."""
    held = {f"descriptor {entry.name}" for entry in Path("/proc/self/fd").iterdir() if entry.exists()}
    children = Path("/proc/self/task").glob("*/children")
    held |= {f"child {pid}" for each in children for pid in each.read_text().split()}
    return held | {f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def _users(namespaces: Iterable[str]) -> Iterator[str]:
    """Who on this machine still is in one of ``namespaces``, or holds it by a descriptor or a mount."""
    wanted = set(namespaces)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            for namespace in sorted(wanted & _namespaces_of(process)):
                yield f"process {process.name} holds {namespace}"


def _namespaces_of(process: Path) -> set[str]:
    """Those that a process is in, or refers to; what can't be read is over, or none of ours."""
    found = set()
    with suppress(OSError):
        for entry in (process / "ns" / "net", *(process / "fd").iterdir()):
            with suppress(OSError):
                found.add(str(entry.readlink()))
        found |= set(_NAMESPACE.findall((process / "mountinfo").read_text()))
    return found
