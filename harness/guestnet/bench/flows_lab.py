"""The labs of ``guestnet bench flows``: one function for each part of it.

Names of what they return are those of ``flows.QUANTITIES``.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from guestnet.bench import flows_server
from guestnet.bench.processes import Processes
from guestnet.core.errors import GuestError
from guestnet.core.events import GuestStarted
from guestnet.lab.requests.description import GuestKind, LabDescription
from guestnet.scenario import Lab
from guestnet.system.programs import require

Part = Literal["latency", "memory", "cpu", "capture"]
"""What is measured in one lab; "capture" takes two at a time."""

Capture = Literal["headers", "none"]

Sample = dict[str, float]
"""Values by the names of their quantities."""

REFERENCE: Final = "builtin"
"""The stack that the others are compared with."""
HOST: Final = "192.168.65.2"
"""The laptop's loopback, as all stacks have it."""
_ECHO_PORT: Final = 5301
_IPERF_PORT: Final = 5201
_DIRECTIONS: Final = ("up", "down")
_AT_ONCE: Final = 100
_IDLE: Final = (1_000, 10_000)
_MOST_IDLE: Final = _IDLE[-1]
_DESCRIPTORS: Final = _MOST_IDLE + 100
_MEMORY: Final = 256
"""Of the guest, in MiB."""
_GIGABYTE: Final = 1e9
_TIMEOUT: Final = 120.0
_QUIET: Final = 1.0
"""Seconds of rest before memory is read."""
_WATCHED: Final = 3.0
"""Seconds in which idle flows are watched."""
_ROUNDS: Final = 5
_CPU_SECONDS: Final = 4
"""Of one transfer; the clock of processes ticks a hundred times in each."""
_STRETCHES: Final = 9
_STRETCH_SECONDS: Final = 1


class Counted(NamedTuple):
    """What ``flows.pl`` says: seconds, how many were done in them, how many datagrams were lost."""

    seconds: float
    done: int
    lost: int

    @property
    def rate(self) -> float:
        """Of what was done, a second."""
        return self.done / self.seconds

    @property
    def each(self) -> float:
        """Seconds of one."""
        return self.seconds / self.done


class _Sum(msgspec.Struct):
    bytes: int
    seconds: float


class _End(msgspec.Struct):
    sum_received: _Sum | None = None


class _Report(msgspec.Struct):
    """What of ``iperf3 --json`` is used."""

    end: _End = msgspec.field(default_factory=_End)
    error: str = ""


class Transfer(NamedTuple):
    """Octets that arrived, and in how many seconds."""

    octets: int
    seconds: float


class Measured(NamedTuple):
    """What one part gave for each stack, and what there is to say about what it did not give."""

    accelerator: str
    samples: dict[str, Sample]
    notes: list[str]


def measured(part: Part, stacks: Sequence[str], guest: GuestKind) -> Measured:
    """One part, once. Raises EnvironmentMissing, GuestError and what labs raise."""
    samples: dict[str, Sample] = {}
    notes: list[str] = []
    if part == "memory":
        accelerator = ""
        for stack in stacks:
            with serving(stack, guest) as lab:
                accelerator = _accelerator(lab)
                samples[stack] = _memory(lab, notes)
        return Measured(accelerator, samples, notes)
    with ExitStack() as open_labs:
        if part == "capture":
            labs = [open_labs.enter_context(serving(REFERENCE, guest, kept)) for kept in ("headers", "none")]
            samples[REFERENCE] = _capture(*labs)
        else:
            labs = [open_labs.enter_context(serving(stack, guest)) for stack in stacks]
            samples = _latency(labs) if part == "latency" else _cpu(labs)
        return Measured(_accelerator(labs[0]), samples, notes)


def _latency(labs: Sequence[Lab]) -> dict[str, Sample]:
    """Short rounds by turns, and the median of each stack's: so what else goes on falls on all alike."""
    for lab in labs:
        ask(lab, "first", 50)  # what is done for the first time takes longer
    rounds: list[tuple[str, Callable[[Lab], float]]] = [
        ("time_to_first_byte", lambda lab: ask(lab, "first", 80).each),
        ("connects_serial", lambda lab: ask(lab, "serial", 150).rate),
        ("connects_parallel", lambda lab: ask(lab, "parallel", 500, _AT_ONCE).rate),
        ("request_rtt", lambda lab: ask(lab, "rtt", 500).each),
        ("udp_pps", _datagrams),
    ]
    taken: dict[str, Sample] = {lab.description.stack: {} for lab in labs}
    for name, taking in rounds:
        values: dict[str, list[float]] = {stack: [] for stack in taken}
        for _ in range(_ROUNDS):
            for lab in labs:
                values[lab.description.stack].append(taking(lab))
        for stack, found in values.items():
            taken[stack][name] = statistics.median(found)
    return taken


def _memory(lab: Lab, notes: list[str]) -> Sample:
    """Of idle flows, in a lab that has had none before. A stack that can't hold so many says why."""
    processes = _processes(lab)
    ask(lab, "serial", 1)
    time.sleep(_QUIET)
    before = processes.memory(_MEMORY << 20)
    taken: Sample = {}
    opened = 0
    for wanted in _IDLE:
        try:
            ask(lab, "idle", wanted - opened, _AT_ONCE)
        except GuestError as error:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            notes.append(
                f"{lab.description.stack} did not hold {wanted:,} flows with {limit:,} descriptors: "
                f"{error.remedy or error}"
            )
            return taken
        opened = wanted
        time.sleep(_QUIET)
        taken[f"flow_memory_{wanted}"] = (processes.memory(_MEMORY << 20) - before) / wanted
    began = processes.cpu()
    time.sleep(_WATCHED)
    taken["idle_cpu"] = (processes.cpu().stack - began.stack) / _WATCHED
    taken["request_rtt_beside_10000"] = ask(lab, "rtt", 1_500).each
    return taken


def _cpu(labs: Sequence[Lab]) -> dict[str, Sample]:
    """Of bulk transfers, by turns."""
    taken: dict[str, Sample] = {lab.description.stack: {} for lab in labs}
    for direction in _DIRECTIONS:
        for lab in labs:
            processes = _processes(lab)
            began = processes.cpu()
            transfer = _transfer(lab, direction, _CPU_SECONDS)
            ended = processes.cpu()
            gigabytes = transfer.octets / _GIGABYTE
            sample = taken[lab.description.stack]
            sample[f"cpu_per_gigabyte_{direction}"] = (ended.whole - began.whole) / gigabytes
            sample[f"stack_cpu_per_gigabyte_{direction}"] = (ended.stack - began.stack) / gigabytes
    for sample in taken.values():
        for name in ("cpu_per_gigabyte", "stack_cpu_per_gigabyte"):
            sample[name] = sum(sample[f"{name}_{direction}"] for direction in _DIRECTIONS) / 2
    return taken


def _capture(lab: Lab, other: Lab) -> Sample:
    """``other`` captures nothing. Short stretches of transfer by turns, and the median of their ratios."""
    taken: Sample = {}
    for direction in _DIRECTIONS:
        ratios = []
        for _ in range(_STRETCHES):
            spent = [_transfer(one, direction, _STRETCH_SECONDS) for one in (lab, other)]
            on, off = (transfer.seconds / transfer.octets for transfer in spent)
            ratios.append(on / off)
        taken[f"capture_cost_{direction}"] = statistics.median(ratios) - 1
    taken["capture_cost"] = sum(taken.values()) / len(_DIRECTIONS)
    return taken


@contextmanager
def serving(stack: str, guest: GuestKind, capture: Capture = "headers") -> Iterator[Lab]:
    """A lab with what is asked on the laptop's loopback: the echo and iperf3's server.

    Raises EnvironmentMissing and what labs raise.
    """
    require("iperf3")
    description = LabDescription(
        scenario=f"bench flows {stack}", seed=1, stack=stack, guest=guest, memory=_MEMORY, capture=capture
    )
    with (
        tempfile.TemporaryDirectory(prefix="guestnet-") as folder,
        Lab.start(description, Path(folder)) as lab,
    ):
        program = Path(flows_server.__file__)
        lab.laptop.run([sys.executable, "-I", str(program), "127.0.0.1", str(_ECHO_PORT)], check=True)
        lab.laptop.run(f"iperf3 --server --daemon --port {_IPERF_PORT}", check=True)
        yield lab


def _accelerator(lab: Lab) -> str:
    return lab.journal.expect(GuestStarted).accelerator


def _processes(lab: Lab) -> Processes:
    return Processes(lab.process.pid, lab.description.guest, lab.description.stack)


def counted(said: str) -> Counted:
    """Read what ``flows.pl`` printed. Raises GuestError when it is something else."""
    words = said.split()
    try:
        seconds, done, lost = words
        return Counted(float(seconds), int(done), int(lost))
    except ValueError as error:
        raise GuestError(f"flows.pl in the guest said {said!r}", remedy="this is a bug") from error


def ask(lab: Lab, verb: str, count: int, width: int = 1) -> Counted:
    """Let the guest do ``verb`` of ``flows.pl``. Raises GuestError when it fails or nothing comes back."""
    script = files("guestnet.bench").joinpath("flows.pl").read_bytes()
    # The QEMU guest's sh is klibc's, which has no ulimit.
    command = f"bash -c 'ulimit -n {_DESCRIPTORS}; exec perl - {verb} {HOST} {_ECHO_PORT} {count} {width}'"
    ran = lab.guest.run(command, timeout=_TIMEOUT, input=script, check=True)
    answer = counted(ran.stdout)
    if answer.done == 0:
        raise GuestError(f"nothing came back in the guest: {verb}")
    return answer


def _datagrams(lab: Lab) -> float:
    """With as many under way as can be without a loss."""
    width = 64
    while True:
        answer = ask(lab, "udp", 1_000, width)
        if answer.lost == 0:
            return answer.rate
        if width == 1:
            raise GuestError("datagrams are lost even when one is sent at a time")
        width //= 2


def transferred(report: bytes | str) -> Transfer:
    """From ``iperf3 --json``. Raises GuestError with iperf3's reason when it failed."""
    try:
        parsed = msgspec.json.decode(report, type=_Report)
    except msgspec.MsgspecError as error:
        raise GuestError(f"iperf3 in the guest gave no report ({error})") from error
    received = parsed.end.sum_received
    if parsed.error or received is None or not received.bytes:
        raise GuestError(f"iperf3 in the guest: {parsed.error or 'nothing arrived'}")
    return Transfer(received.bytes, received.seconds)


def _transfer(lab: Lab, direction: str, seconds: int) -> Transfer:
    command = f"iperf3 --client {HOST} --port {_IPERF_PORT} --time {seconds} --json"
    if direction == "down":
        command += " --reverse"
    return transferred(lab.guest.run(command, timeout=seconds + _TIMEOUT).stdout)
