"""Guests that are namespaces: a real kernel, no virtual machine."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestnet.core.errors import EnvironmentMissing, GuestError
from guestnet.core.result import Ran
from guestnet.guest import tap
from guestnet.guest.image import find
from guestnet.journal.capture import CaptureReader
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import (
    Activity,
    AddGuest,
    PauseGuest,
    ReadFile,
    ResetGuest,
    ResumeGuest,
    Run,
    RunOn,
    SetLink,
    SnapshotGuest,
    Status,
    StopGuest,
    WriteFile,
)
from guestnet.scenario import Lab
from guestnet.system.programs import require
from tests.support.marked import Marked

BAD_SUM = 'tcp.checksum.status == "Bad"'

pytestmark = pytest.mark.netns

LEASED = "until grep -s '^ip=' /run/lease.env; do sleep 0.02; done"
BOTH = "until [ $(pgrep -xc sleep) = 2 ]; do sleep 0.02; done"
PING = "ping -n -c 1 -W 1 192.168.65.1"


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    """Skip, with the reason, where no guest can be."""
    if find("tiny") is None:
        pytest.skip("the guest image 'tiny' is not built: guestnet image build tiny")
    if not os.access(tap.TUN, os.R_OK | os.W_OK):
        pytest.skip(f"this user can't open {tap.TUN}: sudo chmod 0666 {tap.TUN}")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[LabProcess]:
    with start(tmp_path / "lab") as process:
        yield process


def start(artifacts: Path) -> LabProcess:
    return LabProcess.start(LabDescription(scenario="netns", seed=1, guest="netns"), artifacts, deadline=60)


def run(process: LabProcess, command: str | list[str], guest: str = "guest1", **options: Any) -> Ran:
    return process.call(Run(guest=guest, command=command, **options))


def said(process: LabProcess, command: str, guest: str = "guest1") -> str:
    """What a command prints; it has to succeed."""
    result = run(process, command, guest)
    assert result.status == 0, result
    return result.stdout.strip()


def events(process: LabProcess, kind: str) -> list[dict[str, Any]]:
    process.call(Activity(journal=0, capture=0))
    lines = (process.artifacts / "journal.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


# What it is


def test_it_is_a_machine_of_its_own_with_a_lease(process: LabProcess) -> None:
    assert said(process, LEASED) == "ip='192.168.65.3'"
    assert said(process, "hostname; cat /etc/hostname") == "guest1\nguest1"
    assert said(process, "cat /sys/class/net/eth0/address") == "52:54:00:65:00:01"
    assert said(process, "ls /sys/class/net") == "eth0\nlo"
    # A router advertisement may have added a server.
    assert said(process, "cat /etc/resolv.conf").splitlines()[:2] == [
        "search docker.internal",
        "nameserver 192.168.65.1",
    ]
    assert said(process, "ps -o pid=,comm= -p 1") == "1 busybox"
    assert said(process, "pwd") == "/root"
    (started,) = events(process, "GuestStarted")
    assert (started["how"], started["mac"]) == ("namespace", "52:54:00:65:00:01")


def test_what_it_writes_nobody_else_sees(process: LabProcess) -> None:
    second = process.call(AddGuest()).name
    for path in ("/etc/hosts", "/usr/bin/new", "/tmp/new", "/run/new"):
        process.call(WriteFile(guest="guest1", path=path, content=b"\0mine\xff"))
        assert process.call(ReadFile(guest="guest1", path=path)) == b"\0mine\xff"

    assert "guest2" in said(process, "cat /etc/hosts", second)
    assert said(process, "ls /usr/bin/new /tmp/new /run/new 2>/dev/null | wc -l", second) == "0"
    assert not Path("/usr/bin/new").exists()


def test_a_snapshot_needs_a_machine(process: LabProcess) -> None:
    with pytest.raises(GuestError, match="--guest qemu"):
        process.call(SnapshotGuest(guest="guest1"))


# Commands


def test_a_command_has_status_streams_and_input(process: LabProcess) -> None:
    result = run(process, "cat; echo err >&2; exit 3", input=b"\0\xff")
    killed = run(process, "kill -TERM $$")

    assert (result.status, result.stdout_bytes, result.stderr_bytes) == (3, b"\0\xff", b"err\n")
    assert killed.status == -signal.SIGTERM
    with pytest.raises(GuestError, match="no-such-program"):
        run(process, ["no-such-program"])
    with pytest.raises(GuestError, match="/no/such/file"):
        process.call(ReadFile(guest="guest1", path="/no/such/file"))


def test_a_command_that_takes_too_long_is_killed_with_its_children(process: LabProcess) -> None:
    with pytest.raises(GuestError, match=r"did not end within 0\.3 s"):
        run(process, "sleep 4321 & sleep 4321", timeout=0.3)

    assert run(process, ["pgrep", "-f", "sleep 4321"]).status == 1


def test_a_terminal_is_one_of_the_guests_own_and_ends_with_its_shell(process: LabProcess) -> None:
    with process.console("guest1") as terminal:
        terminal.settimeout(20)
        terminal.sendall(b"stty rows 33 cols 99; tty; stty size; hostname; echo $((6 * 7))\r")
        shown = until(terminal, b"\r\n42\r\n")
        assert b"/dev/pts/0" in shown
        assert b"33 99" in shown
        assert b"guest1" in shown
        terminal.sendall(b"sleep 4325\r")
        said(process, "until pgrep -f 'sleep [4]325'; do sleep 0.02; done")
        terminal.sendall(b"\x03")
        said(process, "while pgrep -f 'sleep [4]325'; do sleep 0.02; done")
        terminal.sendall(b"exit\r")
        until(terminal, b"")


def test_a_terminal_that_is_left_hangs_up(process: LabProcess) -> None:
    with process.console("guest1") as terminal:
        terminal.settimeout(20)
        terminal.sendall(b"sleep 4326\r")
        said(process, "until pgrep -f 'sleep [4]326'; do sleep 0.02; done")
    said(process, "while pgrep -f 'sleep [4]326'; do sleep 0.02; done")


def until(terminal: socket.socket, end: bytes) -> bytes:
    """What the terminal shows up to ``end``, or to its own end."""
    shown = b""
    while not end or end not in shown:
        more = terminal.recv(4096)
        if not more:
            assert not end, shown
            return shown
        shown += more
    return shown


def test_a_paused_guest_runs_nothing_until_it_goes_on(process: LabProcess) -> None:
    results: list[Ran] = []
    said(process, LEASED)
    thread = threading.Thread(
        target=lambda: results.append(run(process, "echo >/run/on; sleep 0.2; echo done"))
    )
    thread.start()
    said(process, "until [ -e /run/on ]; do sleep 0.01; done")
    process.call(PauseGuest(guest="guest1"))
    with pytest.raises(GuestError, match=r"within 0\.5 s"):
        run(process, "true", timeout=0.5)
    assert results == []
    process.call(ResumeGuest(guest="guest1"))
    thread.join(10)

    assert [result.stdout_bytes for result in results] == [b"done\n"]
    assert said(process, "echo on") == "on"


# Its network


@pytest.mark.lab(guest="netns")
def test_a_connect_fails_as_it_fails_on_the_laptop(lab: Lab) -> None:
    assert lab.guest.connect("shop.example", 80).connected
    assert lab.guest.connect("shop.example", 81).error == "ECONNREFUSED"
    assert lab.guest.connect("dead.example", 80).error == "EHOSTUNREACH"
    assert lab.guest.connect("silent.example", 80, timeout=0.5).timed_out
    assert lab.guest.ping("shop.example", count=1).received == 1


@pytest.mark.lab(guest="netns")
def test_ten_mebibytes_are_intact_both_ways_in_large_frames(lab: Lab) -> None:
    assert_intact(lab)
    assert frames(lab, "frame.len > 1514 && ip.src == 203.0.113.20")
    assert frames(lab, "frame.len > 1514 && ip.dst == 203.0.113.20")


@pytest.mark.lab(guest="netns", offloads=False)
def test_ten_mebibytes_are_intact_both_ways_in_plain_frames(lab: Lab) -> None:
    # The guest's kernel makes the sums itself then, and writes a sum of 0 as 0xffff (skb_checksum_help).
    guests_own = "ip.src == 192.168.65.3 && tcp.checksum == 0xffff"
    assert_intact(lab, bad_sum=f"({BAD_SUM} && !({guests_own}))")
    assert not frames(lab, 'frame.interface_name == "cable" && frame.len > 1514')


def assert_intact(lab: Lab, bad_sum: str = BAD_SUM) -> None:
    """Octets and checksums are right in both directions."""
    down = lab.guest.download("files.example", size="10MiB")
    up = lab.guest.upload("files.example", size="10MiB")
    assert (down.intact, down.bytes) == (True, 10 << 20)
    assert (up.intact, up.bytes) == (True, 10 << 20)
    assert not frames(
        lab,
        f'{bad_sum} || udp.checksum.status == "Bad" || ip.checksum.status == "Bad"'
        " || _ws.malformed || tcp.analysis.ack_lost_segment",
    )


def frames(lab: Lab, display_filter: str) -> list[str]:
    """What tshark shows of the capture, checksums verified."""
    program = str(require("tshark"))
    assert lab.trace
    verify = [word for name in ("tcp", "udp", "ip") for word in ("-o", f"{name}.check_checksum:TRUE")]
    # Ports are chosen by a kernel: many of them are somebody's, whose protocol this is not.
    plain = ["-d", "tcp.port==1-65535,data"]
    capture = str(lab.artifacts / "capture.pcapng")
    words = [program, "-n", *verify, *plain, "-r", capture, "-Y", display_filter]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    return ran.stdout.splitlines()


@pytest.mark.lab(guest="netns", guests=2)
def test_large_frames_pass_between_guests(lab: Lab) -> None:
    """With right checksums in the capture."""
    first, second = lab.guests
    second.run("socat -u TCP-LISTEN:7000 OPEN:/tmp/got,creat >/dev/null 2>&1 &", check=True)
    second.run("until ss -lnt | grep -q :7000; do sleep 0.02; done", check=True)
    first.run("head -c 5000000 /dev/urandom >/tmp/sent", check=True)
    first.run(f"socat -u OPEN:/tmp/sent TCP:{second.lease().address}:7000", check=True)
    second.run("until [ $(stat -c %s /tmp/got) = 5000000 ]; do sleep 0.02; done", check=True)
    sums = [
        guest.run("sha256sum < /tmp/" + name).stdout for guest, name in ((first, "sent"), (second, "got"))
    ]
    assert sums[0] == sums[1]
    assert frames(lab, "frame.len > 1514 && tcp.dstport == 7000")
    assert not frames(lab, BAD_SUM)


def test_the_first_connect_needs_no_second_syn(process: LabProcess) -> None:
    """The queue of a new interface is there before the first frame is."""
    find = '{ for (i in name) if (name[i] == "TCPSynRetrans") print $i; split($0, name) }'
    count = f"awk '{find}' /proc/net/netstat"
    for _ in range(8):
        name = process.call(AddGuest()).name
        said(process, f"{LEASED}; curl --silent --output /dev/null http://203.0.113.10/", name)
        assert said(process, count, name) == "0"


def frames_of(process: LabProcess, link: str) -> int:
    """How many the capture has of ``link``."""
    process.call(Activity(journal=0, capture=0))
    return sum(record.link == link for record in CaptureReader(process.artifacts / "capture.pcapng").read())


def test_a_pulled_cable_carries_nothing_at_once(process: LabProcess) -> None:
    said(process, LEASED)
    said(process, PING)
    for _ in range(3):
        process.call(SetLink(guest="guest1", up=False))
        assert said(process, "cat /sys/class/net/eth0/carrier /sys/class/net/eth0/operstate") == "0\ndown"
        before = frames_of(process, "cable")
        assert run(process, "curl --silent --max-time 0.2 http://192.168.65.2:8080/").status != 0
        assert frames_of(process, "cable") == before
        said(process, "ip neighbour flush dev eth0")
        process.call(SetLink(guest="guest1", up=True))
        assert said(process, "cat /sys/class/net/eth0/carrier /sys/class/net/eth0/operstate") == "1\nup"
        said(process, PING)


def test_a_reset_guest_has_forgotten_all_but_gets_its_address_back(process: LabProcess) -> None:
    said(process, LEASED)
    process.call(WriteFile(guest="guest1", path="/etc/hosts", content=b"127.0.0.1 mine\n"))
    said(process, "sysctl -q -w net.ipv4.tcp_sack=0; ip link set eth0 mtu 1400; sleep 4322 >/dev/null 2>&1 &")
    for _ in range(3):
        process.call(ResetGuest(guest="guest1"))
        assert said(process, LEASED) == "ip='192.168.65.3'"
    said(process, PING)

    assert "mine" not in said(process, "cat /etc/hosts")
    assert said(process, "sysctl -n net.ipv4.tcp_sack; cat /sys/class/net/eth0/mtu") == "1\n1500"
    assert run(process, ["pgrep", "-f", "sleep 4322"]).status == 1
    assert [event["how"] for event in events(process, "GuestStarted")] == ["namespace"] + ["reset"] * 3


@pytest.mark.lab(guest="netns")
def test_a_reset_ends_connections_without_a_word(lab: Lab) -> None:
    """As a machine that is reset: no FIN, no RST of its own."""
    from guestnet.scenario import tcp

    lab.guest.run("{ (echo x; sleep 60) | socat - TCP:203.0.113.30:7; } >/dev/null 2>&1 &")
    lab.cable.expect(tcp.data(source=("203.0.113.30", 7)), within=5.0)
    with lab.step("reset") as step:
        lab.guest.reset()
        lab.guest.lease()

    assert not lab.cable.saw(tcp.fin(to=("203.0.113.30", 7)), since=step)
    assert not lab.cable.saw(tcp.reset(to=("203.0.113.30", 7)), since=step)


# Its end


def test_a_guest_whose_first_process_dies_is_an_error_of_its_own(process: LabProcess) -> None:
    second = process.call(AddGuest()).name
    process.call(RunOn(host="laptop", command=f"kill -KILL {process.call(Status()).pids['guest1']}"))
    with pytest.raises(GuestError, match=r"first process .* was killed by signal 9"):
        run(process, "sleep 60", timeout=30)

    assert said(process, "echo alive", second) == "alive"
    assert list(process.call(Status()).ended) == ["guest1"]


def test_stopped_and_reset_guests_leave_nothing_in_the_lab(process: LabProcess) -> None:
    def held() -> tuple[str, ...]:
        pid = process.call(Status()).pids["lab"]
        mine = f"ls -l /proc/{pid}/fd | grep -c -e tun -e 'net:' -e 'mnt:' -e pidfd -e /root"
        # No pipe: whether the shell sees the other end of its own pipe is chance.
        counts = (mine, "set -- /proc/[0-9]*; echo $#")
        return tuple(
            process.call(RunOn(host="laptop", command=each)).stdout.strip() for each in counts
        )

    process.call(ResetGuest(guest="guest1"))  # imports what it needs
    before = held()
    for _ in range(5):
        name = process.call(AddGuest()).name
        process.call(ResetGuest(guest=name))
        process.call(StopGuest(guest=name))

    assert held() == before


@pytest.mark.parametrize("closing", [True, False], ids=["closed", "killed"])
def test_nothing_of_a_guest_outlives_its_lab(tmp_path: Path, marked: Marked, closing: bool) -> None:
    with start(tmp_path / "lab") as lab:
        run(lab, "sleep 4323 >/dev/null 2>&1 & setsid sleep 4323 >/dev/null 2>&1 & " + BOTH)
        pids = guest_processes()
        if not closing:
            os.kill(lab.pid, signal.SIGKILL)

    assert len(pids) >= 2
    assert marked.survivors() == []
    assert gone(pids)


def guest_processes() -> set[int]:
    """They have not this test's environment, so not its mark."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and b"sleep\x004323\0" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
        except OSError:  # it has ended
            continue
    return found


def gone(pids: set[int]) -> bool:
    """Within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not guest_processes() & pids:
            return True
    return False


# What it needs


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("missing", r"there is no \S+, which netns guests need: sudo modprobe tun"),
        ("forbidden", r"this user can't open \S+, which netns guests need: sudo chmod 0666"),
        ("file", r"gives no TAP device"),
    ],
)
def test_without_a_tun_device_the_error_has_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, sentence: str
) -> None:
    path = tmp_path / device
    if device != "missing":
        path.touch()
    if device == "forbidden":  # root may open anything, so the kernel's answer is given for it

        def refuse(name: object, flags: int) -> int:
            raise PermissionError(13, "Permission denied", str(name))

        monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(EnvironmentMissing, match=sentence) as raised:
        tap.open_tap(path)
    assert "--guest qemu" in str(raised.value)
