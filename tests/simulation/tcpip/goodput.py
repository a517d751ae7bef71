"""The table of goodput by loss, delay and queue: ``python -m tests.simulation.tcpip.goodput > FILE``.

One side sends to the other over a bottleneck of 20 Mbit/s, in virtual time and from fixed seeds: so every
figure is the same on every machine, and any difference to ``goodput.txt`` is a change of TCP's behaviour,
to be looked at and then written there by

    python -m tests.simulation.tcpip.goodput > tests/simulation/tcpip/goodput.txt
"""

import sys
from functools import partial
from typing import Final, Literal

from guestnet.core.time import MILLISECOND, SECOND
from guestnet.tcpip.tcp import Config
from tests.simulation.tcpip.pipe import Pipe, Weather

RATE: Final = 20_000_000
SIZE: Final = 600_000
SEEDS: Final = 2
LOSSES: Final = (0.0, 0.003, 0.01, 0.05)
DELAYS: Final = (1, 20, 100)
QUEUES: Final = (16, 64, 256)
CONTROLS: Final[tuple[Literal["cubic", "newreno"], ...]] = ("cubic", "newreno")


def measure(
    loss: float,
    delay: int,
    queue: int,
    congestion: Literal["cubic", "newreno"],
    *,
    jitter: int = 0,
    batch: int = 0,
) -> tuple[int, int]:
    """Goodput in kbit/s of transfers of ``SIZE`` octets from the SYN on, and segments sent needlessly.

    ``delay`` in milliseconds one way, ``queue`` in KiB. Chance wants more than one transfer.
    """
    weather = Weather(
        loss=loss, delay=delay * MILLISECOND, jitter=jitter * MILLISECOND, rate=RATE, queue=queue * 1024,
        batch=batch * MILLISECOND,
    )  # fmt: skip
    config = Config(receive_buffer=1 << 20, send_buffer=1 << 20, congestion=congestion)
    spent = again = 0
    seeds = SEEDS if loss or jitter else 1
    for number in range(seeds):
        pipe = Pipe(weather, seed=number * 1_000_000 + round(loss * 1000) * 1000 + delay)
        start = pipe.now
        pipe.open(config, config, bytes(SIZE), b"")
        pipe.run_until(partial(_all_came, pipe))
        spent += pipe.now - start
        again += pipe.sent_twice
    return seeds * SIZE * 8 * SECOND // spent // 1000, again


def _all_came(pipe: Pipe) -> bool:
    return len(pipe.sides) == 2 and len(pipe.sides[1].received) == SIZE


def table() -> str:
    """All of it, with its head."""
    lines = [
        f"Goodput in kbit/s of {SIZE} octets over {RATE // 1_000_000} Mbit/s, and segments that came twice.",
        "Made by tests/simulation/tcpip/goodput.py; see there.",
        "",
        "                                cubic         newreno",
        " loss   delay    queue    kbit/s twice    kbit/s twice",
    ]
    for loss in LOSSES:
        for delay in DELAYS:
            for queue in QUEUES:
                cells = [measure(loss, delay, queue, control) for control in CONTROLS]
                figures = "".join(f"{kbits:10}{twice:6}" for kbits, twice in cells)
                lines.append(f"{loss * 100:4.1f} %  {delay:3} ms  {queue:3} KiB{figures}")
    lines.append("")
    lines.append("Reordered: each segment is held up for up to so much more.")
    for delay, jitter in ((20, 5), (20, 20), (100, 20)):
        cells = [measure(0.0, delay, 256, control, jitter=jitter) for control in CONTROLS]
        figures = "".join(f"{kbits:10}{twice:6}" for kbits, twice in cells)
        lines.append(f"{jitter:3} ms  {delay:3} ms  256 KiB{figures}")
    lines.append("")
    lines.append("In batches: 2.0 % are lost, and arrivals are looked at only every so often.")
    for batch in (0, 5, 10):
        cells = [measure(0.02, 10, 256, control, batch=batch) for control in CONTROLS]
        figures = "".join(f"{kbits:10}{twice:6}" for kbits, twice in cells)
        lines.append(f"{batch:3} ms   10 ms  256 KiB{figures}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
