"""The checks of ``guestnet doctor``, on machines that lack things."""

import os
from pathlib import Path

import pytest

from guestnet.cli import checks
from guestnet.core.errors import EnvironmentMissing
from guestnet.gateway import gateway
from guestnet.lab.process.client import LabProcess
from guestnet.system.programs import SYSTEM_PATH, remedy, table


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder with programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(SYSTEM_PATH, str(tmp_path))
    monkeypatch.setenv("GUESTNET_CACHE", str(tmp_path / "cache"))
    return tmp_path


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("module", "found"),
    [("gateway.py", "interpreted"), ("gateway.cpython-311-x86_64-linux-gnu.so", "compiled")],
)
def test_whether_the_data_path_is_compiled(monkeypatch: pytest.MonkeyPatch, module: str, found: str) -> None:
    monkeypatch.setattr(gateway, "__file__", f"/usr/lib/guestnet/gateway/{module}")

    assert checks.check_data_path().found == found


def test_a_missing_qemu_comes_with_its_package(programs: Path) -> None:
    finding = checks.check_qemu()
    assert finding.verdict == "missing"
    assert "not installed" in finding.found
    assert "qemu-system-x86" in finding.remedy


@pytest.mark.parametrize(
    ("version", "verdict"), [("7.1.9", "missing"), ("7.2.0", "ok"), ("10.0.2 (Debian 1:10.0.2)", "ok")]
)
def test_qemu_must_know_stream_netdevs(programs: Path, version: str, verdict: str) -> None:
    put(programs, "qemu-system-x86_64", f'echo "QEMU emulator version {version}"')
    finding = checks.check_qemu()
    assert finding.verdict == verdict
    assert bool(finding.remedy) == (verdict == "missing")


def test_a_program_of_the_tests_is_optional(programs: Path) -> None:
    chromium = table()["chromium"]
    finding = checks.check_program(chromium)
    assert (finding.verdict, finding.remedy) == ("optional", remedy("chromium"))
    put(programs, "chromium", "")
    finding = checks.check_program(chromium)
    assert (finding.verdict, finding.found) == ("ok", str(programs / "chromium"))


def test_a_program_of_every_lab_is_needed(programs: Path) -> None:
    assert checks.check_program(table()["nft"]).verdict == "missing"


def test_a_kernel_without_egress_hooks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> LabProcess:
        raise EnvironmentMissing("this kernel can't do a hook", remedy="use Linux 5.16 or newer")

    monkeypatch.setattr(LabProcess, "start", start)
    finding = checks.check_impairments()
    assert (finding.verdict, finding.found) == ("optional", "this kernel can't do a hook")
    assert finding.remedy == "use Linux 5.16 or newer"


def test_a_missing_tun_device_is_told(tmp_path: Path) -> None:
    finding = checks.check_tun(tmp_path / "tun")
    assert (finding.verdict, finding.remedy) == ("optional", "sudo modprobe tun")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUESTNET_CACHE", str(tmp_path / "not" / "yet"))
    assert checks.check_cache().verdict == "ok"

    monkeypatch.setattr(checks, "NEEDED_BYTES", 1 << 62)
    finding = checks.check_cache()
    assert finding.verdict == "missing"
    assert "GUESTNET_CACHE" in finding.remedy


def test_a_cache_that_can_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GUESTNET_CACHE", str(tmp_path / "file" / "below"))
    finding = checks.check_cache()
    assert (finding.verdict, finding.found) == ("optional", f"{tmp_path}/file/below can only be read")
    assert "GUESTNET_CACHE" in finding.remedy


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUESTNET_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    finding = checks.check_cache()
    assert finding.verdict == "missing"
    assert "has no home folder" in finding.found
    assert finding.remedy == "set HOME, or GUESTNET_CACHE to a folder for it"
