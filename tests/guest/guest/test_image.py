"""The image build, for real: as whoever runs the tests, from apt's packages."""

from pathlib import Path

import pytest

from harness.guest import image
from harness.guest.cache import Cache

pytestmark = pytest.mark.guest


def test_the_same_packages_give_the_same_digest(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    stages: list[str] = []

    first = image.build("tiny", cache, progress=lambda stage, done, total: stages.append(stage))
    second = image.build("tiny", cache, again=True)

    assert first.digest == second.digest
    assert first.packages == second.packages
    assert image.find("tiny", cache) == second
    assert stages[0] == "asking apt for packages"
    assert stages[-1] == "laying out the root filesystem"
    assert [path.name for path in (tmp_path / "images").iterdir()] == [second.folder.name]
