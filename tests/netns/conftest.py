"""Real labs without a guest: namespaces, servers and processes as they are."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from tests.support.marked import MARK, Marked

ROOT = Path(__file__).parents[2]

CLIENT = """
import sys
from pathlib import Path
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import RunOn

lab = LabProcess.start(LabDescription(scenario="client", seed=1, guests=0), Path(sys.argv[1]))
print("started", lab.call(RunOn(host="laptop", command="id -u")).stdout.strip(), flush=True)
sys.stdin.read()
lab.close()
"""


class StartLab(Protocol):
    def __call__(self, **fields: object) -> LabProcess: ...


@pytest.fixture(scope="session", autouse=True)
def _namespaces_work(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip, with the reason, where no lab can be."""
    try:
        LabProcess.start(
            LabDescription(scenario="probe", seed=1, guests=0), tmp_path_factory.mktemp("probe")
        ).close()
    except EnvironmentMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def start_lab(tmp_path: Path) -> Iterator[StartLab]:
    """Start a lab without guests; it is closed after the test."""
    labs: list[LabProcess] = []

    def start(**fields: object) -> LabProcess:
        description = LabDescription(**{"scenario": "test", "seed": 1, "guests": 0} | fields)  # type: ignore[arg-type]
        labs.append(LabProcess.start(description, tmp_path / f"lab{len(labs)}"))
        return labs[-1]

    yield start
    for lab in labs:
        lab.close()


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Marked:
    """What this test starts from now on, its children included."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    return Marked(mark)


def events(lab: LabProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab.artifacts / "journal.jsonl").read_text().splitlines()]


def start_client(artifacts: Path, python: str = sys.executable, **options: object) -> "subprocess.Popen[str]":
    """A process of its own that has a lab, until its standard input ends."""
    options = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}} | options
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [python, "-c", CLIENT, str(artifacts)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
