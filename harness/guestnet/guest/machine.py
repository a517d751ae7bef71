"""The virtual machine that a guest is: QEMU's command line, and what of it a snapshot depends on.

The machine is a bare ``q35``. ``microvm`` boots 0.4 s faster under TCG, but has neither HPET nor ACPI timer:
on a busy host the kernel then fails to calibrate its clock and hangs for ever. qboot is no faster than
SeaBIOS, and at the reset of a guest whose cable was pulled out before, it overwrites the kernel with zeros.
"""

import hashlib
import json
import platform
import re
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.guest.cache import Cache
from guestnet.guest.image import Image
from guestnet.system.programs import remedy, require

OLDEST_QEMU: Final = (7, 2)
"""The first with ``-netdev stream``."""

PROGRAM: Final = "qemu-system-x86_64"
_VERSION: Final = re.compile(r"version (\d+)\.(\d+)(?:\.(\d+))?")
_SNAPSHOT_FORMAT: Final = "1"
MAX_GUESTS: Final = 250


class Qemu(msgspec.Struct, frozen=True):
    """An installed QEMU; ``identity`` changes when another file takes its place."""

    program: Path
    version: str
    identity: str


class Accelerator(msgspec.Struct, frozen=True):
    """What runs the guest's instructions, "kvm" or "tcg", and why this one."""

    name: str
    reason: str


class Cable(msgspec.Struct, frozen=True):
    """What the guest's NIC is plugged into.

    Either ``descriptor``, a connected stream socket on which each ethernet frame follows its length in 32
    bits, big-endian (QEMU's ``-netdev stream``); or ``netdev``, QEMU's own words for something else
    (``"user"``, ``"tap,fd=7"``), with ``descriptors`` to hand over. All descriptors stay the caller's; they
    may be closed once the guest has started.
    """

    descriptor: int | None = None
    netdev: str = ""
    descriptors: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """For ``-netdev``, without the id."""
        if self.descriptor is not None:
            return f"stream,server=off,addr.type=fd,addr.str={self.descriptor}"
        return self.netdev

    @property
    def kind(self) -> str:
        return self.words.split(",")[0]

    @property
    def inherited(self) -> tuple[int, ...]:
        own = () if self.descriptor is None else (self.descriptor,)
        return (*own, *self.descriptors)


class Machine(msgspec.Struct, frozen=True):
    """A guest to be. ``index`` counts from 1 and gives MAC address and host name unless they are given.

    ``memory`` in MiB; ``host_mtu`` in bytes is what the virtio NIC tells the guest (0: nothing);
    ``console_log`` is the file that the console is appended to.
    """

    image: Image
    qemu: Qemu
    accelerator: Accelerator
    cable: Cable
    index: int = 1
    mac: str = ""
    hostname: str = ""
    memory: int = 256
    host_mtu: int = 0
    console_log: Path | None = None
    extra: tuple[str, ...] = ()
    """Further words for QEMU; part of the snapshot's key."""

    def __post_init__(self) -> None:
        if not 1 <= self.index <= MAX_GUESTS:
            raise DescriptionError(
                f"guest {self.index}", remedy=f"guests are numbered from 1 to {MAX_GUESTS}"
            )
        if not self.mac:
            msgspec.structs.force_setattr(self, "mac", f"52:54:00:65:00:{self.index:02x}")
        if not self.hostname:
            msgspec.structs.force_setattr(self, "hostname", f"guest{self.index}")

    def snapshot_key(self) -> str:
        """Hex digest of everything that a snapshot depends on: a change in any of it makes another
        snapshot."""
        parts = [
            _SNAPSHOT_FORMAT,
            self.image.digest,
            self.qemu.version,
            self.qemu.identity,
            self.accelerator.name,
            host_cpu() if self.accelerator.name == "kvm" else "",
            self.cable.kind,
            self._boards(),
            self._kernel_words(named=False),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]

    def command(
        self, *, named: bool, memory_file: Path | None, keep_memory: bool, channels: "Channels"
    ) -> list[str]:
        """QEMU's whole command line.

        ``named``: the guest joins the network when it boots; without, it waits to be snapshotted.
        ``memory_file`` holds the guest's memory: written to with ``keep_memory``, else read and left as it
        is.
        """
        memory = f"id=memory,size={self.memory}M"
        if memory_file is None:
            backend = f"memory-backend-ram,{memory}"
        else:
            backend = (
                f"memory-backend-file,{memory},mem-path={_escaped(memory_file)},share={_on(keep_memory)}"
            )
        words = [
            str(self.qemu.program),
            *("-object", backend),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initramfs)),
            *("-append", " ".join(self._kernel_words(named=named))),
            *("-blockdev", f"file,node-name=root,read-only=on,filename={_escaped(self.image.root)}"),
            *("-netdev", f"{self.cable.words},id=cable"),
            *("-chardev", f"socket,id=console,fd={channels.console}", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=agent,fd={channels.agent}"),
            *("-chardev", f"socket,id=joiner,fd={channels.joiner}"),
            *("-chardev", f"socket,id=qmp,fd={channels.qmp}", "-mon", "chardev=qmp,mode=control"),
            *self._boards(),
        ]
        if channels.state is not None:
            words += ["-incoming", "defer"]
        return words

    def _boards(self) -> list[str]:
        mtu = f",host_mtu={self.host_mtu}" if self.host_mtu else ""
        return [
            *("-no-user-config", "-nodefaults", "-display", "none"),
            *("-M", "q35,vmport=off,usb=off,smbus=off,sata=off,memory-backend=memory"),
            *("-m", f"{self.memory}M", "-smp", "1"),
            *_ACCELERATION[self.accelerator.name],
            *("-device", "virtio-blk-pci,drive=root"),
            *(
                "-device",
                f"virtio-net-pci,romfile=,id=nic,netdev=cable,mac={_SNAPSHOT_MAC},rx_queue_size=1024{mtu}",
            ),
            *("-device", "virtio-serial-pci,max_ports=3"),
            *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
            *("-device", "virtserialport,chardev=joiner,name=guestnet.joiner"),
            *("-device", "virtio-rng-pci"),
            *self.extra,
        ]

    def _kernel_words(self, *, named: bool) -> list[str]:
        own = [f"guestnet.mac={self.mac}", f"guestnet.hostname={self.hostname}"] if named else []
        return ["console=ttyS0", *self.image.command_line, *own]


# The same for all guests, as it is part of the snapshot; each gets its own from inside, before it uses the
# NIC.
_SNAPSHOT_MAC: Final = "52:54:00:65:00:00"

_ACCELERATION: Final = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    "tcg": ["-accel", "tcg,tb-size=128", "-cpu", "qemu64"],
}


class Channels(msgspec.Struct, frozen=True):
    """Descriptors of QEMU's ends; ``state`` is the snapshot's file to restore from."""

    console: int
    agent: int
    joiner: int
    qmp: int
    state: int | None = None

    @property
    def all(self) -> tuple[int, ...]:
        state = () if self.state is None else (self.state,)
        return (self.console, self.agent, self.joiner, self.qmp, *state)


def find_qemu(cache: Cache | None = None) -> Qemu:
    """The installed QEMU. Raises EnvironmentMissing when there is none or it is older than 7.2."""
    program = require(PROGRAM).resolve()
    status = program.stat()
    identity = f"{program}:{status.st_size}:{status.st_mtime_ns}"
    cache = cache or Cache()
    remembered = f"qemu/{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    if (kept := cache.read(remembered)) is not None:
        output = kept.decode()
    else:
        output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        if _VERSION.search(output):
            cache.remember(remembered, output.encode())
    match = _VERSION.search(output)
    if match is None:
        raise EnvironmentMissing(f"{program} does not tell its version", remedy=remedy(PROGRAM))
    version = tuple(int(part or 0) for part in match.groups())
    if version[:2] < OLDEST_QEMU:
        raise EnvironmentMissing(
            f"QEMU {version[0]}.{version[1]} is too old: 7.2 is the first with -netdev stream",
            remedy="Debian 12, Ubuntu 23.04, Fedora 38 or newer have it: " + remedy(PROGRAM),
        )
    return Qemu(program, ".".join(map(str, version)), identity)


def host_cpu() -> str:
    """A digest of this machine's processor: its model and features."""
    text = Path("/proc/cpuinfo").read_text()
    lines = [line for line in text.splitlines() if line.startswith(("model name", "flags", "microcode"))]
    return hashlib.sha256("\n".join(sorted(set(lines))).encode()).hexdigest()[:16] + platform.machine()


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


def _on(value: bool) -> str:
    return "on" if value else "off"
