"""A scenario's artifacts, written by the project's own writers in virtual time: always the same octets."""

import random
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import msgspec

from guestnet.core import events
from guestnet.core.address import BROADCAST, Mac
from guestnet.core.events import Event, Outcome
from guestnet.core.recorder import Direction
from guestnet.journal.recording import FileRecorder
from guestnet.wire import arp, dhcp, ethernet, ipv4, tcp, udp
from guestnet.wire.ipv4 import Ip4, ip4
from guestnet.wire.tcp import Flags

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
                at=self.now,
                scenario=scenario,
                seed=seed,
                stack="builtin",
                guest="qemu",
                profile="plain",
                versions={"guestnet": "0.1.0", "qemu": "7.2.15"},
            )
        )

    def wait(self, milliseconds: float) -> None:
        self.now += round(milliseconds * MS)

    def event(self, event: Event) -> None:
        self.recorder.event(event)

    def note(self, text: str) -> None:
        self.event(events.Noted(at=self.now, text=text))

    def guest(self) -> None:
        self.wait(190)
        self.event(
            events.GuestStarted(
                at=self.now,
                guest="guest1",
                how="restore",
                mac=str(GUEST_MAC),
                seconds=0.191,
                accelerator="tcg",
                image="tiny:bookworm 12.15, 767b9ae45761",
            )
        )

    def step(self, name: str) -> int:
        self._steps += 1
        self.event(events.StepBegan(at=self.now, step=self._steps, name=name))
        return self._steps

    def done(self, step: int, name: str, outcome: Outcome = "passed") -> None:
        self.event(events.StepEnded(at=self.now, step=step, name=name, outcome=outcome))

    def expected(
        self, what: str, *, met: bool = True, frame: int | None = None, nearest: list[str] | None = None
    ) -> None:
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

    def ether(
        self, direction: Direction, kind: int, payload: bytes, comment: str = "", to: Mac | None = None
    ) -> int:
        source, destination = (GUEST_MAC, STACK_MAC) if direction == "up" else (STACK_MAC, GUEST_MAC)
        return self.frame(ethernet.header(to or destination, source, kind) + payload, direction, comment)

    def ip(self, direction: Direction, packet: ipv4.Ipv4, comment: str = "", to: Mac | None = None) -> int:
        return self.ether(direction, ethernet.EtherType.IPV4, ipv4.emit(packet), comment, to)

    def udp(
        self,
        direction: Direction,
        source: tuple[Ip4, int],
        target: tuple[Ip4, int],
        payload: bytes,
        to: Mac | None = None,
    ) -> int:
        datagram = udp.emit(udp.Datagram(source[1], target[1], payload), source[0], target[0])
        return self.ip(direction, ipv4.Ipv4(source[0], target[0], ipv4.Protocol.UDP, datagram), "", to)

    def tcp(
        self,
        direction: Direction,
        remote: tuple[Ip4, int],
        port: int,
        seq: int,
        ack: int,
        flags: Flags,
        payload: bytes = b"",
        comment: str = "",
        *,
        syn: bool = False,
    ) -> int:
        here, there = ((GUEST, port), remote) if direction == "up" else (remote, (GUEST, port))
        options = {"mss": 1460, "window_scale": 7, "sack_permitted": True} if syn else {}
        segment = tcp.Segment(here[1], there[1], seq, ack, flags, 64240, payload, **options)  # type: ignore[arg-type]
        octets = tcp.emit(segment, here[0], there[0])
        return self.ip(
            direction, ipv4.Ipv4(here[0], there[0], ipv4.Protocol.TCP, octets, dont_fragment=True), comment
        )

    # Exchanges

    def lease(self) -> None:
        offered = dhcp.Options(
            subnet_mask=ip4("255.255.255.0"),
            routers=(GATEWAY,),
            dns_servers=(GATEWAY,),
            interface_mtu=1500,
            domain_name="docker.internal",
            lease_time=86400,
            server_identifier=GATEWAY,
        )
        asked = dhcp.Options(host_name="guest1", parameter_request_list=(1, 3, 6, 15, 26, 51, 54))
        turns = [
            (dhcp.MessageType.DISCOVER, dhcp.MessageType.OFFER),
            (dhcp.MessageType.REQUEST, dhcp.MessageType.ACK),
        ]
        for question, answer in turns:
            ask = dhcp.Dhcp(dhcp.Op.REQUEST, 0x6E41C7A2, GUEST_MAC, _with(asked, question))
            self.udp("up", (ANY, 68), (ALL, 67), dhcp.emit(ask), to=BROADCAST)
            self.wait(0.6)
            tell = dhcp.Dhcp(dhcp.Op.REPLY, 0x6E41C7A2, GUEST_MAC, _with(offered, answer), yiaddr=GUEST)
            self.event(
                events.DhcpServed(at=self.now, kind=answer.name, mac=str(GUEST_MAC), address="192.168.65.3")
            )
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
                at=self.now,
                client="192.168.65.3",
                name=name,
                rdtype=rdtype,
                rcode=rcode,
                answers=[address] if address else [],
                source="host",
            )
        )
        self.udp("down", (GATEWAY, 53), (GUEST, 40_000 + number % 999), reply.to_wire())
        self.wait(1)

    def open(self, remote: tuple[Ip4, int], port: int, flow: int) -> None:
        self.tcp("up", remote, port, 1000, 0, Flags.SYN, syn=True)
        self.wait(1.2)
        self.event(
            events.FlowOpened(
                at=self.now,
                flow=flow,
                transport="tcp",
                guest=f"192.168.65.3:{port}",
                remote=_end(remote),
                host="192.168.1.10:51514",
            )
        )
        self.tcp("down", remote, port, 5000, 1001, Flags.SYN | Flags.ACK, syn=True)
        self.wait(0.3)
        self.tcp("up", remote, port, 1001, 5001, Flags.ACK)

    def shut(self, remote: tuple[Ip4, int], port: int, flow: int, up: int, down: int) -> None:
        for direction, seq, ack in (("up", 1001 + up, 5001 + down), ("down", 5001 + down, 1002 + up)):
            self.tcp(direction, remote, port, seq, ack, Flags.FIN | Flags.ACK)  # type: ignore[arg-type]
            self.wait(0.4)
        self.tcp("up", remote, port, 1002 + up, 5002 + down, Flags.ACK)
        self.event(
            events.FlowClosed(
                at=self.now,
                flow=flow,
                transport="tcp",
                guest=f"192.168.65.3:{port}",
                remote=_end(remote),
                reason="fin",
                up=up,
                down=down,
            )
        )

    def ran(
        self, command: str, status: int = 0, stdout: str = "", stderr: str = "", seconds: float = 0.01
    ) -> None:
        self.event(
            events.CommandRun(
                at=self.now,
                guest="guest1",
                command=command,
                status=status,
                seconds=seconds,
                stdout=stdout,
                stderr=stderr,
            )
        )


def _with(options: dhcp.Options, kind: dhcp.MessageType) -> dhcp.Options:
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
