"""``run.json``: what a run of scenarios leaves behind beside its journals and captures.

The pytest plugin writes it, ``guestnet.report.build`` and other tools read it. Unknown fields are
skipped, so an old report tool can read the run of a newer plugin.
"""

import os
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.events import Outcome

RUN_FILE: Final = "run.json"


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scenario's verdict and where its artifacts are."""

    id: str
    """The pytest node id, ``scenarios/tcp/test_refused.py::test_a_refused_connect_is_a_reset``."""
    outcome: Outcome
    duration: float
    """Seconds of set-up, call and teardown together."""
    started: int = 0
    """Nanoseconds since the Unix epoch; 0 when unknown."""
    message: str = ""
    """One sentence: why it failed or was skipped."""
    longrepr: str = ""
    """pytest's long text of the failure, without colours."""
    folder: str = ""
    """Folder of the artifacts, relative to the run folder, with ``/``; empty when the lab never started."""
    doc: str = ""
    """The scenario's docstring."""
    stack: str = ""
    guest: str = ""
    """Kind of guest: "qemu" or "netns"."""
    profile: str = ""
    seed: int | None = None
    rerun: str = ""
    """The shell command that runs this scenario alone with the same seed."""


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One invocation of the suite."""

    started: int
    """Nanoseconds since the Unix epoch."""
    ended: int | None = None
    """None when the run was killed: the report then says so."""
    command: str = ""
    """The shell command that runs it all again."""
    seed: int | None = None
    versions: dict[str, str] = {}
    """Of what took part: ``{"guestnet": "0.1.0", "python": "3.11.2", "qemu": "7.2.15"}``."""
    machine: dict[str, str] = {}
    """Where it ran: ``{"kernel": …, "cores": "2", "accelerator": "tcg"}``."""
    scenarios: list[ScenarioResult] = []


def save(run: Run, run_folder: Path) -> Path:
    """Write ``run`` to ``run_folder``/run.json, whole or not at all; returns its path."""
    run_folder.mkdir(parents=True, exist_ok=True)
    target = run_folder / RUN_FILE
    draft = run_folder / f".{RUN_FILE}.{os.getpid()}"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    draft.replace(target)
    return target


def load(run_folder: Path) -> Run:
    """The run in ``run_folder``.

    Raises DescriptionError when run.json is missing, is damaged, or points out of its folder.
    """
    path = run_folder / RUN_FILE
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as error:
        raise DescriptionError(
            f"{path}: {error.strerror or error}", remedy="give the folder that a run with --report wrote"
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DescriptionError(
            f"{path} is damaged: {error}",
            remedy="run the scenarios again; the journals beside it are untouched",
        ) from error
    for result in run.scenarios:
        folder = PurePosixPath(result.folder)
        if folder.is_absolute() or ".." in folder.parts:
            raise DescriptionError(
                f"{path}: folder {result.folder!r} of {result.id} is outside the run folder",
                remedy="folders of artifacts are relative to run.json",
            )
    return run
