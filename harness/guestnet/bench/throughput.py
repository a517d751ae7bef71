"""``guestnet bench throughput``: iperf3 between a guest and the laptop's loopback, stack beside stack.

Every run measures every stack at every MTU, up (from the guest) and down, each in a lab of its own: so what
else the machine does falls on all alike, and the ratios, which are what counts, are taken within a run. A
first stretch of each transfer, slow start, is left out. The capture keeps headers; the journal is on. With
netns guests slirp is slirp4netns and passt is pasta.
"""

import tempfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from guestnet.bench.form import Figure, figure
from guestnet.core.errors import DescriptionError, GuestError
from guestnet.core.events import GuestStarted
from guestnet.lab.requests.description import GuestKind, LabDescription
from guestnet.scenario import Lab
from guestnet.system.programs import require

Direction = Literal["up", "down"]
Progress = Callable[[str, int, int], None]

REFERENCE: Final = "builtin"
"""The stack that the others are compared with."""
FIXED_MTU: Final = {("qemu", "slirp"): 1500}
"""Guests and stacks that have one MTU."""
_HOST: Final = "192.168.65.2"
"""The laptop's loopback, as all stacks have it."""
_PORT: Final = 5201
_DIRECTIONS: Final[tuple[Direction, ...]] = ("up", "down")
_WARM_UP: Final = 1
_GRACE: Final = 30.0


class _Sum(msgspec.Struct):
    bits_per_second: float


class _End(msgspec.Struct):
    sum_received: _Sum | None = None


class _Report(msgspec.Struct):
    """What of ``iperf3 --json`` is used."""

    end: _End = msgspec.field(default_factory=_End)
    error: str = ""


class Cell(NamedTuple):
    """What is measured in one lab."""

    stack: str
    mtu: int
    guest: GuestKind = "qemu"


class Sample(NamedTuple):
    """One lab: bits a second of received payload, in each direction."""

    up: float
    down: float
    accelerator: str


def cells(stacks: Sequence[str], mtus: Sequence[int], guest: GuestKind = "qemu") -> list[Cell]:
    """All that can be measured. Raises DescriptionError when that is nothing."""
    able = [
        Cell(stack, mtu, guest)
        for mtu, stack in product(mtus, stacks)
        if FIXED_MTU.get((guest, stack), mtu) == mtu
    ]
    if not able:
        raise DescriptionError(
            f"{', '.join(stacks)} can't have an MTU of {', '.join(map(str, mtus))}",
            remedy="add --mtu 1500, or another stack",
        )
    return able


def received(report: bytes | str) -> float:
    """Bits a second from ``iperf3 --json``. Raises GuestError with iperf3's reason when it failed."""
    try:
        parsed = msgspec.json.decode(report, type=_Report)
    except msgspec.MsgspecError as error:
        raise GuestError(f"iperf3 in the guest gave no report ({error})") from error
    if parsed.error or parsed.end.sum_received is None:
        raise GuestError(f"iperf3 in the guest: {parsed.error or 'the report has no sum'}")
    return parsed.end.sum_received.bits_per_second


def sample(cell: Cell, seconds: int) -> Sample:
    """One lab, ``seconds`` each way. Raises EnvironmentMissing, GuestError and what labs raise."""
    require("iperf3")
    description = LabDescription(
        scenario=f"bench throughput {cell.stack}",
        seed=1,
        stack=cell.stack,
        guest=cell.guest,
        mtu=cell.mtu,
        capture="headers",
    )
    with (
        tempfile.TemporaryDirectory(prefix="guestnet-") as folder,
        Lab.start(description, Path(folder)) as lab,
    ):
        lab.guest.lease()
        lab.laptop.run(f"iperf3 --server --daemon --port {_PORT}", check=True)
        up, down = (_transfer(lab, direction, seconds) for direction in _DIRECTIONS)
        return Sample(up, down, lab.journal.expect(GuestStarted).accelerator)


def _transfer(lab: Lab, direction: Direction, seconds: int) -> float:
    command = f"iperf3 --client {_HOST} --port {_PORT} --time {seconds} --omit {_WARM_UP} --json"
    if direction == "down":
        command += " --reverse"
    return received(lab.guest.run(command, timeout=seconds + _WARM_UP + _GRACE).stdout)


def measure(
    stacks: Sequence[str],
    mtus: Sequence[int],
    guest: GuestKind,
    runs: int,
    seconds: int,
    progress: Progress,
) -> tuple[str, list[Figure]]:
    """The accelerator, and the figures of ``runs`` labs for each stack and MTU."""
    taken: dict[Cell, list[Sample]] = {cell: [] for cell in cells(stacks, mtus, guest)}
    total = runs * len(taken)
    done = 0
    for _ in range(runs):
        for cell, samples in taken.items():
            progress(f"labs ({cell.stack}, MTU {cell.mtu})", done, total)
            samples.append(sample(cell, seconds))
            done += 1
            progress(f"labs ({cell.stack}, MTU {cell.mtu})", done, total)
    return next(iter(taken.values()))[0].accelerator or "no accelerator", figures(taken)


def figures(taken: dict[Cell, list[Sample]]) -> list[Figure]:
    """Throughputs, and how many times those of each other stack the reference has in the same run."""
    made = []
    for cell, samples in taken.items():
        for direction in _DIRECTIONS:
            values = [_of(one, direction) for one in samples]
            made.append(
                figure(
                    f"throughput_{direction}",
                    values,
                    "bit/s",
                    stack=cell.stack,
                    guest=cell.guest,
                    mtu=cell.mtu,
                )
            )
    for cell, samples in taken.items():
        ours = taken.get(Cell(REFERENCE, cell.mtu, cell.guest))
        if ours is None or cell.stack == REFERENCE:
            continue
        for direction in _DIRECTIONS:
            ratios = [
                _of(mine, direction) / _of(other, direction)
                for mine, other in zip(ours, samples, strict=True)
            ]
            name = f"throughput_{direction}_against_{cell.stack}"
            made.append(figure(name, ratios, "1", stack=REFERENCE, guest=cell.guest, mtu=cell.mtu))
    return made


def _of(one: Sample, direction: Direction) -> float:
    return one.up if direction == "up" else one.down
