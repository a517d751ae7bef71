"""The machine: what QEMU is told, what a snapshot depends on, which QEMU will do."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.guest.cache import Cache
from guestnet.guest.image import Image
from guestnet.guest.machine import Accelerator, Cable, Channels, Machine, Qemu, find_qemu
from guestnet.system.programs import SYSTEM_PATH

IMAGE = Image(
    name="tiny",
    release="bookworm",
    version="12.15",
    digest="d1",
    folder=Path("/images/tiny"),
    packages=(),
    command_line=("quiet",),
)
MACHINE = Machine(
    IMAGE, Qemu(Path("/usr/bin/qemu"), "7.2.0", "one"), Accelerator("tcg", ""), Cable(descriptor=9)
)


def fake_qemu(folder: Path, says: str) -> None:
    program = folder / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 512},
        {"host_mtu": 9000},
        {"accelerator": Accelerator("kvm", "")},
        {"cable": Cable(netdev="tap,fd=5")},
        {"qemu": Qemu(Path("/usr/bin/qemu"), "7.2.0", "two")},
        {"image": msgspec.structs.replace(IMAGE, digest="d2")},
        {"image": msgspec.structs.replace(IMAGE, command_line=())},
        {"extra": ("-device", "x")},
    ],
)
def test_a_snapshot_depends_on(change: dict[str, Any]) -> None:
    assert msgspec.structs.replace(MACHINE, **change).snapshot_key() != MACHINE.snapshot_key()


@pytest.mark.parametrize(
    "change",
    [
        {"index": 2, "mac": "", "hostname": ""},
        {"mac": "52:54:00:00:00:09"},
        {"console_log": Path("/log")},
        {"cable": Cable(descriptor=11)},
        {"accelerator": Accelerator("tcg", "another reason")},
    ],
)
def test_a_snapshot_does_not_depend_on(change: dict[str, Any]) -> None:
    assert msgspec.structs.replace(MACHINE, **change).snapshot_key() == MACHINE.snapshot_key()


def test_guests_have_names_and_addresses_by_number() -> None:
    second = msgspec.structs.replace(MACHINE, index=2, mac="", hostname="")

    assert (MACHINE.hostname, MACHINE.mac) == ("guest1", "52:54:00:65:00:01")
    assert (second.hostname, second.mac) == ("guest2", "52:54:00:65:00:02")
    with pytest.raises(DescriptionError, match="from 1 to"):
        msgspec.structs.replace(MACHINE, index=0)


def test_qemu_gets_the_cable_and_the_names() -> None:
    command = MACHINE.command(named=True, memory_file=None, keep_memory=False, channels=Channels(3, 4, 5, 6))
    words = " ".join(command)

    assert "-netdev stream,server=off,addr.type=fd,addr.str=9,id=cable" in words
    assert "guestnet.mac=52:54:00:65:00:01 guestnet.hostname=guest1" in words
    assert "-incoming" not in command


def test_a_path_with_a_comma_is_told_to_qemu_as_it_wants_it() -> None:
    words = " ".join(
        MACHINE.command(
            named=False, memory_file=Path("/a,b/memory"), keep_memory=False, channels=Channels(3, 4, 5, 6, 7)
        )
    )

    assert "mem-path=/a,,b/memory,share=off" in words
    assert "guestnet.mac" not in words


def test_a_missing_qemu_is_told_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(SYSTEM_PATH, "")

    with pytest.raises(EnvironmentMissing, match=r"not installed \(it runs guests\): .*qemu-system-x86"):
        find_qemu(Cache(tmp_path / "cache"))


def test_a_version_that_can_not_be_remembered_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_qemu(tmp_path, "QEMU emulator version 10.0.2 (Debian)")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "file").touch()

    assert find_qemu(Cache(tmp_path / "file")).version == "10.0.2"


def test_too_old_a_qemu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, "QEMU emulator version 6.2.0 (Debian)")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(EnvironmentMissing, match=r"QEMU 6\.2 is too old"):
        find_qemu(Cache(tmp_path / "cache"))


def test_a_qemu_without_a_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_qemu(tmp_path, "hello")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(EnvironmentMissing, match="does not tell its version"):
        find_qemu(Cache(tmp_path / "cache"))
