"""``guestnet bench suite``: how many scenarios a minute a checkout runs, beside another build of Guestnet.

Forty scenarios of the suite (suite.txt), of all kinds but none that waits by design for long, run by pytest
as CI runs them: with pytest-xdist's workers, interpreter and collection included. Each checkout runs its own
copy of them with its own ``.venv``. They take turns, so that a busy machine is busy for both.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from guestnet.bench.form import Figure, figure
from guestnet.core.errors import EnvironmentMissing, GuestnetError

WORKERS: Final = 2
_SHOWN: Final = 15
"""Lines of pytest's output that an error shows."""

Progress = Callable[[str, int, int], None]


def scenarios() -> list[str]:
    """The node ids of the fixed set."""
    return files("guestnet.bench").joinpath("suite.txt").read_text().split()


def measure(
    checkout: Path, beside: Path | None, guests: Sequence[str], runs: int, progress: Progress
) -> list[Figure]:
    """Scenarios a minute of ``checkout`` for each kind of guest, and how many times those of ``beside``.

    Raises EnvironmentMissing when a folder is no checkout with an environment, GuestnetError when a scenario
    does not pass: figures of a red suite say nothing.
    """
    builds = [checkout] if beside is None else [checkout, beside]
    pythons = [_python(build) for build in builds]
    rates: dict[tuple[Path, str], list[float]] = {}
    for guest in guests:
        for build, python in zip(builds, pythons, strict=True):
            _run(build, python, guest, scenarios()[:1])  # makes the snapshot where there is none
        for number in range(runs):
            for build, python in zip(builds, pythons, strict=True):
                progress(f"forty on {guest}", number, runs)
                elapsed = _run(build, python, guest, scenarios())
                rates.setdefault((build, guest), []).append(len(scenarios()) * 60 / elapsed)
        progress(f"forty on {guest}", runs, runs)
    figures = []
    for guest in guests:
        ours = rates[checkout, guest]
        # A rate of scenarios, not of seconds: its unit is 1 as that of a count is.
        figures.append(figure("scenarios_per_minute", ours, "1", guest=guest))
        if beside is not None:
            theirs = rates[beside, guest]
            ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
            figures.append(figure("scenarios_per_minute_beside", theirs, "1", guest=guest))
            figures.append(figure("scenarios_per_minute_ratio", ratios, "1", guest=guest))
    return figures


def _python(build: Path) -> str:
    python = build / ".venv" / "bin" / "python"
    if not (build / "scenarios").is_dir():
        raise EnvironmentMissing(f"{build} is no checkout of Guestnet", remedy="name one with scenarios/")
    if python.exists():
        return str(python)
    if build == Path.cwd():
        return sys.executable
    raise EnvironmentMissing(f"{build} has no .venv", remedy="make it there with ./dev")


def _run(build: Path, python: str, guest: str, ids: Sequence[str]) -> float:
    """Seconds of one pytest from start to end."""
    command = [
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--guest", guest, "--strict-environment",
        "--numprocesses", str(WORKERS), *ids,
    ]  # fmt: skip
    began = time.monotonic()
    ran = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    elapsed = time.monotonic() - began
    if ran.returncode != 0:
        said = "\n".join((ran.stdout + ran.stderr).splitlines()[-_SHOWN:])
        raise GuestnetError(
            f"scenarios of {build} do not pass on {guest}:\n{said}", remedy="mend them, then measure"
        )
    return elapsed
