"""Runs as a pytest session would leave them, written with the project's own writers in virtual time.

``realistic`` is the run of the pictures in the documentation; ``large`` has one long capture; both are
the same octets every time. Run this file to make one: ``python -m tests.unit.report.sample FOLDER``.
"""

import random
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from harness.core import events
from harness.core.address import BROADCAST, Mac
from harness.core.events import Event, Outcome
from harness.core.recorder import Direction
from harness.journal.recording import FileRecorder
from harness.report.model import Run, ScenarioResult, save
from harness.wire import arp, dhcp, ethernet, icmp, ipv4, tcp, udp
from harness.wire.ipv4 import Ip4, ip4
from harness.wire.tcp import Flags

START = 1_795_200_000_000_000_000
MS = 1_000_000
GUEST_MAC = Mac.parse("52:54:00:65:00:01")
STACK_MAC = Mac.parse("52:54:00:65:ff:01")
GUEST, GATEWAY = ip4("192.168.65.3"), ip4("192.168.65.1")
SHOP, FILES, SILENT = ip4("203.0.113.10"), ip4("203.0.113.20"), ip4("203.0.113.98")
ANY, ALL = ip4("0.0.0.0"), ip4("255.255.255.255")


class Tape:
    """Writes one scenario's journal and capture; ``wait`` moves its clock."""

    def __init__(self, folder: Path, scenario: str, seed: int = 20_261_120) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.now = START
        self.recorder = FileRecorder(folder)
        self.frames = 0
        self._steps = 0
        self._host_port = 40_000
        self.event(
            events.LabStarted(
                at=self.now, scenario=scenario, seed=seed, stack="builtin", guest="qemu", profile="plain",
                versions={"guestnet": "0.1.0", "qemu": "7.2.15"},
            )
        )  # fmt: skip

    def wait(self, milliseconds: float) -> None:
        self.now += round(milliseconds * MS)

    def event(self, event: Event) -> None:
        self.recorder.event(event)

    def note(self, text: str) -> None:
        self.event(events.Noted(at=self.now, text=text))

    def guest(self) -> None:
        self.wait(190)
        self.event(events.GuestStarted(at=self.now, guest="guest1", how="restore", mac=str(GUEST_MAC), seconds=0.191, accelerator="tcg"))  # fmt: skip

    def step(self, name: str) -> int:
        self._steps += 1
        self.event(events.StepBegan(at=self.now, step=self._steps, name=name))
        return self._steps

    def done(self, step: int, name: str, outcome: Outcome = "passed") -> None:
        self.event(events.StepEnded(at=self.now, step=step, name=name, outcome=outcome))

    def expected(self, what: str, *, met: bool = True, frame: int | None = None, nearest: list[str] | None = None) -> None:
        self.event(events.Expected(at=self.now, what=what, met=met, frame=frame, nearest=nearest or []))

    def close(self, reason: str = "closed") -> None:
        self.wait(5)
        self.event(events.GuestEnded(at=self.now, guest="guest1", reason="stopped"))
        self.event(events.LabStopped(at=self.now, reason=reason))
        self.recorder.close(self.now)
        (self.folder / "console-guest1.log").write_text(CONSOLE)
        (self.folder / "lab.log").write_text(LAB_LOG)

    # Frames

    def frame(self, frame: bytes, direction: Direction, comment: str = "", link: str = "cable") -> int:
        self.recorder.frames(link, direction, [frame], self.now, comment)
        self.frames += 1
        return self.frames

    def ether(self, direction: Direction, kind: int, payload: bytes, comment: str = "", to: Mac | None = None) -> int:
        source, destination = (GUEST_MAC, STACK_MAC) if direction == "up" else (STACK_MAC, GUEST_MAC)
        return self.frame(ethernet.header(to or destination, source, kind) + payload, direction, comment)

    def ip(self, direction: Direction, packet: ipv4.Ipv4, comment: str = "", to: Mac | None = None) -> int:
        return self.ether(direction, ethernet.EtherType.IPV4, ipv4.emit(packet), comment, to)

    def udp(self, direction: Direction, source: tuple[Ip4, int], target: tuple[Ip4, int], payload: bytes, to: Mac | None = None) -> int:  # fmt: skip
        datagram = udp.emit(udp.Datagram(source[1], target[1], payload), source[0], target[0])
        return self.ip(direction, ipv4.Ipv4(source[0], target[0], ipv4.Protocol.UDP, datagram), "", to)

    def tcp(self, direction: Direction, remote: tuple[Ip4, int], port: int, seq: int, ack: int, flags: Flags, payload: bytes = b"", comment: str = "", *, syn: bool = False) -> int:  # fmt: skip
        here, there = ((GUEST, port), remote) if direction == "up" else (remote, (GUEST, port))
        options = {"mss": 1460, "window_scale": 7, "sack_permitted": True} if syn else {}
        segment = tcp.Segment(here[1], there[1], seq, ack, flags, 64240, payload, **options)  # type: ignore[arg-type]
        octets = tcp.emit(segment, here[0], there[0])
        return self.ip(direction, ipv4.Ipv4(here[0], there[0], ipv4.Protocol.TCP, octets, dont_fragment=True), comment)

    # Exchanges

    def lease(self) -> None:
        offered = dhcp.Options(
            subnet_mask=ip4("255.255.255.0"), routers=(GATEWAY,), dns_servers=(GATEWAY,), interface_mtu=1500,
            domain_name="docker.internal", lease_time=86400, server_identifier=GATEWAY,
        )  # fmt: skip
        asked = dhcp.Options(host_name="guest1", parameter_request_list=(1, 3, 6, 15, 26, 51, 54))
        turns = [
            (dhcp.MessageType.DISCOVER, dhcp.MessageType.OFFER), (dhcp.MessageType.REQUEST, dhcp.MessageType.ACK),
        ]  # fmt: skip
        for question, answer in turns:
            ask = dhcp.Dhcp(dhcp.Op.REQUEST, 0x6E41C7A2, GUEST_MAC, _with(asked, question))
            self.udp("up", (ANY, 68), (ALL, 67), dhcp.emit(ask), to=BROADCAST)
            self.wait(0.6)
            tell = dhcp.Dhcp(dhcp.Op.REPLY, 0x6E41C7A2, GUEST_MAC, _with(offered, answer), yiaddr=GUEST)
            self.event(events.DhcpServed(at=self.now, kind=answer.name, mac=str(GUEST_MAC), address="192.168.65.3"))
            self.udp("down", (GATEWAY, 67), (GUEST, 68), dhcp.emit(tell))
            self.wait(4)

    def resolve_gateway(self) -> None:
        question = arp.request(GUEST_MAC, GUEST, GATEWAY)
        self.ether("up", ethernet.EtherType.ARP, arp.emit(question), to=BROADCAST)
        self.wait(0.2)
        self.ether("down", ethernet.EtherType.ARP, arp.emit(arp.reply(question, STACK_MAC)))
        self.wait(0.4)

    def name(self, name: str, address: str | None, rdtype: str = "A", number: int = 4711) -> None:
        query = dns.message.make_query(name, rdtype, id=number)
        self.udp("up", (GUEST, 40_000 + number % 999), (GATEWAY, 53), query.to_wire())
        self.wait(2.1)
        reply = dns.message.make_response(query, recursion_available=True)
        if address is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            reply.answer.append(dns.rrset.from_text(name + ".", 60, "IN", rdtype, address))
        rcode = dns.rcode.to_text(reply.rcode())
        self.event(
            events.DnsAnswered(
                at=self.now, client="192.168.65.3", name=name, rdtype=rdtype, rcode=rcode, answers=[address] if address else [],
                source="host",
            )
        )  # fmt: skip
        self.udp("down", (GATEWAY, 53), (GUEST, 40_000 + number % 999), reply.to_wire())
        self.wait(1)

    def open(self, remote: tuple[Ip4, int], port: int, flow: int) -> None:
        self.tcp("up", remote, port, 1000, 0, Flags.SYN, syn=True)
        self.wait(1.2)
        self.event(
            events.FlowOpened(at=self.now, flow=flow, transport="tcp", guest=f"192.168.65.3:{port}", remote=_end(remote), host="192.168.1.10:51514")
        )  # fmt: skip
        self.tcp("down", remote, port, 5000, 1001, Flags.SYN | Flags.ACK, syn=True)
        self.wait(0.3)
        self.tcp("up", remote, port, 1001, 5001, Flags.ACK)

    def shut(self, remote: tuple[Ip4, int], port: int, flow: int, up: int, down: int) -> None:
        for direction, seq, ack in (("up", 1001 + up, 5001 + down), ("down", 5001 + down, 1002 + up)):
            self.tcp(direction, remote, port, seq, ack, Flags.FIN | Flags.ACK)  # type: ignore[arg-type]
            self.wait(0.4)
        self.tcp("up", remote, port, 1002 + up, 5002 + down, Flags.ACK)
        self.event(
            events.FlowClosed(at=self.now, flow=flow, transport="tcp", guest=f"192.168.65.3:{port}", remote=_end(remote), reason="fin", up=up, down=down)
        )  # fmt: skip

    def ran(self, command: str, status: int = 0, stdout: str = "", stderr: str = "", seconds: float = 0.01) -> None:
        self.event(events.CommandRun(at=self.now, guest="guest1", command=command, status=status, seconds=seconds, stdout=stdout, stderr=stderr))  # fmt: skip


def _with(options: dhcp.Options, kind: dhcp.MessageType) -> dhcp.Options:
    import msgspec

    return msgspec.structs.replace(options, message_type=kind)


def _end(remote: tuple[Ip4, int]) -> str:
    return f"{ipv4.show_ip4(remote[0])}:{remote[1]}"


CONSOLE = """\x1b[0m[    0.000000] Linux version 6.1.0-28-cloud-amd64 (debian-kernel@lists.debian.org)
[    0.412113] virtio_net virtio0 eth0: renamed from net0\r
udhcpc: started, v1.35.0
udhcpc: broadcasting discover
udhcpc: lease of 192.168.65.3 obtained from 192.168.65.1, lease time 86400
\x1b[1;32mguest1 login:\x1b[0m
"""
LAB_LOG = """INFO lab: laptop and internet are up in 0.112 s
INFO stack: builtin listens on the cable
INFO guest1: restored from snapshot in 0.191 s
"""


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
        shows.append((number, f"{tape.now}"))
        tape.event(
            events.FrameDropped(at=tape.now, link="uplink", rule="silent.example drops everything", frame="IP 192.168.1.10.51514 > 203.0.113.98.81: Flags [S]")
        )  # fmt: skip
        tape.wait(pause)
    show = "IP 192.168.65.3.49152 > 203.0.113.98.81: Flags [S], seq 1000, win 64240, options [mss 1460,wscale 7,sackOK], length 0"
    tape.expected("tcp reset to 192.168.65.3:49152 on cable within 2 s", met=False, frame=shows[-1][0], nearest=[f"no reset flag: {show}"])
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
    tape.event(events.Served(at=tape.now, server="files.example", client="192.168.1.10:51514", request="PUT /upload", status="200"))
    tape.done(step, "upload 850 kB")
    tape.expected("http 200 from 203.0.113.20:80", frame=tape.frames - 3)
    tape.expected("the digest is the one that was sent")
    tape.close()


def stream(tape: Tape, segments: int, rng: random.Random) -> None:
    """An upload of ``segments`` full segments, acknowledged every other one."""
    remote, port = (FILES, 80), 49200
    tape.open(remote, port, 1)
    request = b"PUT /upload HTTP/1.1\r\nHost: files.example\r\nContent-Length: %d\r\n\r\n" % (segments * 1446)
    tape.tcp("up", remote, port, 1001, 5001, Flags.PSH | Flags.ACK, request)
    seq = 1001 + len(request)
    for number in range(segments):
        tape.wait(rng.expovariate(4))
        tape.tcp("up", remote, port, seq, 5001, Flags.ACK, rng.randbytes(1446))
        seq = (seq + 1446) % 2**32
        if number % 2:
            tape.wait(0.05)
            tape.tcp("down", remote, port, 5001, seq, Flags.ACK)
    tape.wait(3)
    reply = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"intact": true}'
    tape.tcp("down", remote, port, 5001, seq, Flags.PSH | Flags.ACK, reply)
    tape.shut(remote, port, 1, seq - 1001, len(reply))


def ping(folder: Path) -> None:
    tape = Tape(folder, "test_ping_and_its_limits")
    tape.guest()
    tape.lease()
    tape.resolve_gateway()
    step = tape.step("ping shop.example")
    for sequence in range(3):
        for direction, message in (("up", icmp.echo_request(77, sequence, b"guestnet" * 7)), ("down", icmp.echo_reply(77, sequence, b"guestnet" * 7))):
            ends = (GUEST, SHOP) if direction == "up" else (SHOP, GUEST)
            tape.ip(direction, ipv4.Ipv4(*ends, ipv4.Protocol.ICMP, icmp.emit(message)))  # type: ignore[arg-type]
            tape.wait(1.7)
        tape.wait(100)
    tape.done(step, "ping shop.example")
    step = tape.step("ping dead.example")
    probe = ipv4.Ipv4(GUEST, ip4("203.0.113.99"), ipv4.Protocol.ICMP, icmp.emit(icmp.echo_request(78, 0, bytes(56))))
    tape.ip("up", probe)
    tape.wait(8)
    error = icmp.unreachable(icmp.Unreachable.HOST, ipv4.emit(probe)[:28])
    tape.ip("down", ipv4.Ipv4(GATEWAY, GUEST, ipv4.Protocol.ICMP, icmp.emit(error)))
    tape.event(events.FlowRefused(at=tape.now, flow=2, transport="icmp", guest="192.168.65.3", remote="203.0.113.99", error="EHOSTUNREACH", answer="host unreachable"))  # fmt: skip
    tape.expected("icmp host unreachable to 192.168.65.3", frame=tape.frames)
    tape.done(step, "ping dead.example")
    tape.close()


HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">\u202egpj.exe\x1b[31m&amp;'


def hostile(folder: Path) -> None:
    """A guest that tries to write the report."""
    tape = Tape(folder, HOSTILE)
    tape.guest()
    step = tape.step(HOSTILE)
    query = dns.message.make_query("x.example", "A", id=1).to_wire()
    tape.udp("up", (GUEST, 41000), (GATEWAY, 53), query.replace(b"\x01x\x07example", b"\x09<script>x"[:10]))
    tape.frame(b"\x00" * 9, "up", HOSTILE)
    tape.tcp("up", (SHOP, 80), 49300, 1, 1, Flags.ACK, b"GET /" + HOSTILE.encode() + b" HTTP/1.1\r\n\r\n", comment=HOSTILE)
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


def result(name: str, outcome: Outcome, duration: float, **more: str) -> ScenarioResult:
    identity = f"scenarios/{more.pop('file', 'tcp/test_connect.py')}::{name}"
    settings = {"stack": "builtin", "guest": "qemu", "profile": "plain", "folder": f"labs/{name}"} | more
    return ScenarioResult(id=identity, outcome=outcome, duration=duration, seed=20_261_120, rerun=f"pytest '{identity}' --seed 20261120", **settings)  # type: ignore[arg-type]  # fmt: skip


FAILURE = """expected tcp reset to 192.168.65.3:49152 on cable within 2 s
nearest: #11 IP 192.168.65.3.49152 > 203.0.113.98.81: Flags [S]
dropped: 3 frames on uplink by silent.example drops everything"""
TRACEBACK = """    def test_a_silent_host_is_refused(lab):
        attempt = lab.guest.connect("silent.example", 81, timeout=2)
>       lab.cable.expect(tcp.reset(to=attempt.source), within=2.0)
E       harness.core.errors.ExpectationFailed: expected tcp reset to 192.168.65.3:49152 on cable within 2 s

scenarios/tcp/test_connect.py:41: ExpectationFailed"""


def realistic(folder: Path, *, red: bool = True) -> Path:
    """Eight scenarios; with ``red``, one fails and one lab was killed."""
    run = folder / "run"
    scenarios = [
        result("test_ping_and_its_limits", "passed", 1.21, file="icmp/test_ping.py", doc="Live hosts answer, dead ones are unreachable."),
        result("test_upload_arrives_intact", "passed", 1.94, file="tcp/test_transfer.py", doc="An upload arrives octet for octet."),
    ]  # fmt: skip
    ping(run / "labs/test_ping_and_its_limits")
    upload(run / "labs/test_upload_arrives_intact")
    for name, file, seconds in (
        ("test_a_lease_and_its_options", "dhcp/test_lease.py", 0.71), ("test_a_name_resolves", "dns/test_names.py", 0.66),
        ("test_udp_echo[1400]", "udp/test_echo.py", 0.69),
    ):  # fmt: skip
        lab = f"labs/{name.replace('[', '-').replace(']', '')}"
        scenarios.append(result(name, "passed", seconds, file=file, folder=lab))
        tape = Tape(run / lab, name)
        tape.guest()
        tape.lease()
        tape.resolve_gateway()
        tape.name("shop.example", "203.0.113.10")
        tape.expected("dns answer for shop.example", frame=8)
        tape.close()
    scenarios.append(result("test_ipv6_only_network", "skipped", 0.01, file="dns/test_v6.py", message="the builtin stack has no IPv6 yet", folder=""))  # fmt: skip
    if red:
        scenarios += [
            result("test_a_silent_host_is_refused", "failed", 3.02, doc="A host that never answers is a reset within two seconds.", message=FAILURE, longrepr=TRACEBACK),  # fmt: skip
            result("test_guest_reset_gets_its_address_back", "error", 4.4, file="dhcp/test_reset.py", message="the lab ended: QEMU was killed by signal 9", profile="flaky-wifi"),  # fmt: skip
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


def single(root: Path, name: str, outcome: Outcome = "failed", **more: str) -> Path:
    """A run whose only scenario keeps its artifacts in labs/``name``; the caller has made them, or not."""
    run = root / "run"
    save(a_run([result(name, outcome, 1.0, **more)]), run)
    return run


def a_run(scenarios: list[ScenarioResult]) -> Run:
    return Run(
        started=START, ended=START + 28_400 * MS, command="guestnet run scenarios --seed 20261120", seed=20_261_120,
        versions={"guestnet": "0.1.0", "python": "3.11.2", "QEMU": "7.2.15"},
        machine={"kernel": "6.1.0-28-amd64", "cores": "2", "accelerator": "tcg"}, scenarios=scenarios,
    )  # fmt: skip


if __name__ == "__main__":
    print(realistic(Path(sys.argv[1])))
