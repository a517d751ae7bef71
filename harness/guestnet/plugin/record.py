"""The record of a run: ``run.json``, the HTML report, and the closing lines.

Whoever runs a test, this process or a worker of pytest-xdist, hangs a `Record` on each of its reports. The
reports arrive here in any order. The run is written anew after each test: a killed run leaves what it had.
"""

import hashlib
import os
import re
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pytest

from guestnet.core.errors import GuestnetError
from guestnet.plugin.settings import Keep, Settings, without_stack

if TYPE_CHECKING:
    from guestnet.lab.requests.description import LabDescription
    from guestnet.plugin.machine import Machine
    from guestnet.report.model import Run, ScenarioResult

FOLDER = "scenarios"
"""Of the artifacts, within the run folder."""


def shown_profile(profile: str, root: Path) -> str:
    """A profile's name, or of one that is a file its path within ``root``.

    Reports are shared, so they tell no path of this machine.
    """
    path = Path(os.path.normpath(profile))
    if not path.is_absolute():
        return profile
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


class Record(msgspec.Struct, kw_only=True):
    """What the record keeps of one scenario, beside pytest's own report."""

    artifacts: str
    stack: str
    guest: str
    profile: str
    seed: int
    rerun: str
    started: int
    doc: str = ""
    accelerator: str = ""
    failed: bool = False

    @classmethod
    def of(cls, item: pytest.Item, description: "LabDescription", artifacts: Path, rerun: str) -> Self:
        """Of a scenario that is about to start."""
        profile = description.profile
        return cls(
            artifacts=str(artifacts),
            stack=description.stack,
            guest=description.guest,
            profile=shown_profile(profile, item.config.rootpath)
            if isinstance(profile, str)
            else profile.name,
            seed=description.seed,
            rerun=rerun,
            started=time.time_ns(),
            doc=(getattr(getattr(item, "function", None), "__doc__", None) or "").strip(),
        )

    def is_kept(self, keep: Keep) -> bool:
        """Whether the artifacts stay after the run."""
        return keep == "on" or (keep == "retain-on-failure" and self.failed)

    def directions(self) -> str:
        """For whoever looks at a red scenario."""
        return f"artifacts: {self.artifacts}\nagain:     {self.rerun}"

    def to_builtins(self) -> dict[str, Any]:
        """For the wire between processes."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


RECORD = pytest.StashKey[Record]()


def folder_name(nodeid: str) -> str:
    """Where a test's artifacts lie in the run folder: readable, and different for each node id."""
    name = re.sub(r"[^\w.-]+", "-", nodeid.rpartition("::")[2]).strip("-")[:60]
    return f"{FOLDER}/{name}-{hashlib.sha256(nodeid.encode()).hexdigest()[:6]}"


def rerun_command(config: pytest.Config, description: "LabDescription") -> str:
    """The shell command that runs one scenario again, in the folder where pytest was called."""
    path, _, name = without_stack(description.scenario, description.stack).partition("::")
    target = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
    words = [*_pytest(config), f"{target}::{name}", "--seed", str(config.option.seed)]
    return shlex.join([*words, "--stack", description.stack, "--guest", description.guest])


def _pytest(config: pytest.Config) -> list[str]:
    """How pytest is called: by the interpreter of an environment below this folder, else by PATH's."""
    python = Path(sys.executable)
    here = config.invocation_params.dir
    name = str(python.relative_to(here)) if python.is_relative_to(here) else "python"
    return [name, "-m", "pytest"]


class _Phases(msgspec.Struct):
    """The reports of one test, as they come in."""

    record: Record
    duration: float = 0.0
    outcome: str = "passed"
    message: str = ""
    longrepr: str = ""

    def add(self, report: pytest.TestReport) -> None:
        """Take in set-up, call or teardown."""
        self.duration += report.duration
        if report.failed:
            self.outcome = "failed" if report.when == "call" else "error"
            self.longrepr = "\n\n".join(filter(None, [self.longrepr, report.longreprtext]))
            self.message = self.message or sentence(report)
        elif report.skipped:
            self.outcome, self.message = "skipped", sentence(report)

    def result(self, nodeid: str, run_folder: Path) -> "ScenarioResult":
        """As run.json has it."""
        from guestnet.report.model import ScenarioResult

        record, artifacts = self.record, Path(self.record.artifacts)
        return msgspec.convert(
            {
                "id": nodeid, "outcome": self.outcome, "duration": self.duration, "started": record.started,
                "message": self.message, "longrepr": self.longrepr, "doc": record.doc, "stack": record.stack,
                "guest": record.guest, "profile": record.profile, "seed": record.seed, "rerun": record.rerun,
                "folder": artifacts.relative_to(run_folder).as_posix() if artifacts.is_dir() else "",
            },
            ScenarioResult,
        )  # fmt: skip


def sentence(report: pytest.TestReport) -> str:
    """Why, in one line."""
    if isinstance(report.longrepr, tuple):  # of a skip: path, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return next(iter(text.strip().splitlines()), "")


class Recorder:
    """Collects what ran, in the process that the user started."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._folder = Path(settings.report) if settings.report else None
        self._phases: dict[str, _Phases] = {}
        self._started = time.time_ns()
        self._report: Path | None = None
        self._trouble = ""

    def pytest_sessionstart(self) -> None:
        """Make room for this run where a former one was."""
        if self._folder is not None and not self._config.option.collectonly:
            from guestnet.report.model import RUN_FILE

            if (self._folder / RUN_FILE).exists():
                shutil.rmtree(self._folder / FOLDER, ignore_errors=True)
            self._save()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        carried = getattr(report, "guestnet", None)
        if carried is None:
            return
        record = msgspec.convert(carried, Record)
        phases = self._phases.setdefault(report.nodeid, _Phases(record))
        phases.record = record
        phases.add(report)
        if report.when == "teardown":
            self._save()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._folder is None or self._config.option.collectonly:
            return
        self._save(ended=time.time_ns())
        from guestnet.report import build

        try:
            self._report = build(self._folder)
        except GuestnetError as error:
            self._trouble = str(error)
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        for phases in self._phases.values():
            if not phases.record.is_kept(self._settings.keep):
                shutil.rmtree(phases.record.artifacts, ignore_errors=True)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What ran where, and where to look."""
        for line in summary(self._phases.values()):
            terminalreporter.write_line(line)
        if self._trouble:
            terminalreporter.write_line(f"no report: {self._trouble}", red=True)
        if self._report is not None:
            terminalreporter.write_line(f"report: {self._shown(self._report)}")

    def _shown(self, path: Path) -> str:
        here = self._config.invocation_params.dir
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    def _save(self, ended: int | None = None) -> None:
        if self._folder is not None:
            from guestnet.report.model import save

            save(self._run(self._folder, ended), self._folder)

    @cached_property
    def _facts(self) -> "Machine":
        from guestnet.plugin.machine import machine

        return machine()

    def _by_file(self) -> list[tuple[str, _Phases]]:
        """A file's scenarios one after the other: several processes finish them in any order."""
        return sorted(self._phases.items(), key=lambda item: item[0].partition("::")[0])

    def _run(self, folder: Path, ended: int | None) -> "Run":
        from guestnet.report.model import Run

        accelerators = sorted({phases.record.accelerator for phases in self._phases.values()} - {""})
        return Run(
            started=self._started,
            ended=ended,
            command=shlex.join([*_pytest(self._config), *map(str, self._config.invocation_params.args)]),
            seed=self._settings.seed,
            versions=self._facts.versions,
            machine=self._facts.machine | ({"accelerator": ", ".join(accelerators)} if accelerators else {}),
            scenarios=[phases.result(nodeid, folder) for nodeid, phases in self._by_file()],
        )


def summary(phases: Iterable[_Phases]) -> list[str]:
    """One line a kind of guest and stack: ``12 scenarios on qemu/tcg with builtin: 11 passed, 1 failed``."""
    groups: dict[tuple[str, str], list[_Phases]] = {}
    for one in phases:
        groups.setdefault((one.record.guest, one.record.stack), []).append(one)
    lines = []
    for (guest, stack), members in sorted(groups.items()):
        where = "/".join([guest, *sorted({one.record.accelerator for one in members} - {""})])
        outcomes = sorted(Counter(one.outcome for one in members).items())
        verdicts = ", ".join(f"{number} {outcome}" for outcome, number in outcomes)
        lines.append(
            f"{len(members)} scenario{'s' * (len(members) != 1)} on {where} with {stack}: {verdicts}"
        )
    return lines
