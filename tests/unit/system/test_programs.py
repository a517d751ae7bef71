"""The table of programs, and where they are looked for."""

from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.system import programs
from guestnet.system.programs import SYSTEM_PATH, Family

PARTS = {
    "labs", "guests", "images", "netns", "laptop", "slirp", "passt", "bench", "shell", "tests",
    "bare", "compiled",
}  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """All that PATH names, and all where only root looks."""
    shown, hidden = tmp_path / "bin", tmp_path / "sbin"
    for folder in (shown, hidden):
        folder.mkdir()
    monkeypatch.setenv("PATH", str(shown))
    monkeypatch.setenv(SYSTEM_PATH, str(hidden))
    return shown, hidden


def put(folder: Path, name: str) -> Path:
    program = folder / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_every_line_of_the_table_is_whole() -> None:
    assert len(programs.table()) > 30
    for name, program in programs.table().items():
        assert all(program), name
        assert set(program.needed_by) <= PARTS, name


def test_a_program_is_found_where_only_root_looks(folders: tuple[Path, Path]) -> None:
    shown, hidden = folders
    assert programs.find("nft") is None

    behind = put(hidden, "nft")
    assert programs.require("nft") == behind

    assert programs.require("nft") == behind
    in_front = put(shown, "nft")
    assert programs.require("nft") == in_front


def test_the_folders_of_the_system_are_usr_sbin_and_sbin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv(SYSTEM_PATH, raising=False)
    assert programs.search_path() == "/usr/bin:/usr/sbin:/sbin"

    monkeypatch.setenv(SYSTEM_PATH, "")
    assert programs.search_path() == "/usr/bin", "an empty folder would be the working one"


def test_what_is_missing_is_said_with_what_it_is_for_and_who_brings_it(folders: tuple[Path, Path]) -> None:
    with pytest.raises(EnvironmentMissing, match=r"^tshark is not installed \(it reads captures\): ") as told:
        programs.require("tshark")
    assert told.value.remedy == programs.remedy("tshark")


@pytest.mark.parametrize(
    ("text", "family", "command"),
    [
        (
            'ID=debian\nVERSION_ID="12"\n', "debian",
            "sudo apt-get install --no-install-recommends bind9-dnsutils",
        ),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "debian", "apt-get"),
        ("ID=fedora\n", "fedora", "sudo dnf install bind-utils"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora", "dnf"),
        ("ID=arch\n", "arch", "sudo pacman -S bind"),
        ("ID=nixos\nNAME=arch\n", None, "pacman -S bind"),
    ],
)  # fmt: skip
def test_the_remedy_is_that_of_the_family(
    tmp_path: Path, text: str, family: Family | None, command: str
) -> None:
    (tmp_path / "os-release").write_text(text)
    assert programs.family(tmp_path / "os-release") == family
    assert command in programs.remedy("dig", tmp_path / "os-release")


def test_without_os_release_every_family_is_named(tmp_path: Path) -> None:
    assert programs.family(tmp_path / "missing") is None
    remedy = programs.remedy("tshark", tmp_path / "missing")
    assert "debian: sudo apt-get install --no-install-recommends tshark" in remedy
    assert "fedora: sudo dnf install wireshark-cli" in remedy
    assert "arch: sudo pacman -S wireshark-cli" in remedy
