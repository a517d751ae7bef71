"""The guest's program that puts the resolvers of router advertisements into resolv.conf, on a real kernel."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptRDNSS, IPv6
from scapy.layers.l2 import Ether

from guestnet.system.programs import require

pytestmark = pytest.mark.netns

SCRIPT = Path(__file__).parents[2] / "images/tiny/root/usr/lib/guestnet/rdnss"
ROUTER, ONE, TWO = "fe80::1", "fd65:6775:6573:7400::1", "2001:db8:0:0:1::53"

PREPARE = """
    set -e
    mount -t tmpfs none /run
    mount -t tmpfs none /etc
    mkdir /run/guestnet
    echo >/run/guestnet/rdnss
    printf 'search lab\\nnameserver 192.168.65.1\\n' >/run/guestnet/resolv.dhcp
    ip link add eth0 type veth peer name far
    ip link set eth0 up
    ip link set far up
    exec "$@"
"""

# Says what resolv.conf has, once it is what it waits for: an advertisement a line, and the servers after it.
PROGRAM = """
    import pathlib, select, socket, subprocess, sys
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("far", 0))
    program = subprocess.Popen(["perl", sys.argv[1]])
    for line in sys.stdin:
        frame, _, wanted = line.strip().partition(" ")
        for _ in range(200):
            sender.send(bytes.fromhex(frame)) if frame != "-" else None
            select.select([], [], [], 0.05)
            try:
                found = pathlib.Path("/etc/resolv.conf").read_text().replace("\\n", ",")
            except FileNotFoundError:
                found = ""
            if found == wanted:
                break
        print(found, flush=True)
    program.kill()
    program.wait()
"""


def advertisement(servers: tuple[str, ...], lifetime: int) -> str:
    """A frame, in hex."""
    frame = (
        Ether(src="02:02:02:02:02:02", dst="33:33:00:00:00:01")
        / IPv6(src=ROUTER, dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(routerlifetime=1800)
        / ICMPv6NDOptRDNSS(dns=list(servers), lifetime=lifetime)
    )
    return bytes(frame).hex()


def test_resolvers_come_and_go_as_they_are_advertised() -> None:
    require("perl")
    dhcp = "search lab,nameserver 192.168.65.1,"
    one, two = "nameserver fd65:6775:6573:7400::1,", "nameserver 2001:db8::1:0:0:53,"
    link_local = "nameserver fe80::1%eth0,"
    steps = [
        (advertisement((ONE,), 600), dhcp + one),
        (advertisement((TWO, ROUTER), 0xFFFFFFFF), dhcp + two + one + link_local),
        (advertisement((TWO,), 0), dhcp + one + link_local),
        (advertisement((ROUTER,), 0), dhcp + one),
        (advertisement((ONE,), 1), dhcp + one),
        ("-", dhcp),  # its time is over
    ]

    words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "sh",
        "-c",
        textwrap.dedent(PREPARE),
        "-",
    ]
    done = subprocess.run(
        [*words, sys.executable, "-c", textwrap.dedent(PROGRAM), str(SCRIPT)],
        check=False, capture_output=True, text=True, timeout=90,
        input="".join(f"{frame} {wanted}\n" for frame, wanted in steps),
    )  # fmt: skip

    assert done.stdout.splitlines() == [wanted for _, wanted in steps], done.stderr
