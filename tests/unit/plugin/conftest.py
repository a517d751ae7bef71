"""A suite whose labs are fakes: what is under test is pytest's side."""

import pytest

CONFTEST = """
import contextlib

import pytest

from guestnet.core import errors, events
from guestnet.journal.journal import JournalWriter


class FakeLab:
    capabilities = frozenset({"ipv4", "tcp"})

    def __init__(self, description, artifacts, journal):
        self.description, self.artifacts, self.journal = description, artifacts, journal

    def note(self, text, level="info"):
        if self.description.profile == "dying":
            raise errors.LabError("the lab is dead")
        self.journal.event(events.Noted(at=2, text=text, level=level))


@pytest.fixture(scope="session")
def open_lab():
    @contextlib.contextmanager
    def open(description, artifacts):
        if description.profile == "absent":
            raise errors.EnvironmentMissing("no dnsmasq here", remedy="apt-get install dnsmasq-base")
        if description.profile == "broken":
            raise errors.LabError("the lab ended at once", remedy="see lab.log")
        journal = JournalWriter(artifacts / "journal.jsonl", print)
        journal.event(
            events.GuestStarted(at=1, guest="guest1", how="restore", mac="", seconds=0.2, accelerator="tcg")
        )
        try:
            yield FakeLab(description, artifacts, journal)
        finally:
            journal.close()

    return open
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder whose labs are fakes."""
    pytester.makeconftest(CONFTEST)
    return pytester
