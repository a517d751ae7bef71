"""Real guests in a real lab: what the client sees of their life."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestnet.core.errors import EnvironmentMissing, GuestError
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import (
    Activity,
    AddGuest,
    GuestInfo,
    ReadFile,
    ResetGuest,
    RestoreGuest,
    Run,
    RunOn,
    SetLink,
    SnapshotGuest,
    Status,
    StopGuest,
    WriteFile,
)
from tests.support.marked import MARK, Marked

pytestmark = pytest.mark.guest

LEASED = "until grep -s '^ip=' /run/lease.env; do sleep 0.05; done"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip, with the reason, where no guest can be."""
    try:
        folder = tmp_path_factory.mktemp("probe")
        LabProcess.start(LabDescription(scenario="probe", seed=1), folder, deadline=120).close()
    except EnvironmentMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def lab(tmp_path: Path, image: None) -> Iterator[LabProcess]:
    description = LabDescription(scenario="guests", seed=1)
    with LabProcess.start(description, tmp_path / "lab", deadline=120) as lab:
        yield lab


def events(lab: LabProcess, kind: str) -> list[dict[str, Any]]:
    lines = (lab.artifacts / "journal.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


def test_a_guest_has_a_lease_and_reaches_the_world_through_the_stack(lab: LabProcess) -> None:
    address = lab.call(Run(guest="guest1", command=LEASED)).stdout.strip("ip='\n")
    page = lab.call(Run(guest="guest1", command=["curl", "-4", "-sS", "http://shop.example/"]))
    laptop = lab.call(
        Run(guest="guest1", command="curl -4 --silent http://host.docker.internal:8080/headers")
    )
    lab.call(Activity(journal=0, capture=0))
    (opened, *_) = [event for event in events(lab, "FlowOpened") if event["remote"] == "203.0.113.10:80"]

    assert lab.started.guests == [
        GuestInfo(name="guest1", mac="52:54:00:65:00:01", link="cable", kind="qemu")
    ]
    assert address == "192.168.65.3"
    assert (page.status, b"This is shop." in page.stdout_bytes) == (0, True)
    assert json.loads(laptop.stdout)["client"].startswith("127.0.0.1:")
    assert opened["guest"].startswith(f"{address}:")
    assert opened["host"].startswith("192.168.1.10:")


def test_a_guest_goes_back_to_a_kept_state_and_on_with_its_network(lab: LabProcess) -> None:
    lab.call(Run(guest="guest1", command=LEASED))
    kept = lab.call(SnapshotGuest(guest="guest1"))
    lab.call(WriteFile(guest="guest1", path="/root/later", content=b"made after the snapshot"))

    lab.call(RestoreGuest(guest="guest1", snapshot=kept), timeout=60)
    later = lab.call(Run(guest="guest1", command="ls /root/later"))
    page = lab.call(Run(guest="guest1", command=["curl", "--silent", "--retry", "3", "http://shop.example/"]))

    assert later.status != 0
    assert b"This is shop." in page.stdout_bytes


def test_a_killed_qemu_is_an_error_of_its_guest_only(lab: LabProcess) -> None:
    second = lab.call(AddGuest())
    pid = lab.call(Status()).pids["guest1"]
    lab.call(RunOn(host="laptop", command=f"kill -KILL {pid}"))
    with pytest.raises(GuestError, match=f"killed by signal {signal.SIGKILL:d}"):
        lab.call(Run(guest="guest1", command="sleep 60", timeout=90))
    alive = lab.call(Run(guest=second.name, command="echo alive"))
    status = lab.call(Status())

    assert alive.stdout_bytes == b"alive\n"
    assert list(status.ended) == ["guest1"]
    assert [event["guest"] for event in events(lab, "GuestEnded")] in ([], ["guest1"])
    lab.close()
    assert "killed by signal" in events(lab, "GuestEnded")[0]["reason"]


def test_a_panic_is_told_with_the_kernels_words(lab: LabProcess) -> None:
    with pytest.raises(GuestError, match="panicked"):
        lab.call(Run(guest="guest1", command="echo c > /proc/sysrq-trigger; sleep 60", timeout=90))

    assert "panic" in (lab.artifacts / "console-guest1.log").read_text(errors="replace")


def test_a_reset_guest_is_itself_again(lab: LabProcess) -> None:
    before = lab.call(Run(guest="guest1", command=LEASED)).stdout
    lab.call(WriteFile(guest="guest1", path="/run/mark", content=b"here"))
    lab.call(ResetGuest(guest="guest1"))
    after = lab.call(Run(guest="guest1", command=LEASED)).stdout

    assert before == after
    with pytest.raises(GuestError):
        lab.call(ReadFile(guest="guest1", path="/run/mark"))


def test_files_of_any_bytes_go_in_and_out(lab: LabProcess) -> None:
    content = bytes(range(256)) * 4096
    lab.call(WriteFile(guest="guest1", path="/run/file", content=content))

    assert lab.call(ReadFile(guest="guest1", path="/run/file")) == content


def test_a_pulled_cable_is_a_lost_carrier(lab: LabProcess) -> None:
    lab.call(Run(guest="guest1", command=LEASED))
    for up, carrier in ((False, 0), (True, 1)):
        lab.call(SetLink(guest="guest1", up=up))
        # The guest's kernel works on such news when it gets to it.
        seen = f"until [ $(cat /sys/class/net/eth0/carrier) = {carrier} ]; do usleep 20000; done"
        assert lab.call(Run(guest="guest1", command=seen)).status == 0


def test_the_console_takes_keys_and_closes_with_the_guest(lab: LabProcess) -> None:
    with lab.console("guest1") as console:
        console.settimeout(20)
        console.sendall(b"\recho con''sole\r")
        shown = b""
        while b"console" not in shown:
            shown += console.recv(4096)
        lab.call(StopGuest(guest="guest1"))
        while piece := console.recv(4096):
            shown += piece

    with pytest.raises(GuestError, match="guest1 is no more: stopped"):
        lab.console("guest1")


@pytest.mark.parametrize("closing", [True, False], ids=["closed", "killed"])
def test_no_qemu_outlives_its_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closing: bool, image: None
) -> None:
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    lab = LabProcess.start(LabDescription(scenario="guests", seed=1), tmp_path / "lab", deadline=120)
    running = Marked(mark).pids()
    if not closing:
        os.kill(lab.pid, signal.SIGKILL)
    lab.close()

    assert len(running) > 5
    assert Marked(mark).survivors() == []
