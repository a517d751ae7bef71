"""Labs where something about the machine is not as usual, and for whoever is not root."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from tests.netns.conftest import CLIENT, ROOT, start_client
from tests.support.marked import Marked

pytestmark = pytest.mark.netns


def test_without_namespaces_the_error_has_the_remedy(tmp_path: Path) -> None:
    """A user namespace that allows no further one inside."""
    program = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {sys.executable} -c '{CLIENT}' {tmp_path}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert "EnvironmentMissing: this user can't make namespaces" in done.stderr
    assert "sysctl -w user.max_user_namespaces=" in done.stderr


def test_it_does_with_a_resolver_file_and_artifacts_that_are_in_run(tmp_path: Path) -> None:
    """As systemd-resolved has the one, and a user's runtime folder the other; a lab covers /run."""
    client = CLIENT.replace("id -u", "head -n 1 /etc/resolv.conf")
    (tmp_path / "client.py").write_text(client)
    program = f"""
        set -e
        mount -t tmpfs none /run
        cp -r /etc {tmp_path}/etc 2> /dev/null || true
        rm -f {tmp_path}/etc/resolv.conf {tmp_path}/etc/nsswitch.conf
        ln -s ../run/systemd/resolve/stub-resolv.conf {tmp_path}/etc/resolv.conf
        mount --bind {tmp_path}/etc /etc
        {sys.executable} {tmp_path}/client.py /run/user/artifacts
        grep -c LabStopped /run/user/artifacts/journal.jsonl
    """
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("started nameserver 203.0.113.53\n1\n", "")


def test_it_does_where_no_fresh_proc_is_allowed(tmp_path: Path) -> None:
    """As in a container that hides parts of /proc."""
    (tmp_path / "client.py").write_text(CLIENT)
    program = f"mount -t tmpfs none /proc/tty && exec {sys.executable} {tmp_path}/client.py {tmp_path}/lab"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("started 0\n", "")
    assert "/proc stays this machine's own" in (tmp_path / "lab" / "lab.log").read_text()


FILLING = """
from contextlib import suppress
with (Path(sys.argv[1]) / "full").open("wb", buffering=0) as full, suppress(OSError):
    while full.write(bytes(512)):
        pass
while True:
    lab.call(Status())
"""


def test_a_lab_that_can_not_write_its_journal_ends_and_says_so(tmp_path: Path) -> None:
    """Else what is expected not to happen would never be seen."""
    folder = tmp_path / "lab"
    folder.mkdir()
    client = CLIENT.replace("sys.stdin.read()", FILLING)
    (tmp_path / "client.py").write_text(client.replace("import RunOn", "import RunOn, Status"))
    program = f"""
        mount -t tmpfs -o size=1m none {folder}
        exec {sys.executable} {tmp_path}/client.py {folder}
    """
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    said = "LabError: the journal can't be written any more (No space left on device): make room in "
    assert f"{said}{folder}" in done.stderr


PLAIN = """#!/bin/sh
# This interpreter, as a plain user: what it needs may lie where only root can read, as in /root.
exec unshare --mount sh -e -c '
mount -t tmpfs none {public}
mkdir {public}/python {public}/packages {public}/ours
mount --bind {python} {public}/python
mount --bind {packages} {public}/packages
mount --bind {ours} {public}/ours
exec setpriv --reuid 65534 --regid 65534 --clear-groups {public}/python/bin/python{version} "$@"
' sh "$@"
"""


def test_a_plain_user_has_labs_too(marked: Marked) -> None:
    """Not only root, whom some run the tests as."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        artifacts, public = folder / "lab", folder / "public"
        artifacts.mkdir()
        public.mkdir()
        python = sys.executable
        options: dict[str, object] = {}
        if os.geteuid() == 0:
            os.chown(artifacts, 65534, 65534)
            words = PLAIN.format(
                public=public, python=sys.base_prefix, packages=Path(msgspec.__file__).parents[1],
                ours=ROOT, version=f"{sys.version_info[0]}.{sys.version_info[1]}",
            )  # fmt: skip
            (folder / "python").write_text(words)
            (folder / "python").chmod(0o755)
            python = str(folder / "python")
            moved = {
                "PYTHONPATH": f"{public}/ours/harness:{public}/packages",
                "LD_LIBRARY_PATH": f"{public}/python/lib",
            }
            options = {"cwd": "/", "env": os.environ | moved}
        with start_client(artifacts, python=python, **options) as client:
            output, errors = client.communicate("", timeout=30)

        assert (output, errors) == ("started 0\n", "")
        assert '"LabStopped"' in (artifacts / "journal.jsonl").read_text()
        assert artifacts.joinpath("journal.jsonl").stat().st_uid != 0
    assert marked.survivors() == []
