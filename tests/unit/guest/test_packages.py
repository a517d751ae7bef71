"""What apt's failures become, shown with an apt that fails on demand."""

from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache
from guestnet.guest.packages import Apt, Package

URIS = (
    "'http://h/b/busybox-static_1.35_amd64.deb' busybox-static_1%3a1.35_amd64.deb 928188 SHA256:aa\n"
    "'http://h/d/dpkg_1.21_amd64.deb' dpkg_1.21_amd64.deb 10 SHA256:bb\n"
)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that PATH starts with, holding a dpkg-deb; tests put an apt-get there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    program(folder, "dpkg-deb", "exit 0")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def apt(folder: Path) -> Apt:
    return Apt(folder / "state", Cache(folder / "cache"))


def quiet(stage: str, done: int, total: int) -> None:
    """No progress is shown."""


def test_dependencies_are_read_and_some_left_out(tools: Path, tmp_path: Path) -> None:
    program(tools, "apt-get", f"cat <<'E'\nReading...\n{URIS}E")

    found = apt(tmp_path).resolve(["busybox-static"], ["dpk*"])

    file = "busybox-static_1%3a1.35_amd64.deb"
    assert found == [Package("busybox-static", "1:1.35", file, 928188, "SHA256:aa")]


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("E: Unable to locate package busybox-static", "sudo apt-get update"),
        ("E: Failed to fetch http://h/x.deb  404  Not Found", "sudo apt-get update"),
        ("E: Write error - write (28: No space left on device)", "is full"),
        ("E: You don't have enough free space in /x.", "is full"),
        ("E: Temporary failure resolving 'mirror.example'", "check the network"),
    ],
)
def test_complaints_of_apt_become_one_sentence(
    tools: Path, tmp_path: Path, complaint: str, said: str
) -> None:
    program(tools, "apt-get", f'echo "{complaint}"; exit 100')

    with pytest.raises(EnvironmentMissing, match=said) as caught:
        apt(tmp_path).resolve(["busybox-static"], [])
    assert "\n" not in str(caught.value)


def test_a_download_that_brings_less_is_an_error(tools: Path, tmp_path: Path) -> None:
    program(tools, "apt-get", "exit 0")

    with pytest.raises(EnvironmentMissing, match="apt failed at download"):
        apt(tmp_path).download([Package("a", "1", "a_1_amd64.deb", 1, "")], tmp_path, quiet)


def test_progress_follows_apt(tools: Path, tmp_path: Path) -> None:
    # apt is told the descriptor to report on by an option; the last word of that option is its number.
    script = """
exec python3 - "$@" <<'END'
import os, sys
descriptor = next(int(word.split("=")[1]) for word in sys.argv if "Status-Fd" in word)
os.write(descriptor, b"dlstatus:1:50.5:Retrieving file 1 of 1\\n")
open("a.deb", "w").close()
END
"""
    program(tools, "apt-get", script)
    seen: list[tuple[str, int, int]] = []

    def see(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))

    apt(tmp_path).download([Package("a", "1", "a.deb", 1, "")], tmp_path, see)

    assert seen == [("downloading packages", done, 100) for done in (0, 50, 100)]


def test_without_apt_the_remedy_is_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EnvironmentMissing, match="on Debian or Ubuntu"):
        apt(tmp_path)
