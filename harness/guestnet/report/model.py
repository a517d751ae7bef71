"""``run.json``: what a run of scenarios leaves behind beside its journals and captures.

The pytest plugin writes it, ``guestnet.report.build`` and other tools read it. Unknown fields are
skipped, so an old report tool can read the run of a newer plugin.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.variant import Variant

RUN_FILE: Final = "run.json"

Verdict = Literal["passed", "failed", "error", "interrupted", "skipped", "xfailed", "xpassed"]
"""pytest's words for what became of a test; "interrupted": the run ended first, or what ran it died."""

RED: Final[frozenset[Verdict]] = frozenset({"failed", "error"})


class Subtest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a scenario with a verdict of its own (pytest's fixture ``subtests``)."""

    name: str
    outcome: Verdict
    message: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An earlier attempt at a scenario that was run again."""

    outcome: Verdict
    duration: float
    """Seconds."""
    message: str = ""
    folder: str = ""
    """As of `ScenarioResult`."""
    files: list[str] = []
    """As of `ScenarioResult`."""


class ScenarioResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scenario's verdict and where its artifacts are."""

    id: str
    """The pytest node id, ``scenarios/tcp/test_refused.py::test_a_refused_connect_is_a_reset``: the same on
    every variant."""
    outcome: Verdict
    duration: float
    """Seconds of set-up, call and teardown together."""
    started: int = 0
    """Nanoseconds since the Unix epoch; 0 when unknown."""
    message: str = ""
    """One sentence: why it failed or was skipped."""
    longrepr: str = ""
    """pytest's long text of the failure, without colours."""
    printed: list[tuple[str, str]] = []
    """What a red scenario printed and logged, by pytest's titles: ("Captured stdout call", …)."""
    folder: str = ""
    """Folder of the artifacts, relative to the run folder, with ``/``; empty when the lab never started."""
    files: list[str] = []
    """The artifacts, relative to ``folder``: what a later run in the same run folder may remove. Empty when
    the scenario did not end."""
    doc: str = ""
    """The scenario's docstring."""
    variant: Variant = Variant()
    attempts: list[Attempt] = []
    """Those before this one, the first first, when it was run more than once."""
    subtests: list[Subtest] = []
    """Those that did not pass."""
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
    report: str = ""
    """Name of the HTML report, once it is there."""

    def artifacts(self) -> Iterator[tuple[str, list[str]]]:
        """Each folder of artifacts and the files that the run has left in it."""
        for result in self.scenarios:
            kept = [(each.folder, each.files) for each in result.attempts]
            yield from ((folder, files) for folder, files in (*kept, (result.folder, result.files)) if folder)


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
    for folder, files in run.artifacts():
        for name in (folder, *files):
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise DescriptionError(
                    f"{path}: {name!r} is outside the run folder",
                    remedy="folders of artifacts are relative to run.json, files to their folder",
                )
    return run
