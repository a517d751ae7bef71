"""A laptop and a concentrator whose tunnel has TUN devices, which have no link layer: ran by ``test_bare``.

A program of its own, for unshare(1), as it enters namespaces. It writes the journal and the capture into the
folder that it is given, and prints what the programs said that it ran, as JSON.
"""

import asyncio
import fcntl
import json
import os
import struct
import sys
from pathlib import Path

from guestnet.edge.clock import LabClock
from guestnet.journal.recording import FileRecorder
from guestnet.link.settings import impairments
from guestnet.system.calls import CLONE_NEWNET, setns, unshare
from guestnet.system.programs import search_path
from guestnet.world.described.model import Host
from guestnet.world.described.vpn import Vpn
from guestnet.world.described.world import World
from guestnet.world.kernel.namespaces import Namespaces
from guestnet.world.links.diversion import End
from guestnet.world.links.running import Links

TUNSETIFF = 0x4004_54CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
ENDS: dict[str, tuple[str, ...]] = {
    "laptop": ("10.20.255.2/24", "2001:db8:20::2/64"),
    "gateway": ("10.20.255.1/24", "2001:db8:20::1/64"),
}
GATEWAY, GATEWAY6 = "10.20.255.1", "2001:db8:20::1"
RECEIVE = 'timeout 20 python3 -c \'import socket as s; l=s.create_server(("",7)); c,_=l.accept(); n=0\n'
RECEIVE += "while d:=c.recv(65536): n+=len(d)\nprint(n)'"
SEND = f"for _ in $(seq 50); do head -c 300000 /dev/zero > /dev/tcp/{GATEWAY}/7 && break; sleep 0.05; done"


def carry(one: int, other: int) -> None:
    """The next packet from device ``one`` to the ``other``."""
    os.write(other, os.read(one, 65536))


class Tunnel:
    """Both TUN devices and, in between, this process."""

    def __init__(self) -> None:
        self.namespaces = Namespaces()
        self.descriptors = {"laptop": os.open("/proc/self/ns/net", os.O_RDONLY)}
        self.ends = [self._device("laptop")]
        unshare(CLONE_NEWNET)
        self.descriptors["gateway"] = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.ends.append(self._device("gateway"))
        setns(self.descriptors["laptop"], CLONE_NEWNET)
        for host, descriptor in self.descriptors.items():
            self.namespaces.add_hidden(host, descriptor)

    def carry(self) -> None:
        """Packets from either device to the other one, from now on."""
        loop = asyncio.get_running_loop()
        for one, other in (self.ends, self.ends[::-1]):
            loop.add_reader(one, carry, one, other)

    async def run(self, host: str, command: str) -> str:
        """What ``command`` says."""
        descriptor = self.descriptors[host]
        ran = await asyncio.create_subprocess_exec(
            "nsenter", f"--net=/proc/{os.getpid()}/fd/{descriptor}", "bash", "-c", command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PATH": search_path()},
        )  # fmt: skip
        said, _ = await ran.communicate()
        return said.decode()

    def _device(self, host: str) -> int:
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"corp", IFF_TUN_NO_PI))
        for address in ENDS[host]:
            os.system(f"ip addr add {address} dev corp nodad")
        os.system("ip link set corp mtu 1400 up")
        return descriptor


async def tell(folder: Path) -> dict[str, str]:
    """What the programs said, by the step."""
    clock, recorder = LabClock(), FileRecorder(folder)
    vpn = Vpn(ends=ENDS, endpoint="198.51.100.18")
    hosts = {"laptop": Host(), "gateway": Host(addresses=("198.51.100.18",))}
    tunnel = Tunnel()
    faults: list[BaseException] = []
    links = Links(
        World(name="bare", hosts=hosts, vpns={"corp": vpn}), seed=1, recorder=recorder, clock=clock,
        keeps=lambda: 65536, on_fault=faults.append,
    )  # fmt: skip
    tunnel.carry()
    await links.start(tunnel.namespaces)
    await links.attach("corp", End("gateway", "corp"), are_peers=False)
    said = {}

    async def ping(step: str, options: str = "", address: str = GATEWAY) -> None:
        said[step] = await tunnel.run("laptop", f"ping -n -c 2 -i 0.05 -W 1 {options} {address}")

    await ping("plain")
    await ping("plain6", address=GATEWAY6)
    await links.impair("corp", impairments(delay="20ms", drop="1st icmp echo-request"), "up")
    await ping("lost")
    await links.impair("corp", impairments(delay="20ms"), "down")
    await ping("delayed6", address=GATEWAY6)
    await links.clear("corp", (), None)
    await links.impair("corp", impairments(mtu=1300), None)
    await ping("too big", "-M do -s 1350")
    await ping("too big6", "-M do -s 1330", GATEWAY6)
    await links.put("corp", (impairments(drop="every 10th tcp", delay="1ms"),) * 2)
    receiving = asyncio.create_task(tunnel.run("gateway", RECEIVE))
    await tunnel.run("laptop", SEND)
    said["octets"] = await receiving
    await links.put("corp", (impairments(down=True), impairments()))
    await ping("hole")
    await links.clear("corp", (), None)
    await tunnel.run("laptop", "ip link set corp down; ip link set corp up")
    hooked = "nft list tables netdev; ip -o link | grep _w"
    said["left"] = await tunnel.run(
        "laptop", f'for _ in $(seq 200); do [ -z "$({hooked})" ] && exit; sleep 0.05; done; {hooked}'
    )
    await ping("plain again")
    await links.stop()
    recorder.close(clock.now())
    said["faults"] = repr(faults)
    return said


if __name__ == "__main__":
    print(json.dumps(asyncio.run(tell(Path(sys.argv[1])))))
