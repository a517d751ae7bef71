"""The run folder: who may write there, and what may be removed there.

run.json says which files a run has left. A folder with a run.json of ours is ours, and a later run removes
just those files; an absent or empty folder becomes ours; any other holds somebody's files and is refused. A
lock that the run holds as long as it lasts, however it ends, keeps a second one out.
"""

from pathlib import Path
from typing import Final

import filelock
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.plugin.artifacts import remove
from guestnet.report.model import RUN_FILE, Run, load

LOCK: Final = ".guestnet.lock"

OF_A_LAB: Final = ("journal.jsonl", "capture.pcapng", "lab.json", "lab.log", "console-guest*.log")
"""What a lab leaves in any case: removed where a run was killed before it could say what it wrote."""


class RunFolder:
    """``path``, once it is taken; ``shown`` is what the user calls it."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self._shown = shown
        self._lock = filelock.FileLock(path / LOCK, timeout=0)

    def take(self) -> None:
        """Make it ours, without what a former run has left there.

        Raises pytest.UsageError when it holds somebody's files, is in use, or can't be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._former()  # not even a lock is left in somebody's folder
            self._lock.acquire()
        except filelock.Timeout:
            raise self._refusal("another run writes there now", "wait for it or give another") from None
        except OSError as error:
            raise self._refusal(f"it can't be written to ({error.strerror})") from None
        try:
            self._clear(self._former())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others take it."""
        self._lock.release()

    def _former(self) -> Run:
        """The run that was here; one of nothing in a folder that is empty but for hidden files."""
        if (self.path / RUN_FILE).exists():
            try:
                return load(self.path)
            except DescriptionError as error:
                raise self._refusal(f"its {RUN_FILE} is not one of ours ({error.message})") from None
        theirs = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))
        if theirs:
            more = f" and {len(theirs) - 1} more" if len(theirs) > 1 else ""
            raise self._refusal(f"it holds files that no run has written: {theirs[0]}{more}")
        return Run(started=0)

    def _clear(self, former: Run) -> None:
        for name, files in former.artifacts():
            folder = self.path / name
            if folder.resolve() == self.path.resolve() / name:  # else somebody has put a link in its place
                remove(folder, files or [path.name for pattern in OF_A_LAB for path in folder.glob(pattern)])
        if former.report:
            (self.path / former.report).unlink(missing_ok=True)

    def _refusal(self, why: str, remedy: str = "give a new folder or an empty one") -> pytest.UsageError:
        return pytest.UsageError(f"no report can go into {self._shown}: {why}: {remedy}")
