"""The image build, for real: as whoever runs the tests, from apt's packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from guestnet.guest import image
from guestnet.guest.cache import Cache

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


FULL_DISK = """
mount -t tmpfs -o size={size}m small {folder} || exit 77
{python} - <<'END'
import subprocess
import sys
from pathlib import Path
from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import image
from guestnet.guest.cache import Cache
folder = Path("{folder}")
try:
    image.build("tiny", Cache(folder))
except EnvironmentMissing as error:
    print(error)
print(sorted(path.name for path in folder.glob("images/*")))
END
"""


@pytest.mark.parametrize("size", [10, 40, 150])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    """The disk ends at the package lists, at the download, or at the unpacking."""
    script = FULL_DISK.format(size=size, folder=tmp_path, python=sys.executable)
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]

    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    if ran.returncode == 77:
        pytest.skip("a tmpfs can't be mounted in a user namespace here")
    said, left = ran.stdout.splitlines()
    assert said.startswith("can't ")
    assert f"the disk that holds {tmp_path} is full: free 1 GB there, or set GUESTNET_CACHE" in said
    assert left == "[]"
