"""From pytest's reports of a test to one verdict: what pytest itself says of it, in the same words.

Of one attempt: a failure in whatever phase or subtest stays, whatever comes after it; else the call
decides, or the set-up that skipped it; what teardown or a subtest skips is told and changes nothing.
Without the report of its teardown a scenario was interrupted. Of several attempts those count that nobody
ran again because of their outcome.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from guestnet.plugin.artifacts import files_in
from guestnet.plugin.record import Record

if TYPE_CHECKING:
    from guestnet.report import model

_WORST: Final = {"failed": 3, "error": 2, "interrupted": 1}

_PRINTED: Final = 64 << 10
"""Characters kept of the end of each."""
_CAPTURED: Final = {
    f"Captured {what} {when}"
    for what in ("stdout", "stderr", "log")
    for when in ("setup", "call", "teardown")
}
"""pytest's titles."""


class Attempt(msgspec.Struct):
    """The reports of one attempt, as they come in."""

    record: Record
    duration: float = 0.0
    phases: dict[str, "model.Verdict"] = {}
    messages: list[str] = []
    """Of failures."""
    remarks: list[str] = []
    """Of what was skipped, or known to fail."""
    longreprs: list[str] = []
    printed: list[tuple[str, str]] = []
    subtests: list[tuple[str, "model.Verdict", str]] = []
    files: list[str] = []
    repeated: bool = False
    """Another plugin has run it again, and does not count this one."""

    @property
    def ended(self) -> bool:
        """Its teardown is over, or it will never be."""
        return "teardown" in self.phases or "???" in self.phases

    @property
    def outcome(self) -> "model.Verdict":
        """The verdict."""
        words = {*self.phases.values(), *(word for _, word, _ in self.subtests)}
        for red in ("failed", "error"):
            if red in words:
                return "failed" if red == "failed" else "error"
        if not self.ended:
            return "interrupted"
        before = self.phases.get("setup")
        return self.phases.get("call", "interrupted" if before in (None, "passed") else before)

    @property
    def message(self) -> str:
        """Why, in one sentence."""
        if self.outcome == "interrupted":
            parts = ("its set-up, or after it", "its call", "its teardown")
            return f"interrupted in {parts[len(self.phases)]}"
        return next(iter([*self.messages, *self.remarks]), "")

    def add(self, report: pytest.TestReport) -> None:
        """Take in a report of set-up, call or teardown, or of a subtest."""
        word = _word(report)
        if isinstance(report, pytest.SubtestReport):
            name = report.head_line.removeprefix(report.location[2]).strip()
            if word != "passed":
                self.subtests.append((name, word, sentence(report)))
        else:
            self.duration += report.duration
            self.phases[report.when] = word
            self._remark(report, word)
        self.repeated = self.repeated or report.outcome not in ("passed", "failed", "skipped")
        if word in ("failed", "error"):
            self.messages.append(sentence(report))
        if word in ("failed", "error", "xfailed"):
            self.longreprs.append(report.longreprtext)
        told = [(title, text[-_PRINTED:]) for title, text in report.sections if title in _CAPTURED]
        # A report may have those of the phases before it, too.
        self.printed += [each for each in told if each not in self.printed]
        if report.when == "teardown":
            self.list_files()

    def list_files(self) -> None:
        """See what it has left, now that its lab has ended."""
        if self.record.artifacts:
            self.files = files_in(Path(self.record.artifacts))

    def _remark(self, report: pytest.TestReport, word: "model.Verdict") -> None:
        if word == "skipped":
            where = "its teardown was skipped: " if report.when == "teardown" else ""
            self.remarks.append(where + sentence(report))
        elif word in ("xfailed", "xpassed"):
            self.remarks.append(getattr(report, "wasxfail", "") or sentence(report))

    def folder(self, run_folder: Path) -> str:
        """Of the artifacts, as run.json has it."""
        artifacts = Path(self.record.artifacts)
        there = self.record.artifacts and artifacts.is_dir()
        return artifacts.relative_to(run_folder).as_posix() if there else ""


class Scenario:
    """All attempts at one scenario on one variant."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}

    def attempt(self, record: Record) -> Attempt:
        """The one of ``record``, which is brought up to date; a new one if need be."""
        attempt = self._attempts.setdefault(record.key, Attempt(record))
        attempt.record = record
        return attempt

    @property
    def latest(self) -> Attempt:
        """The attempt that began last."""
        return next(reversed(self._attempts.values()))

    @property
    def decisive(self) -> Attempt:
        """The attempt whose verdict is the scenario's."""
        latest = self.latest
        final = [
            each for each in reversed(self._attempts.values())
            if each is latest or (each.ended and not each.repeated)
        ]  # fmt: skip
        return max(final, key=lambda each: _WORST.get(each.outcome, 0))

    @property
    def others(self) -> list[Attempt]:
        """The other attempts, in their order."""
        decisive = self.decisive
        return [each for each in self._attempts.values() if each is not decisive]

    def result(self, run_folder: Path) -> "model.ScenarioResult":
        """As run.json has it."""
        from guestnet.report import model

        own = self.decisive
        record = own.record
        return model.ScenarioResult(
            id=record.scenario, variant=record.variant, outcome=own.outcome, duration=own.duration,
            started=record.started, message=own.message, doc=record.doc, seed=record.seed, rerun=record.rerun,
            longrepr="\n\n".join(filter(None, own.longreprs)),
            printed=own.printed if own.outcome in model.RED else [],
            folder=own.folder(run_folder), files=own.files,
            subtests=[
                model.Subtest(name=name, outcome=word, message=why) for name, word, why in own.subtests
            ],
            attempts=[
                model.Attempt(
                    outcome=each.outcome, duration=each.duration, message=each.message,
                    folder=each.folder(run_folder), files=each.files,
                )
                for each in self.others
            ],
        )  # fmt: skip


def _word(report: pytest.TestReport) -> "model.Verdict":
    expected = hasattr(report, "wasxfail")
    if report.passed:
        return "xpassed" if expected else "passed"
    if report.skipped:
        return "xfailed" if expected else "skipped"
    return "error" if report.when in ("setup", "teardown") else "failed"


def sentence(report: pytest.TestReport) -> str:
    """Why, in one line."""
    if isinstance(report.longrepr, tuple):  # of a skip: path, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr or "")
    return next(iter(text.strip().splitlines()), "")
