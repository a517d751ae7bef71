"""Runs as a pytest session would leave them.

``realistic`` is the run of the pictures in the documentation, ``large`` has one long capture.
Run this file to make one: ``python -m tests.support.sample FOLDER``.
"""

import random
import sys
from pathlib import Path
from typing import Any

import dns.message

from guestnet.core import events
from guestnet.core.variant import Variant
from guestnet.report.model import Run, ScenarioResult, Verdict, save
from guestnet.wire import icmp, ipv4
from guestnet.wire.ipv4 import ip4
from guestnet.wire.tcp import Flags
from tests.support.tape import GATEWAY, GUEST, MS, SHOP, SILENT, START, Tape, stream


def refused(folder: Path) -> None:
    """Red: a SYN into silence where a reset was expected."""
    tape = Tape(folder, "test_a_silent_host_is_refused")
    tape.guest()
    lease = tape.step("the guest has a lease")
    tape.lease()
    tape.expected("dhcp ack for guest1 on cable", frame=4)
    tape.done(lease, "the guest has a lease")
    tape.resolve_gateway()
    tape.name("silent.example", "203.0.113.98")
    outer = tape.step("connect to silent.example:81")
    tape.wait(3)
    shows = []
    for again, pause in ((False, 1000), (True, 1000), (True, 60)):
        comment = "uplink: dropped by silent.example's rule" if again else ""
        number = tape.tcp("up", (SILENT, 81), 49152, 1000, 0, Flags.SYN, comment=comment, syn=True)
        shows.append((number, tape.now))
        tape.event(
            events.FrameDropped(
                at=tape.now,
                link="uplink",
                rule="silent.example drops everything",
                frame="IP 192.168.1.10.51514 > 203.0.113.98.81: Flags [S]",
            )
        )
        tape.wait(pause)
    show = (
        "IP 192.168.65.3.49152 > 203.0.113.98.81: Flags [S], seq 1000, win 64240, "
        "options [mss 1460,sackOK,wscale 7], length 0"
    )
    near = [
        f"#{number}  {(at - START) / 1e9:.6f} s  up    {show}: flags are S, not R"
        for number, at in reversed(shows)
    ]
    tape.expected("a tcp reset to 192.168.65.3:49152 on cable", met=False, frame=shows[-1][0], nearest=near)
    tape.ran("nc -w 3 silent.example 81", 1, stderr="nc: connect: timed out", seconds=2.06)
    tape.done(outer, "connect to silent.example:81", "failed")
    tape.close()


def upload(folder: Path, segments: int = 600) -> None:
    tape = Tape(folder, "test_upload_arrives_intact")
    tape.guest()
    tape.lease()
    tape.resolve_gateway()
    tape.name("files.example", "203.0.113.20")
    step = tape.step("upload 850 kB")
    stream(tape, segments, random.Random(7))
    tape.event(
        events.Served(
            at=tape.now,
            server="files.example",
            client="192.168.1.10:51514",
            request="PUT /upload",
            status="200",
        )
    )
    tape.done(step, "upload 850 kB")
    tape.expected("http 200 from 203.0.113.20:80", frame=tape.frames - 3)
    tape.expected("the digest is the one that was sent")
    tape.close()


def ping(folder: Path) -> None:
    tape = Tape(folder, "test_ping_and_its_limits")
    tape.guest()
    tape.lease()
    tape.resolve_gateway()
    step = tape.step("ping shop.example")
    for sequence in range(3):
        for direction, message in (
            ("up", icmp.echo_request(77, sequence, b"guestnet" * 7)),
            ("down", icmp.echo_reply(77, sequence, b"guestnet" * 7)),
        ):
            ends = (GUEST, SHOP) if direction == "up" else (SHOP, GUEST)
            tape.ip(direction, ipv4.Ipv4(*ends, ipv4.Protocol.ICMP, icmp.emit(message)))  # type: ignore[arg-type]
            tape.wait(1.7)
        tape.wait(100)
    tape.done(step, "ping shop.example")
    step = tape.step("ping dead.example")
    probe = ipv4.Ipv4(
        GUEST, ip4("203.0.113.99"), ipv4.Protocol.ICMP, icmp.emit(icmp.echo_request(78, 0, bytes(56)))
    )
    tape.ip("up", probe)
    tape.wait(8)
    error = icmp.unreachable(icmp.Unreachable.HOST, ipv4.emit(probe)[:28])
    tape.ip("down", ipv4.Ipv4(GATEWAY, GUEST, ipv4.Protocol.ICMP, icmp.emit(error)))
    tape.event(
        events.FlowRefused(
            at=tape.now,
            flow=2,
            transport="icmp",
            guest="192.168.65.3",
            remote="203.0.113.99",
            error="EHOSTUNREACH",
            answer="host unreachable",
        )
    )
    tape.expected("icmp host unreachable to 192.168.65.3", frame=tape.frames)
    tape.done(step, "ping dead.example")
    tape.close()


HOSTILE = (
    "</script><script>window.hacked = 1</script>"
    '<img src=x onerror="window.hacked = 1">\u202egpj.exe\x1b[31m&amp;'
)


def hostile(folder: Path) -> None:
    """A guest that tries to write the report."""
    tape = Tape(folder, HOSTILE)
    tape.guest()
    step = tape.step(HOSTILE)
    query = dns.message.make_query("x.example", "A", id=1).to_wire()
    tape.udp("up", (GUEST, 41000), (GATEWAY, 53), query.replace(b"\x01x\x07example", b"\x09<script>x"[:10]))
    tape.frame(b"\x00" * 9, "up", HOSTILE)
    tape.tcp(
        "up",
        (SHOP, 80),
        49300,
        1,
        1,
        Flags.ACK,
        b"GET /" + HOSTILE.encode() + b" HTTP/1.1\r\n\r\n",
        comment=HOSTILE,
    )
    tape.ran(f"echo {HOSTILE}", 0, stdout=HOSTILE)
    tape.expected(HOSTILE, met=False, frame=99, nearest=[HOSTILE])
    tape.done(step, HOSTILE, "failed")
    tape.close()
    (folder / "console-guest1.log").write_bytes(HOSTILE.encode() + b"\n\xff\xfe\x00 binary\n")


def killed(folder: Path) -> None:
    """A lab that died in the middle of both files."""
    tape = Tape(folder, "test_guest_reset_gets_its_address_back")
    tape.guest()
    tape.lease()
    tape.step("reset the guest")
    tape.recorder.close(tape.now)
    for name, less in (("journal.jsonl", 11), ("capture.pcapng", 200)):
        octets = (folder / name).read_bytes()
        (folder / name).write_bytes(octets[:-less])
    (folder / "lab.log").write_text("INFO lab: up\nERROR guest1: QEMU ended by signal 9\n")


def result(name: str, outcome: Verdict, duration: float, **more: Any) -> ScenarioResult:
    identity = f"scenarios/{more.pop('file', 'tcp/test_connect.py')}::{name}"
    axes = {"stack": "builtin", "guest": "qemu", "profile": "plain"}
    variant = Variant(**{axis: more.pop(axis, value) for axis, value in axes.items()})
    usual: dict[str, Any] = {
        "variant": variant, "folder": f"labs/{name}", "seed": 20_261_120,
        "rerun": f"pytest '{identity}' --seed 20261120",
    }  # fmt: skip
    return ScenarioResult(id=identity, outcome=outcome, duration=duration, **(usual | more))


FAILURE = (
    "guestnet.core.errors.ExpectationFailed: expected within 2 s: a tcp reset to 192.168.65.3:49152 on cable"
)
TRACEBACK = """    def test_a_silent_host_is_refused(lab):
        attempt = lab.guest.connect("silent.example", 81, timeout=2)
>       lab.cable.expect(tcp.reset(to=attempt.source), within=2.0)
E       guestnet.core.errors.ExpectationFailed: expected within 2 s: a tcp reset to 192.168.65.3:49152 on \
cable
E         11 frames since the lab began; the nearest:
E           #11  2.205900 s  up    IP 192.168.65.3.49152 > 203.0.113.98.81: Flags [S], seq 1000
E               flags are S, not R
E         the journal meanwhile:
E           1.205900 s  FrameDropped on uplink by silent.example drops everything
E           2.205900 s  FrameDropped on uplink by silent.example drops everything

scenarios/tcp/test_connect.py:41: ExpectationFailed"""


def realistic(folder: Path, *, red: bool = True) -> Path:
    """Eight scenarios; with ``red``, one fails and one lab was killed."""
    run = folder / "run"
    scenarios = [
        result(
            "test_ping_and_its_limits",
            "passed",
            1.21,
            file="icmp/test_ping.py",
            doc="Live hosts answer, dead ones are unreachable.",
        ),
        result(
            "test_upload_arrives_intact",
            "passed",
            1.94,
            file="tcp/test_transfer.py",
            doc="An upload arrives octet for octet.",
        ),
    ]
    ping(run / "labs/test_ping_and_its_limits")
    upload(run / "labs/test_upload_arrives_intact")
    for name, file, seconds in (
        ("test_a_lease_and_its_options", "dhcp/test_lease.py", 0.71),
        ("test_a_name_resolves", "dns/test_names.py", 0.66),
        ("test_udp_echo[1400]", "udp/test_echo.py", 0.69),
    ):
        lab = f"labs/{name.replace('[', '-').replace(']', '')}"
        scenarios.append(result(name, "passed", seconds, file=file, folder=lab))
        tape = Tape(run / lab, name)
        tape.guest()
        tape.lease()
        tape.resolve_gateway()
        tape.name("shop.example", "203.0.113.10")
        tape.expected("dns answer for shop.example", frame=8)
        tape.close()
    scenarios.append(
        result(
            "test_ipv6_only_network",
            "skipped",
            0.01,
            file="dns/test_v6.py",
            message="the builtin stack has no IPv6 yet",
            folder="",
        )
    )
    if red:
        scenarios += [
            result(
                "test_a_silent_host_is_refused",
                "failed",
                3.02,
                doc="A host that never answers is a reset within two seconds.",
                message=FAILURE,
                longrepr=TRACEBACK,
            ),
            result(
                "test_guest_reset_gets_its_address_back",
                "error",
                4.4,
                file="dhcp/test_reset.py",
                message="the lab ended: QEMU was killed by signal 9",
                profile="flaky-wifi",
            ),
        ]
        refused(run / "labs/test_a_silent_host_is_refused")
        killed(run / "labs/test_guest_reset_gets_its_address_back")
    save(a_run(scenarios), run)
    return run


def large(folder: Path, segments: int) -> Path:
    """One red scenario with about one and a half packets for each of ``segments``."""
    run = folder / "run"
    upload(run / "labs/test_upload_arrives_intact", segments)
    save(a_run([result("test_upload_arrives_intact", "failed", 9.0, message="too slow")]), run)
    return run


def single(root: Path, name: str, outcome: Verdict = "failed", **more: Any) -> Path:
    """A run whose only scenario keeps its artifacts in labs/``name``; the caller has made them, or not."""
    run = root / "run"
    save(a_run([result(name, outcome, 1.0, **more)]), run)
    return run


def a_run(scenarios: list[ScenarioResult]) -> Run:
    return Run(
        started=START,
        ended=START + 28_400 * MS,
        command="guestnet run scenarios --seed 20261120",
        seed=20_261_120,
        versions={"guestnet": "0.1.0", "python": "3.11.2", "QEMU": "7.2.15"},
        machine={"kernel": "6.1.0-28-amd64", "cores": "2", "accelerator": "tcg"},
        scenarios=scenarios,
    )


if __name__ == "__main__":
    print(realistic(Path(sys.argv[1])))
