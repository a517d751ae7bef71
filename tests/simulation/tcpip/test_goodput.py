"""The table of goodput is what is in the repository: no tolerance, for nothing in it is left to chance."""

import difflib
from pathlib import Path

from tests.simulation.tcpip.goodput import table

PINNED = Path(__file__).with_name("goodput.txt")


def test_goodput_by_loss_delay_and_queue() -> None:
    pinned, measured = PINNED.read_text().splitlines(), table().splitlines()
    changes = "\n".join(difflib.unified_diff(pinned, measured, "goodput.txt", "measured", lineterm="", n=0))
    assert not changes, f"review, then write it anew as tests/simulation/tcpip/goodput.py says:\n{changes}"
