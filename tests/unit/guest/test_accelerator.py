"""The choice of an accelerator: a device that opens proves nothing, and a verdict is kept."""

import asyncio
from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError, GuestError
from guestnet.guest.accelerator import ACCELERATOR_VARIABLE, choose_by
from guestnet.guest.cache import Cache
from guestnet.guest.machine import Accelerator, Qemu

QEMU = Qemu(Path("/usr/bin/qemu"), "7.2.0", "one")
DEVICE = Path("/dev/null")
"""Opens, like a /dev/kvm."""


class Trial:
    def __init__(self, error: GuestError | None = None) -> None:
        self.count = 0
        self._error = error

    async def __call__(self) -> None:
        self.count += 1
        if self._error is not None:
            raise self._error


@pytest.fixture(autouse=True)
def _nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ACCELERATOR_VARIABLE, raising=False)


def choice(trial: Trial, cache: Cache, qemu: Qemu = QEMU, device: Path = DEVICE) -> Accelerator:
    return asyncio.run(choose_by(trial, cache, qemu, device))


def test_kvm_that_boots_a_guest_is_chosen_and_tried_once(tmp_path: Path) -> None:
    trial = Trial()
    cache = Cache(tmp_path)

    assert [choice(trial, cache).name for _ in range(3)] == ["kvm"] * 3
    assert trial.count == 1


def test_kvm_that_hangs_is_remembered_with_the_reason(tmp_path: Path) -> None:
    trial = Trial(GuestError("guest1 did not answer within 4 s; its console ends with:\nfoo"))
    cache = Cache(tmp_path)

    first, second = choice(trial, cache), choice(trial, cache)

    assert first == second
    assert first.name == "tcg"
    assert first.reason == "/dev/null opens, but a guest on it does not run: guest1 did not answer within 4 s"
    assert trial.count == 1


def test_without_a_place_for_the_verdict_each_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trial = Trial()

    assert [choice(trial, Cache(tmp_path / "file")).name for _ in range(2)] == ["kvm"] * 2
    assert trial.count == 2


def test_another_qemu_is_tried_anew(tmp_path: Path) -> None:
    trial = Trial()
    cache = Cache(tmp_path)
    choice(trial, cache)
    choice(trial, cache, Qemu(QEMU.program, "7.2.1", "two"))

    assert trial.count == 2


def test_without_a_device_nothing_is_tried(tmp_path: Path) -> None:
    trial = Trial()

    verdict = choice(trial, Cache(tmp_path), device=tmp_path / "kvm")

    assert (verdict.name, trial.count) == ("tcg", 0)
    assert "there is no" in verdict.reason


def test_the_environment_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial()
    monkeypatch.setenv(ACCELERATOR_VARIABLE, "tcg")
    assert choice(trial, Cache(tmp_path)).name == "tcg"
    assert trial.count == 0

    monkeypatch.setenv(ACCELERATOR_VARIABLE, "xen")
    with pytest.raises(DescriptionError, match="give kvm or tcg"):
        choice(trial, Cache(tmp_path))
