"""The first process of the machine once it has the host's files: runs one program and tells how it ended.

Started as ``python -P inside.py ORDER`` with nothing but the interpreter's own library, because the checkout
may lie in a folder that is covered first. See `tests.kernel.machine` for the machine.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import traceback
from pathlib import Path

NAME = "kernel"
PORT = "guestnet.output"
EXIT_PORT = 0x501
HIGHEST_STATUS = 126
NOT_RUN = 71
"""Status (EX_OSERR of sysexits.h) when the program could not even be started."""

MS_NOSUID, MS_NODEV, MS_BIND = 0x2, 0x4, 0x1000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

FRESH = (
    # kind, where, options
    ("sysfs", "/sys", ""),
    ("devpts", "/dev/pts", "mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("mqueue", "/dev/mqueue", ""),
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("tmpfs", "/run", "mode=755"),
    ("tmpfs", "/tmp", "mode=1777"),
)

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Run the order, and switch the machine off with the program's status."""
    status = NOT_RUN
    try:
        order = json.loads(Path(sys.argv[1]).read_text())
        lay_out(order["keep"])
        output = os.open(output_port(), os.O_WRONLY)
        raise_loopback()
        socket.sethostname(NAME)
        status = run(order, output)
    except Exception:  # noqa: BLE001 - there is nobody else to tell
        traceback.print_exc()
    finally:
        switch_off(status)


def lay_out(keep: list[str]) -> None:
    """Mount what a running system has; folders of ``keep`` stay to be seen under those that are covered."""
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in keep}
    for kind, place, options in FRESH:
        if place.startswith("/dev/"):
            Path(place).mkdir(exist_ok=True)
        mount(kind, place, kind, MS_NOSUID if place == "/tmp" else MS_NOSUID | MS_NODEV, options)
    for path, descriptor in held.items():
        if not Path(path).is_dir():
            Path(path).mkdir(parents=True)
            mount(f"/proc/self/fd/{descriptor}", path, "", MS_BIND, "")
    Path("/dev/net/tun").chmod(0o666)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        link = Path("/dev", name)
        if not link.is_symlink():
            link.symlink_to(f"/proc/self/fd{target}")


def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    """mount(2). Raises OSError."""
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or source} on {target}: {os.strerror(number)}")


def output_port() -> str:
    """The device that what the program prints goes to."""
    for name in Path("/sys/class/virtio-ports").glob("*/name"):
        if name.read_text().strip() == PORT:
            return f"/dev/{name.parent.name}"
    raise FileNotFoundError(f"no virtio port {PORT}")


def raise_loopback() -> None:
    """Set the interface lo up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def run(order: dict, output: int) -> int:  # type: ignore[type-arg]
    """The program's status as a shell gives it; everything that ends meanwhile is reaped."""
    user = {} if os.getuid() == order["user"] else {
        "user": order["user"], "group": order["group"], "extra_groups": order["groups"],
    }  # fmt: skip
    child = subprocess.Popen(
        order["command"], cwd=order["folder"], env=order["environment"], stdin=subprocess.DEVNULL,
        stdout=output, stderr=output, start_new_session=True, **user,
    )  # fmt: skip
    while True:
        ended, status = os.wait()
        if ended == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def switch_off(status: int) -> None:
    """End the machine at once; QEMU ends with twice the octet written, plus one (isa-debug-exit)."""
    sys.stdout.flush()
    sys.stderr.flush()
    with Path("/dev/port").open("wb", buffering=0) as port:
        port.seek(EXIT_PORT)
        port.write(bytes([min(status, HIGHEST_STATUS) + 1]))


if __name__ == "__main__":
    main()
