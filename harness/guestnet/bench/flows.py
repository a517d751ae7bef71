"""``guestnet bench flows``: what a flow costs, stack beside stack.

==========================  ======================================================================
figure                      what it is
==========================  ======================================================================
connects_serial             connects a second from the guest, one after the other
connects_parallel           connects a second, 100 at once
time_to_first_byte          from connect() to the first octet of the answer, on a new connection
request_rtt                 a request of one octet and its answer, on an open connection
request_rtt_beside_10000    the same while 10,000 connections are open and idle
udp_pps                     datagrams of 64 octets a second that were echoed while none was lost
flow_memory_1000, _10000    memory of the process with the stack that an open, idle connection takes
idle_cpu                    share of a core that the stack takes beside 10,000 idle connections
cpu_per_gigabyte            CPU seconds of all of the lab for 10^9 octets, half of them each way
stack_cpu_per_gigabyte      those of the stack and of QEMU's main thread
capture_cost                what the capture of headers makes a transfer longer, as a share
==========================  ======================================================================

``_up`` is away from the guest, ``_down`` is towards it. ``…_against_STACK`` tells how many times as good
``builtin`` is in the same run: more of a rate, less of a time, of memory, of CPU.

Every run measures every stack: labs of all of them run at the same time and are asked by turns, so that what
else the machine does falls on all alike. Idle flows have labs to themselves. With netns guests slirp is
slirp4netns and passt is pasta. The guest's side is a script of perl (``flows.pl``),
because perl is in every guest and starts fast; under TCG it takes most of the time, and the same for each
stack. The laptop's side is an echo on its loopback (``flows_server``). The kernel's memory for
sockets is in no figure: it is much the same whoever opens them.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, get_args

from guestnet.bench import flows_lab
from guestnet.bench.flows_lab import REFERENCE, Part, Sample
from guestnet.bench.form import Figure, Unit, figure
from guestnet.lab.requests.description import GuestKind

Progress = Callable[[str, int, int], None]

_MTU: Final = 1500
"""The one that all stacks can have."""


class Measured(NamedTuple):
    """The accelerator, the figures, and sentences about those that could not be had."""

    accelerator: str
    figures: list[Figure]
    notes: list[str]


class Quantity(NamedTuple):
    """A figure: its unit, and whether more of it is better; ``neither``: it is not compared."""

    unit: Unit
    better: Literal["more", "less", "neither"]


QUANTITIES: Final = {
    "connects_serial": Quantity("1/s", "more"),
    "connects_parallel": Quantity("1/s", "more"),
    "time_to_first_byte": Quantity("s", "less"),
    "request_rtt": Quantity("s", "less"),
    "request_rtt_beside_10000": Quantity("s", "less"),
    "udp_pps": Quantity("1/s", "more"),
    "flow_memory_1000": Quantity("B", "less"),
    "flow_memory_10000": Quantity("B", "less"),
    "idle_cpu": Quantity("1", "neither"),
    "cpu_per_gigabyte": Quantity("s", "less"),
    "cpu_per_gigabyte_up": Quantity("s", "less"),
    "cpu_per_gigabyte_down": Quantity("s", "less"),
    "stack_cpu_per_gigabyte": Quantity("s", "less"),
    "stack_cpu_per_gigabyte_up": Quantity("s", "less"),
    "stack_cpu_per_gigabyte_down": Quantity("s", "less"),
    "capture_cost": Quantity("1", "neither"),
    "capture_cost_up": Quantity("1", "neither"),
    "capture_cost_down": Quantity("1", "neither"),
}

PARTS: Final[tuple[Part, ...]] = get_args(Part)


def measure(
    stacks: Sequence[str], guest: GuestKind, parts: Sequence[Part], runs: int, progress: Progress
) -> Measured:
    """The figures of ``runs`` labs for each stack and part.

    Raises EnvironmentMissing, GuestError and what labs raise.
    """
    if REFERENCE not in stacks:
        parts = [part for part in parts if part != "capture"]  # only ours captures
    taken: dict[str, list[Sample]] = {stack: [] for stack in stacks}
    accelerator = ""
    notes: list[str] = []
    total, done = runs * len(parts), 0
    for _ in range(runs):
        for samples in taken.values():
            samples.append({})
        for part in parts:
            progress(f"labs ({part})", done, total)
            accelerator, found, said = flows_lab.measured(part, stacks, guest)
            for stack, sample in found.items():
                taken[stack][-1].update(sample)
            notes += [note for note in said if note not in notes]
            done += 1
            progress(f"labs ({part})", done, total)
    return Measured(accelerator, figures(taken, guest), notes)


def figures(taken: dict[str, list[Sample]], guest: GuestKind) -> list[Figure]:
    """What was measured, and how the reference compares with each other stack in the same run."""
    made = []
    for name, (unit, _) in QUANTITIES.items():
        for stack, samples in taken.items():
            if all(name in sample for sample in samples):
                values = [sample[name] for sample in samples]
                made.append(figure(name, values, unit, stack=stack, guest=guest, mtu=_MTU))
    ours = taken.get(REFERENCE, [])
    for name, (_, better) in QUANTITIES.items():
        for stack, samples in taken.items():
            if stack == REFERENCE or better == "neither":
                continue
            pairs = [
                (mine[name], other[name])
                for mine, other in zip(ours, samples, strict=False)
                if mine.get(name) and other.get(name)
            ]
            ratios = [mine / other if better == "more" else other / mine for mine, other in pairs]
            if ratios:
                made.append(
                    figure(f"{name}_against_{stack}", ratios, "1", stack=REFERENCE, guest=guest, mtu=_MTU)
                )
    return made
