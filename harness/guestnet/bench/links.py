"""``guestnet bench links``: whether the links of a world do what they are told, and what they cost.

All is measured in one lab of two hosts with one link of the world between them, and beside it a plain veth
pair that nobody captures: so whatever else the machine does falls on both. Delays are taken with datagrams
whose arrival the kernel stamps; what the plain pair adds by itself is a figure too, and is not subtracted. So
is how late the sender of the datagrams woke up, who did nothing but wait for a time: no link is better than
that. Where the kernel has netem, the same delays and the same loss are measured with that on the plain pair.
"""

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from guestnet.bench.form import Figure, Unit, figure
from guestnet.bench.links_probe import Order, Seen
from guestnet.bench.throughput import received
from guestnet.core.errors import GuestError
from guestnet.lab.process.python import python_path
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Burst, Lab
from guestnet.system.programs import require
from guestnet.world.described.model import Host, Link
from guestnet.world.described.world import World

Progress = Callable[[str, int, int], None]

DELAYS: Final = (1, 5, 20, 50, 100, 200, 500)
"""Configured, in ms."""
_RATE: Final = 1000
_PACKETS: Final = 100_000
_LOSS_RATE: Final = 20_000
_LOSS: Final = 0.03
_LENGTH: Final = 5.0
_Z: Final = 2.576
"""Standard deviations to either side that hold 99% (of a normal distribution)."""
_BITS: Final = 10_000_000
_RATE_SECONDS: Final = 10
_DATAGRAM: Final = 1200
_OVERHEAD: Final = 14 + 20 + 8
_LOAD: Final = 50_000
_LOAD_SECONDS: Final = 3
_IPERF_PORT: Final = 5201
_IPERF_SECONDS: Final = 2
_BOUNDS: Final = (0, 50, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10000)
"""Of the histogram, in µs."""
_WIDTH: Final = 50
_WHAT: Final = {
    "link": "error of the delay",
    "netem": "error of the delay",
    "plain veth": "delay",
    "sleep": "how late somebody wakes who waits for a time",
}


class Way(NamedTuple):
    """A way from the laptop to the peer: the device there, and its address."""

    device: str
    address: str


IMPAIRED: Final = Way("wire", "198.51.100.2")
PLAIN: Final = Way("plain", "203.0.113.2")

WORLD: Final = World(
    name="bench-links",
    hosts={"laptop": Host(), "peer": Host()},
    links={"wire": Link(ends={"laptop": ("198.51.100.1/24",), "peer": ("198.51.100.2/24",)})},
)


class Sample(NamedTuple):
    """What one lab gave: values by figure, with their units, and the errors of delays in ns."""

    values: dict[str, float]
    errors: dict[str, list[int]]
    notes: list[str]


UNITS: Final[dict[str, Unit]] = {
    "delay_error_p50": "s",
    "delay_error_p99": "s",
    "plain_delay_p50": "s",
    "plain_delay_p99": "s",
    "wakeup_p50": "s",
    "wakeup_p99": "s",
    "netem_delay_error_p50": "s",
    "netem_delay_error_p99": "s",
    "loss_error": "1",
    "loss_error_in_confidence": "1",
    "netem_loss_error": "1",
    "netem_loss_error_in_confidence": "1",
    "burst_loss_error": "1",
    "burst_loss_error_in_confidence": "1",
    "burst_length_error": "1",
    "burst_length_error_in_confidence": "1",
    "rate_error": "1",
    "link_pps": "1/s",
    "link_pps_loss": "1",
    "unimpaired_against_plain": "1",
    "captured_against_plain": "1",
}
"""All figures. Those "in confidence" are shares of the 99% confidence interval's half: right is below 1."""


@contextmanager
def bench_lab(seed: int = 0, capture: Literal["headers", "none"] = "headers") -> Iterator[Lab]:
    """The lab, with the plain pair. Raises EnvironmentMissing and what labs raise."""
    description = LabDescription(
        scenario="bench links", seed=seed, guests=0, guest="netns", profile=WORLD, capture=capture
    )
    with (
        tempfile.TemporaryDirectory(prefix="guestnet-") as folder,
        Lab.start(description, Path(folder)) as lab,
    ):
        lab.laptop.run(
            f"ip link add {PLAIN.device} type veth peer name {PLAIN.device} netns peer"
            f" && ip address add 203.0.113.1/24 dev {PLAIN.device} && ip link set {PLAIN.device} up",
            check=True,
        )
        lab.hosts["peer"].run(
            f"ip address add {PLAIN.address}/24 dev {PLAIN.device} && ip link set {PLAIN.device} up",
            check=True,
        )
        yield lab


def probe(lab: Lab, way: Way, count: int, rate: float, *, size: int = 64, linger: float = 0.3) -> Seen:
    """Send ``count`` datagrams ``way``. Raises GuestError."""
    order = Order(
        address=way.address, namespace="/run/netns/peer", device=way.device,
        count=count, rate=rate, size=size, linger=linger, numbers=count >= _PACKETS,
    )  # fmt: skip
    # Commands on hosts get nothing of our Python's environment; this one is of ours.
    path = f"PYTHONPATH={python_path()}"
    ran = lab.laptop.run(
        ["env", path, sys.executable, "-P", "-m", "guestnet.bench.links_probe"],
        input=msgspec.json.encode(order), timeout=120,
    )  # fmt: skip
    if not ran.ok:
        raise GuestError(f"the probe of the bench failed: {ran.stderr.strip()}")
    return msgspec.json.decode(ran.stdout, type=Seen)


def measure(runs: int, packets: int, progress: Progress) -> tuple[list[Figure], list[str]]:
    """The figures of ``runs`` labs with ``packets`` a delay; the histogram, and what else is to be said."""
    samples = []
    for number in range(runs):
        # Each with another seed: the same one loses the same packets, again and again.
        def show(what: str, step: int = number) -> None:
            progress(f"links: {what}", step, runs)

        show("unimpaired")
        with bench_lab(100 + number, capture="none") as lab:
            unimpaired = _ratio(lab)
        with bench_lab(100 + number) as lab:
            samples.append(sample(lab, packets, show))
        samples[-1].values["unimpaired_against_plain"] = unimpaired
    made = [
        figure(name, [one.values[name] for one in samples], unit)
        for name, unit in UNITS.items()
        if all(name in one.values for one in samples)
    ]
    errors: dict[str, list[int]] = {}
    for one in samples:
        for name, values in one.errors.items():
            errors.setdefault(name, []).extend(values)
    return made, [*histogram(errors), *dict.fromkeys(note for one in samples for note in one.notes)]


def sample(lab: Lab, packets: int, show: Callable[[str], None]) -> Sample:
    """All of it, once."""
    notes: list[str] = []
    errors: dict[str, list[int]] = {"link": [], "plain veth": [], "sleep": []}
    values: dict[str, float] = {}
    show("captured")
    values["captured_against_plain"] = _ratio(lab)
    link = lab.links["wire"]
    for milliseconds in DELAYS:
        show(f"{milliseconds} ms")
        link.impair("up", delay=f"{milliseconds}ms")
        linger = 0.3 + milliseconds / 1000
        errors["plain veth"] += probe(lab, PLAIN, packets, _RATE).delays
        seen = probe(lab, IMPAIRED, packets, _RATE, linger=linger)
        errors["sleep"] += seen.late
        errors["link"] += [abs(delay - milliseconds * 1_000_000) for delay in seen.delays]
        with netem(lab, f"delay {milliseconds}ms") as missing:
            if missing:
                notes.append(missing)
            else:
                delays = probe(lab, PLAIN, packets, _RATE, linger=linger).delays
                errors.setdefault("netem", []).extend(
                    abs(delay - milliseconds * 1_000_000) for delay in delays
                )
    for name, key in (
        ("delay_error", "link"), ("wakeup", "sleep"),
        ("plain_delay", "plain veth"), ("netem_delay_error", "netem"),
    ):  # fmt: skip
        if errors.get(key):
            values[f"{name}_p50"], values[f"{name}_p99"] = (_quantile(errors[key], q) for q in (0.5, 0.99))
    link.clear()
    show("loss")
    link.impair("up", loss=_LOSS)
    values |= loss(probe(lab, IMPAIRED, _PACKETS, _LOSS_RATE))
    with netem(lab, f"loss {_LOSS:%}") as missing:
        if not missing:
            seen = probe(lab, PLAIN, _PACKETS, _LOSS_RATE)
            values |= {f"netem_{name}": value for name, value in loss(seen).items()}
    show("bursts of loss")
    link.impair("up", loss=Burst(_LOSS, _LENGTH))
    values |= bursts(probe(lab, IMPAIRED, _PACKETS, _LOSS_RATE))
    link.clear()
    show("rate")
    link.impair("up", rate=f"{_BITS}bit/s", queue="100 packets")
    count = round(_BITS * 1.2 * _RATE_SECONDS / 8 / (_DATAGRAM + _OVERHEAD))
    seen = probe(lab, IMPAIRED, count, count / _RATE_SECONDS, size=_DATAGRAM)
    bits = (len(seen.delays) - 1) * (_DATAGRAM + _OVERHEAD) * 8
    values["rate_error"] = abs(bits * 1e9 / (seen.last - seen.first) / _BITS - 1)
    link.clear()
    show("packets a second")
    link.impair("up", delay="1ms")
    seen = probe(lab, IMPAIRED, _LOAD * _LOAD_SECONDS, _LOAD)
    values["link_pps_loss"] = max(1 - seen.frames / (_LOAD * _LOAD_SECONDS), 0.0)
    seen = probe(lab, IMPAIRED, 4 * _LOAD * _LOAD_SECONDS, 0)
    values["link_pps"] = seen.frames * 1e9 / (seen.last - seen.first)
    link.clear()
    return Sample(values, errors, notes)


@contextmanager
def netem(lab: Lab, words: str) -> Iterator[str]:
    """Netem on the plain pair while the block runs, as tc-netem(8) has it in ``words``; why not, or ""."""
    ran = lab.laptop.run(f"tc qdisc replace dev {PLAIN.device} root netem limit {_PACKETS} {words}")
    if not ran.ok:
        yield f"netem: none here ({ran.stderr.strip()})"
        return
    try:
        yield ""
    finally:
        lab.laptop.run(f"tc qdisc del dev {PLAIN.device} root", check=True)


def loss(seen: Seen) -> dict[str, float]:
    """How far the share that was lost is from what was set, and that in halves of the confidence interval."""
    lost = 1 - seen.frames / _PACKETS
    half = _Z * math.sqrt(_LOSS * (1 - _LOSS) / _PACKETS)
    error = abs(lost - _LOSS)
    return {"loss_error": error, "loss_error_in_confidence": error / half}


def bursts(seen: Seen) -> dict[str, float]:
    """The share that was lost and the mean length of bursts, against those of Gilbert's model."""
    lengths = [
        later - earlier - 1 for earlier, later in pairwise(sorted(seen.numbers)) if later - earlier > 1
    ]
    lost = 1 - seen.frames / _PACKETS
    r = 1 / _LENGTH
    p = r * _LOSS / (1 - _LOSS)
    # What one frame tells about the next leaves fewer independent ones: the variance of a two-state chain.
    together = (2 - p - r) / (p + r)
    half = _Z * math.sqrt(_LOSS * (1 - _LOSS) * together / _PACKETS)
    error = abs(lost - _LOSS)
    length_error = abs(statistics.fmean(lengths) - _LENGTH)
    length_half = _Z * math.sqrt((1 - r) / r**2 / len(lengths))
    return {
        "burst_loss_error": error,
        "burst_loss_error_in_confidence": error / half,
        "burst_length_error": length_error,
        "burst_length_error_in_confidence": length_error / length_half,
    }


def _ratio(lab: Lab) -> float:
    """How much of the plain pair's throughput the link of the world has, in the median of three turns."""
    require("iperf3")
    lab.hosts["peer"].run(f"iperf3 --server --daemon --port {_IPERF_PORT}", check=True)
    ratios = []
    for _ in range(3):
        plain, link = (_transfer(lab, way) for way in (PLAIN, IMPAIRED))
        ratios.append(link / plain)
    return statistics.median(ratios)


def _transfer(lab: Lab, way: Way) -> float:
    command = f"iperf3 --client {way.address} --port {_IPERF_PORT} --time {_IPERF_SECONDS} --json"
    return received(lab.laptop.run(command, timeout=_IPERF_SECONDS + 30).stdout)


def _quantile(values: Sequence[int], share: float) -> float:
    """In seconds."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1e9


def histogram(errors: dict[str, list[int]]) -> Iterator[str]:
    """Of the errors in ns by name, in lines."""
    for name, values in errors.items():
        if not values:
            continue
        yield f"{name}: {_WHAT[name]}, {len(values)} times"
        for least, most in pairwise((*_BOUNDS, math.inf)):
            count = sum(least * 1000 <= value < most * 1000 for value in values)
            share = count / len(values)
            label = f"{least / 1000:g} ms and more" if most > 1e9 else f"{least / 1000:g}–{most / 1000:g} ms"
            yield f"  {label:>15} {count:7} {share:7.2%} {'█' * round(share * _WIDTH)}"
