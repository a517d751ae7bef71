"""A fake lab for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.scenario.fake_lab import FakeLab


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeLab]:
    fake = FakeLab(tmp_path)
    yield fake
    if not fake.closed:
        fake.close()
