"""The record of a run: ``run.json``, the HTML report, and the closing lines.

Whoever runs a test, this process or a worker of pytest-xdist, hangs a `Record` on each of its reports. The
reports arrive here in any order. The run is written anew when a scenario has begun and when it has ended: a
killed run leaves what it had, and says what was under way.
"""

import shlex
import time
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guestnet.core.errors import GuestnetError
from guestnet.plugin import summary
from guestnet.plugin.artifacts import remove
from guestnet.plugin.record import Carried, pytest_command
from guestnet.plugin.settings import Settings
from guestnet.plugin.verdict import Attempt, Scenario

if TYPE_CHECKING:
    from guestnet.plugin.machine import Machine
    from guestnet.plugin.run_folder import RunFolder
    from guestnet.report.model import Run

MISSING = 2
"""Exit status: this machine lacks something, as of every command of ours."""


class Recorder:
    """Collects what ran, in the process that the user started."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._folder: RunFolder | None = None
        self._scenarios: dict[str, Scenario] = {}
        self._started = time.time_ns()
        self._report: Path | None = None
        self._trouble = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Make room for this run where a former one was. Raises pytest.UsageError."""
        option = self._config.option
        shows = option.collectonly or option.setuponly or option.showfixtures or option.show_fixtures_per_test
        if self._settings.report is not None and not shows:
            from guestnet.plugin.run_folder import RunFolder

            folder = RunFolder(Path(self._settings.report), self._shown(Path(self._settings.report)))
            folder.take()
            self._folder = folder
            self._save()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        carried = Carried.by(report)
        if carried is None:
            if report.nodeid in self._scenarios:  # the process that ran it has died
                self._scenarios[report.nodeid].latest.add(report)
                self._save()
            return
        scenario = self._scenarios.setdefault(report.nodeid, Scenario())
        attempt = scenario.attempt(carried.record)
        if not carried.begins:
            attempt.add(report)
        if carried.begins or attempt.ended:
            self._save()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """When all labs have ended, and also when they were not let to: before the closing lines."""
        try:
            return (yield)
        finally:
            self._finish(session)

    def _finish(self, session: pytest.Session) -> None:
        lacking = any(each.decisive.record.lacks for each in self._scenarios.values())
        if lacking and self._settings.needs_guests and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = MISSING
        if self._folder is None:
            return
        for scenario in self._scenarios.values():
            scenario.latest.list_files()
        self._save(ended=time.time_ns())
        from guestnet.report import build

        try:
            self._report = build(self._folder.path)
        except GuestnetError as error:
            self._trouble = str(error)
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        for scenario in self._scenarios.values():
            for attempt in (*scenario.others, scenario.decisive):
                self._let_go(attempt)
        self._save(ended=time.time_ns())

    def _let_go(self, attempt: Attempt) -> None:
        record = attempt.record
        if record.artifacts and attempt.ended and not record.is_kept(self._settings.keep):
            remove(Path(record.artifacts), attempt.files)
            attempt.files = []

    def pytest_unconfigure(self) -> None:
        """Let others write there."""
        if self._folder is not None:
            self._folder.release()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What ran where, what did not run and why, and where to look."""
        for line in summary.lines(self._scenarios):
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

            save(self._run(self._folder.path, ended), self._folder.path)

    @cached_property
    def _facts(self) -> "Machine":
        from guestnet.plugin.machine import machine

        return machine()

    def _by_file(self) -> list[Scenario]:
        """A file's scenarios one after the other: several processes finish them in any order."""
        by_file = sorted(self._scenarios.items(), key=lambda item: item[0].partition("::")[0])
        return [scenario for _, scenario in by_file]

    def _run(self, folder: Path, ended: int | None) -> "Run":
        from guestnet.report.model import Run

        scenarios, arguments = self._by_file(), map(str, self._config.invocation_params.args)
        accelerators = sorted({each.decisive.record.accelerator for each in scenarios} - {""})
        return Run(
            started=self._started,
            ended=ended,
            command=shlex.join([*pytest_command(self._config), *arguments]),
            seed=self._settings.seed,
            versions=self._facts.versions,
            machine=self._facts.machine | ({"accelerator": ", ".join(accelerators)} if accelerators else {}),
            scenarios=[each.result(folder) for each in scenarios],
            report="" if self._report is None else self._report.name,
        )
