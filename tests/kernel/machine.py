"""Another kernel than this machine's: Debian's generic one in QEMU, which sees this machine's own files.

Goal: run a part of this checkout's tests on a kernel that has what this machine's lacks (WireGuard, netem) or
is what most users have. So nothing is installed anywhere: the virtual machine boots an initramfs of busybox
and the kernel's modules, mounts this machine's root read-only by 9P, lays a tmpfs over it, and runs a program
there, with the same interpreter, in the same folder. What it prints comes out here; what it writes is gone
with the machine. It has no network card.

QEMU translates it, which is fifteen times slower than this machine, and yet deadlines hold there: while it
computes, its clock counts instructions, a billion a second, whatever a busy host takes away; only while it
idles is its time this machine's, so that a wake-up may be late by milliseconds. That goes with one processor
only. /dev/kvm is not used: it may be there and not work.
"""

import fnmatch
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import cpio, kernel
from guestnet.guest.cache import Cache
from guestnet.guest.machine import find_qemu
from guestnet.guest.packages import Apt, Progress
from guestnet.guest.recipe import load
from guestnet.system.calls import die_with_parent
from tests.kernel import inside

HERE: Final = Path(__file__).parent
RELEASE: Final = "bookworm"
KERNEL_PACKAGE: Final = "linux-image-amd64"
BUSYBOX_PACKAGE: Final = "busybox-static"

FIRST_MODULES: Final = (
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "overlay",
    "virtio_console",
    "virtio-rng",
    "crc32c_generic",
)
MODULES: Final = (
    "wireguard", "veth", "bridge", "dummy", "tun", "vxlan", "geneve",
    "macvlan", "ipvlan", "vrf", "xfrm_interface",
    "sch_*", "cls_*", "act_mirred", "act_police", "act_gact",
    "nf_tables", "nft_*", "nf_conntrack_netlink", "nf_flow_table_inet", "nf_log_syslog", "nfnetlink_*",
    "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "unix_diag", "af_packet_diag",
    "squashfs", "loop", "fuse",
)  # fmt: skip
"""Names and patterns. They are all loaded at the start: there is no modprobe that would find them later."""
LEFT_OUT: Final = ("sch_teql", "nft_compat")
"""Those that a pattern finds but that make devices or rules of their own."""

_KIND: Final = "kernels"
_FORMAT: Final = "1"
_KERNEL: Final = "kernel"
_INITRAMFS: Final = "initramfs"
_NAME: Final = "name"
_KEPT: Final = 2
_NOT_PASSED: Final = frozenset({"TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"})
MEMORY: Final = 2048
"""MiB; what the program writes lies there too."""
_CONSOLE_LINES: Final = 15
_BUFFER: Final = 1 << 16


@dataclass(frozen=True)
class Built:
    """A kernel ready to boot; ``name`` is its package with the version."""

    name: str
    kernel: Path
    initramfs: Path


def build(cache: Cache, progress: Progress, *, again: bool = False) -> Built:
    """The kernel, from the cache unless ``again``. Raises EnvironmentMissing."""
    init = (HERE / "init").read_bytes()
    recipe = json.dumps([_FORMAT, RELEASE, KERNEL_PACKAGE, FIRST_MODULES, MODULES, LEFT_OUT])
    place = hashlib.sha256(recipe.encode() + init).hexdigest()[:16]
    folder = cache.folder / _KIND / place
    with cache.lock("kernels"):
        if again or not folder.is_dir():
            with cache.making(_KIND, place) as making:
                _make(making, init, cache, progress)
            cache.prune(_KIND, _NAME, keep=_KEPT)
        cache.used(_KIND, place, _NAME)
    return Built((folder / _NAME).read_text(), folder / _KERNEL, folder / _INITRAMFS)


def _make(folder: Path, init: bytes, cache: Cache, progress: Progress) -> None:
    work = folder / "work"
    work.mkdir()
    apt = Apt(work / "apt", cache, RELEASE)
    progress("asking apt for packages", 0, 1)
    apt.update()
    found = apt.resolve([KERNEL_PACKAGE, BUSYBOX_PACKAGE], [])
    # Their dependencies are for installing them.
    packages = [one for one in found if one.name.startswith(("linux-image-", BUSYBOX_PACKAGE))]
    store = cache.folder / "packages"
    store.mkdir(parents=True, exist_ok=True)
    files = work / "files"
    with cache.lock("packages"):
        apt.download(packages, store, progress)
        apt.unpack(packages, store, files, progress)
    (image,) = (files / "boot").glob("vmlinuz-*")
    wanted = choose(kernel.find_modules(files), MODULES, LEFT_OUT)
    order = kernel.load_order(files, [*FIRST_MODULES, *wanted])
    (folder / _KERNEL).write_bytes(kernel.uncompressed(image.read_bytes()))
    (folder / _INITRAMFS).write_bytes(initramfs(init, (files / "bin" / "busybox").read_bytes(), order))
    version = next(one.version for one in packages if one.name == KERNEL_PACKAGE)
    (folder / _NAME).write_text(f"{image.name.removeprefix('vmlinuz-')} (Debian {version})")
    shutil.rmtree(work)


def choose(available: Iterable[str], wanted: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """The modules of ``wanted``, its patterns filled in from those ``available`` (which have ``_`` for
    ``-``), sorted within each.

    One that is named plainly is there whether it is available or not: it may be built in.
    """
    names = sorted(set(available) - set(left_out))
    return [
        name
        for pattern in wanted
        for name in (fnmatch.filter(names, pattern) if "*" in pattern else [pattern])
    ]


def initramfs(init: bytes, busybox: bytes, modules: Sequence[kernel.Module]) -> bytes:
    """The archive that the kernel starts with; ``modules`` in the order of their loading."""
    folders = ("bin", "dev", "lower", "modules", "proc", "root", "writable")
    return cpio.archive(
        [
            *(cpio.Entry(folder, cpio.DIRECTORY) for folder in folders),
            # The kernel opens it as the first process's output before anything is mounted.
            cpio.Entry("dev/console", cpio.CHARACTER_DEVICE, device=(5, 1)),
            cpio.Entry("bin/busybox", cpio.EXECUTABLE, busybox),
            cpio.Entry("init", cpio.EXECUTABLE, init),
            cpio.Entry("modules/order", cpio.FILE, "".join(f"{one.name}\n" for one in modules).encode()),
            *(cpio.Entry(f"modules/{one.name}.ko", cpio.FILE, one.content) for one in modules),
        ]
    )


def order(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], keep: Iterable[Path]
) -> bytes:
    """What the machine is to do, for `tests.kernel.inside`: as the caller's user, in its surroundings."""
    passed = {name: value for name, value in environment.items() if name not in _NOT_PASSED}
    return json.dumps(
        {
            "command": list(command),
            "folder": str(folder),
            "environment": passed,
            "keep": [str(path) for path in keep],
            "user": os.getuid(),
            "group": os.getgid(),
            "groups": os.getgroups(),
        }
    ).encode()


def command(program: Path, built: Built, memory: int, ordered: Path, console: Path) -> list[str]:
    """QEMU's whole command line; ``memory`` in MiB."""
    words = [
        "console=ttyS0",
        "panic=-1",
        *load("tiny").kernel.command_line,
        f"inside.python={sys.executable}",
        f"inside.program={HERE / 'inside.py'}",
        f"inside.order={ordered}",
    ]
    share = "local,id=host,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
    return [
        str(program), "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
        "-M", "q35,vmport=off,usb=off,smbus=off,sata=off",
        "-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=on", "-rtc", "clock=vm",
        # numpy's wheels want x86-64-v2.
        "-cpu", "Nehalem",
        "-m", f"{memory}M",
        "-kernel", str(built.kernel), "-initrd", str(built.initramfs), "-append", " ".join(words),
        "-serial", f"file:{console}",
        "-virtfs", share,
        "-device", "virtio-rng-pci",
        "-device", "virtio-serial-pci,max_ports=2",
        # Not stdio: a guest waits for ever to write to one whose input has ended.
        "-chardev", "file,id=output,path=/dev/stdout,append=on",
        "-device", f"virtserialport,chardev=output,name={inside.PORT}",
        "-device", f"isa-debug-exit,iobase={inside.EXIT_PORT:#x},iosize=0x1",
    ]  # fmt: skip


def run(built: Built, ordered: bytes, memory: int, seconds: float) -> int:
    """Run what is ``ordered`` in ``memory`` MiB, with its output as ours; gives its status.

    Raises EnvironmentMissing when QEMU is missing or the machine ends without a status, TimeoutError after
    ``seconds``. Nothing is left of the machine, however this ends.
    """
    program = find_qemu().program
    with tempfile.TemporaryDirectory(prefix="guestnet-kernel-") as folder:
        (path := Path(folder, "order.json")).write_bytes(ordered)
        console = Path(folder, "console")
        words = command(program, built, memory, path, console)
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # A group of its own: Ctrl-C is for us, who then kill it. If we are killed, so is it.
            process_group=0,
            preexec_fn=lambda: die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - there are no threads
        ) as qemu:
            try:
                _relay(qemu, time.monotonic() + seconds)
            except TimeoutError:
                raise TimeoutError(f"it did not end within {seconds:g} s; {_last_words(console)}") from None
            finally:
                qemu.kill()
        code = qemu.returncode
        status = exit_status(code)
        if status is None or status == inside.NOT_RUN:
            raise EnvironmentMissing(
                f"the machine of {built.name} ended without a result (QEMU's status is {code}); "
                + _last_words(console),
                remedy="mend what it says there; python -m tests.kernel --again takes today's kernel",
            )
        return status


def _relay(qemu: "subprocess.Popen[bytes]", until: float) -> None:
    """Print what the machine prints until it ends. Raises TimeoutError."""
    assert qemu.stdout is not None, "it was asked for"
    while select.select([qemu.stdout], [], [], max(until - time.monotonic(), 0.0))[0]:
        data = os.read(qemu.stdout.fileno(), _BUFFER)
        if not data:
            qemu.wait()
            return
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    raise TimeoutError


def _last_words(console: Path) -> str:
    said = console.read_text(errors="replace").splitlines() if console.exists() else []
    return "\n".join(["its console ends with:", *said[-_CONSOLE_LINES:]])


def exit_status(code: int) -> int | None:
    """The program's status from QEMU's; None if QEMU ended otherwise than by `inside.switch_off`."""
    return (code >> 1) - 1 if code >= 3 and code & 1 else None
