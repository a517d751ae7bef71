"""A cache that can't be written: what is in it is used, and what is not is one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guestnet.guest import tree
from guestnet.guest.cache import CACHE_VARIABLE, Cache
from guestnet.guest.image import require

pytestmark = pytest.mark.netns

READ_ONLY = """
mount --bind "$GUESTNET_CACHE" "$GUESTNET_CACHE" || exit 77
mount -o remount,bind,ro "$GUESTNET_CACHE" || exit 77
exec "$@"
"""
LAB = """
import sys
from pathlib import Path
from guestnet.core.events import GuestStarted
from guestnet.lab.requests.description import LabDescription
from guestnet.scenario import Lab
with Lab.start(LabDescription(scenario="x", seed=0, guest=sys.argv[2]), Path(sys.argv[1])) as lab:
    print(lab.guest.run("hostname").stdout.strip(), lab.journal.expect(GuestStarted).how)
"""

def run(cache: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """``program`` where ``cache`` can only be read."""
    words = [sys.executable, "-c", program, *arguments]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", *words]
    environment = os.environ | {CACHE_VARIABLE: str(cache)}
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    if ran.returncode == 77:
        pytest.skip("nothing can be mounted in a user namespace here")
    return ran


def test_a_complete_one_is_simply_used(tmp_path: Path) -> None:
    cache = Cache()
    tree.unpack(require("tiny", cache), cache)

    ran = run(cache.folder, LAB, str(tmp_path), "netns")

    assert ran.stdout == "guest1 namespace\n", ran.stderr


@pytest.mark.guest
def test_a_machine_boots_since_its_snapshot_would_be_opened_for_writing(tmp_path: Path) -> None:
    ran = run(Cache().folder, LAB, str(tmp_path), "qemu")

    assert ran.stdout == "guest1 boot\n", ran.stderr


def test_an_incomplete_one_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    ran = run(tmp_path / "cache", LAB, str(tmp_path), "netns")
    assert "guestnet image build tiny" in ran.stderr.splitlines()[-1]

    ran = run(tmp_path / "cache", 'from guestnet.cli import main; main(["image", "build"])')
    assert ran.returncode == 2
    assert "Read-only file system" in ran.stderr
    assert "GUESTNET_CACHE" in ran.stderr


def test_doctor_tells_it_and_all_the_rest(tmp_path: Path) -> None:
    ran = run(tmp_path, 'from guestnet.cli import main; main(["doctor", "--quick", "--json"])')

    found = {finding["name"]: finding for finding in json.loads(ran.stdout)}
    assert found["cache"]["found"] == f"{tmp_path} can only be read"
    assert found["lab"]["verdict"] == "ok"
    assert found["image tiny"]["remedy"] == "guestnet image build tiny"
